//! `CLOSE_WINDOWS`: after the batch each partition gets one record whose time closes the windows, and
//! nothing else counts it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use vm4_producer::plan::partition_of;

use crate::cluster::{Cluster, PARTITIONS, Received, TOPICS};
use crate::common::{Producer, validator};
use crate::process::eventually;

fn is_closing(record: &Received) -> bool {
    record.headers.iter().any(|(name, _)| name == "close-windows")
}

/// The batch and what closes it, of one topic.
fn read(cluster: &Cluster, topic: &str) -> [Vec<Received>; 2] {
    let (closing, batch) = cluster.read(topic, usize::MAX).into_iter().partition(is_closing);
    [batch, closing]
}

#[test]
fn each_partition_ends_with_one_record_whose_time_closes_the_windows() {
    let cluster = Cluster::start();
    let run = || {
        let run = cluster.run().set("HOSTNAME", "gpu[01-04]").set("RUN_ID", "own");
        run.set("BATCH", "200").set("EVENT_START", "2026-01-01T00:00:00Z").set("SLEEP_SEC", "0.5")
    };
    let finished = run().set("CLOSE_WINDOWS", "60s").finish();
    finished.exits(0);
    // The last pair of 200 is due at 99.5 s.
    let at: Timestamp = "2026-01-01T00:02:39.500Z".parse().unwrap();
    finished.says("400 of 400 planned records delivered");
    finished.says("; 6 records close the windows up to 2026-01-01T00:02:39.500Z; exit 0");
    let report = finished.report();
    let counted = |topic: &str| json!({"topic": topic, "records": 3, "acknowledged": 3});
    assert_eq!(report["close_windows"]["at"], "2026-01-01T00:02:39.500Z");
    assert_eq!(report["close_windows"]["topics"], json!(TOPICS.map(counted)));
    for (slot, topic) in TOPICS.into_iter().enumerate() {
        assert_eq!(report["topics"][slot]["acknowledged"], 200);
        let [batch, closing] = read(&cluster, topic);
        assert_eq!(batch.len(), 200);
        let schema = validator(&Producer::new(["schema", topic]).finish().stdout);
        let partitions: BTreeSet<i32> = closing.iter().map(|record| record.partition).collect();
        assert_eq!((closing.len(), partitions), (3, (0..PARTITIONS).collect()));
        for record in closing {
            let before = batch.iter().filter(|other| other.partition == record.partition);
            assert!(before.clone().count() > 0, "a partition without a key: {record:?}");
            assert!(before.clone().all(|other| other.offset < record.offset), "it is the last");
            assert_eq!(record.timestamp_ms, at.as_millisecond());
            let value: Value = serde_json::from_str(&record.value).unwrap();
            let errors: Vec<_> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{value}");
            assert_eq!(value["ts"], "2026-01-01T00:02:39.500Z");
            let key = record.key.unwrap();
            assert_eq!(partition_of(key.as_bytes(), 3), record.partition, "{key}");
            let headers = [("close-windows", "own"), ("content-type", "application/json")];
            assert_eq!(record.headers, headers.map(|(name, value)| (name.into(), value.into())));
        }
    }
    let mut verify = Producer::new(["verify"]);
    let file = verify.file("run.json", report.to_string());
    verify.command().arg("--report").arg(file);
    let verified = verify.finish();
    verified.exits(0);
    let text = &verified.stdout;
    assert!(text.starts_with("CLOSED: run own: all 400 records are there"), "{text}");
}

#[test]
fn the_batch_has_the_bytes_that_it_has_without() {
    let batch = |more: Option<&str>| {
        let cluster = Cluster::start();
        let run = cluster.run().set("RUN_SEED", "7").set("RUN_ID", "own");
        let run = run.set("EVENT_START", "2026-01-01T00:00:00Z").set("SLEEP_SEC", "1");
        let run = more.into_iter().fold(run, |run, behind| run.set("CLOSE_WINDOWS", behind));
        let finished = run.finish();
        finished.exits(0);
        let records = TOPICS.map(|topic| read(&cluster, topic));
        let closing = records.iter().map(|[_, closing]| closing.len()).sum::<usize>();
        (records.map(|[batch, _]| batch), closing, finished.report()["close_windows"].is_null())
    };
    let (with, without) = (batch(Some("1h")), batch(None));
    assert_eq!((with.1, with.2, without.1, without.2), (6, false, 0, true));
    assert!(with.0 == without.0);
}

#[test]
fn a_run_that_is_stopped_closes_nothing() {
    let cluster = Cluster::start();
    let run = cluster.run().set("BATCH", "1000000").set("SLEEP_SEC", "0.02");
    let running = run.set("CLOSE_WINDOWS", "60s").start();
    eventually("some records", || (cluster.read(TOPICS[0], usize::MAX).len() > 5).then_some(()));
    running.signal("TERM");
    let finished = running.finish();
    finished.exits(143);
    assert!(finished.report()["close_windows"].is_null());
    assert!(TOPICS.iter().all(|topic| read(&cluster, topic)[1].is_empty()));
}

#[test]
fn the_demo_shows_and_judges_the_batch_alone() {
    let settings = [("CLOSE_WINDOWS", "1m"), ("COLUMNS", "80")];
    let demo = Producer::new(["demo"]);
    let finished = settings.iter().fold(demo, |demo, (name, value)| demo.set(name, value)).finish();
    let plain = Producer::new(["demo"]).set("COLUMNS", "80").finish();
    finished.exits(0).says("; 6 records close the windows up to 2026-01-05T09:01:");
    assert_eq!(finished.stdout, plain.exits(0).stdout);
}

#[test]
fn what_cannot_close_windows_is_refused_and_said() {
    let settings = "CLOSE_WINDOWS: \"60s\" from the environment is not valid: ";
    let run = || Producer::run("127.0.0.1:1").set("CLOSE_WINDOWS", "60s");
    let shard = run().set("SHARD", "1/2").set("RUN_SEED", "1").set("RUN_ID", "own").finish();
    shard.exits(78).says(&format!(
        "{settings}a shard would close windows to which the others still send (SHARD); expected"
    ));
    run().set("RECORD_HEADERS", "off").finish().exits(78).says(&format!(
        "{settings}the records that close windows are marked by a header, and RECORD_HEADERS=off \
         leaves it out; expected"
    ));
    let bad = Producer::run("127.0.0.1:1").set("CLOSE_WINDOWS", "soon").finish();
    bad.exits(78)
        .says("CLOSE_WINDOWS: \"soon\" from the environment is not valid: expected seconds");
    let generate = Producer::new(["generate"]).set("CLOSE_WINDOWS", "60s").finish();
    generate.exits(0).says("CLOSE_WINDOWS is not used: it is one record for each partition");
    assert_eq!(generate.stdout.lines().count(), 40);
}
