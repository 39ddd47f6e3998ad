//! A record with what is beside its value: topic, key, headers, timestamp.

use std::borrow::Cow;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use serde_json::Value;

use crate::audit::Cell;

/// Stands for the bytes from 0x80 on that are no UTF-8: the end of the last private plane.
const FOREIGN: u32 = 0x10_FF00;

/// A record as a line has it. The outer `None` is what the line does not tell.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) topic: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) offset: Option<i64>,
    pub(super) key: Option<Option<Vec<u8>>>,
    pub(super) headers: Option<Vec<(String, Vec<u8>)>>,
    pub(super) timestamp_ms: Option<i64>,
    /// Whether there is a timestamp that is no time.
    pub(super) has_untold_time: bool,
    pub(super) has_append_time: bool,
    pub(super) value: Option<Vec<u8>>,
}

/// Text whose bytes are all kept: those that are no UTF-8 have characters of their own.
pub(super) fn mapped(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(FOREIGN + u32::from(*b))));
    }
    Cow::Owned(text)
}

/// The bytes of such a text.
fn unmapped(text: String) -> Vec<u8> {
    let foreign = |c: char| {
        u32::from(c).checked_sub(FOREIGN).and_then(|b| u8::try_from(b).ok()).filter(|b| *b >= 0x80)
    };
    if !text.contains(|c| foreign(c).is_some()) {
        return text.into_bytes();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match foreign(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The bytes of a cell's text; of any other JSON, its own. `None` if it is NULL or no text.
pub(super) fn text(cell: &Cell<'_>, is_mapped: bool) -> Option<Vec<u8>> {
    let text = match cell {
        Cell::Null => return None,
        Cell::Text(text) => (*text).to_owned(),
        Cell::Json(json) if json.starts_with('"') => serde_json::from_str(json).ok()?,
        Cell::Json(json) => (*json).to_owned(),
    };
    Some(if is_mapped { unmapped(text) } else { text.into_bytes() })
}

impl Envelope {
    /// The record that these cells are.
    ///
    /// # Errors
    /// Something in it is not what it must be.
    pub(super) fn of(cells: &[(&str, Cell<'_>)], is_mapped: bool) -> Result<Self, String> {
        let mut envelope = Self::default();
        let text = |cell: &Cell<'_>| text(cell, is_mapped);
        let number =
            |cell: &Cell<'_>| text(cell).and_then(|t| String::from_utf8(t).ok()?.parse().ok());
        let mut has_timestamp = false;
        for (name, cell) in cells {
            match *name {
                "topic" => {
                    envelope.topic = text(cell).map(|t| String::from_utf8_lossy(&t).into_owned());
                }
                "partition" => {
                    envelope.partition = number(cell).and_then(|n: i64| i32::try_from(n).ok())
                }
                "offset" => envelope.offset = number(cell),
                "key" => envelope.key = Some(text(cell)),
                "headers" => envelope.headers = headers(cell, is_mapped),
                "tstype" => envelope.has_append_time = text(cell).as_deref() == Some(b"logappend"),
                "timestamp" | "ts" if *name == "timestamp" || !has_timestamp => {
                    has_timestamp |= *name == "timestamp";
                    envelope.timestamp_ms = match cell {
                        // A number is what Kafka has.
                        Cell::Json(json) if json.parse::<i64>().is_ok() => json.parse().ok(),
                        cell => cell.moment().map(|moment| moment.ms()),
                    };
                    envelope.has_untold_time =
                        envelope.timestamp_ms.is_none() && *cell != Cell::Null;
                }
                // A table may have both columns for a value, and NULL in one of them.
                "value" | "payload" | "value_base64" if *cell == Cell::Null => {}
                "value" | "payload" => envelope.value = value(cell, text(cell))?,
                "value_base64" => {
                    let text = text(cell).unwrap_or_default();
                    let bytes = BASE64.decode(&text);
                    envelope.value = Some(bytes.map_err(|error| format!("value_base64: {error}"))?);
                }
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// The value: an object as it is written, the bytes of a text.
fn value(cell: &Cell<'_>, text: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, String> {
    match (cell, text) {
        (Cell::Null, _) => Ok(None),
        (_, None) => Err("its value is no text".to_owned()),
        // PostgreSQL prints a bytea so.
        (Cell::Text(text), _) if is_bytea(text) => {
            Ok(HEXLOWER_PERMISSIVE.decode(&text.as_bytes()[2..]).ok())
        }
        (_, text) => Ok(text),
    }
}

fn is_bytea(text: &str) -> bool {
    let digits = text.strip_prefix("\\x");
    digits.is_some_and(|digits| {
        digits.len() % 2 == 0 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Headers as an object, or as kcat's flat list of names and values.
fn headers(cell: &Cell<'_>, is_mapped: bool) -> Option<Vec<(String, Vec<u8>)>> {
    let json = match cell {
        Cell::Null => return None,
        Cell::Text(json) | Cell::Json(json) => serde_json::from_str(json).ok()?,
    };
    let bytes = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if is_mapped { unmapped(text) } else { text.into_bytes() }
    };
    match json {
        Value::Object(fields) => {
            Some(fields.iter().map(|(name, value)| (name.clone(), bytes(value))).collect())
        }
        Value::Array(flat) => {
            let pairs = flat.chunks(2).filter(|pair| pair.len() == 2);
            let name = |value: &Value| String::from_utf8_lossy(&bytes(value)).into_owned();
            Some(pairs.map(|pair| (name(&pair[0]), bytes(&pair[1]))).collect())
        }
        _ => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_come_back_as_they_were() {
        let bytes = b"{\"a\":\"\xff\xc3\"}\xe2\x82";
        let Cow::Owned(text) = mapped(bytes) else { panic!("it is no text") };
        assert_eq!(unmapped(text), bytes);
        assert!(matches!(mapped("ä".as_bytes()), Cow::Borrowed("ä")));
    }

    #[test]
    fn a_bytea_is_the_bytes_that_it_stands_for() {
        let value = |text: &str| value(&Cell::Text(text), Some(text.as_bytes().to_vec())).unwrap();
        assert_eq!(value("\\x7bff"), Some(b"{\xff".to_vec()));
        assert_eq!(value("\\x"), Some(Vec::new()));
        assert_eq!(value("\\xzz"), Some(b"\\xzz".to_vec()));
    }
}
