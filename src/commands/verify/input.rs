//! Records as NDJSON: as `generate` writes them, as `kcat -J` does, or bare values.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Problem, Reading};
use crate::audit::{Audit, Log, Origin, Read};
use crate::event::Kind;
use crate::exit::Exit;

/// Longest line that is read, bytes.
const LONGEST: u64 = 64 << 20;

/// Lines of records.
pub(super) struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
}

/// A record in a line. Absent fields are told from nulls where that matters.
#[derive(Default, Deserialize)]
struct Line<'a> {
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    #[serde(borrow, default, deserialize_with = "some")]
    key: Option<&'a RawValue>,
    headers: Option<Value>,
    #[serde(alias = "ts")]
    timestamp: Option<Value>,
    tstype: Option<String>,
    #[serde(borrow, alias = "payload", default, deserialize_with = "some")]
    value: Option<&'a RawValue>,
    /// A value that is no text.
    value_base64: Option<String>,
}

/// A field that is there, null or not.
fn some<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Lines {
    /// Opens a file, or stdin for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        if path == Path::new("-") {
            return Ok(Self {
                name: "stdin".into(),
                reader: Box::new(BufReader::new(io::stdin())),
            });
        }
        let file = File::open(path);
        let name = path.display().to_string();
        let file = file.map_err(|e| (format!("cannot read {name}: {e}"), Exit::NoInput))?;
        Ok(Self { name, reader: Box::new(BufReader::with_capacity(1 << 16, file)) })
    }

    /// Reads the lines into the audit.
    pub(super) fn read(
        mut self,
        audit: &mut Audit<'_>,
        topics: &[String; 2],
    ) -> Result<Reading, Problem> {
        let (mut line, mut number, mut others) = (Vec::new(), 0_i64, 0_u64);
        loop {
            line.clear();
            let mut limited = (&mut self.reader).take(LONGEST);
            let read = limited.read_until(b'\n', &mut line);
            let failed = |e| (format!("cannot read {}: {e}", self.name), Exit::Unavailable);
            if read.map_err(failed)? == 0 {
                break;
            }
            number += 1;
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match take(audit, topics, text, number) {
                Ok(true) => {}
                Ok(false) => others += 1,
                Err(problem) => {
                    let text = format!("{} line {number}: {problem}", self.name);
                    return Err((text, Exit::DataErr));
                }
            }
        }
        if others > 0 {
            tracing::warn!("{others} lines of {} are of other topics", self.name);
        }
        let logs =
            topics.clone().map(|topic| Log { topic, origin: Origin::Export, ..Log::default() });
        Ok(Reading { logs, cluster_id: None, unread: None, unknown: None })
    }
}

/// Hands a line to the audit; `false` if it is of another topic.
fn take(
    audit: &mut Audit<'_>,
    topics: &[String; 2],
    text: &[u8],
    number: i64,
) -> Result<bool, String> {
    let line: Line<'_> = match serde_json::from_slice::<Line<'_>>(text) {
        Ok(line) if line.value.is_some() || line.topic.is_some() => line,
        Ok(_) => Line::default(),
        Err(error) => {
            let what = "expected a JSON object, as generate or kcat -J writes it, or a bare value";
            return Err(format!("it is not a record: {error}; {what}"));
        }
    };
    let base64 = line.value_base64.as_ref().map(|text| BASE64.decode(text.as_bytes()));
    let base64 = base64.transpose().map_err(|error| format!("value_base64: {error}"))?;
    let value = match line.value {
        _ if base64.is_some() => base64,
        // Something else than an event is a text in JSON: of kcat, or of a value that is not JSON.
        Some(raw) if raw.get().starts_with('"') => string(raw).map(String::into_bytes),
        Some(raw) if raw.get() == "null" => None,
        Some(raw) => Some(raw.get().as_bytes().to_vec()),
        None if line.topic.is_some() => None,
        None => Some(text.to_vec()),
    };
    let of_topic = match &line.topic {
        Some(topic) => match topics.iter().position(|t| t == topic) {
            Some(at) => (topics[0] != topics[1]).then_some(Kind::BOTH[at]),
            None => return Ok(false),
        },
        None => None,
    };
    let headers = line.headers.as_ref().map(headers);
    let headers: Option<Vec<_>> = headers.as_ref().map(|headers| {
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    });
    let key = line.key.map(string);
    let mut read = Read {
        kind: of_topic.unwrap_or(Kind::Metric),
        partition: line.partition,
        offset: line.offset.unwrap_or(number),
        leader_epoch: None,
        timestamp_ms: line.timestamp.as_ref().and_then(Value::as_i64),
        has_append_time: line.tstype.as_deref() == Some("logappend"),
        key: key.as_ref().map(|key| key.as_deref().map(str::as_bytes)),
        headers: headers.as_deref(),
        value: value.as_deref(),
        seen_at_ms: None,
    };
    if of_topic.is_none() {
        read.kind = match audit.kind_of(&read) {
            Some(kind) => kind,
            None if line.topic.is_some() => Kind::Metric,
            None => return Err("it is no event: neither metric nor token usage".to_owned()),
        };
    }
    audit.read(&read);
    Ok(true)
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// Headers as an object, or as kcat's flat list of names and values.
fn headers(json: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match json {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
        }
        Value::Array(flat) => {
            let pairs = flat.chunks(2).filter(|pair| pair.len() == 2);
            pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
        }
        _ => Vec::new(),
    }
}
