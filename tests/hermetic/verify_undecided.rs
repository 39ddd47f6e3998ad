//! `verify` where evidence is missing: it neither accuses nor acquits, and says what would decide.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;

use crate::cluster::{Cluster, Received, TOPICS};
use crate::common::{Finished, Producer, nobody};
use crate::process::generated;
use crate::stage::RUN;
use crate::verify::{from_report, in_json, verified};

#[test]
fn a_run_that_sent_nothing_is_no_run_to_verify_and_its_own_outcome_is_said() {
    let run = Producer::run(&nobody());
    let run = run.set("DELIVERY_TIMEOUT_SEC", "1").set("RUN_ID", "none").finish();
    run.exits(69);
    let says = "run none sent nothing: unavailable, exit 69: ";
    from_report(run.report(), &[]).exits(66).says(says);
    from_report(run.report(), &["--input", "/dev/null"]).exits(66).says(says);
    let expect = Producer::new(["expect", "--window", "60s"]);
    let file = expect.file("run.json", run.report().to_string());
    let mut expect = expect.set("EVENT_START", "2026-01-01T00:00:00Z");
    expect.command().arg("--report").arg(file);
    expect.finish().exits(66).says(says);
}

#[test]
fn a_record_that_matches_no_pair_may_be_the_missing_one() {
    let text = generated(&RUN);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[6] = json!({"topic": TOPICS[0], "headers": {}, "value": "unreadable"}).to_string();
    let open = verified(&lines.join("\n"), &[], &RUN);
    let headline = open.exits(69).stdout.lines().next().unwrap();
    let expected =
        "UNDECIDED: run own: 799 records found, nothing wrong with them; undecided: 1 unmatched";
    assert_eq!(headline, expected);
    assert!(
        open.stdout
            .contains("the headers run and seq, or the values as they were sent, would decide")
    );
    let account = in_json(verified(&lines.join("\n"), &["--json"], &RUN).exits(69));
    assert_eq!((&account["verdict"], &account["closed"]), (&json!("undecided"), &json!(false)));
    // Two cannot be one.
    lines.remove(8);
    let wrong = verified(&lines.join("\n"), &[], &RUN);
    let headline = wrong.exits(74).stdout.lines().next().unwrap();
    let expected = "NOT CLOSED: run own: 798 records found, 1 missing; undecided: 1 unmatched";
    assert_eq!(headline, expected);
}

#[test]
fn a_reader_that_follows_reads_the_copies_that_are_there_when_it_has_all() {
    let cluster = Cluster::start();
    let run = [
        ("RUN_ID", "twice"),
        ("RUN_SEED", "3"),
        ("BATCH", "300"),
        ("SLEEP_SEC", "0.5"),
        ("EVENT_START", "2026-01-01T00:00:00Z"),
    ];
    for _ in 0..2 {
        let producer = run.iter().fold(cluster.run(), |run, (name, value)| run.set(name, value));
        producer.finish().exits(0);
    }
    for follow in [&[][..], &["--follow"]] {
        let arguments = [&["verify", "--json", "--run", "twice"], follow].concat();
        let verify = Producer::new(arguments).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
        let verify = run.iter().fold(verify, |run, (name, value)| run.set(name, value));
        let account = in_json(verify.finish().exits(74));
        for topic in account["topics"].as_array().unwrap() {
            assert_eq!(
                (&topic["found"], &topic["read"]["extra_copies"]),
                (&json!(300), &json!(300))
            );
            let partitions = topic["partitions"].as_array().unwrap();
            assert!(
                partitions.iter().all(|log| log["is_read"] == true && log["end"] == log["read_to"])
            );
        }
    }
}

#[test]
fn a_reader_that_is_stopped_claims_nothing() {
    let cluster = Cluster::start();
    let run = cluster.run().set("BATCH", "20").set("RUN_ID", "short").set("RUN_SEED", "3").finish();
    run.exits(0);
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let verify = ["verify", "--follow", "--run", "short", "--run-seed", "3", "--batch", "40"];
        let verify = Producer::new(verify).set("KAFKA_BOOTSTRAP", cluster.bootstrap()).start();
        verify.until_it_says("reading ");
        verify.signal(signal);
        let stopped = verify.finish();
        stopped.exits(code).says(&format!("stopped by SIG{signal}"));
        assert!(stopped.stdout.starts_with("UNDECIDED: run short: "), "{}", stopped.stdout);
        assert!(!stopped.stdout.contains("LOST"), "{}", stopped.stdout);
    }
}

/// Hands records on as a stage does: each to a topic and a partition of it (`None`: by its key), with a
/// timestamp.
fn forward(cluster: &Cluster, records: &[(&Received, String, Option<i32>, i64)]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap()).set("partitioner", "murmur2_random");
    let producer: BaseProducer = config.create().expect("a producer");
    for (record, topic, partition, timestamp_ms) in records {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let mut out = BaseRecord::to(topic).payload(&record.value).headers(headers);
        out = out.timestamp(*timestamp_ms).key(record.key.as_deref().expect("a key"));
        if let Some(partition) = partition {
            out = out.partition(*partition);
        }
        producer.send(out).map_err(|(error, _)| error).expect("a record in the queue");
    }
    producer.flush(Duration::from_secs(30)).expect("records in the log");
}

/// The records of a run of 200 pairs, of both topics.
fn of_a_run(cluster: &Cluster) -> (Finished, Vec<(usize, Received)>) {
    let run = cluster.run().set("BATCH", "200").set("HOSTNAME", "gpu[1-4]").finish();
    run.exits(0);
    let of = |topic: usize| {
        let records = cluster.read(TOPICS[topic], usize::MAX);
        records.into_iter().map(move |record| (topic, record))
    };
    let records = [0, 1].into_iter().flat_map(of).collect();
    (run, records)
}

fn seq(record: &Received) -> u64 {
    let (_, seq) = record.headers.iter().find(|(name, _)| name == "seq").expect("a seq");
    seq.parse().expect("a number")
}

#[test]
fn every_topic_that_is_named_is_read_and_their_offsets_are_not_confused() {
    let cluster = Cluster::start();
    let (run, records) = of_a_run(&cluster);
    let name = |topic: usize, part: u64| format!("{}.{part}", ["spread.m", "spread.t"][topic]);
    for (topic, part) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        cluster.mock.create_topic(&name(topic, part), 3, 1).expect("a topic");
    }
    let spread: Vec<_> = records
        .iter()
        .map(|(topic, record)| {
            let ts = record.timestamp_ms;
            (record, name(*topic, seq(record) % 2), None, ts)
        })
        .collect();
    forward(&cluster, &spread);
    let options =
        ["metric=spread.m.0", "metric=spread.m.1", "token=spread.t.0", "token=spread.t.1"];
    let options: Vec<_> = options.iter().flat_map(|topic| ["--topic", topic]).collect();
    let account =
        in_json(from_report(run.report(), &[&options[..], &["--json"]].concat()).exits(0));
    let metric = &account["topics"][0];
    assert_eq!(metric["topics"], json!(["spread.m.0", "spread.m.1"]));
    assert_eq!((&metric["found"], &metric["copies"]), (&json!(200), &json!([])));
    assert_eq!(metric["partitions"].as_array().unwrap().len(), 6);
    // Half of them is in the topics that are not named.
    let half = [&options[..2], &options[4..6]].concat();
    let words = from_report(run.report(), &half);
    let says = "missing   spread.m.0: 100 not in the stage's topic: pairs 1, 3, ";
    assert!(words.exits(74).stdout.contains(says), "{}", words.stdout);
    // One that does not exist is said.
    let none = [&half[..], &["--topic", "metric=spread.m.9", "--timeout", "5"]].concat();
    let says = "topic spread.m.9 does not exist, or this client is not allowed to see it";
    from_report(run.report(), &none).exits(69).says(says);
}

#[test]
fn parts_that_a_stage_makes_again_are_not_compared_where_that_is_asked_for() {
    let cluster = Cluster::start();
    let (run, records) = of_a_run(&cluster);
    for topic in ["again.m", "again.t"] {
        cluster.mock.create_topic(topic, 3, 1).expect("a topic");
    }
    let again: Vec<_> = records
        .iter()
        .map(|(topic, record)| {
            let partition = i32::try_from(seq(record) % 3).unwrap();
            let topic = ["again.m", "again.t"][*topic].to_owned();
            (record, topic, Some(partition), record.timestamp_ms + 3_600_000)
        })
        .collect();
    forward(&cluster, &again);
    let topics = ["--topic", "metric=again.m", "--topic", "token=again.t"];
    from_report(run.report(), &topics).exits(74);
    let ignore = [&topics[..], &["--ignore", "timestamp,partition"]].concat();
    let words = from_report(run.report(), &ignore);
    let headline = words.exits(0).stdout.lines().next().unwrap();
    let says = "each once and as sent; not compared: timestamp, partition";
    assert!(headline.ends_with(says), "{headline}");
    let account = in_json(from_report(run.report(), &[&ignore[..], &["--json"]].concat()).exits(0));
    assert_eq!(account["ignored"], json!(["timestamp", "partition"]));
    let says = "expected timestamp, partition, headers or key, separated by commas";
    from_report(run.report(), &["--ignore", "value"]).exits(64).says(says);
}

#[test]
fn reading_begins_where_the_run_began_unless_all_is_asked_for() {
    let cluster = Cluster::start();
    let before = cluster.run().set("BATCH", "300").finish();
    let ends = in_json(from_report(before.exits(0).report(), &["--json"]).exits(0));
    let run = cluster.run().set("BATCH", "50").finish();
    let mut report = run.exits(0).report().clone();
    report["cluster_id"] = ends["cluster_id"].clone();
    for topic in [0, 1] {
        let partitions = ends["topics"][topic]["partitions"].as_array().unwrap();
        let ends: Vec<_> = partitions.iter().map(|partition| &partition["end"]).collect();
        report["topics"][topic]["start_offsets"] = json!(ends);
    }
    for (arguments, foreign) in [(&["--json"][..], 0), (&["--json", "--all"], 300)] {
        let account = in_json(from_report(&report, arguments).exits(0));
        for topic in account["topics"].as_array().unwrap() {
            assert_eq!(topic["read"]["foreign"]["records"], json!(foreign));
            assert_eq!((&topic["found"], &topic["origin"]), (&json!(50), &json!("own")));
        }
    }
    // On another cluster its offsets mean nothing.
    report["cluster_id"] = json!("elsewhere");
    let account = in_json(from_report(&report, &["--json"]).exits(0));
    assert_eq!(account["topics"][0]["read"]["foreign"]["records"], json!(300));
}
