//! JSON as it is written: every field of an object, in order, and numbers to their last digit.
//!
//! A map would lose a field that stands twice, and a double the digits that it cannot hold. Two values
//! are the same JSON if their lists of fields are, whatever the order of fields with different names:
//! `1`, `1.0` and `10e-1` are one number, and `9223372036854775794` is not `9223372036854775807.0`.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::moment::within_calendar;
use crate::workload::seed::RawFields;

/// Most arrays and objects within each other that are taken apart. `serde_json` has the same limit.
const DEEPEST: usize = 127;

/// A value, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Json<'a> {
    pub(super) text: &'a str,
    pub(super) node: Node<'a>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    /// A text that no Unicode text can hold: half of a surrogate pair.
    HalfText,
    Array(Vec<Json<'a>>),
    /// The fields, by name; those of one name in their order.
    Object(Vec<(String, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The value that these bytes are; `None` if they are not JSON, or too deep.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let raw: &RawValue = serde_json::from_slice(bytes).ok()?;
        Self::within(raw.get(), 0)
    }

    fn within(text: &'a str, depth: usize) -> Option<Self> {
        let node = match text.as_bytes().first()? {
            b'{' | b'[' if depth > DEEPEST => return None,
            b'{' => {
                let RawFields(fields) = serde_json::from_str(text).ok()?;
                let field = |(name, value): (String, &'a RawValue)| {
                    Some((name, Self::within(value.get(), depth + 1)?))
                };
                let mut fields = fields.into_iter().map(field).collect::<Option<Vec<_>>>()?;
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                Node::Object(fields)
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                let item = |item: &&'a RawValue| Self::within(item.get(), depth + 1);
                Node::Array(items.iter().map(item).collect::<Option<_>>()?)
            }
            b'"' => serde_json::from_str(text).map_or(Node::HalfText, Node::Text),
            b't' | b'f' => Node::Bool(text == "true"),
            b'n' => Node::Null,
            _ => Node::Number(Decimal::of(text)),
        };
        Some(Self { text, node })
    }

    /// The first field of this name; `None` where there is none, or it is no object.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let Node::Object(fields) = &self.node else { return None };
        let at = fields.partition_point(|(found, _)| found.as_str() < name);
        fields.get(at).filter(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&str> {
        let Node::Text(text) = &self.node else { return None };
        Some(text)
    }

    /// The event time that its field `ts` names, ms since 1970: a time, or milliseconds.
    pub(super) fn ts_ms(&self) -> Option<i64> {
        match &self.field("ts")?.node {
            Node::Text(text) => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
            Node::Number(ms) => ms.whole().map(within_calendar),
            _ => None,
        }
    }

    fn hash_into(&self, hasher: &mut DefaultHasher) {
        match &self.node {
            Node::Null => 0_u8.hash(hasher),
            Node::Bool(is) => (1_u8, is).hash(hasher),
            Node::Number(number) => (2_u8, number).hash(hasher),
            Node::Text(text) => (3_u8, text).hash(hasher),
            Node::HalfText => (4_u8, self.text).hash(hasher),
            Node::Array(items) => {
                (5_u8, items.len()).hash(hasher);
                items.iter().for_each(|item| item.hash_into(hasher));
            }
            Node::Object(fields) => {
                (6_u8, fields.len()).hash(hasher);
                for (name, value) in fields {
                    name.hash(hasher);
                    value.hash_into(hasher);
                }
            }
        }
    }
}

/// Whether two values are the same JSON.
pub(super) fn is_same(a: &Json<'_>, b: &Json<'_>) -> bool {
    match (&a.node, &b.node) {
        (Node::Object(a), Node::Object(b)) => {
            let pairs = || a.iter().zip(b);
            a.len() == b.len() && pairs().all(|(a, b)| a.0 == b.0 && is_same(&a.1, &b.1))
        }
        (Node::Array(a), Node::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Node::HalfText, Node::HalfText) => a.text == b.text,
        (a, b) => a == b,
    }
}

/// A number of a value that is the same for all texts of the same JSON, and of the same bytes where
/// they are not JSON.
pub(super) fn digest(bytes: &[u8], json: Option<&Json<'_>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match json {
        Some(json) => json.hash_into(&mut hasher),
        None => (7_u8, bytes).hash(&mut hasher),
    }
    hasher.finish()
}

/// The same without the field `ts` of an object; `None` of what is none.
pub(super) fn digest_but_ts(json: &Json<'_>) -> Option<u64> {
    let Node::Object(fields) = &json.node else { return None };
    let mut hasher = DefaultHasher::new();
    for (name, value) in fields.iter().filter(|(name, _)| name != "ts") {
        name.hash(&mut hasher);
        value.hash_into(&mut hasher);
    }
    Some(hasher.finish())
}

/// A number as it is written, without what makes no difference: 0.`digits` times ten to a power.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    is_negative: bool,
    /// Without zeros at either end; none for 0.
    digits: String,
    /// `None` if it is beyond all measure; then `digits` is the whole text.
    power: Option<i64>,
}

impl Decimal {
    /// The number that a text of JSON is.
    fn of(text: &str) -> Self {
        let (is_negative, size) = match text.strip_prefix('-') {
            Some(size) => (true, size),
            None => (false, text),
        };
        let (mantissa, exponent) = size.split_once(['e', 'E']).unwrap_or((size, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let shown = all.trim_start_matches('0');
        let zeros = all.len() - shown.len();
        let digits = shown.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Self { is_negative: false, digits, power: Some(0) };
        }
        let point = i64::try_from(whole.len()).ok().zip(i64::try_from(zeros).ok());
        let power = point.zip(exponent.parse::<i64>().ok()).and_then(|((whole, zeros), e)| {
            whole.checked_sub(zeros).and_then(|point| point.checked_add(e))
        });
        match power {
            Some(_) => Self { is_negative, digits, power },
            None => Self { is_negative, digits: size.to_owned(), power },
        }
    }

    /// A whole number that fits.
    fn whole(&self) -> Option<i64> {
        let digits = usize::try_from(self.power?).ok()?;
        let zeros = digits.checked_sub(self.digits.len()).filter(|_| digits <= 20)?;
        let sign = if self.is_negative { "-" } else { "" };
        [sign, "0", &self.digits, &"0".repeat(zeros)].concat().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let [a, b] = [a, b].map(|text| Json::of(text.as_bytes()).expect(text));
        let is = is_same(&a, &b);
        let digests = [&a, &b].map(|json| digest(json.text.as_bytes(), Some(json)));
        assert_eq!(is, digests[0] == digests[1], "the digest says the same");
        is
    }

    #[test]
    fn numbers_are_compared_to_their_last_digit() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("0.70", "7e-1"),
            ("-0.0", "0"),
            ("100", "1E+2"),
            ("0.001", "1e-3"),
            ("1e400", "10e399"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("9223372036854775794", "9223372036854775807.0"),
            ("9007199254740993", "9007199254740992.0"),
            ("0.1", "0.1000000000000000055"),
            ("1", "-1"),
            ("1", "10"),
            ("1e99999999999999999999", "1e99999999999999999998"),
            ("1", "\"1\""),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_field_twice_is_another_list_of_fields() {
        assert!(same(r#"{"a":1,"b":2}"#, r#"{ "b":2.0, "a":1 }"#));
        assert!(same(r#"{"a":1,"b":0,"a":2}"#, r#"{"b":0,"a":1,"a":2}"#));
        assert!(
            !same(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
            "which one counts is up to a reader"
        );
        assert!(!same(r#"{"a":1,"a":1}"#, r#"{"a":1}"#));
        assert!(!same(r#"["a","b"]"#, r#"["b","a"]"#));
        assert!(same(r#"["\ud800"]"#, r#"["\ud800"]"#));
        assert!(!same(r#"["\ud800"]"#, r#"["\ud801"]"#));
    }

    #[test]
    fn what_is_too_deep_is_taken_for_no_json_at_once() {
        let deep = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(Json::of(deep(DEEPEST).as_bytes()).is_some());
        assert_eq!(Json::of(deep(300_000).as_bytes()), None);
    }

    #[test]
    fn fields_and_whole_numbers_are_found() {
        let json = Json::of(br#"{"n":120,"ts":"1970-01-01T00:00:01.5Z","s":"x","z":0}"#).unwrap();
        let whole = |name| {
            json.field(name).and_then(|json| match &json.node {
                Node::Number(number) => number.whole(),
                _ => None,
            })
        };
        assert_eq!(
            (whole("n"), whole("z"), whole("s"), whole("no")),
            (Some(120), Some(0), None, None)
        );
        assert_eq!((json.ts_ms(), json.field("s").and_then(Json::text)), (Some(1_500), Some("x")));
        let ms = |text: &str| Json::of(text.as_bytes()).unwrap().ts_ms();
        assert_eq!(
            (ms(r#"{"ts":1500}"#), ms(r#"{"ts":1.5}"#), ms(r#"{"ts":1e30}"#)),
            (Some(1_500), None, None)
        );
    }
}
