//! The two wire types, byte by byte: JSON values, keys and headers.
//!
//! Numbers have one form: integers without a point, `utilization` in hundredths and `power_w` in
//! tenths, both with at least one digit behind the point (`0.7`, `0.71`, `1.0`, `280.0`), so that a
//! consumer that guesses types from the first record guesses right. Where a value is the seed row's
//! own it is written as the row has it.

use jiff::Timestamp;

use crate::settings::Settings;
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

    /// The topic of these events.
    #[must_use]
    pub fn topic(self, settings: &Settings) -> &str {
        match self {
            Self::Metric => &settings.topic_metric,
            Self::Token => &settings.topic_token,
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

/// The constant parts of one GPU's metric event, and what stands between them.
#[derive(Debug)]
struct Template {
    key: String,
    gpu_index: u32,
    /// Constant text, then the slot behind it and the row's own value for that slot.
    parts: Vec<(String, Slot, String)>,
    /// From the last slot to the value of `ts`.
    tail: String,
}

/// Writes pairs as bytes.
#[derive(Debug)]
pub struct Encoder {
    templates: Vec<Template>,
    /// From the value of `ts` to the end of a metric event.
    metric_end: String,
}

impl Encoder {
    /// The encoder of a run on `host`.
    #[must_use]
    pub fn new(rows: &[Row], host: &str) -> Self {
        let host_json = serde_json::Value::from(host).to_string();
        Self {
            templates: rows.iter().map(|row| Template::new(row, host)).collect(),
            metric_end: format!("\",\"host\":{host_json}}}"),
        }
    }

    /// The key of a pair's records: `HOST/GPU_INDEX`.
    #[must_use]
    pub fn key(&self, pair: &Pair<'_>) -> &str {
        &self.templates[pair.gpu].key
    }

    /// Appends the value of one of the pair's events.
    pub fn value(&self, kind: Kind, pair: &Pair<'_>, out: &mut Vec<u8>) {
        match kind {
            Kind::Metric => self.metric(pair, out),
            Kind::Token => self.token(pair, out),
        }
    }

    fn metric(&self, pair: &Pair<'_>, out: &mut Vec<u8>) {
        let template = &self.templates[pair.gpu];
        for (text, slot, own) in &template.parts {
            out.extend_from_slice(text.as_bytes());
            match &pair.reading {
                Some(reading) => push_live(out, reading, *slot),
                None => out.extend_from_slice(own.as_bytes()),
            }
        }
        out.extend_from_slice(template.tail.as_bytes());
        push_ts(out, pair.at);
        out.extend_from_slice(self.metric_end.as_bytes());
    }

    fn token(&self, pair: &Pair<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"ts\":\"");
        push_ts(out, pair.at);
        out.extend_from_slice(b"\",\"model\":\"");
        out.extend_from_slice(pair.model.as_bytes());
        out.extend_from_slice(b"\",\"prompt_tokens\":");
        push_integer(out, pair.tokens.prompt.into());
        out.extend_from_slice(b",\"completion_tokens\":");
        push_integer(out, pair.tokens.completion.into());
        out.extend_from_slice(b",\"latency_ms\":");
        push_integer(out, pair.latency_ms.into());
        out.extend_from_slice(b",\"gpu_index\":");
        push_integer(out, self.templates[pair.gpu].gpu_index.into());
        out.push(b'}');
    }
}

impl Template {
    fn new(row: &Row, host: &str) -> Self {
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
        let key = format!("{host}/{}", row.gpu_index);
        Self { key, gpu_index: row.gpu_index, parts, tail: text }
    }
}

fn push_live(out: &mut Vec<u8>, reading: &Reading, slot: Slot) {
    match slot {
        Slot::Utilization => push_decimal(out, reading.utilization_percent.into(), 2),
        Slot::MemUsed => push_integer(out, reading.mem_used_mb),
        Slot::Power => push_decimal(out, reading.power_deciwatts, 1),
        // A constant is part of the template's text.
        Slot::Constant => {}
    }
}

fn push_integer(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[usize::try_from(n % 10).unwrap_or(0)];
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `n / 10^places` without trailing zeros, but with at least one digit behind the point.
fn push_decimal(out: &mut Vec<u8>, n: u64, places: u32) {
    let scale = 10_u64.pow(places);
    push_integer(out, n / scale);
    out.push(b'.');
    let (mut rest, mut places) = (n % scale, places);
    while places > 1 && rest.is_multiple_of(10) {
        rest /= 10;
        places -= 1;
    }
    if places == 2 && rest < 10 {
        out.push(b'0');
    }
    push_integer(out, rest);
}

/// RFC 3339 in UTC, always with milliseconds and `Z`.
fn push_ts(out: &mut Vec<u8>, at: Timestamp) {
    use std::io::Write;
    // Writing to a Vec cannot fail.
    let _infallible = write!(out, "{at:.3}");
}

#[cfg(test)]
mod tests;
