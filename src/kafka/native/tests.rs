//! Who owns a header list, with the mock cluster.

use std::sync::Mutex;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{DeliveryResult, NoCustomPartitioner};

use super::*;
use crate::kafka::embedded::mock_cluster;

/// What a delivery report brought back: the opaque, the headers that the message had, and the list.
type Report = (usize, Vec<(String, String)>, Option<HeaderList>);

#[derive(Default)]
struct Reports(Mutex<Vec<Report>>);

impl ClientContext for Reports {}

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
        self.0.lock().unwrap().push((opaque, headers, list));
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
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let client: BaseProducer<Reports> = config.create_with_context(Reports::default()).unwrap();
    let client = Arc::new(client);
    let topic = Topic::new(&client, "t").unwrap();
    let mut pool = HeaderPool::default();
    // Of the same length, longer, and again of the same: 7 rounds of one list at a time.
    for (opaque, seq) in ["7", "8", "9", "10", "11", "999", "12"].into_iter().enumerate() {
        let refill = |free: &mut Vec<HeaderList>| {
            free.extend(
                client.context().0.lock().unwrap().iter_mut().filter_map(|(.., l)| l.take()),
            );
        };
        let (list, pooled) = pool.list(&headers(seq), refill);
        assert!(pooled);
        topic.produce(&record("t", headers(seq)), list, opaque).map_err(|(code, _)| code).unwrap();
        client.flush(Duration::from_secs(30)).unwrap();
        let reports = client.context().0.lock().unwrap();
        let (told, sent, _) = reports.last().unwrap();
        assert_eq!(*told, opaque);
        let expected = headers(seq).map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(sent.as_slice(), expected);
    }
}

#[test]
fn a_list_stays_ours_if_its_record_is_refused() {
    let cluster = mock_cluster(1, ["t"], 1).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers()).set("message.max.bytes", "1000");
    let client: BaseProducer<Reports> = config.create_with_context(Reports::default()).unwrap();
    let client = Arc::new(client);
    let topic = Topic::new(&client, "t").unwrap();
    let large = vec![b'x'; 2000];
    for _ in 0..3 {
        let record = Record { value: Some(&large), ..record("t", headers("1")) };
        let refused = topic.produce(&record, HeaderList::new(&headers("1")), 0).unwrap_err();
        assert_eq!(refused.0, RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(refused.1.unwrap().set_seq("2"), "it can be used again");
    }
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
    assert_eq!(pool.free.len(), 1);
}
