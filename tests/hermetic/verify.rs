//! `verify`: what a stage did to the records of a run is named, no more of it and no less.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde_json::{Value, json};
use vm4_producer::audit::{Account, Audit, CopyOrigin, Expectation, Log, Read};
use vm4_producer::event::Kind;
use vm4_producer::kafka::properties;
use vm4_producer::plan::{self, Identity, Plan};
use vm4_producer::settings::{Inputs, Settings};
use vm4_producer::workload::seed;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer, validator};
use crate::process::generated;
use crate::stage::{self, Done, RUN, Travelling, through, with_all};

/// The partition, of three, of a key, as a Java client has it.
fn partition_of(key: &str) -> i32 {
    plan::partition_of(key.as_bytes(), 3)
}

/// The records of what `generate` printed, in partitions by their key.
fn travelling(ndjson: &str, own: bool, partition_of: impl Fn(&str) -> i32) -> Vec<Travelling> {
    let record = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let value = match line.split_once(",\"value\":") {
            Some((_, "null}")) => None,
            Some((_, value)) => Some(value.as_bytes()[..value.len() - 1].to_vec()),
            None => Some(BASE64.decode(json["value_base64"].as_str().unwrap().as_bytes()).unwrap()),
        };
        let key = json["key"].as_str().map(str::to_owned);
        // In the order in which they are sent.
        let fault = json["headers"]["fault"].as_str();
        let names = ["run", "seq", "content-type"].into_iter().chain(fault.map(|_| "fault"));
        let headers: Vec<_> =
            names.map(|name| (name, json["headers"][name].as_str().unwrap())).collect();
        Travelling {
            topic: usize::from(json["topic"] == "token.usage.v1"),
            own,
            seq: headers[1].1.parse().unwrap(),
            partition: partition_of(key.as_deref().unwrap()),
            timestamp_ms: json["timestamp"].as_i64().unwrap(),
            own_key: key.clone(),
            key,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            value,
            faults: fault.unwrap_or_default().split_terminator(',').map(str::to_owned).collect(),
        }
    };
    ndjson.lines().map(record).collect()
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let all = [("VM4_PRODUCER_ENV", "/dev/null")];
    let all = all.iter().chain(variables);
    let environment = all.map(|(name, value)| (name.into(), value.into())).collect();
    Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap()
}

/// The account of records that came through a stage.
fn account(run: &[(&str, &str)], records: &[Travelling]) -> Account {
    account_of(run, records, false)
}

/// The same, of a stage that may be one that de-duplicates.
fn account_of(run: &[(&str, &str)], records: &[Travelling], deduplicated: bool) -> Account {
    let settings = settings(run);
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let identity = Identity::new(&settings, settings.event_start.unwrap(), 0);
    let plan = Plan::new(&settings, &seed, identity);
    let mut audit = Audit::new(Expectation {
        plan: &plan,
        verdicts: None,
        planned: plan.schedule.planned_pairs(),
        ran_ms: None,
        lateness_ms: None,
        deduplicated,
        partitions: [Some(3), Some(3)],
    });
    for (offset, record) in records.iter().enumerate() {
        let headers: Vec<_> =
            record.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        audit.read(&Read {
            kind: Kind::BOTH[record.topic],
            is_told: true,
            topic: 0,
            partition: Some(record.partition),
            offset: i64::try_from(offset).unwrap(),
            leader_epoch: None,
            timestamp_ms: Some(record.timestamp_ms),
            has_append_time: false,
            key: Some(record.key.as_ref().map(String::as_bytes)),
            headers: Some(&headers),
            value: record.value.as_deref(),
            identity: None,
            row: None,
            seen_at_ms: None,
        });
    }
    let log = |topic: &str| Log { topic: topic.to_owned(), ..Log::default() };
    audit.finish(TOPICS.map(log))
}

/// What an account says was done.
fn told(account: &Account) -> Done {
    stage::told(&serde_json::to_value(account).unwrap())
}

/// The records of this run and of another one, in turns.
fn two_runs(run: &[(&str, &str)]) -> Vec<Travelling> {
    let own = travelling(&generated(run), true, partition_of);
    let other = [run, &[("RUN_ID", "other"), ("BATCH", "90")]].concat();
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
    for (number, topic) in account.topics.iter().enumerate() {
        let missing = done.missing[number].len() + done.missing_copies[number].len();
        let parts = &topic.read;
        let sum = parts.first_intact + parts.first_altered + parts.extra_copies;
        let others = parts.misplaced + parts.unmatched + parts.unexpected;
        assert_eq!(parts.records, sum + others + parts.foreign.records);
        let planned = topic.planned.unwrap();
        assert_eq!(planned, 400 + topic.declared_copies);
        let left_out = topic.dropped + topic.left_out;
        assert_eq!(planned - topic.not_generated - left_out, topic.found + topic.missing);
        let copies = topic.copies.iter().filter(|copies| copies.origin == CopyOrigin::Declared);
        let copies: u64 = copies.map(|copies| copies.records).sum();
        assert_eq!(topic.declared_copies, copies + done.missing_copies[number].len() as u64);
        assert_eq!(topic.found, parts.first_intact + parts.first_altered);
        assert_eq!(topic.missing, missing as u64);
        assert_eq!(parts.unexpected, 0);
        read += parts.records;
    }
    assert_eq!(read, records as u64);
    assert_eq!((account.torn.other_time, account.torn.not_compared), (0, 0));
}

/// A hundred mixtures of what a stage does to the records of a run, each of which is named exactly.
fn of_a_hundred_mixtures(run: &[(&str, &str)]) {
    let records = two_runs(run);
    for (seed, every) in (0..100).zip([5, 20, 100, 400].into_iter().cycle()) {
        let (through, done) = through(records.clone(), seed, every);
        let account = account(run, &through);
        assert_eq!(told(&account), done, "mixture {seed}");
        is_balanced(&account, &done, through.len());
        let missing = done.missing.iter().chain(&done.missing_copies);
        let is_as_sent = [&done.altered, &done.copies].iter().all(|n| n.iter().sum::<u64>() == 0)
            && missing.map(BTreeSet::len).sum::<usize>() == 0;
        assert_eq!(account.closed, is_as_sent, "mixture {seed}");
    }
}

#[test]
fn of_a_hundred_mixtures_each_is_named_exactly() {
    of_a_hundred_mixtures(&RUN);
}

#[test]
fn of_a_hundred_mixtures_of_a_run_with_every_fault_and_incident_each_is_named_exactly() {
    of_a_hundred_mixtures(&with_all());
}

#[test]
fn a_run_with_every_fault_and_incident_closes_and_says_what_was_left_out() {
    let run = with_all();
    let records = travelling(&generated(&run), true, partition_of);
    let account = account(&run, &records);
    let out_of_place = told(&account).out_of_place;
    assert_eq!(told(&account), Done { out_of_place, ..Done::default() });
    assert!(account.closed);
    assert_eq!(account.could_not_tell, Vec::<String>::new());
    let [metric, token] = &account.topics[..] else { panic!("two topics") };
    assert!(metric.left_out > 0 && token.left_out == 0, "{} {}", metric.left_out, token.left_out);
    for topic in [metric, token] {
        assert!(
            topic.dropped > 0
                && topic.declared_copies > 0
                && topic.order.as_ref().is_some_and(|order| order.out_of_place > 0)
        );
    }
    // Every kind is among them.
    let kinds: BTreeSet<_> = records.iter().flat_map(|record| &record.faults).collect();
    assert_eq!(kinds.len(), 15, "all but drop: {kinds:?}");
}

/// The first or the last of each record of the run and its copy, as a stage leaves it.
fn one_of_each(records: &[Travelling], keeps_last: bool) -> Vec<Travelling> {
    let mut kept = records.to_vec();
    let mut seen = BTreeSet::new();
    let mut is_new = |record: &Travelling| seen.insert((record.topic, record.seq));
    if keeps_last {
        kept.reverse();
        kept.retain(&mut is_new);
        kept.reverse();
    } else {
        kept.retain(&mut is_new);
    }
    kept
}

#[test]
fn what_a_stage_deduplicated_is_closed_with_one_of_each_whichever_it_left() {
    let run = with_all();
    let records = travelling(&generated(&run), true, partition_of);
    for keeps_last in [false, true] {
        let one = one_of_each(&records, keeps_last);
        assert!(!account(&run, &one).closed, "without being told it is loss");
        let account = account_of(&run, &one, true);
        assert!(account.closed, "{}", account.headline());
        assert_eq!(account.torn.pairs(), 0);
        for topic in &account.topics {
            assert!(topic.declared_copies > 10);
            assert_eq!(topic.removed_copies, topic.declared_copies);
            assert_eq!((topic.remaining_copies, topic.missing), (0, 0));
            let left_out = topic.dropped + topic.left_out + topic.removed_copies;
            assert_eq!(topic.planned.unwrap() - topic.not_generated - left_out, topic.found);
        }
        let removed: u64 = account.topics.iter().map(|topic| topic.removed_copies).sum();
        let says = format!("each once and as sent, and {removed} declared copies are not");
        assert!(account.headline().ends_with(&says), "{}", account.headline());
    }
}

#[test]
fn what_was_done_to_the_missing_records_names_the_bug_of_a_consumer() {
    let run = with_all();
    let records = travelling(&generated(&run), true, partition_of);
    let without = |is_taken: fn(&Travelling) -> bool| {
        let left: Vec<_> = records.iter().filter(|record| !is_taken(record)).cloned().collect();
        account(&run, &left)
    };
    let of = |account: &Account, fault: &str| {
        let rows = account.topics.iter().flat_map(|topic| &topic.missing_by_fault);
        let own = rows.filter(|row| row.fault == fault);
        own.fold((0, 0), |(missing, of), row| (missing + row.records, of + row.of))
    };
    // One that drops what is late.
    let is_late = |record: &Travelling| record.faults.iter().any(|fault| fault == "late");
    let late = without(is_late);
    let all = records.iter().filter(|record| is_late(record)).count() as u64;
    let (_, untouched) = of(&late, "untouched");
    assert_eq!((of(&late, "late"), of(&late, "untouched")), ((all, all), (0, untouched)));
    assert!(untouched > 200 && late.hint.is_none(), "{:?}", late.hint);
    // One that removes duplicates, which nobody said.
    let copies = without(Travelling::is_copy);
    let missing: u64 = copies.topics.iter().map(|topic| topic.missing).sum();
    assert_eq!(of(&copies, "duplicate"), (missing, missing));
    let hint = copies.hint.expect("a hint");
    assert!(hint.ends_with("behind a stage that removes duplicates use --deduplicated"), "{hint}");
    // One that takes what it gets says nothing.
    let whole = account(&run, &records);
    assert!(whole.topics.iter().all(|topic| topic.missing_by_fault.is_empty()));
}

#[test]
fn of_what_a_stage_was_to_deduplicate_both_that_are_there_and_neither_are_named() {
    let run = with_all();
    let records = travelling(&generated(&run), true, partition_of);
    let copies: Vec<_> = records.iter().filter(|r| r.is_copy() && r.topic == 1).collect();
    let [both, neither] = [copies[2].seq, copies[5].seq];
    let mut left = one_of_each(&records, false);
    left.push(copies[2].clone());
    left.retain(|record| (record.topic, record.seq) != (1, neither));
    let account = account_of(&run, &left, true);
    assert!(!account.closed);
    let [metric, token] = &account.topics[..] else { panic!("two topics") };
    assert_eq!((metric.remaining_copies, metric.missing), (0, 0));
    assert_eq!((token.remaining_copies, token.missing), (1, 1));
    assert_eq!(token.remaining_ranges, [[both; 2]]);
    assert_eq!(token.missing_by_cause[0].ranges, [[neither; 2]]);
    assert!(!token.missing_by_cause[0].of_copies);
    assert_eq!(token.removed_copies, token.declared_copies - 1);
    assert_eq!((account.torn.only_metric, account.torn.first_seq), (1, Some(neither)));
    // A copy that no fault declares is one in any case.
    let mut again = one_of_each(&records, false);
    again.push(again[0].clone());
    let account = account_of(&run, &again, true);
    assert_eq!((account.closed, account.topics[0].read.extra_copies), (false, 1));
}

#[test]
fn shards_of_a_run_with_faults_and_incidents_close_each_by_itself() {
    for index in 0..3 {
        let shard = format!("{index}/3");
        let run = [&with_all()[..], &[("SHARD", &shard)]].concat();
        let mut records = travelling(&generated(&run), true, partition_of);
        let other = [&with_all()[..], &[("SHARD", "3/4")]].concat();
        assert!(account(&run, &records).closed, "{shard}");
        records.extend(travelling(&generated(&other), true, partition_of));
        let account = account(&run, &records);
        assert!(account.topics[0].read.foreign.other_shards > 0);
    }
}

#[test]
fn a_record_that_a_fault_dropped_is_unexpected_where_it_is_there() {
    let run = [&RUN[..], &[("FAULTS", "drop=0.1")]].concat();
    let all = travelling(&generated(&RUN), true, partition_of);
    let account = account(&run, &all);
    for topic in &account.topics {
        assert!(topic.dropped > 10);
        assert_eq!(topic.read.unexpected, topic.dropped);
        assert_eq!((topic.found + topic.dropped, topic.missing), (400, 0));
    }
    assert!(!account.closed);
}

#[test]
fn records_that_are_as_they_were_sent_close_the_account() {
    let records = two_runs(&RUN);
    let account = account(&RUN, &records);
    assert_eq!(told(&account), Done { foreign: [90, 90], ..Done::default() });
    assert!(account.closed);
    assert_eq!(account.could_not_tell, Vec::<String>::new());
    assert_eq!(account.topics[0].read.foreign.runs["other"], 90);
}

/// Verifies NDJSON.
pub fn verified(ndjson: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut producer = Producer::new(["verify"]);
    let input = producer.file("records.ndjson", ndjson);
    producer.command().arg("--input").arg(input).args(arguments);
    for (name, value) in variables {
        producer = producer.set(name, value);
    }
    producer.finish()
}

pub fn in_json(finished: &Finished) -> Value {
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
    let value = |r: &Travelling| String::from_utf8(r.value.clone().unwrap()).unwrap();
    let records = travelling(&text, true, partition_of);
    let values: String = records.iter().map(|r| format!("{}\n", value(r))).collect();
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
            "ts": r.timestamp_ms, "broker": 1, "headers": headers, "key": r.key, "payload": value(r),
        });
        format!("{line}\n")
    };
    let lines: String = records.iter().map(kcat).collect();
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
    Producer::new(["verify", "--input", "/no/such"])
        .set("RUN_ID", "a-1")
        .set("RUN_SEED", "1")
        .finish()
        .exits(66);
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
    // The report of a run that is not there does not close it: others have its offsets.
    let mut lost = run.report().clone();
    lost["run_id"] = json!("another-1");
    lost["cluster_id"] = in_json(verify(&["--json"]).exits(0))["cluster_id"].clone();
    let finished = from_report(&lost, &[]);
    finished.exits(74);
    assert!(finished.stdout.contains("600 missing"), "{}", finished.stdout);
    let says = "300 truncated (the log was cut back): pairs 0-299; partition ";
    assert!(finished.stdout.contains(says), "{}", finished.stdout);
    let says = "no record of the run is there, so the topic may have been made anew\n";
    assert!(finished.stdout.contains(says), "{}", finished.stdout);
    // Offsets of another topic prove nothing.
    let finished = verify_in_another(&cluster, &run);
    let says = "other.metrics: 300 not in the stage's topic: pairs 0-299";
    assert!(finished.stdout.contains(says), "{}", finished.stdout);
    // Nor do those of another cluster.
    lost["cluster_id"] = json!("elsewhere");
    let elsewhere = in_json(from_report(&lost, &["--json"]).exits(74));
    for topic in elsewhere["topics"].as_array().unwrap() {
        assert_eq!(topic["origin"], "other-cluster");
        assert_eq!(topic["missing_by_cause"][0]["why"], "absent");
    }
}

/// Verifies a run in topics that another run has.
fn verify_in_another(cluster: &Cluster, run: &Finished) -> Finished {
    let others = [("TOPIC_METRIC", "other.metrics"), ("TOPIC_TOKEN", "other.tokens")];
    let other = cluster.run().set("BATCH", "300");
    others.iter().fold(other, |run, (name, value)| run.set(name, value)).finish().exits(0);
    let topics = ["--topic", "metric=other.metrics", "--topic", "token=other.tokens"];
    let finished = from_report(run.report(), &topics);
    finished.exits(74);
    finished
}

/// Faults and incidents that fit into a run of seconds.
const SHORT: [(&str, &str); 4] = [
    (
        "FAULTS",
        "duplicate=0.05:300ms,late=0.05:400ms,out-of-order=0.05:9,clock-skew=0.05,drop=0.05,\
         tombstone=0.05,malformed=0.1,missing-field=0.05,null-field=0.05,wrong-type=0.05,\
         renamed-field=0.05,duplicate-key=0.05,sentinel=0.05,failed-request=0.05,oversize=0.02:2000",
    ),
    (
        "INCIDENTS",
        "gpu-lost@+200ms/500ms:vm4/0,ecc-restart@+900ms/600ms:vm4/1,surge=2@+1s/500ms,\
         exporter-silent@+1600ms/200ms:vm4,stuck-gauge@+1s/1s:vm4/*,throttle@+0/1s",
    ),
    ("SLEEP_SEC", "0.01"),
    ("ARRIVALS", "poisson"),
];

/// A run against the cluster that has all of it, at the time of the clock.
pub fn with_short(cluster: &Cluster, batch: &str) -> Producer {
    let run = cluster.run().set("BATCH", batch);
    SHORT.iter().fold(run, |run, (name, value)| run.set(name, value))
}

/// Verifies a run from its report, whatever the environment says.
pub fn from_report(report: &Value, arguments: &[&str]) -> Finished {
    let mut producer = Producer::new(["verify"]);
    let file = producer.file("run.json", report.to_string());
    producer.command().arg("--report").arg(file).args(arguments);
    producer.finish()
}

#[test]
fn a_live_run_with_faults_and_incidents_is_closed_from_its_report() {
    let cluster = Cluster::start();
    let run = with_short(&cluster, "300").finish();
    run.exits(0);
    let account = in_json(from_report(run.report(), &["--json"]).exits(0));
    for topic in account["topics"].as_array().unwrap() {
        let of = |name: &str| topic[name].as_u64().unwrap();
        assert_eq!(of("planned"), 300 + of("declared_copies"));
        assert_eq!(of("planned") - of("dropped") - of("left_out"), of("found"));
        assert!(of("declared_copies") > 0 && of("dropped") > 0, "{topic}");
        assert_eq!((topic["changes"].clone(), of("untimed")), (json!([]), 0));
        assert_eq!(topic["copies"][0]["origin"], "declared");
    }
    assert!(account["topics"][0]["left_out"].as_u64() > Some(0), "{account}");
    // From the settings alone, without a report: the id says when it began.
    let id = run.report()["run_id"].as_str().unwrap();
    let verify = Producer::new(["verify", "--run", id, "--batch", "300"]);
    let verify = verify.set("KAFKA_BOOTSTRAP", cluster.bootstrap());
    let verify = SHORT.iter().fold(verify, |run, (name, value)| run.set(name, value));
    let words = verify.finish();
    assert!(words.exits(0).stdout.starts_with("CLOSED: "), "{}", words.stdout);
}

#[test]
fn several_reports_are_verified_each_by_itself() {
    let cluster = Cluster::start();
    let holder = Producer::new(["verify"]);
    let mut verify = vec!["verify".to_owned()];
    let mut reports = Vec::new();
    for index in 0..3 {
        let shard = format!("{index}/3");
        let run = with_short(&cluster, "300").set("SHARD", &shard).set("RUN_ID", "parts");
        let run = run.set("RUN_SEED", "5").finish();
        let report = run.exits(0).report().to_string();
        let file = holder.file(&format!("{index}.json"), &report);
        verify.extend(["--report".to_owned(), file.display().to_string()]);
        reports.push((file, report));
    }
    let closed = Producer::new(&verify).finish();
    let verdicts =
        closed.exits(0).stdout.lines().filter(|line| line.starts_with("CLOSED: run parts"));
    assert_eq!(verdicts.count(), 3, "{}", closed.stdout);
    // The first that is not closed decides, and the others are verified all the same.
    let lost = reports[1].1.replace("\"run_id\":\"parts\"", "\"run_id\":\"lost\"");
    std::fs::write(&reports[1].0, lost).unwrap();
    let open = Producer::new(&verify).finish();
    let verdicts: Vec<_> =
        open.exits(74).stdout.lines().filter(|l| l.contains("CLOSED: ")).collect();
    assert_eq!(verdicts.len(), 3);
    assert!(verdicts[1].starts_with("NOT CLOSED: run lost: "), "{verdicts:?}");
    std::fs::write(&reports[2].0, "{}").unwrap();
    let arguments = [&verify[..3], &verify[5..]].concat();
    Producer::new(&arguments).finish().exits(65).says("it is no report of a run: ");
}

#[test]
fn what_a_stopped_run_held_back_was_not_generated() {
    let cluster = Cluster::start();
    let running = with_short(&cluster, "100000").set("FAULTS", "late=0.5:1h,duplicate=0.5:1h");
    let running = running.start();
    cluster.read(TOPICS[1], 100);
    running.signal("TERM");
    let run = running.finish();
    run.exits(143);
    let words = from_report(run.report(), &[]);
    let headline = words.exits(0).stdout.lines().next().unwrap();
    assert!(headline.contains(" records that it sent are there, as planned, "), "{headline}");
    assert!(headline.contains("; the run was stopped before it generated "), "{headline}");
    let account = in_json(from_report(run.report(), &["--json"]).exits(0));
    assert_eq!((&account["verdict"], &account["stopped"]), (&json!("closed"), &json!(true)));
    for (number, topic) in account["topics"].as_array().unwrap().iter().enumerate() {
        let of = |name: &str| topic[name].as_u64().unwrap();
        assert_eq!(of("found"), run.report()["topics"][number]["generated"].as_u64().unwrap());
        let came = of("planned") - of("not_generated") - of("left_out");
        assert_eq!((came, of("missing")), (of("found"), 0));
        assert!(of("declared_copies") > 20 && of("not_generated") > 99_000, "{topic}");
    }
}

#[test]
fn the_commands_of_a_record_with_faults_print_it_as_it_was_sent() {
    let cluster = Cluster::start();
    let run = with_short(&cluster, "300").finish();
    let report = run.exits(0).report();
    let records: Vec<_> = TOPICS.iter().flat_map(|topic| cluster.read(topic, usize::MAX)).collect();
    // Through a stage that takes the headers `fault` away: the first of each kind is shown.
    let line = |record: &crate::cluster::Received, topic: usize| {
        let headers: serde_json::Map<_, _> = record
            .headers
            .iter()
            .filter(|(name, _)| name != "fault")
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let (key, value) = (&record.key, &record.value);
        format!(
            "{}\n",
            json!({"topic": TOPICS[topic], "key": key, "headers": headers,
                "timestamp": record.timestamp_ms, "value": value})
        )
    };
    let tombstones = records.iter().filter(|record| {
        record.headers.iter().any(|(name, value)| name == "fault" && value == "missing-field")
    });
    let lines: String = tombstones
        .map(|record| line(record, usize::from(record.value.contains("prompt_tokens"))))
        .collect();
    let mut verify = Producer::new(["verify"]);
    let report = verify.file("run.json", report.to_string());
    let input = verify.file("records.ndjson", &lines);
    verify.command().arg("--report").arg(report).arg("--input").arg(input);
    let finished = verify.finish();
    let stdout = &finished.exits(74).stdout;
    let at = stdout.lines().position(|line| line.contains("header fault (removed): missing-field"));
    let sent = stdout.lines().nth(at.expect(stdout) + 2).unwrap();
    let command = sent.split_once("vm4-producer ").expect(sent).1;
    let words: Vec<_> = command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    let seq = words[words.iter().position(|word| *word == "--seq").unwrap() + 1];
    let shown = Producer::new(&words).finish();
    let shown = &shown.exits(0).stdout;
    let is_it = |record: &&crate::cluster::Received| {
        shown.contains(&format!("\"value\":{}", record.value))
            && record.headers.iter().any(|(name, value)| name == "seq" && value == seq)
    };
    assert!(records.iter().any(|record| is_it(&record)), "{command}\n{shown}");
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
    verify(&["--run", "x", "--run-seed", "1", "--topic", "metric=no.such"])
        .exits(69)
        .says("topic no.such does not exist, or this client is not allowed to see it");
    verify(&["--run", "x", "--run-seed", "1", "--topic", "metrics=no.such"])
        .exits(64)
        .says("metric=NAME");
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
