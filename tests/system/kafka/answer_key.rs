//! The answer key of a run against a real Kafka: it is what the headers say, and what is in the topics,
//! and a consumer that applies it comes to its totals.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::records::{Message, generated};
use super::same_bytes::reproducible;
use crate::cluster::{self, Topics};
use crate::common::Producer;
use crate::{cache, tools};

/// Every kind, each at one in a hundred.
const ALL: &str = "duplicate=0.01,late=0.01,out-of-order=0.01,clock-skew=0.01,drop=0.01,\
    tombstone=0.01,malformed=0.01,missing-field=0.01,null-field=0.01,wrong-type=0.01,\
    extra-field=0.01,renamed-field=0.01,duplicate-key=0.01,sentinel=0.01,failed-request=0.01,\
    oversize=0.01:3000";
/// The example, and the release of the client that it is tested with.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/answer_key_consumer.py");
const CONFLUENT_KAFKA: &str = "2.16.1";
/// Enough for each kind to hit both topics, and some records to be hit by several.
const PAIRS: u64 = 20_000;
/// The longest that reading a topic, or an installation on a slow line, may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A record as it is in a topic, its value byte by byte.
struct Stored {
    partition: i32,
    timestamp_ms: i64,
    key: String,
    headers: String,
    value: Option<Vec<u8>>,
}

impl Stored {
    fn header(&self, name: &str) -> Option<&str> {
        let at = self.headers.find(&format!("{name}="))? + name.len() + 1;
        let rest = &self.headers[at..];
        // The last header has commas of its own.
        Some(if name == "fault" { rest } else { rest.split(',').next()? })
    }

    fn seq(&self) -> u64 {
        self.header("seq").and_then(|seq| seq.parse().ok()).expect("a header seq")
    }

    fn faults(&self) -> BTreeSet<&str> {
        self.header("fault").into_iter().flat_map(|words| words.split(',')).collect()
    }
}

/// Every record of a topic. kcat's JSON cannot hold values that are not UTF-8, so they come with their
/// length in front.
fn stored(topics: &Topics, topic: &str) -> Vec<Stored> {
    let mut kcat = tools::bounded(LIMIT, "kcat");
    kcat.args(["-C", "-e", "-q", "-o", "beginning", "-b", &topics.bootstrap, "-t", topic]);
    let output = tools::success(kcat.args(["-f", "%p %T %S %k %h\n%s\n"])).stdout;
    let (mut rest, mut records) = (output.as_slice(), Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).expect("text");
        let [partition, time, length, key, headers] = line.splitn(5, ' ').collect::<Vec<_>>()[..]
        else {
            panic!("not a record: {line}")
        };
        let length: i64 = length.parse().expect("a length");
        let bytes = usize::try_from(length.max(0)).expect("a length");
        let value = &rest[end + 1..end + 1 + bytes];
        records.push(Stored {
            partition: partition.parse().expect("a number"),
            timestamp_ms: time.parse().expect("a number"),
            key: key.to_owned(),
            headers: headers.to_owned(),
            value: (length >= 0).then(|| value.to_vec()),
        });
        rest = &rest[end + 2 + bytes..];
    }
    records
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("an answer key");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn words(line: &Value) -> BTreeSet<&str> {
    line["faults"].as_array().expect("faults").iter().filter_map(Value::as_str).collect()
}

/// Sequence number, faults and timestamp of each record, sorted.
type Touched = Vec<(u64, Vec<String>, i64)>;

fn owned(words: BTreeSet<&str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

fn object(value: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(value).expect("an object")
}

/// The kinds that change one field.
const CHANGES: [&str; 9] = [
    "missing-field",
    "null-field",
    "wrong-type",
    "extra-field",
    "renamed-field",
    "duplicate-key",
    "sentinel",
    "failed-request",
    "oversize",
];

fn type_of(value: Option<&Value>) -> &'static str {
    match value {
        None => "none",
        Some(Value::Null) => "null",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(_) => "other",
    }
}

/// Whether a field of a value is what the kind makes of it.
fn is_as_said(
    change: &str,
    field: &str,
    was: Option<&Value>,
    is: Option<&Value>,
    value: &[u8],
) -> bool {
    match change {
        "missing-field" | "renamed-field" => is.is_none(),
        "null-field" => type_of(is) == "null",
        "wrong-type" => !["none", "null", type_of(was)].contains(&type_of(is)),
        "extra-field" => was.is_none() && is.is_some(),
        "duplicate-key" => {
            let text = std::str::from_utf8(value).expect("text");
            text.matches(&format!("\"{field}\":")).count() == 2
        }
        "sentinel" => type_of(is) == "number" && is != was,
        "failed-request" => is == Some(&0.into()),
        "oversize" => value.len() == 3000,
        other => panic!("unknown kind {other}"),
    }
}

/// Fails unless a value differs from that of a clean run as its line says, and in nothing else.
fn assert_changed(line: &Value, clean: &Message, record: &Stored) {
    let faults = words(line);
    let Some(value) = &record.value else {
        assert!(faults.contains("tombstone"), "{line}");
        return;
    };
    assert!(!faults.contains("tombstone"), "{line}");
    if faults.contains("malformed") {
        let refused = serde_json::from_slice::<Value>(value).is_err();
        assert!(refused && line["form"].is_string(), "{line}");
        assert_eq!(value.is_empty(), line["form"] == "empty", "{line}");
        return;
    }
    let (mut expected, mut found) = (object(clean.value.as_bytes()), object(value));
    if faults.contains("clock-skew") {
        let at = Timestamp::from_millisecond(record.timestamp_ms).expect("a time");
        expected["ts"] = format!("{at:.3}").into();
    }
    if let Some(change) = CHANGES.into_iter().find(|change| faults.contains(change)) {
        let field = line["field"].as_str().expect("a field");
        let (was, is) = (expected.remove(field), found.remove(field));
        assert!(
            is_as_said(change, field, was.as_ref(), is.as_ref(), value),
            "{line}: {was:?}, {is:?}"
        );
        if change == "renamed-field" {
            let bare = |name: &str| name.replace('_', "").to_lowercase();
            let other = found.keys().find(|name| bare(name) == bare(field)).cloned();
            assert_eq!(found.remove(&other.expect("another name")), was, "{line}");
        }
    }
    assert_eq!(found, expected, "{line}");
}

fn seq_of(line: &Value) -> u64 {
    line["seq"].as_u64().expect("a number")
}

/// What the key and the topic have of one topic.
struct Topic<'a> {
    records: Vec<Stored>,
    sent: Vec<&'a Value>,
    unsent: Vec<&'a Value>,
}

impl<'a> Topic<'a> {
    fn read(topics: &Topics, topic: &str, key: &'a [Value]) -> Self {
        let lines = key.iter().filter(|line| line["type"] == "record" && line["topic"] == topic);
        let (sent, unsent) = lines.partition(|line| line["sent"] == true);
        Self { records: stored(topics, topic), sent, unsent }
    }

    /// Fails unless the headers say what the key says, no more and no less.
    fn assert_headers(&self) {
        let of_line = |line: &&Value| {
            (seq_of(line), owned(words(line)), line["timestamp"].as_i64().expect("ms"))
        };
        let mut declared: Touched = self.sent.iter().map(of_line).collect();
        let touched = self.records.iter().filter(|record| !record.faults().is_empty());
        let mut found: Touched = touched
            .map(|record| (record.seq(), owned(record.faults()), record.timestamp_ms))
            .collect();
        declared.sort();
        found.sort();
        assert!(declared == found, "the key is not what the headers say");
    }

    /// Fails unless each record is there as often as the key says: what was dropped is not there.
    fn assert_complete(&self) {
        let count = |of: u64| (0..PAIRS).map(|seq| (seq, of)).collect::<BTreeMap<_, _>>();
        let (mut expected, mut there) = (count(1), count(0));
        for line in &self.unsent {
            assert_eq!(owned(words(line)), ["drop"], "{line}");
            *expected.get_mut(&seq_of(line)).expect("a pair") -= 1;
        }
        for line in self.sent.iter().filter(|line| line["copy"] == true) {
            *expected.get_mut(&seq_of(line)).expect("a pair") += 1;
        }
        for record in &self.records {
            *there.get_mut(&record.seq()).expect("a pair") += 1;
        }
        assert!(there == expected, "not every record is there as often as the key says");
    }

    /// Fails unless each record is what a clean run has, but for what its line says; how often each kind
    /// was there, and how many pairs were the most that one fell behind.
    fn assert_records(&self, clean: &BTreeMap<u64, Message>) -> [BTreeMap<String, u64>; 2] {
        let by_place: BTreeMap<_, _> =
            self.sent.iter().map(|line| ((seq_of(line), line["copy"] == true), *line)).collect();
        let (mut counts, mut behind) = (BTreeMap::<String, u64>::new(), BTreeMap::new());
        let mut ahead = BTreeMap::<i32, u64>::new();
        for record in &self.records {
            let clean = &clean[&record.seq()];
            assert_eq!(Some(&record.key), clean.key.as_ref());
            let (faults, ahead) = (record.faults(), ahead.entry(record.partition).or_default());
            if faults.is_empty() {
                assert_eq!(record.value.as_deref(), Some(clean.value.as_bytes()));
                assert_eq!(record.timestamp_ms, clean.timestamp_ms);
                *ahead = record.seq().max(*ahead);
                continue;
            }
            let is_copy = faults.contains("duplicate");
            let line = by_place[&(record.seq(), is_copy)];
            assert_changed(line, clean, record);
            let shift = line["shift_ms"].as_i64().unwrap_or(0);
            assert_eq!(faults.contains("clock-skew"), shift == 300_000, "{line}");
            assert_eq!(record.timestamp_ms - clean.timestamp_ms, shift, "{line}");
            *counts.entry("duplicate".to_owned()).or_default() += u64::from(is_copy);
            for fault in faults.into_iter().filter(|_| !is_copy) {
                *counts.entry(fault.to_owned()).or_default() += 1;
                let most: &mut u64 = behind.entry(fault.to_owned()).or_default();
                *most = (*most).max(ahead.saturating_sub(record.seq()));
            }
        }
        counts.insert("drop".to_owned(), self.unsent.len() as u64);
        [counts, behind]
    }
}

#[test]
fn every_kind_is_in_the_key_in_the_header_and_in_the_topic() {
    let topics = Topics::create(cluster::plain(), "key-all");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key.ndjson");
    let with = |run| {
        let run = reproducible(topics.direct(run)).set("BATCH", PAIRS.to_string());
        run.set("SLEEP_SEC", "10ms").set("HOSTNAME", "gpu[01-04]")
    };
    let run = with(Producer::run(&topics.bootstrap)).set("FAULTS", ALL).set("ANSWER_KEY", &path);
    run.finish().exits(0);
    let printed = with(Producer::new(["generate"])).finish();
    let clean = generated(&printed.exits(0).stdout, &topics);
    let key = lines(&path);
    let mut total = BTreeMap::<String, u64>::new();
    for (kind, topic) in topics.both().into_iter().enumerate() {
        let of_kind = clean.iter().filter(|clean| clean.kind == kind);
        let clean = of_kind.map(|clean| (clean.seq, clean.clone())).collect();
        let topic = Topic::read(&topics, topic, &key);
        topic.assert_headers();
        topic.assert_complete();
        let [counts, behind] = topic.assert_records(&clean);
        // 10 s are a thousand pairs; out-of-order lets up to 50 pass, over all keys.
        assert!((950..=1000).contains(&behind["late"]), "{behind:?}");
        assert!((30..=50).contains(&behind["out-of-order"]), "{behind:?}");
        for (fault, count) in counts {
            *total.entry(fault).or_default() += count;
        }
    }
    println!("{} records with faults: {total:?}", total.values().sum::<u64>());
    for kind in ALL.split(',').map(|part| part.split('=').next().expect("a kind")) {
        assert!(total.get(kind).is_some_and(|count| *count > 100), "{kind}: {total:?}");
    }
}

/// A Python with the client that the example names.
fn python() -> PathBuf {
    let environment =
        cache::made_once(&format!("confluent-kafka-{CONFLUENT_KAFKA}"), |environment| {
            let mut venv = tools::bounded(LIMIT, "python3");
            tools::success(venv.args(["-m", "venv"]).arg(environment));
            let mut pip = Command::new(environment.join("bin/python"));
            let package = format!("confluent-kafka=={CONFLUENT_KAFKA}");
            tools::success(pip.args([
                "-m",
                "pip",
                "install",
                "-q",
                "--only-binary=:all:",
                &package,
            ]));
        });
    environment.join("bin/python")
}

/// Runs the example with a key; what it printed, and whether it came to the key's totals.
fn consume(python: &Path, topics: &Topics, key: &Path) -> (String, bool) {
    let mut command = tools::bounded(LIMIT, python.to_str().expect("text"));
    command.arg(EXAMPLE).arg(&topics.bootstrap).arg(key);
    let output = command.output().expect("Python");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (text, output.status.success())
}

/// The sums of a total as the example prints them.
fn printed(key: &[Value], name: &str) -> String {
    let total = key.iter().find(|l| l["type"] == "total" && l["name"] == name).expect("a total");
    let [prompt, completion, cost] = ["prompt_tokens", "completion_tokens", "cost_micro_usd"]
        .map(|sum| total[sum].as_u64().expect("a sum"));
    format!("{name} {prompt} {completion} {cost} as in the key")
}

/// Ten runs that have nothing in common but their topics: settings, and whether each is stopped.
const RUNS: [(&[(&str, &str)], bool); 10] = [
    (&[("FAULTS", "")], false),
    (&[("FAULTS", "duplicate=0.2:1s")], false),
    (&[("FAULTS", "drop=0.1,tombstone=0.1,late=0.3:2s"), ("WORKLOAD", "code")], false),
    (&[("FAULTS", "malformed=0.5,duplicate=0.5:0"), ("WORKLOAD", "agent")], false),
    (
        &[
            (
                "FAULTS",
                "missing-field=0.1,null-field=0.1,wrong-type=0.1,renamed-field=0.1,\
                duplicate-key=0.1,extra-field=0.1,duplicate=0.3",
            ),
            ("ARRIVALS", "poisson"),
        ],
        false,
    ),
    (&[("FAULTS", "failed-request=0.3,sentinel=0.3,oversize=0.1:3000,duplicate=0.3")], false),
    (
        &[
            ("FAULTS", "out-of-order=0.3:20,clock-skew=0.2,duplicate=0.2,malformed=0.1"),
            ("INCIDENTS", "throttle@+1s/1s,gpu-lost@+2s/2s:gpu1/*,surge=3@+4s/500ms"),
        ],
        false,
    ),
    (&[("FAULTS", ALL), ("INCIDENTS", "exporter-silent@+1s/2s,ecc-restart@+1s/1s:*/0")], false),
    (&[("FAULTS", ALL), ("WORKLOAD", "uniform"), ("SHARD", "1/3")], false),
    (
        &[
            ("FAULTS", "late=0.3:1m,drop=0.1,duplicate=0.3:1s,malformed=0.2,failed-request=0.2"),
            ("BATCH", "1000000"),
            ("SLEEP_SEC", "2ms"),
            ("EVENT_START", ""),
            ("PACE", "wall"),
        ],
        true,
    ),
];

#[test]
fn the_example_consumer_comes_to_the_totals_of_ten_mixed_runs() {
    let topics = Topics::create(cluster::plain(), "key-consumer");
    let directory = tempfile::tempdir().expect("a directory");
    let python = python();
    for (number, (settings, is_stopped)) in RUNS.into_iter().enumerate() {
        let path = directory.path().join(format!("{number}.ndjson"));
        let run = reproducible(topics.run()).set("RUN_SEED", number.to_string());
        let run = run.set("RUN_ID", format!("run-{number}")).set("ANSWER_KEY", &path);
        let run = run.set("HOSTNAME", "gpu[1-2]").set("BATCH", "600").set("SLEEP_SEC", "10ms");
        let run = settings.iter().fold(run, |run, (name, value)| run.set(name, value));
        if is_stopped {
            let before = topics.records_in_log();
            let running = run.start();
            topics.wait_for_records(before + 500);
            running.signal("TERM");
            running.finish().exits(143);
        } else {
            run.finish().exits(0);
        }
        let key = lines(&path);
        let (text, is_equal) = consume(&python, &topics, &path);
        let expected = ["readable", "deduplicated", "planned"].map(|name| printed(&key, name));
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "run {number}");
        assert!(is_equal, "run {number}");
        println!("run {number}: {}", expected.join(", "));
    }
    // A copy that the key does not have is a difference.
    let path = directory.path().join("1.ndjson");
    let text = fs::read_to_string(&path).expect("a key");
    let is_copy = |line: &&str| line.contains("\"copy\":true") && line.contains("\"usage\":");
    let copy = text.lines().find(is_copy).expect("a copy");
    fs::write(&path, text.replace(&format!("{copy}\n"), "")).expect("a key");
    let (text, is_equal) = consume(&python, &topics, &path);
    assert!(!is_equal && text.contains("is not {"), "{text}");
}
