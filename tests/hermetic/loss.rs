//! Ways in which records are not in the log that a client was told are there, or in which others look
//! like them. None of them ends with exit 0, and each says what happened.
//!
//! | way | test |
//! |---|---|
//! | a broker comes back with an empty log, in a paced run | `a_broker_that_comes_back_with_an_empty_log` |
//! | the same at full speed | `a_flood_over_a_log_that_is_replaced` |
//! | an older copy of the log comes back | `an_older_copy_of_the_log` |
//! | another log that is longer, so that no offset goes back | `a_longer_log_of_another_topic` |
//! | the log is replaced where the records cannot be told apart | `without_headers` |
//! | the log is replaced and may not be read | `a_log_that_may_not_be_read` |
//! | a record is refused, and its pair's other one is in the same topic | `the_other_record_of_its_pair` |
//! | a record is refused, and another live process has the same run id | `another_live_process` |
//! | the same for a backfill, whose records are the same to the last byte | `another_backfill` |
//! | a record is refused that another process has delivered | `a_refused_record` |
//! | a topic is deleted after its last acknowledgement | `a_topic_that_is_missing_at_the_end` |
//! | a topic is deleted and created again; an unclean election | `system`: `kafka::loss` |
//! | a leader acknowledges alone (`acks=1`) | `acks_other_than_all` |

use std::time::Duration;

use crate::cluster::{Cluster, Received, TOPICS};
use crate::common::{Finished, Producer, Running, validator};
use crate::doubt::{counts, listed, run_of, send_again, topics};
use crate::switch::Switch;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as E};
use serde_json::Value;

/// What a topic of the report says, as [generated, acknowledged, failed, truncated, unresolved].
fn figures(topic: &Value) -> [u64; 5] {
    let count = |name: &str| topic[name].as_u64().unwrap_or_else(|| panic!("{name}: {topic}"));
    ["generated", "acknowledged", "failed", "truncated", "unresolved"].map(count)
}

/// The report is true of what is in this cluster, and valid; returns how many records were truncated.
#[track_caller]
fn is_true(finished: &Finished, cluster: &Cluster) -> u64 {
    let mut all = 0;
    for (topic, reported) in topics(finished) {
        let there = counts(run_of(finished), cluster.read(topic, usize::MAX));
        let [generated, acknowledged, failed, truncated, unresolved] = figures(reported);
        assert_eq!(generated, acknowledged + failed + unresolved, "{reported}");
        let partitions = reported["partitions"].as_array().unwrap().iter();
        let by_partition: u64 = partitions.map(|p| p["acknowledged"].as_u64().unwrap()).sum();
        assert_eq!(by_partition, acknowledged, "{reported}");
        let found = reported["settled"]["found"].as_u64().unwrap();
        assert_eq!(acknowledged + found, there.len() as u64, "{reported}");
        let gone = listed(&reported["seq"]["truncated"]);
        assert_eq!(gone.len() as u64, truncated, "{reported}");
        assert!(gone.iter().all(|seq| !there.contains_key(seq)), "{reported}");
        let failed = listed(&reported["seq"]["failed"]);
        assert!(gone.iter().all(|seq| failed.contains(seq)), "{reported}");
        all += truncated;
    }
    let schema = validator(vm4_producer::report::SCHEMA);
    let errors: Vec<_> = schema.iter_errors(finished.report()).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    all
}

/// Waits until the first cluster has so many records of a run, and leads it to the second one.
fn switch_after(count: usize, switch: &Switch, first: &Cluster, second: &Cluster) {
    for topic in TOPICS {
        first.read(topic, count);
    }
    switch.over_to(second);
}

/// Pairs of a paced run: it lasts for six seconds.
const PAIRS: &str = "150";

/// A paced run of so many pairs through a switch.
fn paced(switch: &Switch, pairs: &str) -> Producer {
    Producer::run(&switch.bootstrap()).set("BATCH", pairs).set("SLEEP_SEC", "0.04")
}

/// Two clusters with one partition in each topic, and a switch that leads to the first.
fn replaced() -> (Cluster, Cluster, Switch) {
    let [first, second] = [(); 2].map(|()| Cluster::start_with(1, 1));
    let switch = Switch::to(&first);
    (first, second, switch)
}

#[test]
fn a_broker_that_comes_back_with_an_empty_log_costs_what_it_had_acknowledged() {
    let (first, second, switch) = replaced();
    let running = paced(&switch, PAIRS).start();
    switch_after(20, &switch, &first, &second);
    let finished = running.finish();
    let truncated = is_true(&finished, &second);
    assert!(truncated >= 40, "{truncated}");
    finished.exits(74).says("the log of gpu.metrics.v1 was cut back (partition 0): ");
    finished
        .says(" acknowledged records are not in it any more; the topic was deleted and created");
    finished.says(&format!("{} of 300 planned records delivered", 300 - truncated));
    finished.says(&format!("{truncated} failed, 0 unresolved, {truncated} of them truncated"));
    assert_eq!(finished.report()["outcome"], "incomplete");
    let errors = finished.report()["errors"].as_array().unwrap();
    let kind = "truncated (acknowledged, and not in the log any more)";
    assert!(errors.len() == 2 && errors.iter().all(|e| e["kind"] == kind), "{errors:?}");
}

#[test]
fn a_flood_over_a_log_that_is_replaced_is_told_by_its_records() {
    let (first, second, switch) = replaced();
    let run = Producer::run(&switch.bootstrap()).set("BATCH", "30000").set("SLEEP_SEC", "0");
    // The window stays small, so that the run does not end before the switch.
    let running = run.set("RDKAFKA_BATCH_NUM_MESSAGES", "20").start();
    switch_after(500, &switch, &first, &second);
    let finished = running.finish();
    finished.exits(74).says("was cut back (partition 0)");
    assert!(is_true(&finished, &second) >= 500);
}

#[test]
fn an_older_copy_of_the_log_keeps_what_it_has() {
    let (first, second, switch) = replaced();
    let running = paced(&switch, PAIRS).start();
    for topic in TOPICS {
        send_again(&second, topic, &first.read(topic, 10));
    }
    switch_after(20, &switch, &first, &second);
    let finished = running.finish();
    finished.exits(74).says("was cut back (partition 0)");
    assert!(is_true(&finished, &second) >= 20);
    for (_, reported) in topics(&finished) {
        let gone = listed(&reported["seq"]["truncated"]);
        assert!(gone.iter().all(|seq| *seq >= 10), "{gone:?}");
        assert_eq!(reported["copies"], 0);
    }
}

#[test]
fn a_longer_log_of_another_topic_is_told_by_its_id() {
    let (first, second, switch) = replaced();
    let other = Received {
        partition: 0,
        offset: 0,
        timestamp_ms: 1,
        key: None,
        headers: Vec::new(),
        value: "{}".to_owned(),
    };
    // No offset of the run goes back.
    for topic in TOPICS {
        send_again(&second, topic, &vec![other.clone(); 400]);
    }
    let running = paced(&switch, PAIRS).start();
    switch_after(20, &switch, &first, &second);
    let finished = running.finish();
    finished.exits(74).says("the topic was deleted and created again: its id was ");
    let mut truncated = 0;
    for (_, reported) in topics(&finished) {
        assert!(reported["partitions"][0]["last_offset"].as_u64().unwrap() >= 400, "{reported}");
        let [generated, acknowledged, failed, gone, unresolved] = figures(reported);
        assert_eq!([generated, failed, unresolved], [150, gone, 0], "{reported}");
        assert_eq!(acknowledged + gone, 150);
        truncated += gone;
    }
    assert!(truncated >= 40, "{truncated}");
}

#[test]
fn without_headers_nobody_can_say_what_a_replaced_log_lost() {
    let (first, second, switch) = replaced();
    let running = paced(&switch, PAIRS).set("RECORD_HEADERS", "off").start();
    switch_after(20, &switch, &first, &second);
    let finished = running.finish();
    finished.exits(74).says("records of gpu.metrics.v1 not looked up: they have no headers");
    finished.says("whether 150 acknowledged records are still in it is not known");
    assert_eq!((finished.sum("acknowledged"), finished.sum("unresolved")), (0, 300));
}

#[test]
fn a_log_that_may_not_be_read_leaves_its_acknowledgements_unresolved() {
    let (first, second, switch) = replaced();
    let denied = [E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
    second.mock.request_errors(RDKafkaApiKey::Fetch, &denied);
    let running = paced(&switch, PAIRS).start();
    switch_after(20, &switch, &first, &second);
    let finished = running.finish();
    finished.exits(74).says("not looked up: this client may not read: ");
    finished.says("whether 150 acknowledged records are still in it is not known");
    assert_eq!((finished.sum("acknowledged"), finished.sum("unresolved")), (0, 300));
}

#[test]
fn a_topic_that_is_missing_at_the_end_leaves_its_acknowledgements_unresolved() {
    let cluster = Cluster::start_with(1, 1);
    let run = cluster.run().set("BATCH", "5000").set("SLEEP_SEC", "30");
    let running = run.set("PACE", "wall").start();
    for topic in TOPICS {
        cluster.read(topic, 1);
    }
    cluster.mock.topic_error(TOPICS[0], E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    running.signal("TERM");
    let finished = running.finish();
    let missing = format!("1 records of {0} not looked up: topic {0} does not exist", TOPICS[0]);
    finished.exits(74).says(&missing);
    assert_eq!((finished.sum("acknowledged"), finished.sum("unresolved")), (1, 1));
}

#[test]
fn a_record_is_not_found_because_the_other_record_of_its_pair_is_in_the_same_topic() {
    // The batch is lost only if the next one is on its way when it is refused.
    let lost = (0..5).find_map(|_| {
        let cluster = Cluster::start_with(1, 1);
        cluster.mock.broker_round_trip_time(1, Duration::from_millis(400)).unwrap();
        let errors = [E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION];
        cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
        let run = cluster.run().set("TOPIC_TOKEN", TOPICS[0]).set("SLEEP_SEC", "0.02");
        let finished = run.set("BATCH", "40").set("RDKAFKA_LINGER_MS", "0").finish();
        let there = cluster.read(TOPICS[0], usize::MAX).len() as u64;
        (there < 80).then_some((finished, there))
    });
    let (finished, there) = lost.expect("a refused batch that was then lost");
    finished.exits(74).says(&format!("{there} of 80 planned records delivered"));
    finished.says(&format!("{} of them not found when the log was read", 80 - there));
    assert_eq!(finished.sum("copies"), 0, "the records of a pair are no copies");
    assert_eq!(finished.sum("others"), 0);
}

/// A run of this name whose first batch of each topic is refused. It goes on until it is stopped.
fn run_that_misses_a_pair(cluster: &Cluster, more: &[(&str, &str)]) -> Running {
    cluster.mock.broker_round_trip_time(1, Duration::from_millis(400)).unwrap();
    let errors = [E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
    let running = named(cluster, more).set("SLEEP_SEC", "0.1").set("PACE", "wall");
    let running = running.set("BATCH", "5000").start();
    // Its first record follows at once, and another process has to ask for much before it sends one.
    running.until_it_says("sending 5000 pairs");
    running
}

/// A run with the name and the seed that two processes share here.
fn named(cluster: &Cluster, more: &[(&str, &str)]) -> Producer {
    let run = cluster.run().set("RUN_ID", "night").set("RUN_SEED", "7").set("BATCH", "40");
    let run = run.set("RDKAFKA_LINGER_MS", "0");
    more.iter().fold(run, |run, (name, value)| run.set(name, value))
}

/// The topics that miss records. On a busy machine it is one, if the first two batches are of the same
/// topic, and a batch has more than one record.
fn in_doubt(finished: &Finished) -> Vec<&Value> {
    let topics = topics(finished).map(|(_, topic)| topic);
    let topics: Vec<_> = topics.filter(|topic| topic["unresolved"] != 0).collect();
    assert!(!topics.is_empty(), "nothing was lost: {}", finished.report());
    topics
}

#[test]
fn another_live_process_with_the_same_run_id_settles_nothing_and_is_warned_of() {
    let cluster = Cluster::start_with(1, 1);
    let running = run_that_misses_a_pair(&cluster, &[]);
    named(&cluster, &[]).finish().exits(0);
    // The mock cluster gives a reader one batch for each question.
    cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    running.signal("TERM");
    let finished = running.finish();
    finished.exits(74).says("WARN another process uses the run id night: ");
    finished.says(" records of another process with this run id");
    for reported in in_doubt(&finished) {
        assert_eq!(reported["settled"]["found"], 0, "{reported}");
        assert!(reported["others"].as_u64().unwrap() >= 30, "{reported}");
        assert!(reported["copies"].is_null(), "{reported}");
    }
}

#[test]
fn another_backfill_of_the_same_run_id_cannot_be_told_apart_and_settles_nothing() {
    let cluster = Cluster::start_with(1, 1);
    let backfill = [("EVENT_START", "2026-03-01T00:00:00Z"), ("EVENT_TIME_GUARD", "off")];
    let running = run_that_misses_a_pair(&cluster, &backfill);
    named(&cluster, &backfill).set("SLEEP_SEC", "0.1").finish().exits(0);
    // The mock cluster gives a reader one batch for each question.
    cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    running.signal("TERM");
    let finished = running.finish();
    finished.exits(74).says("cannot be told apart");
    for reported in in_doubt(&finished) {
        assert_eq!(reported["settled"]["found"], 0, "{reported}");
        assert!(reported["copies"].is_null(), "{reported}");
    }
}

#[test]
fn a_refused_record_has_failed_whoever_else_has_delivered_it() {
    let cluster = Cluster::start_with(1, 1);
    let backfill = [("EVENT_START", "2026-03-01T00:00:00Z"), ("EVENT_TIME_GUARD", "off")];
    let errors = [E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
    let running = named(&cluster, &backfill).set("SLEEP_SEC", "0.1").set("PACE", "wall");
    let running = running.set("BATCH", "5000").start();
    for topic in TOPICS {
        cluster.read(topic, 2);
    }
    named(&cluster, &backfill).set("SLEEP_SEC", "0.1").finish().exits(0);
    running.signal("TERM");
    let finished = running.finish();
    finished.exits(74).says("MessageSizeTooLarge");
    // A refused batch has more than one record on a busy machine.
    assert!(finished.sum("failed") >= 2);
    assert_eq!(finished.sum("unresolved"), 0);
    assert!(topics(&finished).all(|(_, topic)| topic["settled"]["found"] == 0));
}

#[test]
fn acks_other_than_all_are_refused_because_exit_0_could_not_be_kept() {
    for acks in ["0", "1"] {
        let finished = Producer::run("127.0.0.1:9").set("RDKAFKA_ACKS", acks).finish();
        finished.exits(78).says(&format!("RDKAFKA_ACKS: \"{acks}\" from the environment"));
        finished.says("exit 0 could not mean that every record is in the log");
    }
}

#[test]
fn what_is_not_in_doubt_is_not_read() {
    let cluster = Cluster::start();
    let denied = [E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
    cluster.mock.request_errors(RDKafkaApiKey::Fetch, &denied);
    let finished = cluster.run().finish();
    finished.exits(0).says("40 of 40 planned records delivered");
}

#[test]
fn without_idempotence_it_is_not_known_how_many_copies_there_are() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("RDKAFKA_ENABLE_IDEMPOTENCE", "false").finish();
    finished.exits(0).says("; copies not known; exit 0 (SUCCESS)");
    assert!(topics(&finished).all(|(_, topic)| topic["copies"].is_null()));
    let finished = cluster.run().finish();
    assert_eq!(finished.exits(0).sum("copies"), 0);
}
