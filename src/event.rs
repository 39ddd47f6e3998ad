//! The two wire types, byte by byte: JSON values, keys and headers.
//!
//! Numbers have one form: integers without a point, `utilization` in hundredths and `power_w` in
//! tenths, both with at least one digit behind the point (`0.7`, `0.71`, `1.0`, `280.0`), so that a
//! consumer that guesses types from the first record guesses right. Where a value is the seed row's
//! own it is written as the row has it.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value;

use crate::workload::seed::{Row, Slot};
use crate::workload::{Pair, Reading};

/// Which of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `gpu.metrics.v1`.
    Metric,
    /// `token.usage.v1`.
    Token,
}

impl Kind {
    /// Both, in the order of a pair's records.
    pub const BOTH: [Self; 2] = [Self::Metric, Self::Token];

    /// The name of the event's type: its schema, and the default of its topic.
    #[must_use]
    pub fn schema_name(self) -> &'static str {
        match self {
            Self::Metric => "gpu.metrics.v1",
            Self::Token => "token.usage.v1",
        }
    }

    /// The JSON Schema of the value.
    #[must_use]
    pub fn schema(self) -> &'static str {
        match self {
            Self::Metric => include_str!("../packaging/schemas/gpu.metrics.v1.schema.json"),
            Self::Token => include_str!("../packaging/schemas/token.usage.v1.schema.json"),
        }
    }
}

/// Value of the `content-type` header.
pub const CONTENT_TYPE: &str = "application/json";

/// The constant parts of the events of one row of the seed, and what stands between them.
#[derive(Debug)]
struct Template {
    /// Constant text, then the slot behind it and the row's own value for that slot.
    parts: Vec<(String, Slot, String)>,
    /// From the last slot to the value of `ts`.
    tail: String,
    /// Of a token event: from the value of `ts` to that of `prompt_tokens`.
    model: String,
    /// Of a token event: from the value of `latency_ms` to the end.
    token_end: String,
}

/// A pair, and its event time as both of its events have it: written once.
#[derive(Debug, Clone, Copy)]
pub struct Stamped<'w> {
    /// The pair.
    pub pair: Pair<'w>,
    ts: [u8; TS.len()],
}

impl<'w> Stamped<'w> {
    /// Writes the event time of a pair.
    #[must_use]
    pub fn new(pair: Pair<'w>) -> Self {
        Self { pair, ts: ts(pair.at) }
    }
}

/// Writes pairs as bytes.
#[derive(Debug)]
pub struct Encoder {
    templates: Vec<Template>,
    hosts: Vec<Host>,
}

/// What is the same for all GPUs of a host.
#[derive(Debug)]
struct Host {
    /// The key of each row of the seed.
    keys: Vec<String>,
    /// From the value of `ts` to the end of a metric event.
    metric_end: String,
}

impl Encoder {
    /// The encoder of a run on `hosts`, where `model` names the language model of a row.
    #[must_use]
    pub fn new<'w>(rows: &[Row], hosts: &[String], model: impl Fn(usize) -> &'w str) -> Self {
        let template = |(i, row)| Template::new(row, model(i));
        let host = |host: &String| Host {
            keys: rows.iter().map(|row| format!("{host}/{}", row.gpu_index)).collect(),
            metric_end: format!("\",\"host\":{}}}", Value::from(host.as_str())),
        };
        Self {
            templates: rows.iter().enumerate().map(template).collect(),
            hosts: hosts.iter().map(host).collect(),
        }
    }

    /// The key of a pair's records: `HOST/GPU_INDEX`.
    #[must_use]
    pub fn key(&self, pair: &Pair<'_>) -> &str {
        &self.hosts[pair.host].keys[pair.row]
    }

    /// Appends the value of one of the pair's events.
    pub fn value(&self, kind: Kind, pair: &Stamped<'_>, out: &mut Vec<u8>) {
        match kind {
            Kind::Metric => self.metric(pair, out),
            Kind::Token => self.token(pair, out),
        }
    }

    fn metric(&self, Stamped { pair, ts }: &Stamped<'_>, out: &mut Vec<u8>) {
        let template = &self.templates[pair.row];
        for (text, slot, own) in &template.parts {
            out.extend_from_slice(text.as_bytes());
            match &pair.reading {
                Some(reading) => push_live(out, reading, *slot),
                None => out.extend_from_slice(own.as_bytes()),
            }
        }
        out.extend_from_slice(template.tail.as_bytes());
        out.extend_from_slice(ts);
        out.extend_from_slice(self.hosts[pair.host].metric_end.as_bytes());
    }

    fn token(&self, Stamped { pair, ts }: &Stamped<'_>, out: &mut Vec<u8>) {
        let template = &self.templates[pair.row];
        out.extend_from_slice(b"{\"ts\":\"");
        out.extend_from_slice(ts);
        out.extend_from_slice(template.model.as_bytes());
        push_integer(out, pair.tokens.prompt.into());
        out.extend_from_slice(b",\"completion_tokens\":");
        push_integer(out, pair.tokens.completion.into());
        out.extend_from_slice(b",\"latency_ms\":");
        push_integer(out, pair.latency_ms.into());
        out.extend_from_slice(template.token_end.as_bytes());
    }
}

impl Template {
    fn new(row: &Row, model: &str) -> Self {
        let mut parts = Vec::new();
        let mut text = String::from("{");
        for field in &row.fields {
            text.push_str(&field.key_json);
            text.push(':');
            if field.slot == Slot::Constant {
                text.push_str(&field.value_json);
            } else {
                parts.push((std::mem::take(&mut text), field.slot, field.value_json.clone()));
            }
            text.push(',');
        }
        text.push_str("\"ts\":\"");
        let model = Value::from(model);
        Self {
            parts,
            tail: text,
            model: format!("\",\"model\":{model},\"prompt_tokens\":"),
            token_end: format!(",\"gpu_index\":{}}}", row.gpu_index),
        }
    }
}

fn push_live(out: &mut Vec<u8>, reading: &Reading, slot: Slot) {
    match slot {
        Slot::Utilization => push_hundredths(out, reading.utilization_percent),
        Slot::MemUsed => push_integer(out, reading.mem_used_mb),
        Slot::Power => push_tenths(out, reading.power_deciwatts),
        // A constant is part of the template's text.
        Slot::Constant => {}
    }
}

fn push_integer(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// A share in hundredths without trailing zeros, but with at least one digit behind the point.
fn push_hundredths(out: &mut Vec<u8>, percent: u8) {
    let [one, tenth, hundredth] = [percent / 100, percent / 10 % 10, percent % 10].map(digit);
    let text = [one, b'.', tenth, hundredth];
    out.extend_from_slice(if percent.is_multiple_of(10) { &text[..3] } else { &text });
}

/// Tenths, with their digit behind the point.
fn push_tenths(out: &mut Vec<u8>, n: u64) {
    push_integer(out, n / 10);
    out.extend_from_slice(&[b'.', digit(n % 10)]);
}

/// The form of `ts`: RFC 3339 in UTC, always with milliseconds and `Z`.
const TS: &[u8; 24] = b"0000-00-00T00:00:00.000Z";

/// An event time in its form. The settings keep every year to four digits.
fn ts(at: Timestamp) -> [u8; TS.len()] {
    let mut ts = *TS;
    let date = Offset::UTC.to_datetime(at);
    let year = date.year().unsigned_abs();
    let ms = date.millisecond().unsigned_abs();
    let parts = [
        (0, year / 100),
        (2, year % 100),
        (5, date.month().unsigned_abs().into()),
        (8, date.day().unsigned_abs().into()),
        (11, date.hour().unsigned_abs().into()),
        (14, date.minute().unsigned_abs().into()),
        (17, date.second().unsigned_abs().into()),
        (20, ms / 10),
    ];
    for (from, value) in parts {
        // Both digits of a number below 100.
        let tens = value * 205 / 2048;
        ts[from] = digit(tens);
        ts[from + 1] = digit(value - 10 * tens);
    }
    ts[22] = digit(ms % 10);
    ts
}

/// The character of a number below 10.
fn digit(n: impl Into<u64>) -> u8 {
    b'0' + n.into().to_le_bytes()[0]
}

#[cfg(test)]
mod tests;
