//! The answer key: what it says is what is in the topics, and it is there however a run ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer, validator};
use crate::process::eventually;

const FAULTS: &str = "duplicate=0.1:100ms,late=0.1:150ms,out-of-order=0.1:5,clock-skew=0.1,drop=0.1,\
    tombstone=0.1,malformed=0.1,wrong-type=0.1,sentinel=0.1,failed-request=0.1,oversize=0.1:2000";

/// The lines of a key, each of its schema.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("an answer key");
    let schema = validator(&Producer::new(["schema", "answer_key.v1"]).finish().stdout);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let errors: Vec<_> = schema.iter_errors(line).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{line}");
    }
    assert_eq!(lines.last().unwrap()["type"], "end", "it is whole");
    assert_eq!(lines.last().unwrap()["lines"], lines.len());
    lines
}

/// Topic, seq and faults of every record that the key says was sent with some.
fn declared(key: &[Value]) -> BTreeSet<(String, u64, String)> {
    let records = key.iter().filter(|line| line["type"] == "record" && line["sent"] == true);
    let faults = |line: &Value| {
        let faults = line["faults"].as_array().unwrap().iter().map(|f| f.as_str().unwrap());
        faults.collect::<Vec<_>>().join(",")
    };
    records
        .map(|line| {
            let topic = line["topic"].as_str().unwrap().to_owned();
            (topic, line["seq"].as_u64().unwrap(), faults(line))
        })
        .collect()
}

/// The same by the headers of what is in the topics.
fn there(cluster: &Cluster) -> BTreeSet<(String, u64, String)> {
    let records = TOPICS.into_iter().flat_map(|topic| {
        let records = cluster.read(topic, usize::MAX).into_iter();
        records.map(move |record| (topic.to_owned(), record))
    });
    let touched = records.filter_map(|(topic, record)| {
        let header =
            |name: &str| record.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        Some((topic, header("seq")?.parse().unwrap(), header("fault")?))
    });
    touched.collect()
}

fn total<'a>(key: &'a [Value], name: &str) -> &'a Value {
    key.iter().find(|line| line["type"] == "total" && line["name"] == name).unwrap()
}

#[test]
fn the_key_says_what_is_in_the_topics() {
    let cluster = Cluster::start();
    let run = cluster.run().set("FAULTS", FAULTS).set("BATCH", "300").set("SLEEP_SEC", "0.002");
    let path = run.directory().join("key.ndjson");
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join(path.file_name().unwrap());
    let finished = run.set("ANSWER_KEY", &path).finish();
    finished.exits(0);
    let key = lines(&path);
    assert_eq!(declared(&key), there(&cluster));
    assert_eq!(key[0]["seed_sha256"], finished.report()["seed_sha256"]);
    assert_eq!(key[0]["run_id"], finished.report()["run_id"]);
    for (slot, topic) in TOPICS.into_iter().enumerate() {
        let generated = &finished.report()["topics"][slot]["generated"];
        assert_eq!(&total(&key, "sent")["records"][topic], generated);
        assert_eq!(total(&key, "planned")["records"][topic], 300);
    }
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_run_that_is_stopped_leaves_a_whole_key_of_what_it_sent() {
    let cluster = Cluster::start();
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("key.ndjson");
    let run = cluster.run().set("FAULTS", "late=0.5:1h,malformed=0.5").set("BATCH", "1000000");
    let running = run.set("SLEEP_SEC", "0.02").set("ANSWER_KEY", &path).start();
    eventually("some records", || (cluster.read(TOPICS[0], usize::MAX).len() > 20).then_some(()));
    assert!(!path.exists(), "it is not there before it is whole");
    running.signal("TERM");
    let finished = running.finish();
    finished.exits(143);
    let key = lines(&path);
    assert_eq!(declared(&key), there(&cluster));
    let held =
        key.iter().filter(|line| line["type"] == "record" && line["sent"] == false).count() as u64;
    let records = |name: &str| {
        let records = &total(&key, name)["records"];
        TOPICS.map(|topic| records[topic].as_u64().unwrap()).into_iter().sum::<u64>()
    };
    assert_eq!(records("planned"), records("sent") + held);
    assert_eq!(records("sent"), finished.sum("generated"));
}

#[test]
fn generate_writes_the_key_of_what_it_printed() {
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("key.ndjson");
    let generate = || {
        Producer::new(["generate"]).set("RUN_SEED", "1").set("EVENT_START", "2026-01-01T00:00:00Z")
    };
    let finished =
        generate().set("FAULTS", FAULTS).set("BATCH", "200").set("ANSWER_KEY", &path).finish();
    finished.exits(0);
    let printed = finished.stdout.lines().filter_map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let seq = text(&record["headers"]["seq"])?.parse().ok()?;
        Some((text(&record["topic"])?, seq, text(&record["headers"]["fault"])?))
    });
    assert_eq!(declared(&lines(&path)), printed.collect());
}

#[test]
fn a_run_of_nothing_has_the_key_of_nothing_and_one_that_never_began_has_none() {
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("key.ndjson");
    let cluster = Cluster::start();
    cluster.run().set("BATCH", "0").set("ANSWER_KEY", &path).finish().exits(0);
    let key = lines(&path);
    assert_eq!(total(&key, "planned")["records"][TOPICS[0]], 0);
    assert_eq!(key.last().unwrap()["pairs"], 0);
    fs::remove_file(&path).unwrap();
    let unreached = Producer::run("127.0.0.1:1").set("ANSWER_KEY", &path);
    unreached.set("DELIVERY_TIMEOUT_SEC", "1").finish().exits(69);
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 0);
}

#[test]
fn the_demo_writes_a_key_with_the_incidents_of_its_run() {
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("key.ndjson");
    let demo = Producer::new(["demo"]).set("ANSWER_KEY", &path).set("BATCH", "60");
    demo.set("INCIDENTS", "gpu-lost@+10s/10s:gpu01/*").finish().exits(0);
    let key = lines(&path);
    let incident = key.iter().find(|line| line["type"] == "incident").unwrap();
    assert_eq!(incident["from"], "2026-01-05T09:00:10.000Z");
    assert_eq!(incident["during"]["usages"], 0);
    assert!(incident["before"]["usages"].as_u64() > Some(0));
}

#[test]
fn a_key_on_stdout_comes_whole_and_last() {
    let cluster = Cluster::start();
    let finished: Finished =
        cluster.run().set("FAULTS", "drop=1/2").set("ANSWER_KEY", "-").finish();
    finished.exits(0);
    let last = finished.stdout.lines().last().unwrap();
    assert!(last.starts_with("{\"type\":\"end\",\"pairs\":20,"), "{last}");
}

#[test]
fn a_key_that_cannot_be_written_is_refused_before_anything_is_sent() {
    let cluster = Cluster::start();
    let missing = "/nonexistent/key.ndjson";
    let refused = cluster.run().set("ANSWER_KEY", missing).finish();
    refused
        .exits(78)
        .says("ANSWER_KEY: \"/nonexistent/key.ndjson\" from the environment is not valid: ");
    assert!(cluster.read(TOPICS[0], usize::MAX).is_empty());
    for command in ["generate", "demo"] {
        let refused = Producer::new([command]).set("ANSWER_KEY", "-").finish();
        refused.exits(78).says("is not valid: this command prints there; expected a path");
    }
    let both = cluster.run().set("ANSWER_KEY", "-").set("REPORT_FILE", "-").finish();
    both.exits(78).says("is not valid: the report goes there (REPORT_FILE); expected a path");
}

#[test]
fn the_summary_and_the_report_know_of_a_key_that_nobody_took() {
    let cluster = Cluster::start();
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().join("key");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    let run = cluster.run().set("ANSWER_KEY", &path).set("DELIVERY_TIMEOUT_SEC", "1");
    let finished = run.finish();
    let problem =
        format!("ANSWER_KEY: no answer key in {}: nobody took it within 1 s", path.display());
    finished.exits(74).says(&format!("{problem}; exit 74 (IOERR)"));
    assert!(!finished.stderr.contains("exit 0"), "{}", finished.stderr);
    let report = finished.report();
    assert_eq!((&report["exit_code"], &report["exit_name"]), (&74.into(), &"IOERR".into()));
    assert_ne!(report["outcome"], "delivered");
    assert_eq!(report["reason"], problem);
    assert_eq!(finished.sum("acknowledged"), 40, "all is in the log");
}
