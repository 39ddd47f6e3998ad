//! Records without an acknowledgement: refused behind the client's back, late, or answered while
//! nobody was there to read it. What the report says of them is what is in the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::cluster::{Cluster, Received, TOPICS};
use crate::common::{Finished, Producer, Running, validator};
use crate::process::eventually;
use crate::switch::{Between, Question, Switch};
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as E};
use serde_json::Value;

/// How often each seq of this run is among the records of a topic.
pub fn counts(run: &str, records: Vec<Received>) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        let header = |name: &str| &record.headers.iter().find(|(n, _)| n == name).unwrap().1;
        if header("run") == run {
            *counts.entry(header("seq").parse().unwrap()).or_insert(0) += 1;
        }
    }
    counts
}

/// The name of the run in the report.
pub fn run_of(finished: &Finished) -> &str {
    finished.report()["run_id"].as_str().unwrap()
}

/// The seqs in a list of ranges of the report.
pub fn listed(ranges: &Value) -> Vec<u64> {
    assert_eq!(ranges["more"], 0);
    let ranges: Vec<[u64; 2]> = serde_json::from_value(ranges["ranges"].clone()).unwrap();
    ranges.into_iter().flat_map(|[first, last]| first..=last).collect()
}

/// The topics of a report beside their names.
pub fn topics(finished: &Finished) -> impl Iterator<Item = (&'static str, &Value)> {
    TOPICS.into_iter().zip(finished.report()["topics"].as_array().unwrap())
}

/// A run whose first batch of each topic is refused while the next is in flight, so that it is lost, and its
/// cluster: the answers take a while. On a busy machine there may be no other batch yet, and nothing is
/// lost: then another run is tried.
fn run_whose_first_batch_is_lost(cluster: impl Fn() -> Cluster) -> (Cluster, Finished) {
    let lost = (0..5).find_map(|_| {
        let cluster = cluster();
        cluster.mock.broker_round_trip_time(1, Duration::from_millis(400)).unwrap();
        let errors = [E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2];
        cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
        let run = cluster.run().set("SLEEP_SEC", "0.02").set("BATCH", "40");
        let finished = run.set("RDKAFKA_LINGER_MS", "0").finish();
        (finished.sum("unresolved") > 0).then_some((cluster, finished))
    });
    lost.expect("a refused batch that was then lost")
}

#[test]
fn a_batch_that_was_refused_is_not_delivered_because_the_next_one_was_accepted() {
    let (cluster, finished) = run_whose_first_batch_is_lost(|| Cluster::start_with(1, 1));
    let mut missing = 0;
    for (topic, reported) in topics(&finished) {
        let there = counts(run_of(&finished), cluster.read(topic, usize::MAX));
        let absent: Vec<u64> = (0..40).filter(|seq| !there.contains_key(seq)).collect();
        missing += absent.len();
        assert_eq!(reported["acknowledged"], there.len(), "{reported}");
        assert_eq!(reported["settled"]["not_found"], absent.len(), "{reported}");
        assert_eq!(listed(&reported["seq"]["not_found"]), absent, "{reported}");
        assert_eq!(listed(&reported["seq"]["unresolved"]), absent, "{reported}");
    }
    assert!(missing > 0, "the mock cluster refused nothing that was then lost");
    let schema = validator(vm4_producer::report::SCHEMA);
    let errors: Vec<_> = schema.iter_errors(finished.report()).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let text = format!("{} of 80 planned records delivered", 80 - missing);
    finished.exits(74).says(&text);
    finished.says(&format!(
        "0 failed, {missing} unresolved, {missing} of them not found when the log was read"
    ));
}

/// A run that stores records and is told nothing of it until its time is over.
fn run_that_hears_nothing(cluster: &Cluster) -> Running {
    let run = cluster.run().set("BATCH", "40").set("DELIVERY_TIMEOUT_SEC", "3");
    let running = run.set("SLEEP_SEC", "0.05").start();
    running.until_it_says("sending 40 pairs");
    cluster.mock.broker_round_trip_time(1, Duration::from_secs(600)).unwrap();
    running
}

#[test]
fn records_whose_time_ran_out_are_delivered_if_they_are_in_the_log() {
    let cluster = Cluster::start();
    let running = run_that_hears_nothing(&cluster);
    running.until_it_says("records without acknowledgement");
    cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let finished = running.finish();
    let (mut found, mut missing) = (0, 0);
    for (topic, reported) in topics(&finished) {
        let there = counts(run_of(&finished), cluster.read(topic, usize::MAX));
        let delivered = reported["acknowledged"].as_u64().unwrap()
            + reported["settled"]["found"].as_u64().unwrap();
        assert_eq!(delivered, there.len() as u64, "{reported}");
        let in_doubt: Vec<u64> = listed(&reported["seq"]["found"]);
        assert!(in_doubt.iter().all(|seq| there.contains_key(seq)), "{reported}");
        found += in_doubt.len();
        missing += 40 - there.len();
    }
    assert!(found > 0);
    finished.exits(if missing == 0 { 0 } else { 74 });
    finished.says(&format!("{} of 80 planned records delivered", 80 - missing));
    finished.says(&format!("{found} of them found in the log"));
}

/// Holds back what is to be stored: a leader that is stopped, with requests in its socket.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn is_shut(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.opened.notify_all();
    }
}

impl Between for Gate {
    fn asked(&self, question: Question) -> Option<Vec<u8>> {
        if question.api == RDKafkaApiKey::Produce as i16 {
            let is_shut = self.is_shut.lock().unwrap();
            drop(self.opened.wait_while(is_shut, |is_shut| *is_shut).unwrap());
        }
        None
    }
}

#[test]
fn what_is_stored_after_the_log_was_read_was_not_found_when_it_was_read() {
    let cluster = Cluster::start_with(1, 1);
    let gate = Arc::new(Gate::default());
    let switch = Switch::with(&cluster, Arc::clone(&gate));
    let run = Producer::run(&switch.bootstrap()).set("BATCH", "200").set("SLEEP_SEC", "0.02");
    let running = run.set("DELIVERY_TIMEOUT_SEC", "2").start();
    cluster.read(TOPICS[1], 5);
    gate.is_shut(true);
    let finished = running.finish();
    let read = || TOPICS.map(|topic| counts(run_of(&finished), cluster.read(topic, usize::MAX)));
    let before = read();
    gate.is_shut(false);
    let sum = |there: &[BTreeMap<u64, usize>; 2]| there.iter().map(BTreeMap::len).sum::<usize>();
    let there = eventually("what was on its way", || {
        Some(read()).filter(|there| sum(there) > sum(&before))
    });
    let mut late = 0;
    for ((topic, reported), there) in topics(&finished).zip(there) {
        let not_found = listed(&reported["seq"]["not_found"]);
        late += not_found.iter().filter(|seq| there.contains_key(seq)).count();
        assert_eq!(reported["failed"], 0, "{topic}: {reported}");
        assert_eq!(listed(&reported["seq"]["unresolved"]), not_found, "{topic}");
    }
    assert!(late > 0, "nothing was on its way");
    finished.exits(74).says(" of them not found when the log was read");
    assert!(!finished.stderr.contains("not in the log"), "{}", finished.stderr);
}

#[test]
fn without_headers_nothing_can_be_looked_up_and_the_report_says_so() {
    let cluster = Cluster::start();
    let run = cluster.run().set("RECORD_HEADERS", "off").set("DELIVERY_TIMEOUT_SEC", "1");
    let running = run.set("SLEEP_SEC", "0.1").start();
    running.until_it_says("sending 20 pairs");
    cluster.mock.broker_round_trip_time(1, Duration::from_secs(600)).unwrap();
    let finished = running.finish();
    finished.says(" records of gpu.metrics.v1 not looked up: they have no headers");
    assert_ne!(finished.code, 0);
}

#[test]
fn a_client_that_may_not_read_says_so_and_leaves_the_records_unresolved() {
    let (_cluster, finished) = run_whose_first_batch_is_lost(|| {
        let cluster = Cluster::start();
        let denied = [E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
        cluster.mock.request_errors(RDKafkaApiKey::Fetch, &denied);
        cluster
    });
    for (topic, reported) in topics(&finished) {
        // On a busy machine a batch has more than one record, and the first two have the same topic.
        let unresolved = reported["unresolved"].as_u64().unwrap();
        if unresolved == 0 {
            continue;
        }
        let words =
            format!("{unresolved} records of {topic} not looked up: this client may not read: ");
        finished.exits(74).says(&words);
        assert_eq!(reported["settled"]["not_found"], 0);
    }
}

/// Sends records that were read once more, the same to the last byte.
pub fn send_again<'a>(
    cluster: &Cluster,
    topic: &str,
    records: impl IntoIterator<Item = &'a Received>,
) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap()).set("linger.ms", "0");
    let producer: BaseProducer = config.create().unwrap();
    for record in records {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let again = BaseRecord::<str, str>::to(topic).partition(record.partition).headers(headers);
        let again = again.payload(&record.value).timestamp(record.timestamp_ms);
        let again = match record.key.as_deref() {
            Some(key) => again.key(key),
            None => again,
        };
        producer.send(again).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

// A broker stores a request again when the client has given up the first record of the batch and
// counts anew. Here another client sends the copies.
#[test]
fn what_is_in_the_log_twice_is_counted_and_said() {
    let cluster = Cluster::start_with(1, 1);
    cluster.mock.broker_round_trip_time(1, Duration::from_millis(400)).unwrap();
    let errors = [E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
    let run = cluster.run().set("SLEEP_SEC", "0.05").set("BATCH", "60");
    let running = run.set("RDKAFKA_LINGER_MS", "0").start();
    for topic in TOPICS {
        let record = cluster.read(topic, 1).remove(0);
        let another = [("run".to_owned(), "another".to_owned())];
        let other = Received { headers: another.into(), ..record.clone() };
        send_again(&cluster, topic, [&record, &record, &other]);
    }
    let finished = running.finish();
    finished.exits(74).says("; 4 copies too many in the log");
    for (topic, reported) in topics(&finished) {
        let headers = |record: &Received| !record.headers.iter().any(|(_, run)| run == "another");
        let there = cluster.read(topic, usize::MAX).into_iter().filter(headers).collect();
        let there = counts(run_of(&finished), there);
        let more: usize = there.values().map(|count| count - 1).sum();
        assert_eq!((more, &reported["copies"], &reported["others"]), (2, &2.into(), &0.into()));
        assert_eq!(reported["settled"]["found"], 0, "{reported}");
    }
}

#[test]
fn a_connection_that_died_costs_no_record_when_another_broker_leads() {
    let cluster = Cluster::start_with(2, 1);
    for topic in TOPICS {
        cluster.mock.partition_leader(topic, 0, Some(1)).unwrap();
    }
    let run = cluster.run().set("BATCH", "50").set("DELIVERY_TIMEOUT_SEC", "20");
    let running = run.set("SLEEP_SEC", "0.02").start();
    cluster.read(TOPICS[1], 5);
    cluster.mock.broker_round_trip_time(1, Duration::from_secs(600)).unwrap();
    for topic in TOPICS {
        cluster.mock.partition_leader(topic, 0, Some(2)).unwrap();
    }
    let finished = running.finish();
    finished.exits(0).says("100 of 100 planned records delivered");
    assert_eq!(finished.sum("failed"), 0);
}

#[test]
fn a_link_that_carries_less_than_is_generated_slows_the_run_down() {
    let cluster = Cluster::start();
    // Batches of two, and five on their way: 100 records a second, so 200 within the timeout.
    cluster.mock.broker_round_trip_time(1, Duration::from_millis(100)).unwrap();
    let run = cluster.run().set("BATCH", "300").set("DELIVERY_TIMEOUT_SEC", "2");
    let finished = run.set("RDKAFKA_BATCH_NUM_MESSAGES", "2").finish();
    finished.exits(0).says("600 of 600 planned records delivered");
    assert_eq!((finished.sum("acknowledged"), finished.sum("failed")), (600, 0));
}

#[test]
fn a_run_that_was_paused_reads_its_answers_before_it_gives_anything_up() {
    let cluster = Cluster::start();
    let run = cluster.run().set("BATCH", "200").set("SLEEP_SEC", "0.01");
    let running = run.set("DELIVERY_TIMEOUT_SEC", "1").start();
    cluster.read(TOPICS[1], 5);
    running.signal("STOP");
    // The pause is what is tested: longer than the delivery timeout.
    std::thread::sleep(Duration::from_millis(2_500));
    running.signal("CONT");
    let finished = running.finish();
    finished.exits(0).says("400 of 400 planned records delivered");
    let last = finished.stderr.trim_end().lines().last().unwrap();
    assert!(last.ends_with("exit 0 (SUCCESS)"), "{}", finished.stderr);
}
