//! `expect` against Kafka Streams, which reads a day of backfill with faults from a real Kafka: each
//! row of each view is the same, to the unit.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::consumers::{streams_jars, with_jars};
use crate::cluster::{self, Topics};
use crate::common::Producer;
use crate::{kcat, tools};

const WINDOWS: &str = include_str!("expect/Windows.java");
/// The longest that Kafka Streams may take for a day.
const LIMIT: Duration = Duration::from_secs(900);
/// Length of a window and grace, as `expect` takes them, and in milliseconds.
const WINDOW: (&str, &str) = ("60s", "60000");
const GRACE: (&str, &str) = ("10s", "10000");

const HOSTS: &str = "gpu[01-04]";

/// Every kind of fault. What a clock ahead by 45 s makes late is more than what is sent late.
const FAULTS: &str = "duplicate=0.01:90s,late=0.01:120s,out-of-order=0.01:50,clock-skew=0.0005:45s,\
    drop=0.01,tombstone=0.005,malformed=0.01,missing-field=0.01,null-field=0.01,wrong-type=0.01,\
    extra-field=0.01,renamed-field=0.01,duplicate-key=0.01,sentinel=0.01,failed-request=0.01,\
    oversize=0.0005:3000";
const INCIDENTS: &str =
    "gpu-lost@+2h/30m:gpu01/0,exporter-silent@+5h/20m:gpu02/*,surge@+8h/1h,throttle@+9h/1h:gpu03/1";

/// The rows by view, window and what they are grouped by.
fn by_key<'a>(rows: impl Iterator<Item = &'a str>) -> BTreeMap<String, &'a str> {
    let mut found = BTreeMap::new();
    for line in rows {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let text = |column: &str| row[column].as_str().expect("text").to_owned();
        let of = [&row["host"], &row["gpu"], &row["model"]];
        let key = format!("{} {} {of:?}", text("view"), text("window_start"));
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

/// The model of each GPU by its key, as the usages of a run without faults have it.
fn models(seed: &str) -> String {
    let clean = Producer::new(["generate", "--batch", "500", "--pace", "none"]);
    let clean = clean.set("GPU_SEED", seed).set("HOSTNAME", HOSTS).finish();
    let mut models = serde_json::Map::new();
    for line in clean.exits(0).stdout.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        if let Some(model) = record["value"].get("model") {
            let key = record["key"].as_str().expect("a key");
            models.insert(key.to_owned(), model.clone());
        }
    }
    assert_eq!(models.len(), 8, "of two GPUs on each of four hosts");
    Value::from(models).to_string()
}

/// What is held against Kafka Streams.
struct Asked {
    label: &'static str,
    partitions: u32,
    duration: &'static str,
    incidents: &'static str,
    /// What `--by` takes; `all` is no grouping.
    groupings: &'static [&'static str],
}

/// The rows of `expect` for the run of a report.
fn windows(report: &str, groupings: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for by in groupings {
        let mut arguments = vec!["expect", "--report", report];
        arguments.extend(["--window", WINDOW.0, "--allowed-lateness", GRACE.0]);
        if *by != "all" {
            arguments.extend(["--by", by]);
        }
        let expected = Producer::new(arguments).finish();
        lines.extend(expected.exits(0).stdout.lines().map(str::to_owned));
    }
    lines
}

/// Holds the windows of a run with faults against those of Kafka Streams; returns those of `expect`.
fn compared(asked: &Asked) -> Vec<String> {
    let Asked { label, partitions, duration, incidents, groupings } = *asked;
    let broker = cluster::plain();
    let topics = Topics::named(broker, label);
    let of_rows = format!("{label}.rows");
    // What is older than a week goes otherwise.
    let kept = [("retention.ms", "-1")];
    broker.create_topics_with(&topics.both().map(|topic| (topic, partitions)), &kept);
    broker.create_topics_with(&[(&of_rows, 1)], &kept);
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("seed.json"), include_str!("../../../gpu_seed.json")).expect("a seed file");
    let run = topics.run().set("GPU_SEED", path("seed.json")).set("HOSTNAME", HOSTS);
    let run = run.set("EVENT_START", "2026-01-05T00:00:00Z").set("DURATION_SEC", duration);
    // Two pairs a second, on the second: stream time reaches the end of a grace to the millisecond.
    let run = run.set("ARRIVALS", "fixed").set("RUN_SEED", "15");
    let run = run.set("FAULTS", FAULTS).set("INCIDENTS", incidents);
    let finished = run.set("REPORT_FILE", path("report.json")).finish();
    finished.exits(0);

    let lines = windows(&path("report.json"), groupings);
    let expected = by_key(lines.iter().map(String::as_str));

    fs::write(path("Windows.java"), WINDOWS).expect("a program");
    let state = format!("-Djava.io.tmpdir={}", directory.path().display());
    let mut streams = with_jars(
        tools::bounded(LIMIT, "java"),
        &streams_jars(),
        &[&state, "-Xmx1g"],
        &directory.path().join("Windows.java"),
    );
    streams.args([&topics.bootstrap, &topics.metric, &topics.token, &of_rows]);
    streams.args([
        &path("seed.json"),
        WINDOW.1,
        GRACE.1,
        &path("state"),
        &models(&path("seed.json")),
    ]);
    let started = std::time::Instant::now();
    tools::success(streams.arg(groupings.join(",")));
    let rows = kcat::read_all(&topics.bootstrap, &of_rows);
    let rows: Vec<_> = rows.iter().map(|row| row.value.as_deref().expect("a row")).collect();
    let found = by_key(rows.iter().copied());
    println!(
        "expect by {}: {} records, {} rows; Kafka Streams took {:.0} s",
        groupings.join(", "),
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
    lines
}

/// The views of rows in turn: how many metrics each of them has.
fn views(lines: &[String]) -> [u64; 3] {
    let rows = by_key(lines.iter().map(String::as_str));
    ["all", "late_dropped", "deduplicated"].map(|view| metrics(&rows, view))
}

#[test]
fn the_windows_of_a_day_of_backfill_with_faults_are_those_of_kafka_streams() {
    let lines = compared(&Asked {
        label: "expect",
        partitions: 3,
        duration: "1d",
        incidents: INCIDENTS,
        groupings: &["gpu"],
    });
    // The faults show: each view has records that another has not.
    let [all, in_time, first] = views(&lines);
    println!(
        "expect: {all} metrics, {} of them late, {} of them copies",
        all - in_time,
        all - first
    );
    assert!(in_time + 1000 < all && first + 500 < all, "{all} {in_time} {first}");
}

#[test]
fn the_windows_of_models_hosts_and_all_of_it_are_those_of_kafka_streams() {
    let lines = compared(&Asked {
        label: "expect-by",
        partitions: 1,
        duration: "1h",
        incidents: "gpu-lost@+20m/10m:gpu01/0,exporter-silent@+35m/5m:gpu02/*,surge@+45m/5m",
        groupings: &["model", "host", "all"],
    });
    for by in ["model", "host", "all"] {
        let is_of = |line: &&String| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            ["model", "host"].iter().all(|column| row[column].is_string() == (*column == by))
        };
        let of: Vec<_> = lines.iter().filter(is_of).cloned().collect();
        let [all, in_time, first] = views(&of);
        assert!(in_time + 40 < all && first + 20 < all, "{by}: {all} {in_time} {first}");
    }
}
