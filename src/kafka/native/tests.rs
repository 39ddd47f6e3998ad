//! Who owns a header list, with the mock cluster.

mod codes;

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::*;
use crate::kafka::embedded::mock_cluster;
use crate::plan::{FAULT, Header};

/// What a delivery report brought back: the opaque, the headers that the message had, and the list.
type Report = (usize, Vec<(String, String)>, Option<HeaderList>);

/// What it says of the record.
type Outcome = Result<(i32, Option<i64>), ErrorCode>;

#[derive(Default)]
struct Reports {
    came: Mutex<Vec<Report>>,
    ended: Mutex<Vec<Outcome>>,
    woken: Mutex<u32>,
    wakes: Condvar,
}

impl Listener for Reports {
    fn wake(&self) {
        *self.woken.lock().unwrap() += 1;
        self.wakes.notify_all();
    }

    fn delivered(&self, report: &DeliveryReport<'_>) {
        let headers = report.headers();
        let list = report.take_headers();
        assert!(report.headers().is_empty(), "the message has forgotten them");
        assert!(report.latency() < Duration::from_secs(60));
        self.came.lock().unwrap().push((report.opaque(), headers, list));
        self.ended.lock().unwrap().push(report.outcome());
    }
}

const RECORD: Handed<'_> =
    Handed { partition: UNASSIGNED, key: Some(b"vm4/0"), value: Some(b"{}"), timestamp_ms: 1 };

fn headers(seq: &str) -> [Header<'_>; 3] {
    [("run", "night"), ("seq", seq), ("content-type", "application/json")]
}

/// Takes in what comes until so many records have ended.
fn take_in(client: &Arc<Client<Reports>>, ended: usize) {
    let events = Events::of(client).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while client.listener().ended.lock().unwrap().len() < ended {
        assert!(Instant::now() < deadline, "not all records ended");
        events.take_next(Duration::from_millis(100));
    }
}

#[test]
fn a_list_comes_back_from_its_message_and_carries_the_next_seq() {
    let cluster = mock_cluster(1, ["t"], 1).unwrap();
    let (client, topic) = client(&cluster, ("linger.ms", "0"));
    let mut pool = HeaderPool::default();
    // Of the same length, longer, and again of the same: 7 rounds of one list at a time.
    for (opaque, seq) in ["7", "8", "9", "10", "11", "999", "12"].into_iter().enumerate() {
        let refill = |free: &mut Vec<HeaderList>| {
            free.extend(
                client.listener().came.lock().unwrap().iter_mut().filter_map(|(.., l)| l.take()),
            );
        };
        let (list, pooled) = pool.list(&headers(seq), refill);
        assert!(pooled);
        topic.produce(&RECORD, list, opaque).map_err(|(code, _)| code).unwrap();
        take_in(&client, opaque + 1);
        let reports = client.listener().came.lock().unwrap();
        let (told, sent, _) = reports.last().unwrap();
        assert_eq!(*told, opaque);
        let expected = headers(seq).map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(sent.as_slice(), expected);
    }
}

/// A client of the cluster, with a property of its own, and its topic `t`.
fn client(
    cluster: &MockCluster<'static, DefaultProducerContext>,
    property: (&str, &str),
) -> (Arc<Client<Reports>>, Topic<Reports>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers()).set(property.0, property.1);
    let client = Arc::new(Client::producer(&config, Reports::default()).unwrap());
    let topic = Topic::new(&client, "t").unwrap();
    (client, topic)
}

#[test]
fn a_list_stays_ours_if_its_record_is_refused() {
    let cluster = mock_cluster(1, ["t"], 1).unwrap();
    let (_client, topic) = client(&cluster, ("message.max.bytes", "1000"));
    let large = vec![b'x'; 2000];
    let mut pool = HeaderPool::default();
    for seq in ["1", "2", "3"] {
        let (list, pooled) = pool.list(&headers(seq), |_| {});
        assert!(pooled);
        let record = Handed { value: Some(&large), ..RECORD };
        let refused = topic.produce(&record, list, 0).unwrap_err();
        assert_eq!(refused.0, Code::MessageSizeTooLarge.into());
        pool.put(refused.1.unwrap());
        assert_eq!(pool.waiting(), 1, "the same list is used again");
    }
}

/// librdkafka chooses the partition only when it knows the topic, and then refuses a record that it has
/// taken: until 2.12.0 it freed the headers of such a record twice.
#[test]
fn a_list_comes_back_from_a_record_whose_partition_does_not_exist() {
    let cluster = mock_cluster(1, ["t"], 1).unwrap();
    let (client, topic) = client(&cluster, ("partitioner", "consistent"));
    // Before and after the client knows how many partitions there are.
    for opaque in 0..2 {
        let record = Handed { partition: 9, ..RECORD };
        let refused = topic.produce(&record, HeaderList::new(&headers("7")), opaque);
        let back = match refused {
            Ok(()) => {
                take_in(&client, 1);
                client.listener().ended.lock().unwrap().clear();
                let mut reports = client.listener().came.lock().unwrap();
                let (told, sent, list) = reports.pop().unwrap();
                assert_eq!((told, sent.len()), (opaque, 3));
                list
            }
            Err((code, list)) => {
                assert_eq!(code, Code::UnknownPartition.into());
                list
            }
        };
        assert!(back.is_some(), "the list is ours again");
        assert!(client.listener().came.lock().unwrap().is_empty());
    }
}

#[test]
fn whoever_takes_events_in_is_told_when_one_comes_to_an_empty_queue() {
    let cluster = mock_cluster(1, ["t"], 1).unwrap();
    let (client, topic) = client(&cluster, ("linger.ms", "0"));
    let events = Events::of(&client).unwrap();
    let reports = Arc::clone(client.listener());
    for opaque in 0..3 {
        *reports.woken.lock().unwrap() = 0;
        topic.produce(&RECORD, None, opaque).map_err(|(code, _)| code).unwrap();
        while reports.came.lock().unwrap().len() <= opaque {
            let woken = reports.woken.lock().unwrap();
            let waited = Duration::from_secs(30);
            let (mut woken, late) =
                reports.wakes.wait_timeout_while(woken, waited, |woken| *woken == 0).unwrap();
            assert!(!late.timed_out(), "nobody was told");
            *woken = 0;
            drop(woken);
            while !events.are_taken() {
                events.take_next(Duration::ZERO);
            }
        }
    }
    drop(events);
    *reports.woken.lock().unwrap() = 0;
    topic.produce(&RECORD, None, 3).map_err(|(code, _)| code).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // SAFETY: the client is alive, and the queue is given back.
    unsafe {
        let queue = rd::rd_kafka_queue_get_main(client.ptr());
        while rd::rd_kafka_queue_length(queue) == 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        rd::rd_kafka_queue_destroy(queue);
    }
    assert_eq!(*reports.woken.lock().unwrap(), 0, "the order was taken back");
    take_in(&client, 4);
}

#[test]
fn headers_other_than_those_of_the_first_record_get_a_list_of_their_own() {
    let mut pool = HeaderPool::default();
    let none = |_: &mut Vec<HeaderList>| {};
    let [run, seq, content_type] = headers("0");
    let (list, pooled) = pool.list(&[run, seq, content_type, (FAULT, "late")], none);
    assert!(list.is_some() && !pooled, "also if it comes before all others");
    let (first, pooled) = pool.list(&headers("1"), none);
    assert!(pooled);
    pool.put(first.unwrap());
    let marked = [("run", "night"), ("seq", "1"), ("fault", "late")];
    let (list, pooled) = pool.list(&marked, none);
    assert!(list.is_some() && !pooled);
    assert_eq!(pool.waiting(), 1);
}

#[test]
fn a_topic_of_the_same_name_in_another_cluster_has_another_id() {
    let ids = [(); 2].map(|()| {
        let cluster = mock_cluster(1, ["t", "u"], 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let client = Client::producer(&config, ()).unwrap();
        topic_ids(&client, 1, &["t", "u"], Duration::from_secs(30))
    });
    for ids in &ids {
        assert!(ids.values().all(|id| id.len() == 22), "{ids:?}");
        assert_eq!(ids.keys().collect::<Vec<_>>(), ["t", "u"]);
    }
    assert_ne!(ids[0]["t"], ids[1]["t"]);
    assert_ne!(ids[0]["t"], ids[0]["u"]);
}
