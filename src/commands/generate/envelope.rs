//! A record as one JSON object, which names all that is sent with its value.

use data_encoding::BASE64;

use crate::event::json::{push_integer, push_text};
use crate::faults::Fault;
use crate::plan::{Header, Record};

/// The name of the header that differs from record to record.
const SEQ: &str = "seq";

/// Writes records, of which most have the same topics and headers.
#[derive(Debug, Default)]
pub(super) struct Envelopes([Option<Prepared>; 2]);

/// The constant text of a topic's last record.
#[derive(Debug)]
struct Prepared {
    topic: String,
    headers: Vec<(&'static str, String)>,
    /// Which header is `seq`, if any.
    seq: Option<usize>,
    to_key: Vec<u8>,
    /// From the key to the value of `seq`, and from there on to the timestamp.
    to_seq: Vec<u8>,
    to_timestamp: Vec<u8>,
}

impl Envelopes {
    /// Appends a record; the value stands in it byte by byte.
    pub(super) fn push(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let prepared = self.0[record.kind as usize].get_or_insert_with(|| Prepared::of(record));
        if !prepared.is_of(record) {
            *prepared = Prepared::of(record);
        }
        out.extend_from_slice(&prepared.to_key);
        match record.key {
            Some(key) => push_text(out, key),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(&prepared.to_seq);
        if let Some(at) = prepared.seq {
            // Digits need no escape.
            out.extend_from_slice(record.headers()[at].1.as_bytes());
        }
        out.extend_from_slice(&prepared.to_timestamp);
        push_integer(out, record.timestamp_ms);
        let value = record.value.unwrap_or(b"null");
        if record.faults.has(Fault::Malformed) {
            // It is not JSON, or not text at all, and the line is to stay a line of NDJSON.
            out.extend_from_slice(b",\"value_base64\":\"");
            out.extend_from_slice(BASE64.encode(value).as_bytes());
            out.extend_from_slice(b"\"}");
            return;
        }
        out.extend_from_slice(b",\"value\":");
        out.extend_from_slice(value);
        out.push(b'}');
    }
}

impl Prepared {
    fn of(record: &Record<'_>) -> Self {
        let mut to_key = b"{\"topic\":".to_vec();
        push_text(&mut to_key, record.topic);
        to_key.extend_from_slice(b",\"key\":");
        let mut text = b",\"headers\":{".to_vec();
        let mut to_seq = None;
        for (at, (name, value)) in record.headers().iter().enumerate() {
            if at > 0 {
                text.push(b',');
            }
            push_text(&mut text, name);
            text.push(b':');
            if *name == SEQ {
                text.push(b'"');
                to_seq = Some(std::mem::take(&mut text));
                text.push(b'"');
            } else {
                push_text(&mut text, value);
            }
        }
        text.extend_from_slice(b"},\"timestamp\":");
        let headers = record.headers().iter();
        Self {
            topic: record.topic.to_owned(),
            headers: headers.map(|(name, value)| (*name, (*value).to_owned())).collect(),
            seq: record.headers().iter().position(|(name, _)| *name == SEQ),
            to_key,
            to_seq: to_seq.unwrap_or_default(),
            to_timestamp: text,
        }
    }

    /// Whether a record differs from the prepared one by key, `seq`, timestamp and value alone.
    fn is_of(&self, record: &Record<'_>) -> bool {
        let same =
            |(at, ((name, value), (known, was))): (usize, (&Header<'_>, &(&str, String)))| {
                name == known && (Some(at) == self.seq || value == was)
            };
        self.topic == record.topic
            && self.headers.len() == record.headers().len()
            && record.headers().iter().zip(&self.headers).enumerate().all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;
    use crate::plan::Headers;
    use serde_json::{Value, json};

    fn record<'a>(topic: &'a str, headers: Headers<'a>) -> Record<'a> {
        Record {
            key: Some("vm\"4/0"),
            seq: 7,
            timestamp_ms: 1,
            value: Some(b"{}"),
            headers,
            ..Record::nothing(Kind::Metric, topic)
        }
    }

    #[test]
    fn what_was_prepared_for_one_record_is_not_said_of_another() {
        let mut envelopes = Envelopes::default();
        let always = |seq| [("run", "n\"1"), ("seq", seq), ("content-type", "text")];
        let plain = |seq| Headers::new(always(seq), None);
        let tombstone = Record { key: None, value: None, ..record("a\\b", plain("12")) };
        for record in [
            record("a\\b", plain("8")),
            record("a\\b", plain("9")),
            record("a\\b", Headers::new(always("10"), Some("late"))),
            record("a\\b", plain("11")),
            tombstone,
            record("a\\b", Headers::none()),
            record("c", plain("13")),
        ] {
            let mut out = Vec::new();
            envelopes.push(&record, &mut out);
            let headers = record.headers().iter();
            let headers: serde_json::Map<String, Value> =
                headers.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let value = record.value.map(|_| json!({}));
            let expected = json!({"topic": record.topic, "key": record.key, "headers": headers,
                "timestamp": 1, "value": value});
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
        }
    }
}
