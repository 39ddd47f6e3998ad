//! The wire contract: topics, keys, headers, timestamps and values of the records in the log.

use jiff::Timestamp;
use serde_json::Value;

use super::records::{self, Fields};
use crate::cluster::{self, Topics};
use crate::common::{Finished, METRIC_FIELDS, Producer, TOKEN_FIELDS, validator};
use crate::kcat::{self, Received};

const METRIC: &str = include_str!("../../../packaging/schemas/gpu.metrics.v1.schema.json");
const TOKEN: &str = include_str!("../../../packaging/schemas/token.usage.v1.schema.json");
const REPORT: &str = include_str!("../../../packaging/schemas/report.v1.schema.json");

/// Fails unless each of `values` is valid against a JSON Schema, formats included.
#[track_caller]
fn assert_valid<'a>(schema: &str, values: impl IntoIterator<Item = &'a Value>) {
    let validator = validator(schema);
    for value in values {
        let errors: Vec<_> = validator.iter_errors(value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {value}");
    }
}

/// The records of a topic in the order of their pairs, each pair once.
#[track_caller]
fn in_order(topics: &Topics, topic: &str, pairs: u64) -> Vec<Received> {
    let mut records = kcat::read_all(&topics.bootstrap, topic);
    records.sort_by_key(records::seq);
    assert!(records.iter().map(records::seq).eq(0..pairs), "each seq once in {topic}");
    records
}

fn value(record: &Received) -> &str {
    record.value.as_deref().expect("a value")
}

/// Checks one pair of records against the contract.
#[track_caller]
fn assert_pair(seq: usize, run_id: &str, metric: &Received, token: &Received) {
    let (reading, usage) = (Fields::of(value(metric)), Fields::of(value(token)));
    assert_eq!(reading.names(), METRIC_FIELDS);
    assert_eq!(usage.names(), TOKEN_FIELDS);
    let gpu = reading.integer("gpu_index");
    assert_eq!(usage.integer("gpu_index"), gpu);
    let key = format!("vm4/{gpu}");
    let seq = seq.to_string();
    let headers = [("run", run_id), ("seq", &seq), ("content-type", "application/json")];
    let ts = reading.text("ts");
    assert_eq!(usage.text("ts"), ts);
    assert_eq!(reading.text("host"), "vm4");
    let at: Timestamp = ts.parse().expect("an RFC 3339 time");
    for record in [metric, token] {
        assert_eq!(record.key.as_deref(), Some(key.as_str()));
        assert!(record.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(headers));
        assert_eq!(record.timestamp_ms, at.as_millisecond());
    }
    let java = cluster::JAVA_PARTITIONS[usize::try_from(gpu).expect("an index")];
    assert_eq!([metric.partition, token.partition], [java, java], "{key}");
}

/// Reads everything back and checks it against the contract and the report.
fn assert_delivered(finished: &Finished, topics: &Topics, pairs: u64) {
    let report = finished.report();
    let run_id = report["run_id"].as_str().expect("a run id");
    let read = topics.both().map(|topic| in_order(topics, topic, pairs));
    for (records, books) in read.iter().zip(records::books(finished, topics)) {
        assert_eq!(books.acknowledged, i64::try_from(pairs).expect("few pairs"));
        assert_eq!(books.generated, books.acknowledged);
        assert_eq!(books.partitions, records::partitions_of(records));
    }
    for (seq, (metric, token)) in read[0].iter().zip(&read[1]).enumerate() {
        assert_pair(seq, run_id, metric, token);
    }
    for (records, schema) in read.iter().zip([METRIC, TOKEN]) {
        let values = records.iter().map(|record| serde_json::from_str(value(record)).unwrap());
        assert_valid(schema, &values.collect::<Vec<Value>>());
    }
    assert_valid(REPORT, [report]);
}

#[test]
fn default_settings_deliver_forty_records_half_a_second_apart() {
    let topics = Topics::create_default(cluster::plain());
    let finished = Producer::run(&topics.bootstrap).finish();
    finished.exits(0).says("40 of 40 planned records delivered in");
    println!("default run: {:?}, {} KiB at most", finished.elapsed, finished.peak_kib);
    assert_delivered(&finished, &topics, 20);
    let started: Timestamp = finished.report()["started_at"].as_str().unwrap().parse().unwrap();
    for record in in_order(&topics, &topics.metric, 20) {
        let after = record.timestamp_ms - started.as_millisecond();
        let due = 500 * i64::try_from(records::seq(&record)).unwrap();
        // The report has rounded the start.
        assert!(after + 1 >= due, "{after} ms after the start, and {due} are due");
    }
    assert_eq!(finished.report()["outcome"], "delivered");
    assert_eq!(finished.report()["topics"][0]["planned"], 20);
}

#[test]
fn eight_gpus_spread_over_the_partitions_as_a_java_client_would_spread_them() {
    let topics = Topics::create(cluster::plain(), "spread");
    let run = topics.run();
    let seed = run.file("seed.json", cluster::eight_gpus());
    let run = run.set("GPU_SEED", seed).set("BATCH", "500").set("SLEEP_SEC", "0");
    let finished = run.finish();
    finished.exits(0);
    assert_delivered(&finished, &topics, 500);
    let books = records::books(&finished, &topics);
    assert_eq!(books[0].partitions.len(), 3);
    println!("spread: {:?}", books[0].partitions);
}

#[test]
fn without_a_key_the_headers_stay_and_without_headers_the_key_stays() {
    let shorts = [("RECORD_KEY", "none", "keyless"), ("RECORD_HEADERS", "off", "headless")];
    for (setting, off, label) in shorts {
        let topics = Topics::create(cluster::plain(), label);
        let run = topics.run().set(setting, off).set("BATCH", "20").set("SLEEP_SEC", "0");
        run.finish().exits(0);
        for topic in topics.both() {
            let records = kcat::read_all(&topics.bootstrap, topic);
            assert_eq!(records.len(), 20);
            let keyless = setting == "RECORD_KEY";
            assert!(records.iter().all(|r| r.key.is_none() == keyless));
            assert!(records.iter().all(|r| r.headers.is_empty() != keyless));
        }
    }
}
