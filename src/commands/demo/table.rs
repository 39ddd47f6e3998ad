//! What the demo prints: a line for each pair, and the first record of each topic in full.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::commands::columns::{self, Side};
use crate::event::Kind;
use crate::kafka::reader::ReadRecord;
use crate::plan::FAULT;

/// Pairs that are shown.
const SHOWN: usize = 20;

/// Characters of a value that are shown: more than a clean one has.
const SHOWN_CHARS: usize = 1_000;

/// The titles of the columns, and the sides of their cells.
///
/// A place is the partition and the offset of the metric, then those of the usage.
const COLUMNS: [(&str, Side); 9] = [
    ("time", Side::Left),
    ("key", Side::Left),
    ("GPU", Side::Left),
    ("util", Side::Right),
    ("power", Side::Right),
    ("prompt", Side::Right),
    ("compl.", Side::Right),
    ("latency", Side::Right),
    ("landed", Side::Left),
];

/// The records that came back, pair by pair.
#[derive(Debug, Default)]
pub(super) struct Table {
    pairs: BTreeMap<u64, Shown>,
    /// How many records came back.
    pub(super) records: u64,
    /// Topic, key and value of the first record of each kind.
    first: [Option<First>; 2],
}

/// What came back of one pair.
#[derive(Debug, Default)]
struct Shown {
    key: String,
    metric: Value,
    usage: Value,
    /// Where its records are, by kind: partition and offset.
    places: [Vec<(i32, i64)>; 2],
    /// What faults did to them.
    faults: Vec<String>,
}

/// The first record of a kind.
#[derive(Debug)]
struct First {
    seq: u64,
    topic: String,
    key: String,
    value: String,
}

impl Table {
    /// Takes a record of a topic.
    pub(super) fn add(&mut self, topic: &str, kind: Kind, record: &ReadRecord<'_>) {
        self.records += 1;
        let seq = record.header("seq").and_then(|seq| seq.parse().ok()).unwrap_or(self.records);
        let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let key = record.key().map_or_else(|| "-".to_owned(), lossy);
        let text = record.value().map_or_else(|| "-".to_owned(), lossy);
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let first = &mut self.first[kind as usize];
        if first.as_ref().is_none_or(|first| seq < first.seq) {
            *first = Some(First { seq, topic: topic.to_owned(), key: key.clone(), value: text });
        }
        let pair = self.pairs.entry(seq).or_default();
        pair.places[kind as usize].push((record.partition(), record.offset()));
        pair.faults.extend(record.header(FAULT).map(str::to_owned));
        pair.key = key;
        match kind {
            Kind::Metric => pair.metric = value,
            Kind::Token => pair.usage = value,
        }
        // The first ones are shown, in whichever order the partitions are read.
        if self.pairs.len() > SHOWN {
            self.pairs.pop_last();
        }
    }

    /// The text: what is left of `pairs` is counted.
    pub(super) fn text(&self, pairs: u64) -> String {
        let titles = COLUMNS.map(|(title, _)| title.to_owned());
        let rows = self.pairs.values().map(Shown::cells);
        let rows: Vec<[String; 9]> = [titles].into_iter().chain(rows).collect();
        let mut text = String::new();
        for line in columns::lines(COLUMNS.map(|(_, side)| side), &rows) {
            let _infallible = writeln!(text, "{}", line.trim_end());
        }
        let more = pairs.saturating_sub(self.pairs.len() as u64);
        if more > 0 {
            let _infallible = writeln!(text, "... and {more} more");
        }
        for First { topic, key, value, .. } in self.first.iter().flatten() {
            let end = value.char_indices().nth(SHOWN_CHARS).map_or(value.len(), |(end, _)| end);
            let cut = if end < value.len() { "..." } else { "" };
            let _infallible = writeln!(text, "{topic}, key {key}: {}{cut}", &value[..end]);
        }
        text
    }
}

impl Shown {
    fn cells(&self) -> [String; 9] {
        let Self { key, metric, usage, places, faults } = self;
        let field = |event: &Value, name: &str| match &event[name] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let number = |event: &Value, name: &str, shown: fn(f64) -> String| {
            event[name].as_f64().map_or_else(|| field(event, name), shown)
        };
        // Of "2026-11-23T08:00:00.000Z": the time.
        let ts = if usage["ts"].is_string() { field(usage, "ts") } else { field(metric, "ts") };
        let time = ts.get(11..23).map_or_else(|| ts.clone(), str::to_owned);
        let place = |(partition, offset): &(i32, i64)| format!("{partition}@{offset}");
        let mut places = places.iter().flatten().map(place).collect::<Vec<_>>().join(", ");
        if !faults.is_empty() {
            let _infallible = write!(places, " [{}]", faults.join("] ["));
        }
        [
            time,
            key.clone(),
            field(metric, "name"),
            number(metric, "utilization", |share| format!("{:.0}%", share * 100.0)),
            number(metric, "power_w", |watts| format!("{watts:.0}W")),
            field(usage, "prompt_tokens"),
            field(usage, "completion_tokens"),
            number(usage, "latency_ms", |ms| format!("{:.2}s", ms / 1000.0)),
            places,
        ]
    }
}
