//! `expect` against Kafka Streams, which reads a day of backfill with faults from a real Kafka: each
//! row of each view is the same, to the unit.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::consumers::{streams_jars, with_jars};
use crate::cluster;
use crate::common::Producer;
use crate::{kcat, tools};

const WINDOWS: &str = include_str!("expect/Windows.java");
/// The longest that Kafka Streams may take for a day.
const LIMIT: Duration = Duration::from_secs(900);
/// Length of a window and grace, as `expect` takes them, and in milliseconds.
const WINDOW: (&str, &str) = ("60s", "60000");
const GRACE: (&str, &str) = ("10s", "10000");

/// Every kind of fault. What a clock ahead by 45 s makes late is more than what is sent late.
const FAULTS: &str = "duplicate=0.01:90s,late=0.01:120s,out-of-order=0.01:50,clock-skew=0.0005:45s,\
    drop=0.01,tombstone=0.005,malformed=0.01,missing-field=0.01,null-field=0.01,wrong-type=0.01,\
    extra-field=0.01,renamed-field=0.01,duplicate-key=0.01,sentinel=0.01,failed-request=0.01,\
    oversize=0.0005:3000";
const INCIDENTS: &str =
    "gpu-lost@+2h/30m:gpu01/0,exporter-silent@+5h/20m:gpu02/*,surge@+8h/1h,throttle@+9h/1h:gpu03/1";

/// The rows by view, window and GPU.
fn by_key<'a>(rows: impl Iterator<Item = &'a str>) -> BTreeMap<String, &'a str> {
    let mut found = BTreeMap::new();
    for line in rows {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let text = |column: &str| row[column].as_str().expect("text").to_owned();
        let key = format!("{} {} {}", text("view"), text("window_start"), text("gpu"));
        // A window of which every record was late has a row, and a stream has none.
        let is_empty = row["metric_records"] == 0 && row["usage_records"] == 0;
        if !is_empty {
            // A stream says each change of a row: the last one counts.
            found.insert(key, line);
        }
    }
    found
}

/// The metrics of all rows of a view.
fn metrics(rows: &BTreeMap<String, &str>, view: &str) -> u64 {
    let of_view = rows.iter().filter(|(key, _)| key.starts_with(&format!("{view} ")));
    let counts = of_view.map(|(_, row)| {
        let row: Value = serde_json::from_str(row).expect("JSON");
        row["metric_records"].as_u64().expect("a count")
    });
    counts.sum()
}

#[test]
fn the_windows_of_a_day_of_backfill_with_faults_are_those_of_kafka_streams() {
    let broker = cluster::plain();
    let topics = cluster::Topics::named(broker, "expect");
    // What is older than a week goes otherwise.
    let kept = [("retention.ms", "-1")];
    broker.create_topics_with(&[(&topics.metric, 3), (&topics.token, 3)], &kept);
    broker.create_topics_with(&[("expect.rows", 1)], &kept);
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("seed.json"), include_str!("../../../gpu_seed.json")).expect("a seed file");
    let run = topics.run().set("GPU_SEED", path("seed.json")).set("HOSTNAME", "gpu[01-04]");
    let run = run.set("EVENT_START", "2026-01-05T00:00:00Z").set("DURATION_SEC", "1d");
    // Two pairs a second, on the second: stream time reaches the end of a grace to the millisecond.
    let run = run.set("ARRIVALS", "fixed").set("RUN_SEED", "15");
    let run = run.set("FAULTS", FAULTS).set("INCIDENTS", INCIDENTS);
    let finished = run.set("REPORT_FILE", path("report.json")).finish();
    finished.exits(0);

    let report = path("report.json");
    let arguments = ["expect", "--report", &report, "--by", "gpu"];
    let windows = ["--window", WINDOW.0, "--allowed-lateness", GRACE.0];
    let expected = Producer::new([&arguments[..], &windows].concat()).finish();
    expected.exits(0);
    let expected = by_key(expected.stdout.lines());

    fs::write(path("Windows.java"), WINDOWS).expect("a program");
    let state = format!("-Djava.io.tmpdir={}", directory.path().display());
    let mut streams = with_jars(
        tools::bounded(LIMIT, "java"),
        &streams_jars(),
        &[&state, "-Xmx1g"],
        &directory.path().join("Windows.java"),
    );
    streams.args([&topics.bootstrap, &topics.metric, &topics.token, "expect.rows"]);
    let started = std::time::Instant::now();
    tools::success(streams.args([&path("seed.json"), WINDOW.1, GRACE.1, &path("state")]));
    let rows = kcat::read_all(&topics.bootstrap, "expect.rows");
    let rows: Vec<_> = rows.iter().map(|row| row.value.as_deref().expect("a row")).collect();
    let found = by_key(rows.iter().copied());
    println!(
        "expect: {} records, {} rows; Kafka Streams took {:.0} s",
        topics.records_in_log(),
        expected.len(),
        started.elapsed().as_secs_f64()
    );

    let differ = expected.iter().filter(|(key, row)| found.get(*key) != Some(row));
    let differ: Vec<_> = differ.map(|(key, row)| (row, found.get(key))).collect();
    assert!(
        differ.is_empty(),
        "{} rows differ: {:#?}",
        differ.len(),
        &differ[..differ.len().min(5)]
    );
    assert_eq!(found.len(), expected.len());
    // The faults show: each view has records that another has not.
    let [all, in_time, first] =
        ["all", "late_dropped", "deduplicated"].map(|view| metrics(&expected, view));
    println!(
        "expect: {all} metrics, {} of them late, {} of them copies",
        all - in_time,
        all - first
    );
    assert!(in_time + 1000 < all && first + 500 < all, "{all} {in_time} {first}");
}
