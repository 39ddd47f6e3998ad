//! `verify` against an answer key, and against what a pipeline flagged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer};
use crate::stage::with_all;
use crate::verify::{from_report, in_json, with_short};

/// What a run with every fault and incident generates, and its answer key.
struct Keyed {
    records: String,
    key: String,
}

impl Keyed {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.ndjson");
        let producer = Producer::new(["generate"]).set("ANSWER_KEY", &path);
        let producer = with_all().iter().fold(producer, |run, (name, value)| run.set(name, value));
        let finished = producer.finish();
        finished.exits(0);
        Self { records: finished.stdout, key: std::fs::read_to_string(path).unwrap() }
    }

    /// The lines of the key of one type.
    fn lines(&self, of_type: &str) -> Vec<Value> {
        let lines = self.key.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["type"] == of_type).collect()
    }

    /// Verifies records against a key and flags.
    fn verify(&self, records: &str, key: Option<&str>, flags: Option<&str>) -> Finished {
        self.verify_in(&["verify", "--json"], records, key, flags)
    }

    fn verify_in(
        &self,
        command: &[&str],
        records: &str,
        key: Option<&str>,
        flags: Option<&str>,
    ) -> Finished {
        let mut producer = Producer::new(command);
        let input = producer.file("records.ndjson", records);
        producer.command().arg("--input").arg(input);
        for (option, text) in [("--answer-key", key), ("--detected", flags)] {
            if let Some(text) = text {
                let file = producer.file(&format!("{}.ndjson", &option[2..]), text);
                producer.command().arg(option).arg(file);
            }
        }
        with_all().iter().fold(producer, |run, (name, value)| run.set(name, value)).finish()
    }

    /// What a detector that knows the key flags, by pair; as many as `takes` says.
    fn flags(&self, mut takes: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut flags = Vec::new();
        for line in self.lines("record").iter().filter(|line| takes(line)) {
            for kind in line["faults"].as_array().unwrap() {
                flags.push(json!({"run": "own", "topic": line["topic"], "seq": line["seq"],
                    "kind": kind}));
            }
        }
        flags
    }
}

fn ndjson(lines: impl IntoIterator<Item = Value>) -> String {
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}

/// The key with other lines before its last one, which counts them.
fn whole(lines: &[&str]) -> String {
    let count = lines.len();
    let mut key: String = lines[..count - 1].iter().map(|line| format!("{line}\n")).collect();
    let mut end: Value = serde_json::from_str(lines[count - 1]).unwrap();
    end["lines"] = json!(count);
    key.push_str(&format!("{end}\n"));
    key
}

fn of_kind<'a>(rows: &'a Value, kind: &str) -> &'a Value {
    let rows = rows.as_array().unwrap();
    rows.iter().find(|row| row["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {rows:?}"))
}

#[test]
fn what_a_key_declares_is_found_and_what_a_stage_did_to_it_is_not() {
    let keyed = Keyed::new();
    let finished = keyed.verify(&keyed.records, Some(&keyed.key), None);
    let account = in_json(finished.exits(0));
    let rows = account["answer_key"]["records"].as_array().unwrap();
    let kinds: BTreeSet<_> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 16, "{kinds:?}");
    for row in rows {
        assert!(row["declared"].as_u64() > Some(0) && row["declared"] == row["found"], "{row}");
        assert_eq!(row["undeclared"], json!(0));
    }
    assert_eq!(account["answer_key"]["agrees"], json!(true));

    // A stage that deletes one malformed record and alters another one.
    let is_malformed = |line: &&str| line.contains("\"fault\":\"malformed\"");
    let (mut left, mut seen) = (String::new(), Vec::new());
    for line in keyed.records.lines() {
        if is_malformed(&line) && seen.len() < 2 {
            let record: Value = serde_json::from_str(line).unwrap();
            seen.push((
                record["topic"].as_str().unwrap().to_owned(),
                record["headers"]["seq"].clone(),
            ));
            if seen.len() == 1 {
                continue;
            }
            let mut altered = record.clone();
            altered["value_base64"] = json!("e30=");
            left.push_str(&format!("{altered}\n"));
        } else {
            left.push_str(&format!("{line}\n"));
        }
    }
    let account = in_json(keyed.verify(&left, Some(&keyed.key), None).exits(74));
    let rows = account["answer_key"]["records"].as_array().unwrap();
    let (mut lost, mut firsts) = (0, BTreeSet::new());
    for row in rows {
        let (declared, found) = (row["declared"].as_u64().unwrap(), row["found"].as_u64().unwrap());
        assert!(declared == found || row["kind"] == "malformed", "{row}");
        lost += declared - found;
        firsts.extend(row["first_not_found"].as_u64().map(|seq| seq.to_string()));
    }
    assert_eq!(lost, 2);
    let seqs: BTreeSet<_> = seen.iter().map(|(_, seq)| seq.as_str().unwrap().to_owned()).collect();
    assert!(firsts.is_subset(&seqs) && !firsts.is_empty(), "{firsts:?} {seqs:?}");
}

#[test]
fn a_key_that_declares_something_else_does_not_agree() {
    let keyed = Keyed::new();
    let lines: Vec<_> = keyed.key.lines().collect();
    let at = lines.iter().position(|line| line.contains("[\"tombstone\"]")).unwrap();
    let without = [&lines[..at], &lines[at + 1..]].concat();
    let account = in_json(keyed.verify(&keyed.records, Some(&whole(&without)), None).exits(74));
    let undeclared: u64 = account["answer_key"]["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["undeclared"].as_u64().unwrap())
        .sum();
    assert_eq!((undeclared, &account["answer_key"]["agrees"]), (1, &json!(false)));

    let other = lines[at].replace("tombstone", "null-field");
    let mut changed = lines.clone();
    changed[at] = &other;
    let account = in_json(keyed.verify(&keyed.records, Some(&whole(&changed)), None).exits(74));
    let rows = account["answer_key"]["records"].as_array().unwrap();
    let sum = |kind: &str, field: &str| -> u64 {
        let rows = rows.iter().filter(|row| row["kind"] == kind);
        rows.map(|row| row[field].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("tombstone", "undeclared"), 1);
    assert_eq!(sum("null-field", "declared"), sum("null-field", "found") + 1);

    let at = lines.iter().position(|line| line.contains("\"type\":\"incident\"")).unwrap();
    let without = [&lines[..at], &lines[at + 1..]].concat();
    let account = in_json(keyed.verify(&keyed.records, Some(&whole(&without)), None).exits(74));
    assert_eq!(account["answer_key"]["incidents_undeclared"].as_array().unwrap().len(), 1);
}

#[test]
fn a_key_of_another_run_or_one_that_is_not_whole_is_a_data_error() {
    let keyed = Keyed::new();
    let refused = |key: &str, says: &str| {
        keyed.verify(&keyed.records, Some(key), None).exits(65).says(says);
    };
    let other = keyed.key.replacen("\"run_id\":\"own\"", "\"run_id\":\"other\"", 1);
    refused(
        &other,
        "answer-key.ndjson line 1: it is the answer key of run other, seed 1, shard 0/1, and run own, \
         seed 1, shard 0/1 is verified",
    );
    let version = keyed.key.replacen("\"workload_version\":", "\"workload_version\":9", 1);
    refused(&version, "it was written with version 9");
    let digest = keyed.key.replacen("\"seed_sha256\":\"", "\"seed_sha256\":\"0", 1);
    refused(&digest, "the run had a seed with the SHA-256 0");
    let lines: Vec<_> = keyed.key.lines().collect();
    refused(&lines[..lines.len() - 1].join("\n"), "the line that ends an answer key is missing");
    let without: Vec<_> = [&lines[..3], &lines[4..]].concat();
    refused(&without.join("\n"), "the key says that it has ");
    refused(&lines[1..].join("\n"), "line 1: the key does not begin with the line of its run");
    refused("{\"type\":\"riddle\"}\n", "line 1: it is no line of an answer key: unknown variant");
    let missing = Producer::new([
        "verify",
        "--run",
        "a",
        "--run-seed",
        "1",
        "--answer-key",
        "/no/such",
        "--input",
        "-",
    ]);
    missing.finish().exits(66).says("cannot read /no/such: ");
}

#[test]
fn a_detector_that_knows_the_key_has_precision_and_recall_of_one() {
    let keyed = Keyed::new();
    let mut flags = keyed.flags(|_| true);
    for incident in keyed.lines("incident") {
        let from: jiff::Timestamp = incident["from"].as_str().unwrap().parse().unwrap();
        let at = from + jiff::SignedDuration::from_secs(4);
        let key = incident["keys"][0].as_str().unwrap().split_once('/').unwrap();
        let gpu: u32 = key.1.parse().unwrap();
        let (kind, at) = (&incident["kind"], at.to_string());
        flags.push(json!({"incident": kind, "host": key.0, "gpu": gpu, "at": at}));
    }
    let account = in_json(keyed.verify(&keyed.records, None, Some(&ndjson(flags))).exits(0));
    let detected = &account["detected"];
    let scores: Vec<_> = detected["faults"].as_array().unwrap().iter().collect();
    assert_eq!(scores.len(), 16);
    for score in scores.into_iter().chain([&detected["any"]]) {
        assert_eq!((&score["precision"], &score["recall"]), (&json!(1.0), &json!(1.0)), "{score}");
        assert_eq!((&score["first_wrong"], &score["first_missed"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(detected["incidents"].as_array().unwrap().len(), 7);
    for incident in detected["incidents"].as_array().unwrap() {
        assert_eq!(incident["delay_ms"], json!(4_000), "{incident}");
    }
    for score in detected["incident_kinds"].as_array().unwrap() {
        assert_eq!((&score["precision"], &score["recall"]), (&json!(1.0), &json!(1.0)), "{score}");
    }
    assert_eq!((&detected["of_others"], &detected["nowhere"]), (&json!(0), &json!(0)));
}

#[test]
fn a_detector_that_misses_and_invents_has_the_right_smaller_figures() {
    let keyed = Keyed::new();
    // It misses every other record of each kind, and takes clean ones for malformed.
    let mut turns = BTreeMap::<String, u64>::new();
    let flags = keyed.flags(|line| {
        let turn = turns.entry(line["faults"].to_string()).or_default();
        *turn += 1;
        *turn % 2 == 1
    });
    let faulty: BTreeSet<_> = keyed
        .lines("record")
        .iter()
        .map(|line| (line["topic"].as_str().unwrap().to_owned(), line["seq"].as_u64().unwrap()))
        .collect();
    let clean = (0..400).filter(|seq| !faulty.contains(&(TOPICS[1].to_owned(), *seq))).take(10);
    let invented: Vec<_> =
        clean.map(|seq| json!({"topic": TOPICS[1], "seq": seq, "kind": "malformed"})).collect();
    let alerts = [
        json!({"incident": "throttle", "at": "2026-01-01T00:00:12Z"}),
        json!({"incident": "throttle", "at": "2026-01-01T00:00:11Z", "host": "gpu01"}),
        json!({"incident": "throttle", "at": "2026-01-01T00:00:12Z", "host": "gpu02"}),
        json!({"incident": "surge", "at": "2026-01-01T00:00:01Z"}),
    ];
    let others = [
        json!({"topic": TOPICS[0], "seq": 1, "run": "other", "kind": "late"}),
        json!({"topic": "elsewhere", "seq": 1, "kind": "late"}),
        json!({"topic": TOPICS[0], "partition": 5, "offset": 99_999_999}),
    ];
    // What is expected of it, by topic and pair: a record and its copy are one.
    let pairs = |flags: &[Value], kind: &str| -> BTreeSet<(String, u64)> {
        let flags = flags.iter().filter(|flag| flag["kind"] == kind);
        flags
            .map(|flag| (flag["topic"].as_str().unwrap().to_owned(), flag["seq"].as_u64().unwrap()))
            .collect()
    };
    let truth = keyed.flags(|_| true);
    let all = [&flags[..], &invented, &others, &alerts].concat();
    let account = in_json(keyed.verify(&keyed.records, None, Some(&ndjson(all))).exits(0));
    let detected = &account["detected"];
    for kind in ["late", "drop", "malformed", "duplicate", "sentinel", "clock-skew"] {
        let (there, told) = (pairs(&truth, kind), pairs(&flags, kind));
        let wrong = if kind == "malformed" { 10 } else { 0 };
        let score = of_kind(&detected["faults"], kind);
        let counts = ["there", "recalled", "flagged", "right"].map(|name| score[name].as_u64());
        let (there, told) = (there.len() as u64, told.len() as u64);
        assert_eq!(counts, [there, told, told + wrong, told].map(Some), "{kind}");
        let rounded = |x: f64| (x * 1e6).round() / 1e6;
        let (precision, recall) = (told as f64 / (told + wrong) as f64, told as f64 / there as f64);
        assert!(recall < 0.8, "{kind}: {recall}");
        assert_eq!(score["precision"], json!(rounded(precision)), "{kind}");
        assert_eq!(score["recall"], json!(rounded(recall)), "{kind}");
        assert!(score["first_missed"].is_u64(), "{score}");
    }
    assert_eq!((&detected["of_others"], &detected["nowhere"]), (&json!(2), &json!(1)));
    let throttle = of_kind(&detected["incident_kinds"], "throttle");
    let figures = ["there", "recalled", "alerts", "right"].map(|name| throttle[name].as_u64());
    assert_eq!(figures, [1, 1, 3, 2].map(Some));
    let first = of_kind(&detected["incidents"], "throttle");
    assert_eq!((&first["alerts"], &first["delay_ms"]), (&json!(2), &json!(1_000)));
    let surge = of_kind(&detected["incident_kinds"], "surge");
    assert_eq!((&surge["precision"], &surge["recall"]), (&json!(0.0), &json!(0.0)));
}

#[test]
fn flags_that_are_not_valid_are_a_data_error() {
    let keyed = Keyed { records: String::new(), key: String::new() };
    for (line, says) in [
        (
            "{\"topic\":\"t\",\"seq\":1,\"kind\":\"lat\"}",
            "there is no fault \"lat\"; the kinds are duplicate, late",
        ),
        (
            "{\"incident\":\"flood\",\"at\":\"2026-01-01T00:00:00Z\"}",
            "there is no incident \"flood\"; the kinds are throttle",
        ),
        (
            "{\"incident\":\"surge\",\"at\":\"noon\"}",
            "at is \"noon\"; expected a time, as 2026-01-05T09:10:04Z, or as seconds, ms, us or ns",
        ),
        ("{\"offset\":1}", "there is no \"topic\"; expected {\"topic\",\"partition\",\"offset\"}"),
        ("{\"topic\":\"t\",\"offset\":1}", "there is no \"partition\"; expected {\"topic\""),
        ("{\"topic\":\"t\",\"seq\":\"one\"}", "seq is \"one\"; expected a whole number from 0"),
        ("{\"topic\":[],\"seq\":1}", "topic is []; expected text"),
        (
            "{\"at\":1,\"gpu\":\"first\"}",
            "gpu is \"first\"; expected its index on the host, as 0, or its key",
        ),
        ("{}", "there is no \"at\"; expected {"),
        ("[1]", "it is no JSON object; expected {"),
        ("{\"topic\"", "EOF while parsing an object"),
    ] {
        let refused = keyed.verify("", None, Some(&format!("\n{line}\n")));
        refused.exits(65).says(&format!("detected.ndjson line 2: {says}"));
    }
}

#[test]
fn a_file_that_is_no_text_is_a_data_error_that_names_the_line() {
    let keyed = Keyed::new();
    for (option, text) in [("--answer-key", keyed.key.as_str()), ("--detected", "{\"at\":1}\n")] {
        let mut producer = Producer::new(["verify"]);
        let mut bytes = text.lines().next().unwrap().as_bytes().to_vec();
        bytes.extend_from_slice(b"\n{\"type\":\"\xff\"}\n");
        let (file, input) = (producer.file("bad", bytes), producer.file("in", &keyed.records));
        producer.command().arg(option).arg(file).arg("--input").arg(input);
        let producer = with_all().iter().fold(producer, |run, (name, value)| run.set(name, value));
        producer.finish().exits(65).says("bad line 2: ").says("invalid unicode code point");
    }
}

#[test]
fn a_line_of_a_key_that_the_plan_does_not_make_opens_the_account_and_is_named() {
    let keyed = Keyed::new();
    let lines: Vec<_> = keyed.key.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"late_by_ms\"")).unwrap();
    let (before, rest) = lines[at].split_once("\"late_by_ms\":").unwrap();
    let (was, rest) = rest.split_once([',', '}']).unwrap();
    let end = if rest.is_empty() { "}" } else { "," };
    let changed = format!("{before}\"late_by_ms\":1{end}{rest}");
    let mut key = lines.clone();
    key[at] = &changed;
    let verify = keyed.verify_in(&["verify"], &keyed.records, Some(&whole(&key)), None);
    let says = format!("line {}: /late_by_ms is 1, and the plan makes {was}\n", at + 1);
    assert!(verify.exits(74).stdout.contains(&says), "{says}: {}", verify.stdout);
    // Settings are held against what they mean.
    let other = keyed.key.replacen("\"BATCH\":\"", "\"BATCH\":\"1", 1);
    let account = in_json(keyed.verify(&keyed.records, Some(&other), None).exits(74));
    let first = &account["answer_key"]["lines"]["first"][0];
    assert_eq!(
        (&first["line"], &first["fields"][0]["field"]),
        (&json!(1), &json!("/settings/BATCH"))
    );
    // A line that is there twice is another one, though all that it says is there.
    let mut twice = lines.clone();
    twice.insert(at, lines[at]);
    let account = in_json(keyed.verify(&keyed.records, Some(&whole(&twice)), None).exits(74));
    assert_eq!(account["answer_key"]["lines"]["first"][0]["line"], json!(at + 2));
    assert_eq!(account["answer_key"]["agrees"], json!(false));
}

#[test]
fn an_alert_as_alertmanager_has_it_is_taken_and_one_that_knows_no_kind() {
    let keyed = Keyed::new();
    let incidents = keyed.lines("incident");
    let throttle = incidents.iter().find(|line| line["kind"] == "throttle").unwrap();
    let from: jiff::Timestamp = throttle["from"].as_str().unwrap().parse().unwrap();
    let at = from + jiff::SignedDuration::from_secs(3);
    let key = throttle["keys"][0].as_str().unwrap();
    let (host, gpu) = key.split_once('/').unwrap();
    let alerts = [
        json!({"incident": "any", "host": host, "gpu": gpu, "severity": "page",
            "at": at.as_second()}),
        json!({"gpu": key, "at": at.as_millisecond().to_string(), "labels": {"a": 1}}),
        json!({"incident": "throttle", "at": at.to_string()}),
        json!({"at": "2020-01-01T00:00:00Z"}),
        json!({"incident": "throttle", "at": 1}),
    ];
    let account = in_json(keyed.verify(&keyed.records, None, Some(&ndjson(alerts))).exits(0));
    let kinds = &account["detected"]["incident_kinds"];
    let counts = |kind: &str| {
        let score = of_kind(kinds, kind);
        let counts = ["there", "alerts", "right"].map(|name| score[name].as_u64().unwrap());
        (counts, score["wrong_lines"].clone())
    };
    assert_eq!(counts("any"), ([7, 5, 3], json!([4, 5])));
    assert_eq!(counts("throttle"), ([1, 2, 1], json!([5])));
    assert_eq!(of_kind(kinds, "throttle")["recall"], json!(1.0));
    let any = of_kind(kinds, "any");
    let interval = any["precision_interval"].as_array().unwrap();
    assert!(interval[0].as_f64() < Some(0.6) && interval[1].as_f64() > Some(0.6), "{any}");
    assert!(any["precision_by_chance"].as_f64() > Some(0.0), "{any}");
}

#[test]
fn a_demand_for_precision_and_recall_is_a_gate() {
    let keyed = Keyed::new();
    let flags = ndjson(keyed.flags(|line| line["faults"] != json!(["tombstone"])));
    let verify = |demands: &[&str]| {
        let command = [&["verify"][..], demands].concat();
        keyed.verify_in(&command, &keyed.records, None, Some(&flags))
    };
    verify(&["--min-precision", "1"]).exits(0);
    let below = verify(&["--min-precision", "1", "--min-recall", "0.9"]);
    below.exits(74).says("recall of tombstone is ").says(", and 0.9 is demanded");
    assert!(!below.stderr.contains("precision of"), "{}", below.stderr);
    assert!(below.stdout.starts_with("CLOSED"), "{}", below.stdout);
    assert!(below.stdout.contains("detected  recall of tombstone is "), "{}", below.stdout);
    verify(&["--min-recall", "0.0"]).exits(0);
    verify(&["--min-recall", "1.5"]).exits(64).says("expected a share from 0 to 1, as 0.9");
    Producer::new(["verify", "--min-recall", "1"]).finish().exits(64).says("--detected");
}

#[test]
fn records_that_are_flagged_by_their_place_in_the_log_are_told_too() {
    let cluster = Cluster::start();
    let run = with_short(&cluster, "300").finish();
    run.exits(0);
    let mut flags = Vec::new();
    for topic in TOPICS {
        for record in cluster.read(topic, usize::MAX) {
            let faults = record.headers.iter().find(|(name, _)| name == "fault");
            for kind in faults.map_or("", |(_, faults)| faults).split_terminator(',') {
                flags.push(json!({"topic": topic, "partition": record.partition,
                    "offset": record.offset, "kind": kind}));
            }
        }
    }
    let holder = Producer::new(["verify"]);
    let file = holder.file("flags.ndjson", ndjson(flags));
    let arguments = ["--json", "--detected", file.to_str().unwrap()];
    let account = in_json(from_report(run.report(), &arguments).exits(0));
    for score in account["detected"]["faults"].as_array().unwrap() {
        // What is not there has no place.
        let expected = if score["kind"] == "drop" { json!(0.0) } else { json!(1.0) };
        assert_eq!(score["recall"], expected, "{score}");
    }
    assert_eq!(account["detected"]["any"]["precision"], json!(1.0));
    // In words, with the first that was missed.
    let words = from_report(run.report(), &arguments[1..]);
    assert!(
        words.exits(0).stdout.contains("detected  malformed: precision 1.000 ("),
        "{}",
        words.stdout
    );
}

#[test]
fn another_seed_than_that_of_the_run_is_a_data_error_that_names_both() {
    let cluster = Cluster::start();
    let run = cluster.run().finish();
    run.exits(0);
    let was = run.report()["seed_sha256"].as_str().unwrap();
    let holder = Producer::new(["verify"]);
    let seed = include_str!("../../gpu_seed.json").replacen("0.", "0.1", 1);
    let file = holder.file("seed.json", seed);
    let verify = from_report(run.report(), &["--gpu-seed", file.to_str().unwrap()]);
    let says = format!(
        "the run had a seed with the SHA-256 {was}, and the one here (GPU_SEED {}) has ",
        file.display()
    );
    verify.exits(65).says(&says);
}

/// The output is read by people and by programs: a change of it is to be seen. `UPDATE_GOLDEN=1` writes
/// the files anew.
#[test]
fn an_account_in_words_and_in_json_is_what_it_was() {
    let keyed = Keyed::new();
    // Through a stage that deletes, repeats, alters, re-encodes, swaps, and mixes in another run.
    let mut lines: Vec<_> = keyed.records.lines().map(str::to_owned).collect();
    let latency = |line: &String| line.contains("\"latency_ms\":") && !line.contains("\"fault\"");
    let clean: Vec<_> = (0..lines.len()).filter(|at| latency(&lines[*at])).collect();
    lines[clean[5]] = lines[clean[5]].replacen("\"latency_ms\":", "\"latency_ms\":1", 1);
    lines[clean[9]] = lines[clean[9]].replacen("\"latency_ms\":", "\"latency_ms\" : ", 1);
    lines[clean[12]] = lines[clean[12]].replacen("\"run\":\"own\"", "\"run\":\"other\"", 1);
    lines[clean[20]] = lines[clean[20]].replacen(",\"content-type\":\"application/json\"", "", 1);
    lines.swap(clean[30], clean[31]);
    let again = lines[clean[40]].clone();
    lines.insert(clean[44], again);
    lines.remove(clean[3]);
    let lost = lines.iter().position(|line| line.contains("\"fault\":\"duplicate\"")).unwrap();
    lines.remove(lost);
    let records: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut turn = 0;
    let mut flags = keyed.flags(|_| {
        turn += 1;
        turn % 3 > 0
    });
    flags.push(json!({"incident": "throttle", "at": "2026-01-01T00:00:12.5Z"}));
    flags.push(json!({"topic": TOPICS[0], "seq": 0}));
    let flags = ndjson(flags);
    for (command, name) in [(&["verify"][..], "verify.txt"), (&["verify", "--json"], "verify.json")]
    {
        let verify = keyed.verify_in(command, &records, Some(&keyed.key), Some(&flags));
        // The directory has another name each time.
        let is_path = |word: &str| word.ends_with("/records.ndjson");
        let words = verify.exits(74).stdout.split(' ');
        let text: Vec<_> = words
            .map(|word| match word.split_once('\n') {
                Some((path, rest)) if is_path(path) => format!("records.ndjson\n{rest}"),
                _ => word.to_owned(),
            })
            .collect();
        let text = text.join(" ");
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("tests/golden").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        for (n, (line, pinned)) in text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(line, pinned, "{name}, line {}", n + 1);
        }
        assert_eq!(text.len(), golden.len(), "{name}");
    }
}
