//! Reads topics back with kcat, a client that shares no code with this
//! project, so that a mistake in our own encoder cannot hide in our own
//! decoder.
//!
//! kcat writes each record as one line of JSON (`-J`). Keys, values and header
//! values are JSON strings there, so they must be UTF-8; control characters,
//! quotes and NUL come through unharmed. Null and empty are told apart.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::tools;

/// The longest that reading one topic to its end may take.
const READ_LIMIT: Duration = Duration::from_secs(300);
/// The longest that one question about metadata or offsets may take.
const QUERY_LIMIT: Duration = Duration::from_secs(20);
/// Halves the time for a million records, and saves a second for none.
const TUNING: [&str; 2] = ["-Xqueued.min.messages=1000000", "-Xfetch.wait.max.ms=10"];

/// The end offset of each partition of each topic.
pub type Ends = BTreeMap<String, BTreeMap<i32, i64>>;

/// One record as kcat received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The topic it was read from.
    pub topic: String,
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970, or -1 if it has none.
    pub timestamp_ms: i64,
    /// The key; `None` is Kafka's null key, which is not the empty one.
    pub key: Option<String>,
    /// The headers in the record's order, with any name that occurs twice.
    pub headers: Vec<(String, String)>,
    /// The value; `None` is Kafka's null value (a tombstone).
    pub value: Option<String>,
}

/// Reads every record of `topic`: each partition in the order of its offsets,
/// the partitions interleaved as they arrive.
///
/// Panics if kcat fails, for example because there is no such topic.
pub fn read_all(bootstrap: &str, topic: &str) -> Vec<Received> {
    let mut records = Vec::new();
    read_each(bootstrap, topic, |record| records.push(record));
    records
}

/// Hands every record of `topic` to `each` without holding more than one, and
/// otherwise does what [`read_all`] does.
pub fn read_each(bootstrap: &str, topic: &str, mut each: impl FnMut(Received)) {
    let mut errors = tempfile::tempfile().expect("a temporary file for kcat's errors");
    let mut kcat = tools::bounded(READ_LIMIT, "kcat")
        .args(["-C", "-e", "-J", "-q", "-o", "beginning"])
        .args(TUNING)
        .args(["-b", bootstrap, "-t", topic])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors.try_clone().expect("a second handle to that file"))
        .spawn()
        .expect("kcat to start");
    let mut lines = BufReader::new(kcat.stdout.take().expect("kcat's output is piped"));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).expect("kcat's output to be readable") > 0 {
        each(record_in(&line));
        line.clear();
    }
    let status = kcat.wait().expect("kcat to be waited for");
    assert!(
        status.success(),
        "kcat could not read {topic} to its end ({status}): {}",
        whole_text(&mut errors)
    );
}

/// The offset that the next record of each partition of `topic` will get.
///
/// It asks for this topic alone, so that topics which another test is creating
/// do not matter. A broker that creates topics on demand would create it.
pub fn end_offsets(bootstrap: &str, topic: &str) -> BTreeMap<i32, i64> {
    try_end_offsets(bootstrap, topic).unwrap_or_else(|error| panic!("{error}"))
}

/// The end offsets of every topic, or why the broker cannot be used yet: it
/// does not answer, or does not lead all the partitions that it has.
///
/// Metadata alone would not tell. A broker names itself as a leader a moment
/// before it accepts requests for the partition.
pub fn all_end_offsets(bootstrap: &str) -> Result<Ends, String> {
    ends_of(bootstrap, &[])
}

/// The same as [`end_offsets`], or why they cannot be had at the moment.
pub fn try_end_offsets(bootstrap: &str, topic: &str) -> Result<BTreeMap<i32, i64>, String> {
    let mut ends = ends_of(bootstrap, &["-t", topic])?;
    ends.remove(topic).ok_or_else(|| format!("there is no topic {topic}"))
}

/// Where a partition is.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// The broker that leads it; -1 where none does.
    pub leader: i32,
    /// How many brokers have all of it.
    pub in_sync: usize,
}

/// Where each partition of `topic` is, as the first broker that answers has it.
pub fn placements(bootstrap: &str, topic: &str) -> Result<BTreeMap<i32, Placement>, String> {
    let metadata = metadata(bootstrap, &["-t", topic])?;
    let partitions = list(&metadata, "topics").iter().flat_map(|topic| list(topic, "partitions"));
    let placed = partitions.map(|partition| {
        let in_sync = list(partition, "isrs").len();
        let leader = small_integer(partition, "leader");
        (small_integer(partition, "partition"), Placement { leader, in_sync })
    });
    Ok(placed.collect())
}

/// How many brokers there are, as the first that answers has it.
pub fn brokers(bootstrap: &str) -> Result<usize, String> {
    Ok(list(&metadata(bootstrap, &[])?, "brokers").len())
}

fn metadata(bootstrap: &str, selection: &[&str]) -> Result<Value, String> {
    let mut kcat = tools::bounded(QUERY_LIMIT, "kcat");
    json_from(kcat.args(["-L", "-J", "-m", "2", "-b", bootstrap]).args(selection))
}

fn ends_of(bootstrap: &str, selection: &[&str]) -> Result<Ends, String> {
    let metadata = metadata(bootstrap, selection)?;
    let mut kcat = tools::bounded(QUERY_LIMIT, "kcat");
    kcat.args(["-Q", "-J", "-b", bootstrap]);
    let mut partitions = Vec::new();
    for topic in list(&metadata, "topics") {
        let name = text(topic, "topic").unwrap_or_else(|| unexpected(topic));
        for partition in list(topic, "partitions") {
            let id = small_integer(partition, "partition");
            kcat.args(["-t", &format!("{name}:{id}:-1")]);
            partitions.push((name.clone(), id));
        }
    }
    let mut ends = Ends::new();
    if partitions.is_empty() {
        return Ok(ends);
    }
    let answer = json_from(&mut kcat)?;
    for (topic, id) in partitions {
        let offset = answer[&topic][id.to_string()]["offset"].as_i64();
        let offset =
            offset.ok_or_else(|| format!("no end of {topic}, partition {id}: {answer}"))?;
        ends.entry(topic).or_default().insert(id, offset);
    }
    Ok(ends)
}

/// Runs a kcat command whose whole output is one JSON document.
fn json_from(kcat: &mut Command) -> Result<Value, String> {
    let output = kcat.stdin(Stdio::null()).output().expect("kcat to start and end");
    if !output.status.success() {
        return Err(failure(output.status, &output.stderr));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("kcat wrote bad JSON: {error}"))
}

fn failure(status: ExitStatus, stderr: &[u8]) -> String {
    format!("kcat failed ({status}): {}", String::from_utf8_lossy(stderr))
}

fn record_in(line: &[u8]) -> Received {
    let record: Value = serde_json::from_slice(line).unwrap_or_else(|error| {
        panic!(
            "kcat wrote no JSON, perhaps for a record that is not UTF-8 ({error}): {}",
            String::from_utf8_lossy(line)
        )
    });
    Received {
        topic: text(&record, "topic").unwrap_or_else(|| unexpected(&record)),
        partition: small_integer(&record, "partition"),
        offset: integer(&record, "offset"),
        // kcat leaves the field out when the record has no timestamp.
        timestamp_ms: record["ts"].as_i64().unwrap_or(-1),
        key: text(&record, "key"),
        headers: headers_of(&record),
        value: text(&record, "payload"),
    }
}

/// The headers, which kcat writes as one flat list of names and values and
/// leaves out when there are none.
fn headers_of(record: &Value) -> Vec<(String, String)> {
    let Some(flat) = record.get("headers").and_then(Value::as_array) else {
        return Vec::new();
    };
    flat.chunks(2)
        .map(|pair| match pair {
            [Value::String(name), Value::String(value)] => (name.clone(), value.clone()),
            _ => panic!("a header with a null value, which is not supported here: {record}"),
        })
        .collect()
}

/// The string in `field`, or `None` where kcat wrote null.
fn text(object: &Value, field: &str) -> Option<String> {
    match object.get(field) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) => None,
        _ => unexpected(object),
    }
}

fn integer(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_else(|| unexpected(object))
}

fn small_integer(object: &Value, field: &str) -> i32 {
    i32::try_from(integer(object, field)).unwrap_or_else(|_| unexpected(object))
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().unwrap_or_else(|| unexpected(object))
}

fn unexpected(json: &Value) -> ! {
    panic!("kcat wrote JSON of an unexpected form: {json}")
}

fn whole_text(file: &mut File) -> String {
    let mut text = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut text)).expect("kcat's errors to be readable");
    String::from_utf8_lossy(&text).into_owned()
}
