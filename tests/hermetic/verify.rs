//! `verify`: what a stage did to the records of a run is named, no more of it and no less.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vm4_producer::audit::{Account, Audit, Expectation, Log, Read};
use vm4_producer::event::Kind;
use vm4_producer::kafka::properties;
use vm4_producer::plan::{Identity, Plan};
use vm4_producer::settings::{Inputs, Settings};
use vm4_producer::workload::seed;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer, validator};
use crate::process::generated;
use crate::stage::{Done, Travelling, through, travelling};

/// The partition, of three, of the keys of the shipped seed, as a Java client has it: `vm4/0` and
/// `vm4/1` share one.
fn partition_of(key: &str) -> i32 {
    match key {
        "vm4/0" | "vm4/1" => 1,
        "vm4/5" | "vm4/7" => 0,
        _ => 2,
    }
}

const RUN: [(&str, &str); 5] = [
    ("RUN_ID", "own"),
    ("RUN_SEED", "1"),
    ("EVENT_START", "2026-01-01T00:00:00Z"),
    ("ARRIVALS", "poisson"),
    ("BATCH", "400"),
];

fn settings(variables: &[(&str, &str)]) -> Settings {
    let all = [("VM4_PRODUCER_ENV", "/dev/null")];
    let all = all.iter().chain(variables);
    let environment = all.map(|(name, value)| (name.into(), value.into())).collect();
    Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap()
}

/// The account of records that came through a stage.
fn account(records: &[Travelling]) -> Account {
    let settings = settings(&RUN);
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let identity = Identity::new(&settings, settings.event_start.unwrap(), 0);
    let plan = Plan::new(&settings, &seed, identity);
    let mut audit = Audit::new(Expectation {
        plan: &plan,
        verdicts: None,
        planned: plan.schedule.planned_pairs(),
        ran_ms: None,
        partitions: [Some(3), Some(3)],
    });
    for (offset, record) in records.iter().enumerate() {
        let headers: Vec<_> =
            record.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        audit.read(&Read {
            kind: Kind::BOTH[record.topic],
            partition: Some(record.partition),
            offset: i64::try_from(offset).unwrap(),
            timestamp_ms: Some(record.timestamp_ms),
            has_append_time: false,
            key: Some(record.key.as_ref().map(String::as_bytes)),
            headers: Some(&headers),
            value: Some(record.value.as_bytes()),
            seen_at_ms: None,
        });
    }
    let log = |topic: &str| Log { topic: topic.to_owned(), ..Log::default() };
    audit.finish(TOPICS.map(log))
}

/// What an account says was done.
fn told(account: &Account) -> Done {
    let [metric, token] = &account.topics[..] else { panic!("two topics: {account:?}") };
    let of = |count: fn(&vm4_producer::audit::TopicAccount) -> u64| [count(metric), count(token)];
    let missing = [metric, token].map(|topic| {
        let ranges = topic.missing_by_cause.iter().flat_map(|cause| &cause.ranges);
        ranges.flat_map(|[first, last]| *first..=*last).collect()
    });
    let changes = [metric, token].map(|topic| {
        let changes = topic.changes.iter();
        changes
            .map(|c| ((c.part.to_owned(), c.at.clone(), c.change.to_owned()), c.records))
            .collect::<BTreeMap<_, _>>()
    });
    Done {
        missing,
        altered: of(|topic| topic.read.first_altered),
        reencoded: of(|topic| topic.read.reencoded),
        copies: of(|topic| topic.read.extra_copies),
        foreign: of(|topic| topic.read.foreign.records),
        by_value: of(|topic| topic.told_by_value),
        changes,
        other_partition: account.torn.other_partition,
        out_of_place: of(|topic| topic.order.out_of_place),
    }
}

/// The records of this run and of another one, in turns.
fn two_runs() -> Vec<Travelling> {
    let own = travelling(&generated(&RUN), true, partition_of);
    let other = [RUN.as_slice(), &[("RUN_ID", "other"), ("BATCH", "90")]].concat();
    let other = travelling(&generated(&other), false, partition_of);
    let mut mixed = Vec::new();
    let mut other = other.into_iter();
    for (n, record) in own.into_iter().enumerate() {
        mixed.push(record);
        if n % 4 == 0 {
            mixed.extend(other.next());
        }
    }
    mixed
}

/// Every equation of the account holds.
fn is_balanced(account: &Account, done: &Done, records: usize) {
    let mut read = 0;
    for (topic, missing) in account.topics.iter().zip(&done.missing) {
        let parts = &topic.read;
        let sum = parts.first_intact + parts.first_altered + parts.extra_copies;
        assert_eq!(parts.records, sum + parts.unexpected + parts.foreign.records);
        assert_eq!(topic.found + topic.missing, 400);
        assert_eq!(topic.found, parts.first_intact + parts.first_altered);
        assert_eq!(topic.missing, missing.len() as u64);
        assert_eq!(parts.unexpected, 0);
        read += parts.records;
    }
    assert_eq!(read, records as u64);
    let [metric, token] = &done.missing;
    assert_eq!(account.torn.only_metric, token.difference(metric).count() as u64);
    assert_eq!(account.torn.only_token, metric.difference(token).count() as u64);
    assert_eq!((account.torn.other_time, account.torn.not_compared), (0, 0));
}

#[test]
fn of_a_hundred_mixtures_each_is_named_exactly() {
    let records = two_runs();
    for (seed, every) in (0..100).zip([5, 20, 100, 400].into_iter().cycle()) {
        let (through, done) = through(records.clone(), seed, every);
        let account = account(&through);
        assert_eq!(told(&account), done, "mixture {seed}");
        is_balanced(&account, &done, through.len());
        let is_as_sent = [&done.altered, &done.copies].iter().all(|n| n.iter().sum::<u64>() == 0)
            && done.missing.iter().all(std::collections::BTreeSet::is_empty);
        assert_eq!(account.closed, is_as_sent, "mixture {seed}");
    }
}

#[test]
fn records_that_are_as_they_were_sent_close_the_account() {
    let records = two_runs();
    let account = account(&records);
    assert_eq!(told(&account), Done { foreign: [90, 90], ..Done::default() });
    assert!(account.closed);
    assert_eq!(account.could_not_tell, Vec::<String>::new());
    assert_eq!(account.topics[0].read.foreign.runs["other"], 90);
}

/// Verifies NDJSON.
fn verified(ndjson: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut producer = Producer::new(["verify"]);
    let input = producer.file("records.ndjson", ndjson);
    producer.command().arg("--input").arg(input).args(arguments);
    for (name, value) in variables {
        producer = producer.set(name, value);
    }
    producer.finish()
}

fn in_json(finished: &Finished) -> Value {
    let account = serde_json::from_str(&finished.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}\n{}", finished.stdout, finished.stderr);
    });
    let schema = include_str!("../../packaging/schemas/verify.v1.schema.json");
    let errors: Vec<_> = validator(schema)
        .iter_errors(&account)
        .map(|e| format!("{e} at {}", e.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    account
}

#[test]
fn what_generate_prints_closes_the_account_of_its_run() {
    let text = generated(&RUN);
    let words = verified(&text, &[], &RUN);
    words.exits(0);
    assert!(
        words
            .stdout
            .starts_with("CLOSED: run own: all 800 records are there, each once and as sent\n"),
        "{}",
        words.stdout
    );
    let account = in_json(verified(&text, &["--json"], &RUN).exits(0));
    assert_eq!(account["closed"], json!(true));
}

#[test]
fn a_record_that_differs_is_shown_as_it_was_read_and_as_it_was_sent() {
    let text = generated(&RUN);
    let altered = text.replacen("\"latency_ms\":", "\"latency_ms\":1", 1);
    let finished = verified(&altered, &[], &RUN);
    finished.exits(74);
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(lines[0], "NOT CLOSED: run own: 800 records found, 1 altered");
    let changed = "changed   token.usage.v1: 1 value /latency_ms (value): ";
    let at = lines.iter().position(|line| line.starts_with(changed)).expect(&finished.stdout);
    // Both commands print that record.
    let [read, sent] = [lines[at + 1], lines[at + 2]].map(|line| {
        let command = line.trim_start().split_once(' ').unwrap().1.trim_start();
        assert!(command.starts_with("sed -n 2p ") || command.starts_with("vm4-producer generate "));
        command.to_owned()
    });
    assert!(read.starts_with("sed -n 2p /"), "{read}");
    let words: Vec<_> = sent.split_whitespace().skip(1).collect();
    let shown = Producer::new(words).finish();
    assert_eq!(shown.exits(0).stdout.lines().nth(1), text.lines().nth(1));
}

#[test]
fn bare_values_and_kcat_s_lines_are_taken_too() {
    let text = generated(&RUN);
    let values: String =
        travelling(&text, true, partition_of).iter().map(|r| format!("{}\n", r.value)).collect();
    let account = in_json(verified(&values, &["--json"], &RUN).exits(0));
    assert_eq!(account["topics"][0]["told_by_value"], json!(400));
    let told = account["could_not_tell"].to_string();
    assert!(
        told.contains("whether they are of this run or of another with the same values"),
        "{told}"
    );

    let kcat = |r: &Travelling| {
        let headers: Vec<_> = r.headers.iter().flat_map(|(n, v)| [n, v]).collect();
        let line = json!({
            "topic": TOPICS[r.topic], "partition": r.partition, "offset": r.seq, "tstype": "create",
            "ts": r.timestamp_ms, "broker": 1, "headers": headers, "key": r.key, "payload": r.value,
        });
        format!("{line}\n")
    };
    let lines: String = travelling(&text, true, partition_of).iter().map(kcat).collect();
    let account = in_json(verified(&lines, &["--json"], &RUN).exits(0));
    assert_eq!(account["topics"][1]["read"]["first_intact"], json!(400));
    assert_eq!(account["topics"][1]["told_by_value"], json!(0));
}

#[test]
fn input_that_is_no_records_is_a_data_error_with_its_line() {
    verified("{\"a\":1}\n", &[], &RUN)
        .exits(65)
        .says("records.ndjson line 1: it is no event: neither metric nor token usage");
    verified("\nx\n", &[], &RUN).exits(65).says("records.ndjson line 2: it is not a record: ");
    Producer::new(["verify", "--input", "/no/such"]).set("RUN_ID", "a-1").finish().exits(66);
}

#[test]
fn a_run_is_verified_from_its_report_alone() {
    let cluster = Cluster::start();
    let run = cluster.run().set("BATCH", "300").finish();
    run.exits(0);
    let report = run.report().to_string();
    let verify = |arguments: &[&str]| {
        // The environment is that of the host's next run.
        let mut producer = Producer::new(["verify"]).set("BATCH", "7");
        producer = producer.set("FAULTS", "drop=0.5").set("INCIDENTS", "surge@+0s/1h");
        let file = producer.file("run.json", &report);
        producer.command().arg("--report").arg(file).args(arguments);
        producer.finish()
    };
    let words = verify(&[]);
    words.exits(0);
    let expected = "all 600 records are there, each once and as sent";
    assert!(words.stdout.contains(expected), "{}", words.stdout);
    let account = in_json(verify(&["--json"]).exits(0));
    for topic in account["topics"].as_array().unwrap() {
        assert_eq!(
            topic["verdicts"],
            json!([{"verdict":"acknowledged","present":300,"missing":0}])
        );
        assert_eq!(topic["changes"], json!([]));
        assert_eq!(topic["order"]["out_of_place"], json!(0));
        assert_eq!(topic["partitions"].as_array().unwrap().len(), 3);
    }
    // The report of another shard's, or of a run that was lost, does not close it.
    let lost = report.replace(run.report()["run_id"].as_str().unwrap(), "another-1");
    let mut producer = Producer::new(["verify"]);
    let file = producer.file("run.json", lost);
    producer.command().arg("--report").arg(file);
    let finished = producer.finish();
    finished.exits(74);
    assert!(finished.stdout.contains("600 missing"), "{}", finished.stdout);
    assert!(finished.stdout.contains("300 LOST (acknowledged, and not there): pairs 0-299"));
}

#[test]
fn what_is_not_there_has_its_exit_code_and_a_sentence() {
    let cluster = Cluster::start();
    cluster.run().set("RUN_ID", "there").set("RUN_SEED", "1").finish().exits(0);
    let verify = |arguments: &[&str]| {
        let arguments = [&["verify", "--timeout", "5"], arguments].concat();
        Producer::new(arguments).set("KAFKA_BOOTSTRAP", cluster.bootstrap()).finish()
    };
    verify(&["--run", "there", "--run-seed", "1", "--sleep-sec", "0"]).exits(0);
    verify(&["--run", "20260101T000000.000Z-7"])
        .exits(66)
        .says("there is no record of run 20260101T000000.000Z-7; runs there: there");
    verify(&["--run", "x"]).exits(64).says("RUN_SEED is not set; name the report of the run");
    verify(&["--run", "x-1", "--topic", "metric=no.such"])
        .exits(69)
        .says("topic no.such does not exist, or this client is not allowed to see it");
    verify(&["--run", "x-1", "--topic", "metrics=no.such"]).exits(64).says("metric=NAME");
    verify(&["--report", "/no/such.json"]).exits(66).says("cannot read /no/such.json: ");
}

#[test]
fn a_report_that_does_not_fit_is_a_data_error() {
    let cluster = Cluster::start();
    let run = cluster.run().finish();
    let verify = |report: &Value| {
        let mut producer = Producer::new(["verify"]);
        let file = producer.file("run.json", report.to_string());
        producer.command().arg("--report").arg(file);
        producer.finish()
    };
    let mut report = run.report().clone();
    report["workload_version"] = json!(1);
    verify(&report).exits(65).says("the run was sent with version 1 of the workload model");
    let mut report = run.report().clone();
    report["topics"][0]["generated"] = json!("many");
    verify(&report).exits(65).says("it is no report of a run: topics[0].generated: invalid type");
}

#[test]
fn a_reader_that_follows_ends_when_all_are_there() {
    let cluster = Cluster::start();
    let run = [("RUN_ID", "slow"), ("RUN_SEED", "3"), ("BATCH", "20"), ("SLEEP_SEC", "0.1")];
    let mut verify = Producer::new(["verify", "--follow", "--run", "slow", "--json"])
        .set("KAFKA_BOOTSTRAP", cluster.bootstrap());
    let mut producer = cluster.run();
    for (name, value) in run {
        verify = verify.set(name, value);
        producer = producer.set(name, value);
    }
    let verify = verify.start();
    verify.until_it_says("reading ");
    producer.finish().exits(0);
    let finished = verify.finish();
    let account = in_json(finished.exits(0));
    let latency = &account["topics"][0]["latency_ms"];
    assert!(latency["max"].as_f64().is_some_and(|ms| ms < 60_000.0), "{latency}");
}
