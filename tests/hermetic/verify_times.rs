//! `verify` of live runs whose times a stage changed: that is named, and nothing else is blamed.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer};
use crate::process::generated;
use crate::verify::{from_report, in_json};

/// A live run of some seconds, whose seed makes no difference.
fn live(cluster: &Cluster, workload: &str) -> Value {
    let run = cluster.run().set("BATCH", "300").set("SLEEP_SEC", "7ms").set("WORKLOAD", workload);
    run.set("HOSTNAME", "gpu[1-2]").finish().exits(0).report().clone()
}

/// The records of a cluster as lines, their times changed in value and timestamp.
fn lines(cluster: &Cluster, change: impl Fn(i64) -> i64) -> String {
    let mut lines = String::new();
    for topic in TOPICS {
        for record in cluster.read(topic, usize::MAX) {
            let of = |ms: i64| format!("{:.3}", Timestamp::from_millisecond(ms).unwrap());
            let (was, is) = (record.timestamp_ms, change(record.timestamp_ms));
            let value = record.value.replace(&of(was), &of(is));
            let headers: serde_json::Map<_, _> =
                record.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let line = json!({"topic": topic, "partition": record.partition, "offset": record.offset,
                "key": record.key, "headers": headers, "timestamp": is, "value": value});
            lines.push_str(&format!("{line}\n"));
        }
    }
    lines
}

fn verified(report: &Value, lines: &str, arguments: &[&str]) -> Finished {
    let holder = Producer::new(["verify"]);
    let input = holder.file("lines.ndjson", lines);
    from_report(report, &[&["--input", input.to_str().unwrap()], arguments].concat())
}

/// Every part and place of the changes of an account.
fn changed(account: &Value) -> Vec<(String, String)> {
    let topics = account["topics"].as_array().unwrap().iter();
    let changes = topics.flat_map(|topic| topic["changes"].as_array().unwrap());
    let of = |change: &Value, name: &str| change[name].as_str().unwrap().to_owned();
    let mut all: Vec<_> = changes.map(|c| (of(c, "part"), of(c, "at"))).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn the_times_of_a_live_run_are_as_sent_in_its_topics_and_in_an_export_of_any_order() {
    let cluster = Cluster::start();
    let report = live(&cluster, "chat");
    for account in [
        in_json(from_report(&report, &["--json"]).exits(0)),
        in_json(verified(&report, &lines(&cluster, |ms| ms), &["--json"]).exits(0)),
    ] {
        for topic in account["topics"].as_array().unwrap() {
            let times = json!({"verdict": "as-sent", "records": 300, "words": "", "shift_ms": null,
                "precision_ms": null});
            assert_eq!(topic["times"], times);
        }
    }
    let finished = verified(&report, &lines(&cluster, |ms| ms), &[]);
    assert!(finished.exits(0).stdout.contains("each once and as sent\n"), "{}", finished.stdout);
}

#[test]
fn times_that_all_were_shifted_or_cut_are_named_as_that_and_no_other_field_is_blamed() {
    const HOUR: i64 = 3_600_000;
    let cluster = Cluster::start();
    let report = live(&cluster, "chat");
    type Change = fn(i64) -> i64;
    let cases: [(Change, &str); 5] = [
        (|ms| ms + HOUR, "all are shifted by +1 h, as another time zone does"),
        (|ms| ms - 365 * 24 * HOUR, "all are shifted by -8760 h"),
        (|ms| ms + 1, "all are shifted by +1 ms"),
        (|ms| ms - ms % 1000, "all are cut to 1 s"),
        (|ms| ms - ms % 10, "all are cut to 10 ms"),
    ];
    for (change, words) in cases {
        let finished = verified(&report, &lines(&cluster, change), &[]);
        let headline = format!("600 records found, times differ of 600 ({words})");
        assert!(finished.exits(74).stdout.contains(&headline), "{}", finished.stdout);
        assert!(finished.stdout.starts_with("NOT CLOSED"), "{}", finished.stdout);
    }
    let hour = lines(&cluster, |ms| ms + HOUR);
    let account = in_json(verified(&report, &hour, &["--json"]).exits(74));
    let of = |part: &str, at: &str| (part.to_owned(), at.to_owned());
    assert_eq!(changed(&account), [of("timestamp", ""), of("value", "/ts")]);
    assert_eq!(account["topics"][0]["times"]["shift_ms"], HOUR);
}

#[test]
fn times_of_a_uniform_run_of_which_no_other_field_tells_are_told_by_the_report() {
    let cluster = Cluster::start();
    let report = live(&cluster, "uniform");
    let later = lines(&cluster, |ms| ms + 7);
    let finished = verified(&report, &later, &[]);
    let headline = "times differ of 600 (all are shifted by +7 ms)";
    assert!(finished.exits(74).stdout.contains(headline), "{}", finished.stdout);
    // One of them, and that in the middle of the run.
    let text = lines(&cluster, |ms| ms);
    let one = text.lines().nth(150).unwrap();
    let ms = serde_json::from_str::<Value>(one).unwrap()["timestamp"].as_i64().unwrap();
    let of = |ms: i64| format!("{:.3}", Timestamp::from_millisecond(ms).unwrap());
    let moved = one.replace(&of(ms), &of(ms + 1)).replace(&ms.to_string(), &(ms + 1).to_string());
    let finished = verified(&report, &text.replace(one, &moved), &[]);
    let headline = "times differ of 300 (they differ, and not by one amount)";
    assert!(finished.exits(74).stdout.contains(headline), "{}", finished.stdout);
}

#[test]
fn without_a_report_the_headline_says_that_the_times_are_not_verified() {
    let run = [
        ("RUN_SEED", "5"),
        ("BATCH", "20"),
        ("SLEEP_SEC", "0.1"),
        ("RUN_ID", "r"),
        ("EVENT_START", ""),
    ];
    let text = generated(&run);
    let holder = Producer::new(["verify"]);
    let input = holder.file("lines.ndjson", text);
    let verify = Producer::new(["verify", "--run", "r", "--input", input.to_str().unwrap()]);
    let finished =
        run.iter().fold(verify, |verify, (name, value)| verify.set(name, value)).finish();
    let headline = "CLOSED: run r: all 40 records are there, each once and as sent; their times are \
        not verified: no report has their digest\n";
    assert!(finished.exits(0).stdout.starts_with(headline), "{}", finished.stdout);
}
