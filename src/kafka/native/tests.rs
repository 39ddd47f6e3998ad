//! Who owns a header list, with the mock cluster.

use std::sync::{Condvar, Mutex};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, DeliveryResult, NoCustomPartitioner};

use super::*;
use crate::kafka::embedded::mock_cluster;
use crate::plan::{FAULT, Header};

/// What a delivery report brought back: the opaque, the headers that the message had, and the list.
type Report = (usize, Vec<(String, String)>, Option<HeaderList>);

#[derive(Default)]
struct Reports {
    came: Mutex<Vec<Report>>,
    woken: Mutex<u32>,
    wakes: Condvar,
}

impl ClientContext for Reports {}

impl Wake for Reports {
    fn wake(&self) {
        *self.woken.lock().unwrap() += 1;
        self.wakes.notify_all();
    }
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let (Ok(message) | Err((_, message))) = result;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), text(h.value.unwrap()))).collect()
        });
        let list = take_headers(message);
        assert!(message.headers().is_none(), "the message has forgotten them");
        assert!(latency(message) < Duration::from_secs(60));
        self.came.lock().unwrap().push((opaque, headers, list));
    }
}

fn record<'a>(topic: &'a str, headers: [Header<'a>; 3]) -> Record<'a> {
    Record {
        kind: crate::event::Kind::Metric,
        topic,
        key: Some("vm4/0"),
        seq: 0,
        place: 0,
        timestamp_ms: 1,
        value: Some(b"{}"),
        faults: crate::faults::FaultSet::NONE,
        change: None,
        pair: None,
        headers: crate::plan::Headers::new(headers, None),
    }
}

fn headers(seq: &str) -> [Header<'_>; 3] {
    [("run", "night"), ("seq", seq), ("content-type", "application/json")]
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
                client.context().came.lock().unwrap().iter_mut().filter_map(|(.., l)| l.take()),
            );
        };
        let (list, pooled) = pool.list(&headers(seq), refill);
        assert!(pooled);
        topic.produce(&record("t", headers(seq)), list, opaque).map_err(|(code, _)| code).unwrap();
        client.flush(Duration::from_secs(30)).unwrap();
        let reports = client.context().came.lock().unwrap();
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
) -> (Arc<BaseProducer<Reports>>, Topic<Reports>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers()).set(property.0, property.1);
    let client: BaseProducer<Reports> = config.create_with_context(Reports::default()).unwrap();
    let client = Arc::new(client);
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
        let record = Record { value: Some(&large), ..record("t", headers(seq)) };
        let refused = topic.produce(&record, list, 0).unwrap_err();
        assert_eq!(refused.0, RDKafkaErrorCode::MessageSizeTooLarge);
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
        let refused =
            topic.produce_to(9, &record("t", headers("7")), HeaderList::new(&headers("7")), opaque);
        client.flush(Duration::from_secs(30)).unwrap();
        let mut reports = client.context().came.lock().unwrap();
        let back = match refused {
            Ok(()) => {
                let (told, sent, list) = reports.pop().unwrap();
                assert_eq!((told, sent.len()), (opaque, 3));
                list
            }
            Err((code, list)) => {
                assert_eq!(code, RDKafkaErrorCode::UnknownPartition);
                list
            }
        };
        assert!(back.is_some(), "the list is ours again");
        assert!(reports.is_empty());
    }
}

#[test]
fn whoever_takes_events_in_is_told_when_one_comes_to_an_empty_queue() {
    let cluster = mock_cluster(1, ["t"], 1).unwrap();
    let (client, topic) = client(&cluster, ("linger.ms", "0"));
    let events = Events::of(&client).unwrap();
    let reports = Arc::clone(client.context());
    for opaque in 0..3 {
        *reports.woken.lock().unwrap() = 0;
        topic.produce(&record("t", headers("1")), None, opaque).map_err(|(code, _)| code).unwrap();
        while reports.came.lock().unwrap().len() <= opaque {
            let woken = reports.woken.lock().unwrap();
            let waited = Duration::from_secs(30);
            let (mut woken, late) =
                reports.wakes.wait_timeout_while(woken, waited, |woken| *woken == 0).unwrap();
            assert!(!late.timed_out(), "nobody was told");
            *woken = 0;
            drop(woken);
            while !events.are_taken() {
                events.take_next();
            }
        }
    }
    drop(events);
    *reports.woken.lock().unwrap() = 0;
    topic.produce(&record("t", headers("1")), None, 3).map_err(|(code, _)| code).unwrap();
    client.flush(Duration::from_secs(30)).unwrap();
    assert_eq!(reports.came.lock().unwrap().len(), 4);
    assert_eq!(*reports.woken.lock().unwrap(), 0, "the order was taken back");
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
        let client: BaseProducer = config.create().unwrap();
        topic_ids(client.client(), 1, &["t", "u"], Duration::from_secs(30))
    });
    for ids in &ids {
        assert!(ids.values().all(|id| id.len() == 22), "{ids:?}");
        assert_eq!(ids.keys().collect::<Vec<_>>(), ["t", "u"]);
    }
    assert_ne!(ids[0]["t"], ids[1]["t"]);
    assert_ne!(ids[0]["t"], ids[0]["u"]);
}
