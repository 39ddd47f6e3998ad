//! `verify` of runs that are not the usual ones: both events in one topic, stopped before the end.

use serde_json::{Value, json};

use crate::cluster::{Cluster, TOPICS};
use crate::common::Producer;
use crate::verify::{from_report, in_json, with_short};

/// A run with faults and incidents whose events are all in one topic.
fn into_one_topic(cluster: &Cluster) -> Producer {
    with_short(cluster, "300").set("TOPIC_TOKEN", TOPICS[0])
}

#[test]
fn a_run_of_one_topic_for_both_events_is_closed_whatever_its_faults_do_to_the_values() {
    let cluster = Cluster::start();
    let run = into_one_topic(&cluster).finish();
    run.exits(0);
    let account = in_json(from_report(run.report(), &["--json"]).exits(0));
    for topic in account["topics"].as_array().unwrap() {
        let of = |name: &str| topic[name].as_u64().unwrap();
        assert_eq!(of("planned") - of("dropped") - of("left_out"), of("found"));
        assert_eq!((topic["changes"].clone(), of("repeated")), (json!([]), 0));
        assert!(of("declared_copies") > 0 && of("dropped") > 0, "{topic}");
    }
    assert_eq!(account["could_not_tell"], json!([]));
}

#[test]
fn what_is_flagged_in_one_topic_for_both_events_is_held_against_the_record_at_that_place() {
    let cluster = Cluster::start();
    let run = into_one_topic(&cluster).finish();
    run.exits(0);
    let fault = |record: &crate::cluster::Received| {
        record.headers.iter().find(|(name, _)| name == "fault").map(|(_, kinds)| kinds.clone())
    };
    let mut flags = String::new();
    for record in cluster.read(TOPICS[0], usize::MAX) {
        for kind in fault(&record).unwrap_or_default().split_terminator(',') {
            let (partition, offset) = (record.partition, record.offset);
            let flag =
                json!({"topic": TOPICS[0], "partition": partition, "offset": offset, "kind": kind});
            flags.push_str(&format!("{flag}\n"));
        }
    }
    let holder = Producer::new(["verify"]);
    let file = holder.file("flags.ndjson", flags);
    let arguments = ["--json", "--detected", file.to_str().unwrap()];
    let account = in_json(from_report(run.report(), &arguments).exits(0));
    for score in account["detected"]["faults"].as_array().unwrap() {
        let expected = if score["kind"] == "drop" { Value::Null } else { json!(1.0) };
        assert_eq!(score["precision"], expected, "{score}");
        assert_eq!(score["recall"] == json!(1.0), score["kind"] != "drop", "{score}");
    }
    assert_eq!(account["detected"]["nowhere"], json!(0));

    let mut verify = Producer::new(["verify", "--run", "a-1", "--input", "/dev/null"]);
    let flags = verify.file("flags.ndjson", "{\"topic\":\"both\",\"seq\":1}\n");
    verify.command().arg("--detected").arg(flags);
    verify.set("TOPIC_METRIC", "both").set("TOPIC_TOKEN", "both").finish().exits(65).says(
        "flags.ndjson line 1: topic both has both events of a pair; expected \
         \"topic\":\"gpu.metrics.v1\" or \"token.usage.v1\"",
    );
}

#[test]
fn lines_of_one_topic_for_both_events_are_told_apart_as_its_records_are() {
    let cluster = Cluster::start();
    let run = into_one_topic(&cluster).finish();
    let report = run.exits(0).report();
    let line = |record: &crate::cluster::Received| {
        let headers: serde_json::Map<_, _> =
            record.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        // As kcat has it, a tombstone has no value.
        let value = (!record.value.is_empty()).then_some(&record.value);
        let (key, timestamp) = (&record.key, record.timestamp_ms);
        format!(
            "{}\n",
            json!({"topic": TOPICS[0], "key": key, "headers": headers, "timestamp": timestamp,
                "value": value})
        )
    };
    let records = cluster.read(TOPICS[0], usize::MAX);
    let (text, bytes): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| !record.value.contains('\u{fffd}'));
    let lines: String = text.into_iter().map(line).collect();
    let mut verify = Producer::new(["verify", "--json"]);
    let input = verify.file("records.ndjson", lines);
    let report = verify.file("run.json", report.to_string());
    verify.command().arg("--report").arg(report).arg("--input").arg(input);
    let finished = verify.finish();
    let account = in_json(&finished);
    let sum = |pointer: &str| -> u64 {
        let topics = account["topics"].as_array().unwrap();
        topics.iter().map(|topic| topic.pointer(pointer).and_then(Value::as_u64).unwrap()).sum()
    };
    // What is no text did not come through the lines.
    assert_eq!(sum("/missing"), bytes.len() as u64);
    assert_eq!((sum("/repeated"), sum("/read/unexpected")), (0, 0));
}

/// Stops a run once it has sent a hundred records of each topic.
fn stopped(cluster: &Cluster, run: Producer) -> Value {
    let running = run.start();
    cluster.read(TOPICS[1], 100);
    running.signal("TERM");
    let run = running.finish();
    run.exits(143).report().clone()
}

#[test]
fn of_a_run_whose_pairs_only_its_schedule_knows_all_that_it_did_not_come_to_is_not_generated() {
    let cluster = Cluster::start();
    let of_minutes = |run: Producer| {
        let run = run.set("DURATION_SEC", "3m").set("SLEEP_SEC", "5ms").set("RUN_SEED", "7");
        run.set("ARRIVALS", "poisson")
    };
    let report = stopped(&cluster, of_minutes(cluster.run()));
    let account = in_json(from_report(&report, &["--json"]).exits(0));
    // How many that were to be is what a run of the same name prints.
    let run_id = report["run_id"].as_str().unwrap();
    let events = of_minutes(Producer::new(["generate", "--run-id", run_id, "--values"]));
    let start = report["started_at"].as_str().unwrap();
    let events = events.set("EVENT_START", start).set("PACE", "none").finish();
    let pairs = events.exits(0).stdout.lines().count() as u64 / 2;
    assert!(pairs > 30_000, "{pairs}");
    for (number, topic) in account["topics"].as_array().unwrap().iter().enumerate() {
        let generated = report["topics"][number]["generated"].as_u64().unwrap();
        assert_eq!(topic["planned"], json!(pairs));
        assert_eq!(topic["found"], json!(generated));
        assert_eq!(topic["not_generated"].as_u64(), Some(pairs - generated), "{topic}");
    }
}
