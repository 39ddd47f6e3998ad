//! A stage between topics of a real Kafka that deletes, repeats, alters, re-encodes, reorders, cuts off,
//! drops headers, re-keys and mixes two runs: `verify` names exactly what it did.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use vm4_producer::kafka::reader::{self, ReadRecord};

use crate::cluster::{self, PARTITIONS, Topics};
use crate::common::Producer;
use crate::stage::{RUN, Travelling, through, told, with_all};

/// Mixtures of each of the two runs: fifty with `VM4_SOAK`.
fn mixtures() -> u64 {
    if std::env::var_os("VM4_SOAK").is_some() { 50 } else { 5 }
}

/// How long the broker is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

type Settings = Vec<(&'static str, &'static str)>;

/// Topics that keep what is dated years back.
fn topics(label: &str) -> Topics {
    let keep = [("retention.ms", "-1")];
    Topics::create_with(cluster::plain(), label, PARTITIONS, &keep)
}

fn client(topics: &Topics) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &topics.bootstrap);
    config
}

/// Sends a run.
fn send(topics: &Topics, run: &Settings, other: &[(&str, &str)]) {
    let producer = topics.direct(Producer::new(["run"]));
    let producer = producer.set("KAFKA_BOOTSTRAP", &topics.bootstrap);
    let settings = run.iter().chain(other);
    settings.fold(producer, |run, (name, value)| run.set(name, value)).finish().exits(0);
}

/// The records of a run as they are in the topics.
fn records(topics: &Topics, own: bool) -> Vec<Travelling> {
    let from = (0..i32::try_from(PARTITIONS).expect("few")).map(|p| (p, 0)).collect();
    let mut all = Vec::new();
    for (number, topic) in topics.both().into_iter().enumerate() {
        let each = |record: &ReadRecord<'_>| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            let headers: Vec<_> =
                record.headers().map(|(name, value)| (name.to_owned(), text(value))).collect();
            let header =
                |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
            let key = record.key().map(text);
            all.push(Travelling {
                topic: number,
                own,
                seq: header("seq").expect("a seq").parse().expect("a number"),
                partition: record.partition(),
                timestamp_ms: record.timestamp_ms().expect("a timestamp"),
                own_key: key.clone(),
                key,
                faults: header("fault")
                    .unwrap_or_default()
                    .split_terminator(',')
                    .map(str::to_owned)
                    .collect(),
                headers,
                value: record.value().map(<[u8]>::to_vec),
            });
        };
        reader::read(&client(topics), topic, &from, PATIENCE, || false, each).expect("a whole log");
    }
    all
}

/// Writes records into the topics of a stage, in their order.
fn write(topics: &Topics, records: &[Travelling]) {
    let mut config = client(topics);
    config.set("enable.idempotence", "true").set("linger.ms", "5");
    let producer: BaseProducer = config.create().expect("a client");
    for record in records {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let mut sent = BaseRecord::<str, [u8]>::to(topics.both()[record.topic])
            .partition(record.partition)
            .timestamp(record.timestamp_ms)
            .headers(headers);
        sent = match &record.key {
            Some(key) => sent.key(key),
            None => sent,
        };
        sent = match &record.value {
            Some(value) => sent.payload(value),
            None => sent,
        };
        producer.send(sent).map_err(|(error, _)| error).expect("room in the queue");
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).expect("every record is there");
}

/// Lets a run, and another one between its records, through a stage so many times.
fn each_mixture_is_named(label: &str, run: &Settings) {
    let (own, other) = (topics(&format!("{label}-own")), topics(&format!("{label}-other")));
    send(&own, run, &[]);
    send(&other, run, &[("RUN_ID", "other"), ("BATCH", "90")]);
    let others = records(&other, false);
    let mut mixed = Vec::new();
    let mut foreign = others.into_iter();
    for (n, record) in records(&own, true).into_iter().enumerate() {
        mixed.push(record);
        if n % 4 == 0 {
            mixed.extend(foreign.next());
        }
    }
    mixed.extend(foreign);
    for (seed, every) in (0..mixtures()).zip([5, 20, 100, 400].into_iter().cycle()) {
        let stage = topics(&format!("{label}-{seed}"));
        let (through, done) = through(mixed.clone(), seed, every);
        write(&stage, &through);
        let verify = stage.direct(Producer::new(["verify", "--json", "--run", "own"]));
        let verify = verify.set("KAFKA_BOOTSTRAP", &stage.bootstrap);
        let finished = run.iter().fold(verify, |run, (name, value)| run.set(name, value)).finish();
        let account: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
        assert_eq!(told(&account), done, "{label}, mixture {seed}");
        let is_as_sent = done.altered == [0; 2]
            && done.copies == [0; 2]
            && done.missing.iter().chain(&done.missing_copies).all(|gone| gone.is_empty());
        assert_eq!(account["closed"], json!(is_as_sent), "{label}, mixture {seed}");
        assert_eq!(finished.code, if is_as_sent { 0 } else { 74 });
    }
    println!("{label}: {} mixtures, {} records each", mixtures(), mixed.len());
}

#[test]
fn what_a_stage_does_to_a_clean_run_is_named_exactly() {
    each_mixture_is_named("mixed-clean", &RUN.to_vec());
}

#[test]
fn what_a_stage_does_to_a_run_with_every_fault_and_incident_is_named_exactly() {
    each_mixture_is_named("mixed-broken", &with_all());
}
