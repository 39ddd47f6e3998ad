//! `expect`: what it prints is what the events come to, from settings and from a report.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use vm4_producer::expect;

use crate::cluster::Cluster;
use crate::common::{Finished, Producer, validator};
use crate::process::generated;

/// The run of these tests: with copies, late records and tombstones.
const RUN: [(&str, &str); 6] = [
    ("RUN_ID", "own"),
    ("BATCH", "600"),
    ("SLEEP_SEC", "0.1"),
    ("FAULTS", "duplicate=0.05:9s,late=0.05:20s,tombstone=0.05"),
    ("RUN_SEED", "1"),
    ("EVENT_START", "2026-01-01T00:00:00Z"),
];

fn expected(arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let arguments = [&["expect"], arguments].concat();
    variables.iter().fold(Producer::new(arguments), |run, (n, v)| run.set(n, v)).finish()
}

fn rows(finished: &Finished) -> Vec<Value> {
    finished.exits(0);
    finished.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The sum of a column of the rows of a view.
fn sum(rows: &[Value], view: &str, column: &str) -> u64 {
    let of_view = rows.iter().filter(|row| row["view"] == view);
    of_view.map(|row| row[column].as_u64().expect("a count")).sum()
}

#[test]
fn the_windows_hold_what_generate_prints() {
    let rows = rows(&expected(&["--window", "10s", "--by", "gpu"], &RUN));
    let mut tokens: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in generated(&RUN).lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let ms = record["timestamp"].as_i64().expect("ms");
        let start = jiff::Timestamp::from_millisecond(ms - ms % 10_000).expect("a time");
        let key = record["key"].as_str().expect("a key").to_owned();
        let of_window = tokens.entry((format!("{start:.3}"), key)).or_default();
        *of_window += record["value"]["prompt_tokens"].as_u64().unwrap_or_default();
    }
    let all = rows.iter().filter(|row| row["view"] == "all");
    let shown = all.map(|row| {
        let text = |column: &str| row[column].as_str().expect("text").to_owned();
        let tokens = row["prompt_tokens"].as_u64().expect("a count");
        ((text("window_start"), text("gpu")), tokens)
    });
    assert_eq!(shown.collect::<BTreeMap<_, _>>(), tokens);
    assert!(sum(&rows, "late_dropped", "metric_records") < sum(&rows, "all", "metric_records"));
    assert_eq!(sum(&rows, "deduplicated", "metric_records"), 600);
    assert!(sum(&rows, "deduplicated", "metric_unreadable") > 10);
}

#[test]
fn the_windows_add_up_to_the_totals_of_the_answer_key() {
    let kept = tempfile::tempdir().expect("a directory");
    let path = kept.path().join("key.ndjson");
    let producer = Producer::new(["generate"]).set("ANSWER_KEY", &path);
    RUN.iter().fold(producer, |run, (n, v)| run.set(n, v)).finish().exits(0);
    let key = fs::read_to_string(path).expect("a key");
    let key = key.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let key: Vec<Value> = key.collect();
    let rows = rows(&expected(&["--window", "7s", "--by", "gpu"], &RUN));
    for (total, view) in [("readable", "all"), ("deduplicated", "deduplicated")] {
        let total = key.iter().find(|line| line["name"] == total).expect("a total");
        for column in ["prompt_tokens", "completion_tokens", "cost_micro_usd"] {
            assert_eq!(total[column], json!(sum(&rows, view, column)), "{view}: {column}");
        }
        for (column, topic) in [("metric", "gpu.metrics.v1"), ("usage", "token.usage.v1")] {
            let records = sum(&rows, view, &format!("{column}_records"));
            let readable = records - sum(&rows, view, &format!("{column}_unreadable"));
            assert_eq!(total["records"][topic], json!(readable), "{view}: {topic}");
        }
    }
}

#[test]
fn a_row_is_of_the_schema_and_csv_has_the_same_columns() {
    let arguments = ["--window", "1m", "--by", "host,model"];
    let validator = validator(expect::SCHEMA);
    let rows = rows(&expected(&arguments, &RUN));
    for row in &rows {
        assert!(validator.is_valid(row), "{row}: {:?}", validator.validate(row));
    }
    let csv = expected(&[&arguments[..], &["--format", "csv"]].concat(), &RUN);
    let mut lines = csv.exits(0).stdout.lines();
    let columns: Vec<_> = lines.next().expect("a head").split(',').collect();
    let schema: Value = serde_json::from_str(expect::SCHEMA).expect("JSON");
    assert_eq!(json!(columns), schema["required"]);
    for (line, row) in lines.zip(&rows) {
        for (column, cell) in columns.iter().zip(line.split(',')) {
            let same = match &row[column] {
                Value::Null => cell.is_empty(),
                Value::String(text) => cell == text,
                number => serde_json::from_str::<Value>(cell).expect("a number") == *number,
            };
            assert!(same, "{column}: {cell} is not {}", row[column]);
        }
    }
    assert_eq!(csv.stdout.lines().count(), rows.len() + 1);
}

#[test]
fn a_report_says_what_was_run_and_where_it_went() {
    let cluster = Cluster::start();
    let run = RUN.iter().fold(cluster.run(), |run, (n, v)| run.set(n, v)).finish();
    run.exits(0);
    let from = |report: &Value, arguments: &[&str]| {
        // The environment is that of the host's next run.
        let mut producer = Producer::new(["expect", "--window", "10s", "--by", "gpu"]);
        producer = producer.set("BATCH", "7").set("FAULTS", "drop=0.5");
        let file = producer.file("run.json", report.to_string());
        producer.command().arg("--report").arg(file).args(arguments);
        producer.finish()
    };
    let of_the_report = from(run.report(), &[]);
    let arguments = ["--window", "10s", "--by", "gpu", "--partitions", "3"];
    assert_eq!(of_the_report.stdout, expected(&arguments, &RUN).exits(0).stdout);
    of_the_report.exits(0).says("the stream time of each of 3 and 3 partitions");
    // Of a run that was stopped only what was sent counts, and what may be missing is said.
    let mut stopped = run.report().clone();
    for topic in [0, 1] {
        stopped["topics"][topic]["generated"] = json!(50);
    }
    stopped["topics"][0]["failed"] = json!(2);
    let finished = from(&stopped, &[]);
    let rows = rows(&finished);
    assert_eq!(sum(&rows, "all", "metric_records"), 50);
    finished.says("2 records were not acknowledged; they count here");
}

#[test]
fn what_cannot_be_expected_has_its_exit_code_and_a_sentence() {
    let start = ("EVENT_START", "2026-01-01T00:00:00Z");
    let fails = |arguments: &[&str], variables: &[(&str, &str)], code: i32, text: &str| {
        expected(arguments, variables).exits(code).says(text);
    };
    let window = ["--window", "1m"];
    fails(&[], &RUN, 64, "the following required arguments were not provided:\n  --window <TIME>");
    for (value, text) in [
        ("1.5ms", "expected whole milliseconds, at most 365d, as in 500ms, 60s, 1h"),
        ("a minute", "expected whole milliseconds"),
        ("0", "expected at least 1ms, as in 60s"),
    ] {
        let says = format!("invalid value '{value}' for '--window <TIME>': {text}");
        fails(&["--window", value], &RUN, 64, &says);
    }
    for (keys, text) in [
        ("gpu,name", "\"name\" is no key; expected gpu, model or host"),
        ("gpu,gpu", "gpu is there twice; expected each key once"),
    ] {
        fails(&["--window", "1m", "--by", keys], &RUN, 64, text);
    }
    fails(&["--window", "1m", "--allowed-lateness", "0.1ms"], &RUN, 64, "whole milliseconds");
    fails(&["--window", "1m", "--partitions", "0"], &RUN, 64, "0 is not in 1..=100000");
    fails(&["--window", "1m", "--report", "/no/such.json"], &[], 66, "cannot read /no/such.json");
    let seed = ("RUN_SEED", "1");
    let text = "EVENT_START is not set: expect needs it, or --report FILE";
    fails(&window, &[seed], 78, text);
    fails(&window, &[start], 64, "RUN_SEED is not set; name the report of the run");
    let endless = [seed, start, ("SLEEP_SEC", "0"), ("DURATION_SEC", "1m")];
    fails(
        &window,
        &endless,
        78,
        "DURATION_SEC: \"1m\" from the environment is not valid: with SLEEP_SEC=0",
    );
    let keyless = [seed, start, ("RECORD_KEY", "none")];
    let many = ["--window", "1m", "--partitions", "3"];
    fails(
        &many,
        &keyless,
        78,
        "RECORD_KEY: \"none\" from the environment is not valid: the partition",
    );
    expected(&window, &keyless).exits(0);
}
