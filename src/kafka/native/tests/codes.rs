//! Every error code that a broker may send, in the answers of librdkafka's mock cluster: each is told as
//! what it is, and one that nobody knows as a number.
//!
//! `ERROR_CODES=all` sends each from -1000 to 10000, otherwise every tenth (`make sanitize`).

use std::ffi::{CStr, c_char, c_int};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::types::RDKafkaApiKey;

use super::super::*;
use super::{Reports, take_in};

unsafe extern "C" {
    fn rd_kafka_mock_push_request_errors_array(
        cluster: *mut rd::rd_kafka_mock_cluster_t,
        api: i16,
        count: usize,
        codes: *const c_int,
    );
    fn rd_kafka_mock_topic_set_error(
        cluster: *mut rd::rd_kafka_mock_cluster_t,
        topic: *const c_char,
        code: c_int,
    );
    fn rd_kafka_mock_topic_create(
        cluster: *mut rd::rd_kafka_mock_cluster_t,
        topic: *const c_char,
        partitions: c_int,
        replicas: c_int,
    ) -> c_int;
    fn rd_kafka_test_fatal_error(
        client: *mut rd::rd_kafka_t,
        code: c_int,
        reason: *const c_char,
    ) -> c_int;
}

/// The mock cluster takes this one as an order to close the connection.
const TRANSPORT: c_int = -195;

/// Where each code takes a while, only one in so many is sent.
const SLOW: usize = 5;

const TOPIC: &CStr = c"t";

const WITHIN: Duration = Duration::from_secs(60);

const SHORTLY: Duration = Duration::from_millis(500);

/// The codes to be sent: those that librdkafka knows, which it may answer in its own way, and others.
fn codes() -> (Vec<c_int>, Vec<c_int>) {
    let step = if std::env::var_os("ERROR_CODES").is_some_and(|set| set == "all") { 1 } else { 10 };
    // The first that it does not know are always among them.
    let all = (-1000..=10_000).filter(|code| code % step == 0 || (-205..=205).contains(code));
    let all = all.filter(|code| *code != 0 && *code != TRANSPORT);
    all.partition(|number| code(*number).known().is_some())
}

fn code(code: c_int) -> ErrorCode {
    ErrorCode::of(code).unwrap_err()
}

/// The configuration of a client with a mock cluster of its own.
fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    for (property, value) in [
        ("test.mock.num.brokers", "1"),
        ("linger.ms", "0"),
        ("batch.num.messages", "1"),
        ("max.in.flight", "1"),
        ("message.send.max.retries", "0"),
        ("message.timeout.ms", "3000"),
        ("retry.backoff.ms", "1"),
        ("retry.backoff.max.ms", "1"),
        ("fetch.error.backoff.ms", "1"),
        ("fetch.wait.max.ms", "1"),
        ("topic.metadata.refresh.fast.interval.ms", "1"),
    ] {
        config.set(property, value);
    }
    config
}

/// The mock cluster of a client, with the topic.
fn cluster<L>(client: &Client<L>) -> *mut rd::rd_kafka_mock_cluster_t {
    // SAFETY: the client is alive, and so is its cluster.
    unsafe {
        let cluster = rd::rd_kafka_handle_mock_cluster(client.ptr());
        assert!(!cluster.is_null());
        assert_eq!(rd_kafka_mock_topic_create(cluster, TOPIC.as_ptr(), 1, 1), 0);
        cluster
    }
}

/// The next answers of a kind carry these codes.
fn push(cluster: *mut rd::rd_kafka_mock_cluster_t, api: RDKafkaApiKey, codes: &[c_int]) {
    // SAFETY: the cluster is alive; the codes are copied.
    unsafe {
        let api = api as i16;
        rd_kafka_mock_push_request_errors_array(cluster, api, codes.len(), codes.as_ptr());
    }
}

/// No further answers of a kind carry codes.
fn clear(cluster: *mut rd::rd_kafka_mock_cluster_t, api: RDKafkaApiKey) {
    // SAFETY: the cluster is alive.
    unsafe { rd::rd_kafka_mock_clear_request_errors(cluster, api as i16) };
}

/// What a code may be told as. librdkafka has an answer of its own to some that it knows.
fn check(sent: c_int, told: Option<ErrorCode>) {
    let sent = code(sent);
    match told {
        Some(told) if told == sent => {}
        Some(told) => {
            assert!(sent.known().is_some() && told.known().is_some(), "{sent} is told as {told}")
        }
        None => assert!(sent.known().is_some(), "{sent} is told as no error"),
    }
}

#[test]
fn delivery_reports_tell_each_code_as_what_it_is() {
    let (known, unknown) = codes();
    let mut codes = [unknown.as_slice()].into_iter().chain(known.chunks(1)).peekable();
    // A client may refuse what comes behind a code that it knows: then another one is asked.
    while codes.peek().is_some() {
        let client = Arc::new(Client::producer(&config(), Reports::default()).unwrap());
        let cluster = cluster(&client);
        let topic = Topic::new(&client, "t").unwrap();
        let mut sent = Vec::new();
        let send = |opaque| topic.produce(&super::RECORD, None, opaque).is_ok();
        while codes.peek().is_some() && (sent.is_empty() || send(sent.len())) {
            if !sent.is_empty() {
                sent.push(0);
                take_in(&client, sent.len());
            }
            let codes = codes.next().unwrap();
            push(cluster, RDKafkaApiKey::Produce, codes);
            for code in codes {
                assert!(send(sent.len()));
                sent.push(*code);
            }
            take_in(&client, sent.len());
            clear(cluster, RDKafkaApiKey::Produce);
        }
        let reports = client.listener();
        let (came, ended) = (reports.came.lock().unwrap(), reports.ended.lock().unwrap());
        for ((opaque, ..), outcome) in came.iter().zip(&*ended) {
            let told = outcome.as_ref().err().copied();
            match sent[*opaque] {
                0 => assert!(told.is_none_or(|told| told.known().is_some()), "{told:?}"),
                code => check(code, told),
            }
        }
    }
}

#[test]
fn metadata_tell_each_code_of_a_topic_as_what_it_is() {
    let client = Client::producer(&config(), ()).unwrap();
    let cluster = cluster(&client);
    let (known, unknown) = codes();
    for sent in known.into_iter().chain(unknown) {
        // SAFETY: the cluster is alive, and the name ends in a nul.
        unsafe { rd_kafka_mock_topic_set_error(cluster, TOPIC.as_ptr(), sent) };
        let metadata = client.metadata(Some("t"), WITHIN).unwrap();
        check(sent, metadata.topic("t").unwrap().error);
    }
}

#[test]
fn the_ends_of_partitions_tell_each_code_as_what_it_is() {
    let client = Client::producer(&config(), ()).unwrap();
    let cluster = cluster(&client);
    let (known, unknown) = codes();
    // Of those that it knows it asks again about some, after a while.
    for sent in known.into_iter().step_by(4 * SLOW).chain(unknown.into_iter().step_by(SLOW)) {
        push(cluster, RDKafkaApiKey::ListOffsets, &[sent]);
        let edge = if sent % 2 == 0 { Edge::Start } else { Edge::End };
        // The code with which it ends its own requests is one that it does not answer to.
        let within = if code(sent).known().is_some() { SHORTLY } else { WITHIN };
        check(sent, client.edges("t", &[0], (edge, within)).err());
        clear(cluster, RDKafkaApiKey::ListOffsets);
    }
}

#[test]
fn a_reader_tells_each_code_as_what_it_is() {
    let mut config = config();
    config.set("group.id", "g").set("enable.partition.eof", "true");
    let consumer = Consumer::start(&config).unwrap();
    let sent: Vec<_> = codes().1.into_iter().step_by(SLOW).collect();
    // What is on its way when the consumer begins to read is told to nobody.
    let cluster = cluster(consumer.client());
    push(cluster, RDKafkaApiKey::Fetch, &sent[..1]);
    push(cluster, RDKafkaApiKey::Fetch, &sent);
    let sent: Vec<_> = sent.into_iter().map(code).collect();
    consumer.assign([("t", 0, 0)].into_iter()).unwrap();
    let (mut told, mut since) = (Vec::new(), Instant::now());
    while told.last() != sent.last() {
        assert!(since.elapsed() < WITHIN, "only {} codes came: {told:?}", told.len());
        if let Some(Fetched::Failed(code)) = consumer.next(Duration::from_millis(50)) {
            told.push(code);
            since = Instant::now();
        }
    }
    let missing: Vec<_> = sent.iter().filter(|code| !told.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(told.iter().all(|code| sent.contains(code)), "{told:?}");
}

#[test]
fn a_client_that_can_do_nothing_any_more_tells_the_code_as_what_it_is() {
    for sent in [133, 140, 3_000, 9_000, -300, -5_000] {
        let client = Client::producer(&config(), ()).unwrap();
        // SAFETY: the client is alive, and the text ends in a nul.
        unsafe { rd_kafka_test_fatal_error(client.ptr(), sent, c"it cannot".as_ptr()) };
        let (told, text) = client.fatal_error().unwrap();
        assert_eq!(told.to_string(), format!("error {sent} (unknown to this client)"));
        assert!(text.contains("it cannot"), "{text}");
    }
}
