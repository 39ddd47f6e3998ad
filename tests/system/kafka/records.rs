//! Records as tests compare them: what a consumer sees, and what the report says of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cluster::Topics;
use crate::common::Finished;
use crate::kcat::{self, Received};

/// A record without the place where it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// Index of its pair, from the headers.
    pub seq: u64,
    /// 0 for the metric, 1 for the token usage.
    pub kind: usize,
    /// The key.
    pub key: Option<String>,
    /// The headers in their order.
    pub headers: Vec<(String, String)>,
    /// The record's timestamp.
    pub timestamp_ms: i64,
    /// The value, byte by byte.
    pub value: String,
}

impl Message {
    fn new(kind: usize, record: Received) -> Self {
        Self {
            seq: seq(&record),
            kind,
            key: record.key,
            headers: record.headers,
            timestamp_ms: record.timestamp_ms,
            value: record.value.expect("a value"),
        }
    }
}

/// Index of a record's pair, from its headers.
#[track_caller]
pub fn seq(record: &Received) -> u64 {
    let found = record.headers.iter().find(|(name, _)| name == "seq");
    let (_, seq) = found.unwrap_or_else(|| panic!("no header seq: {record:?}"));
    seq.parse().expect("a number in the header seq")
}

/// Every record of both topics, in the order of the pairs, the metric first.
pub fn read_back(topics: &Topics) -> Vec<Message> {
    let mut messages = Vec::new();
    for (kind, topic) in topics.both().into_iter().enumerate() {
        let records = kcat::read_all(&topics.bootstrap, topic).into_iter();
        messages.extend(records.map(|record| Message::new(kind, record)));
    }
    messages.sort();
    messages
}

/// The fields of a JSON object in their order, with the values as they are written.
#[derive(Debug)]
pub struct Fields(pub Vec<(String, Box<RawValue>)>);

impl Fields {
    /// The fields of `json`, which is one object and nothing around it.
    #[track_caller]
    pub fn of(json: &str) -> Self {
        assert!(json.starts_with('{') && json.ends_with('}'), "not a bare object: {json:?}");
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// A value as it is written.
    #[track_caller]
    pub fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.unwrap_or_else(|| panic!("no field {name}: {self:?}")).1.get()
    }

    /// A value that is a whole number.
    #[track_caller]
    pub fn integer(&self, name: &str) -> i64 {
        self.raw(name).parse().unwrap_or_else(|_| panic!("{name} is no whole number: {self:?}"))
    }

    /// A value that is a string.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        serde_json::from_str(self.raw(name)).unwrap_or_else(|_| panic!("{name} is no text"))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// What `vm4-producer generate` printed, as messages, in the order of the pairs.
pub fn generated(ndjson: &str, topics: &Topics) -> Vec<Message> {
    let mut messages: Vec<_> = ndjson.lines().map(|line| printed(line, topics)).collect();
    messages.sort();
    messages
}

fn printed(line: &str, topics: &Topics) -> Message {
    let line = Fields::of(line);
    assert_eq!(line.names(), ["topic", "key", "headers", "timestamp", "value"]);
    let topic = line.text("topic");
    let kind = topics.both().iter().position(|name| *name == topic);
    let headers: Fields = serde_json::from_str(line.raw("headers")).expect("headers");
    let headers: Vec<_> =
        headers.names().iter().map(|name| ((*name).to_owned(), headers.text(name))).collect();
    let seq = headers.iter().find(|(name, _)| name == "seq").expect("a header seq");
    Message {
        seq: seq.1.parse().expect("a number in the header seq"),
        kind: kind.unwrap_or_else(|| panic!("unknown topic {topic}")),
        key: Some(line.text("key")),
        timestamp_ms: line.integer("timestamp"),
        value: line.raw("value").to_owned(),
        headers,
    }
}

/// One topic of a report, with its books checked.
#[derive(Debug)]
pub struct TopicBooks {
    /// Records handed over.
    pub generated: i64,
    /// Records acknowledged.
    pub acknowledged: i64,
    /// Records given up.
    pub failed: i64,
    /// Records without an answer.
    pub unresolved: i64,
    /// Acknowledged records, first and last offset of each partition that has any.
    pub partitions: BTreeMap<i32, [i64; 3]>,
}

/// The topics of a report. Fails where the books do not balance.
#[track_caller]
pub fn books(finished: &Finished, topics: &Topics) -> [TopicBooks; 2] {
    let reported = finished.report()["topics"].as_array().expect("topics");
    let names: Vec<_> = reported.iter().map(|topic| topic["topic"].as_str()).collect();
    assert_eq!(names, topics.both().map(Some));
    let both: Vec<_> = reported.iter().map(topic_books).collect();
    both.try_into().expect("two topics")
}

#[track_caller]
fn topic_books(topic: &Value) -> TopicBooks {
    let count = |object: &Value, name: &str| object[name].as_i64().expect("a count");
    let partitions = topic["partitions"].as_array().expect("partitions").iter().map(|partition| {
        let number = i32::try_from(count(partition, "partition")).expect("a partition number");
        let figures = ["acknowledged", "first_offset", "last_offset"];
        (number, figures.map(|name| count(partition, name)))
    });
    let books = TopicBooks {
        generated: count(topic, "generated"),
        acknowledged: count(topic, "acknowledged"),
        failed: count(topic, "failed"),
        unresolved: count(topic, "unresolved"),
        partitions: partitions.collect(),
    };
    assert_eq!(books.generated, books.acknowledged + books.failed + books.unresolved, "{topic}");
    assert_eq!(books.partitions.values().map(|p| p[0]).sum::<i64>(), books.acknowledged);
    books
}

/// What a report must say of a new topic that holds exactly these records, all of one run.
pub fn partitions_of(records: &[Received]) -> BTreeMap<i32, [i64; 3]> {
    let mut partitions = BTreeMap::new();
    for record in records {
        let offset = record.offset;
        let [count, first, last] =
            partitions.entry(record.partition).or_insert([0, offset, offset]);
        (*count, *first, *last) = (*count + 1, offset.min(*first), offset.max(*last));
    }
    partitions
}

/// Fails unless the log of both topics holds exactly the acknowledged records.
#[track_caller]
pub fn assert_log_is_report(finished: &Finished, topics: &Topics) {
    for (books, topic) in books(finished, topics).iter().zip(topics.both()) {
        let records = kcat::read_all(&topics.bootstrap, topic);
        assert_eq!(books.partitions, partitions_of(&records), "{topic}");
    }
}
