//! The fields of a value in their order, as text that can be taken apart and put together again.

use std::ops::Range;

use serde_json::Value;

use crate::workload::seed::RawFields;

/// The fields of a value: key and value as JSON.
pub(super) type Texts = Vec<(String, String)>;

/// Name, and place of the value, of each field of an object.
pub(super) fn spans(value: &[u8]) -> Option<Vec<(String, Range<usize>)>> {
    let RawFields(fields) = serde_json::from_slice(value).ok()?;
    let span = |text: &str| {
        // The text is a slice of the value.
        let start = text.as_ptr().addr() - value.as_ptr().addr();
        start..start + text.len()
    };
    Some(fields.into_iter().map(|(key, value)| (key, span(value.get()))).collect())
}

/// The fields of an object in their order.
pub(super) fn fields_of(value: &[u8]) -> Option<Texts> {
    let RawFields(fields) = serde_json::from_slice(value).ok()?;
    Some(fields.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect())
}

pub(super) fn place_of(fields: &Texts, name: &str) -> Option<usize> {
    fields.iter().position(|(key, _)| key == name)
}

pub(super) fn set(fields: &mut Texts, at: Option<usize>, text: &str) {
    if let Some((_, value)) = at.and_then(|at| fields.get_mut(at)) {
        text.clone_into(value);
    }
}

pub(super) fn push(fields: &mut Texts, key: &str, text: &str) -> usize {
    fields.push((key.to_owned(), text.to_owned()));
    fields.len() - 1
}

/// Bytes of the object that these fields make.
pub(super) fn length_of(fields: &Texts) -> usize {
    let mut value = Vec::new();
    write(fields, &mut value);
    value.len()
}

pub(super) fn write(fields: &Texts, value: &mut Vec<u8>) {
    value.clear();
    for (i, (key, text)) in fields.iter().enumerate() {
        value.extend_from_slice(if i == 0 { b"{" } else { b"," });
        value.extend_from_slice(Value::from(key.as_str()).to_string().as_bytes());
        value.push(b':');
        value.extend_from_slice(text.as_bytes());
    }
    value.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
}
