//! Values that are not JSON, or that readers of JSON disagree about.
//!
//! The forms are classes of the JSON parsing test suite (nst/JSONTestSuite): its names begin with
//! `n_` where every reader must refuse the text, and with `i_` where it may do either.

use rand::RngExt;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand_pcg::Pcg64Mcg;

use super::fields::spans;

/// One way to break a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `n_structure_object_unclosed_no_value` and others: cut anywhere.
    Truncated,
    /// `n_object_trailing_comma`.
    TrailingComma,
    /// `n_number_NaN`.
    NotANumber,
    /// `n_number_infinity`.
    Infinity,
    /// `i_structure_UTF-8_BOM_empty_object`.
    ByteOrderMark,
    /// `i_string_invalid_utf-8`.
    InvalidUtf8,
    /// `i_number_huge_exp`.
    HugeNumber,
    /// `n_structure_no_data`: a value of no bytes, which is not a tombstone.
    Empty,
}

const FORMS: [(Form, &str); 8] = [
    (Form::Truncated, "truncated"),
    (Form::TrailingComma, "trailing-comma"),
    (Form::NotANumber, "nan"),
    (Form::Infinity, "infinity"),
    (Form::ByteOrderMark, "byte-order-mark"),
    (Form::InvalidUtf8, "invalid-utf-8"),
    (Form::HugeNumber, "huge-number"),
    (Form::Empty, "empty"),
];

/// Breaks a value; the form, and the field if it is one.
pub(super) fn apply(
    rng: &mut Pcg64Mcg,
    value: &mut Vec<u8>,
) -> (Option<&'static str>, Option<String>) {
    let (form, word) = *FORMS.choose(rng).unwrap_or(&FORMS[0]);
    let field = match form {
        Form::Truncated => {
            // At least one byte is there and one is missing.
            value.truncate(rng.random_range(1..value.len().max(2)));
            None
        }
        Form::TrailingComma => {
            value.insert(value.len().saturating_sub(1), b',');
            None
        }
        Form::ByteOrderMark => {
            value.splice(0..0, *b"\xef\xbb\xbf");
            None
        }
        Form::Empty => {
            value.clear();
            None
        }
        Form::NotANumber => replace(rng, value, b"NaN", Place::Number),
        Form::Infinity => replace(rng, value, b"Infinity", Place::Number),
        Form::HugeNumber => replace(rng, value, b"1e400", Place::Number),
        // The byte 0xff is in no UTF-8 text.
        Form::InvalidUtf8 => replace(rng, value, b"\"\xff\"", Place::Text),
    };
    (Some(word), field)
}

/// What a field has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Number,
    Text,
}

/// Puts other bytes in place of the value of one field of that kind; its name.
fn replace(rng: &mut Pcg64Mcg, value: &mut Vec<u8>, with: &[u8], place: Place) -> Option<String> {
    let fields = spans(value)?;
    let is_text = |at: usize| value[at] == b'"';
    let is_number = |at: usize| value[at] == b'-' || value[at].is_ascii_digit();
    let fits = |at: usize| if place == Place::Text { is_text(at) } else { is_number(at) };
    let (name, span) = fields.into_iter().filter(|(_, span)| fits(span.start)).choose(rng)?;
    value.splice(span, with.iter().copied());
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Stream;
    use std::collections::BTreeMap;

    const VALUE: &str = r#"{"ts":"2026-01-01T00:00:00.001Z","model":"m","prompt_tokens":12}"#;

    #[test]
    fn every_form_is_drawn_and_no_strict_reader_takes_it() {
        let mut forms = BTreeMap::new();
        for index in 0..500 {
            let mut rng = Stream::new(1, "test", "").at(index);
            let mut value = VALUE.as_bytes().to_vec();
            let (form, field) = apply(&mut rng, &mut value);
            let read: Result<BTreeMap<String, serde_json::Value>, _> =
                serde_json::from_slice(&value);
            assert!(read.is_err(), "{form:?} {}", String::from_utf8_lossy(&value));
            forms.insert(form.unwrap(), (value, field));
        }
        assert_eq!(forms.len(), FORMS.len());
        let text = |form: &str| String::from_utf8_lossy(&forms[form].0).into_owned();
        assert_eq!(text("trailing-comma"), VALUE.replace('}', ",}"));
        assert_eq!(text("nan"), VALUE.replace("12", "NaN"));
        assert_eq!(text("infinity"), VALUE.replace("12", "Infinity"));
        assert_eq!(text("huge-number"), VALUE.replace("12", "1e400"));
        assert_eq!(forms["huge-number"].1.as_deref(), Some("prompt_tokens"));
        assert_eq!(text("byte-order-mark"), format!("\u{feff}{VALUE}"));
        assert_eq!(text("empty"), "");
        assert!(forms["invalid-utf-8"].0.contains(&0xff));
        assert!(VALUE.starts_with(&text("truncated")), "{}", text("truncated"));
    }
}
