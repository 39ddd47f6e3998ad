//! `CLOSE_WINDOWS` against a real Kafka: a stream processor closes its last windows, and what the topic
//! would refuse is refused before the run.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use super::consumers::with_jars;
use crate::broker::jars;
use crate::cluster::{self, PARTITIONS, Topics};
use crate::kcat::{self, Received};
use crate::tools;

const WINDOWS: &str = include_str!("consumers/Windows.java");
/// The windows of that program, ms.
const LENGTH_MS: i64 = 60_000;
/// Window and grace of it.
const BEHIND: &str = "70s";

fn is_closing(record: &Received) -> bool {
    record.headers.iter().any(|(name, _)| name == "close-windows")
}

/// The batch and what closes it, of one topic.
fn read(topics: &Topics, topic: &str) -> [Vec<Received>; 2] {
    let (closing, batch) =
        kcat::read_all(&topics.bootstrap, topic).into_iter().partition(is_closing);
    [batch, closing]
}

#[test]
fn kafka_streams_closes_the_last_window_of_every_key() {
    let topics = Topics::create(cluster::plain(), "windows");
    cluster::plain().create_topics(&[("windows.closed", 1)]);
    let run = topics.run().set("HOSTNAME", "gpu[01-04]").set("CLOSE_WINDOWS", BEHIND);
    let run = run.set("EVENT_START", "2026-03-01T08:00:30Z").set("BATCH", "600");
    run.set("SLEEP_SEC", "0.5").finish().exits(0).says("; 6 records close the windows up to");
    let [batch, closing] = read(&topics, &topics.token);
    assert_eq!((batch.len(), closing.len()), (600, PARTITIONS as usize));
    let mut expected = BTreeMap::<(String, i64), u64>::new();
    for record in batch {
        let start = record.timestamp_ms - record.timestamp_ms.rem_euclid(LENGTH_MS);
        *expected.entry((record.key.expect("a key"), start)).or_default() += 1;
    }
    let expected: BTreeSet<_> = expected
        .into_iter()
        .map(|((key, start), count)| (key, format!("{start} {count}")))
        .collect();

    let jars = jars::of("kafka-streams-4.3.0", include_str!("consumers/streams.xml"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("Windows.java");
    std::fs::write(&file, WINDOWS).expect("a file");
    // Not behind `timeout`: what is killed has to be Java itself.
    let state = format!("-Djava.io.tmpdir={}", directory.path().display());
    let mut streams = with_jars(Command::new("java"), &jars, &[&state], &file)
        .args([&topics.bootstrap, &topics.token, "windows.closed"])
        .spawn()
        .expect("java");
    let closed = || -> BTreeSet<(String, String)> {
        let records = kcat::read_all(&topics.bootstrap, "windows.closed").into_iter();
        records.map(|r| (r.key.expect("a key"), r.value.expect("a value"))).collect()
    };
    let all = tools::comes_true(Duration::from_secs(120), || closed().len() >= expected.len());
    streams.kill().expect("it runs");
    streams.wait().expect("its end");
    assert!(all, "{} of {} windows were closed", closed().len(), expected.len());
    assert_eq!(closed(), expected);
    println!("{} windows of {} keys closed", expected.len(), 8);
}

#[test]
fn times_that_the_topic_would_refuse_are_refused_before_the_run() {
    let near = [("message.timestamp.after.max.ms", "30000")];
    let topics = Topics::create_with(cluster::plain(), "near", PARTITIONS, &near);
    let run = |behind| topics.run().set("SLEEP_SEC", "0").set("CLOSE_WINDOWS", behind);
    run("60s").finish().exits(78).says(
        "topic near.metrics refuses records of more than 30 s in the future \
         (message.timestamp.after.max.ms), and those of CLOSE_WINDOWS reach 60 s ahead; lower \
         CLOSE_WINDOWS, or set a larger message.timestamp.after.max.ms on the topic",
    );
    assert_eq!(topics.records_in_log(), 0);
    // Without the guard the broker refuses the one record alone: the batch is there, the windows open.
    let unguarded = run("60s").set("EVENT_TIME_GUARD", "off").finish();
    unguarded.exits(74).says("40 of 40 planned records delivered");
    unguarded.says("3 of the 6 records that close the windows were acknowledged (");
    run("10s").finish().exits(0).says("; 6 records close the windows up to");
    for topic in topics.both() {
        let [batch, closing] = read(&topics, topic);
        assert_eq!(batch.len(), 40);
        assert_eq!(closing.len(), if topic == topics.metric { 3 } else { 6 });
        let at = closing.iter().map(|record| record.timestamp_ms).collect::<Vec<_>>();
        let latest = batch.iter().map(|record| record.timestamp_ms).max().expect("a batch");
        assert!(at.contains(&(latest + 10_000)), "{at:?}");
    }
}
