//! The events as JSON, byte by byte.
//!
//! Numbers have one form: integers without a point, `utilization` in hundredths and `power_w` in
//! tenths, both with at least one digit behind the point (`0.7`, `0.71`, `1.0`, `280.0`), so a
//! consumer that guesses types from the first record guesses right. Where a value is the seed row's
//! own it is written as the row has it.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value;

use super::{Metric, Usage};
use crate::workload::Reading;
use crate::workload::seed::{Row, Slot};

/// Value of the `content-type` header.
pub const CONTENT_TYPE: &str = "application/json";

/// The fields of a usage in their order, and whether each is a number.
pub const USAGE_FIELDS: [(&str, bool); 6] = [
    ("ts", false),
    ("model", false),
    ("prompt_tokens", true),
    ("completion_tokens", true),
    ("latency_ms", true),
    ("gpu_index", true),
];

/// The fields of a metric that are numbers, whatever the seed row has there.
pub const METRIC_NUMBERS: [&str; 6] =
    ["gpu_index", "utilization", "mem_used_mb", "mem_total_mb", "power_w", "price_per_hour_usd"];

/// Writes metrics: it has the constant text of every GPU ready.
#[derive(Debug)]
pub struct MetricWriter {
    rows: Vec<Template>,
    /// For each host, from the value of `ts` to the end.
    ends: Vec<String>,
}

/// The constant text of the metrics of one row of the seed, and what stands between it.
#[derive(Debug)]
struct Template {
    /// Constant text, then the slot behind it and the row's own value for that slot.
    parts: Vec<(String, Slot, String)>,
    /// From the last slot to the value of `ts`.
    tail: String,
}

impl MetricWriter {
    /// The writer for the GPUs of `rows` on each of these hosts.
    #[must_use]
    pub fn new(rows: &[Row], hosts: &[String]) -> Self {
        let end = |host: &String| format!("\",\"host\":{}}}", Value::from(host.as_str()));
        Self {
            rows: rows.iter().map(Template::new).collect(),
            ends: hosts.iter().map(end).collect(),
        }
    }

    /// Appends a metric.
    pub fn write(&self, metric: &Metric, ts: &mut LastTs, out: &mut Vec<u8>) {
        let template = &self.rows[metric.gpu.row];
        for (text, slot, own) in &template.parts {
            out.extend_from_slice(text.as_bytes());
            match &metric.reading {
                Some(reading) => push_live(out, reading, *slot),
                None => out.extend_from_slice(own.as_bytes()),
            }
        }
        out.extend_from_slice(template.tail.as_bytes());
        out.extend_from_slice(ts.text(metric.ts));
        out.extend_from_slice(self.ends[metric.gpu.host].as_bytes());
    }
}

impl Template {
    fn new(row: &Row) -> Self {
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
        Self { parts, tail: text }
    }
}

fn push_live(out: &mut Vec<u8>, reading: &Reading, slot: Slot) {
    match slot {
        Slot::Utilization => push_hundredths(out, reading.utilization_percent),
        Slot::MemUsed => push_integer(out, reading.mem_used_mib),
        Slot::Power => push_tenths(out, reading.power_deciwatts),
        // A constant is part of the template's text.
        Slot::Constant => {}
    }
}

/// Appends a usage event.
pub fn write_usage(usage: &Usage<'_>, ts: &mut LastTs, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ts\":\"");
    out.extend_from_slice(ts.text(usage.ts));
    out.extend_from_slice(b"\",\"model\":");
    push_text(out, usage.model);
    out.extend_from_slice(b",\"prompt_tokens\":");
    push_integer(out, usage.prompt_tokens);
    out.extend_from_slice(b",\"completion_tokens\":");
    push_integer(out, usage.completion_tokens);
    out.extend_from_slice(b",\"latency_ms\":");
    push_integer(out, usage.latency_ms);
    out.extend_from_slice(b",\"gpu_index\":");
    push_integer(out, usage.gpu.index);
    out.push(b'}');
}

/// Appends text as JSON. Hardly any needs an escape, and without a branch for each byte that is seen at once:
/// serde_json's own search costs 10 ns an event.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    let is_special = |b: u8| (b < b' ') | (b == b'"') | (b == b'\\');
    if text.bytes().fold(false, |found, b| found | is_special(b)) {
        // Writing text to a vector does not fail.
        let _written = serde_json::to_writer(out, text);
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// Appends an integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, n: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// A share in hundredths without trailing zeros, but with at least one digit behind the point.
fn push_hundredths(out: &mut Vec<u8>, percent: u8) {
    let [one, tenth, hundredth] = [percent / 100, percent / 10 % 10, percent % 10];
    let text = [b'0' + one, b'.', b'0' + tenth, b'0' + hundredth];
    out.extend_from_slice(if hundredth == 0 { &text[..3] } else { &text });
}

/// Tenths, with their digit behind the point.
fn push_tenths(out: &mut Vec<u8>, n: u64) {
    push_integer(out, n / 10);
    out.push(b'.');
    push_integer(out, n % 10);
}

/// The last event time as it is written: RFC 3339 in UTC, always with milliseconds and `Z`.
///
/// A caller keeps one, because both events of a pair have one time.
#[derive(Debug)]
pub struct LastTs {
    at: Timestamp,
    text: [u8; 24],
}

impl Default for LastTs {
    fn default() -> Self {
        Self { at: Timestamp::UNIX_EPOCH, text: *b"1970-01-01T00:00:00.000Z" }
    }
}

impl LastTs {
    /// The text of an event time. No event is before 1970 or after 9999.
    fn text(&mut self, at: Timestamp) -> &[u8; 24] {
        if self.at != at {
            self.at = at;
            self.write();
        }
        &self.text
    }

    fn write(&mut self) {
        let utc = Offset::UTC.to_datetime(self.at);
        let (year, ms) = (utc.year().unsigned_abs(), utc.millisecond().unsigned_abs());
        let pairs = [
            (0, year / 100),
            (2, year % 100),
            (5, utc.month().unsigned_abs().into()),
            (8, utc.day().unsigned_abs().into()),
            (11, utc.hour().unsigned_abs().into()),
            (14, utc.minute().unsigned_abs().into()),
            (17, utc.second().unsigned_abs().into()),
            (20, ms / 10),
        ];
        for (from, number) in pairs {
            self.text[from] = digit(number / 10);
            self.text[from + 1] = digit(number % 10);
        }
        self.text[22] = digit(ms % 10);
    }
}

/// The character of a number below 10.
#[expect(clippy::cast_possible_truncation, reason = "below 10")]
fn digit(number: u16) -> u8 {
    b'0' + number as u8
}

#[cfg(test)]
mod tests;
