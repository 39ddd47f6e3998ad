//! What differs between two values, by JSON pointer.

use serde_json::Value;

/// How a place of a value differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// It is there, and was not expected.
    Added,
    /// It is not there.
    Removed,
    /// It has another type.
    Type,
    /// It has another value.
    Value,
    /// The whole is not JSON.
    NotJson,
    /// There is no value at all: a tombstone.
    Tombstone,
}

impl Change {
    /// The word of the account.
    #[must_use]
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Type => "type",
            Self::Value => "value",
            Self::NotJson => "not-json",
            Self::Tombstone => "tombstone",
        }
    }
}

/// One difference: where, how, what was expected there and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) pointer: String,
    pub(super) change: Change,
    pub(super) expected: String,
    pub(super) found: String,
}

/// Longest text of an example.
const SHOWN: usize = 120;

/// A text, cut to what an example shows.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The differences of a value from the expected one; none if it is the same JSON in other bytes. What
/// a fault left without a value, or without JSON, is compared as a whole.
pub(super) fn differences(expected: Option<&[u8]>, found: Option<&[u8]>) -> Vec<Difference> {
    if expected == found {
        return Vec::new();
    }
    let text = |bytes: Option<&[u8]>| shortened(&String::from_utf8_lossy(bytes.unwrap_or(b"null")));
    let whole = |change| {
        let (expected, found) = (text(expected), text(found));
        vec![Difference { pointer: String::new(), change, expected, found }]
    };
    let Some(expected) = expected else { return whole(Change::Added) };
    let Some(found) = found else { return whole(Change::Tombstone) };
    let json = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    match (json(expected), json(found)) {
        (Some(wanted), Some(was)) => {
            let mut differences = Vec::new();
            compare(&wanted, &was, &mut String::new(), &mut differences);
            differences
        }
        (Some(_), None) => whole(Change::NotJson),
        (None, _) => whole(Change::Value),
    }
}

fn compare(expected: &Value, found: &Value, at: &mut String, out: &mut Vec<Difference>) {
    let difference = |change| Difference {
        pointer: at.clone(),
        change,
        expected: shortened(&expected.to_string()),
        found: shortened(&found.to_string()),
    };
    match (expected, found) {
        (Value::Object(wanted), Value::Object(was)) => {
            for (name, value) in wanted {
                within(at, name, |at| match was.get(name) {
                    Some(found) => compare(value, found, at, out),
                    None => out.push(one_sided(at, Change::Removed, value)),
                });
            }
            for (name, value) in was.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                within(at, name, |at| out.push(one_sided(at, Change::Added, value)));
            }
        }
        (Value::Array(wanted), Value::Array(was)) if wanted.len() == was.len() => {
            for (index, (value, found)) in wanted.iter().zip(was).enumerate() {
                within(at, &index.to_string(), |at| compare(value, found, at, out));
            }
        }
        (Value::Number(wanted), Value::Number(was)) => {
            // 0.70 and 0.7, 1 and 1.0 are one number.
            let same =
                wanted == was || (wanted.as_f64() == was.as_f64() && !both_whole(wanted, was));
            if !same {
                out.push(difference(Change::Value));
            }
        }
        (wanted, was) if std::mem::discriminant(wanted) != std::mem::discriminant(was) => {
            out.push(difference(Change::Type));
        }
        (wanted, was) if wanted != was => out.push(difference(Change::Value)),
        _ => {}
    }
}

/// Whether both are integers, which are compared as such.
fn both_whole(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    !a.is_f64() && !b.is_f64()
}

fn one_sided(at: &str, change: Change, value: &Value) -> Difference {
    let text = shortened(&value.to_string());
    let (expected, found) = match change {
        Change::Added => (String::new(), text),
        _ => (text, String::new()),
    };
    Difference { pointer: at.to_owned(), change, expected, found }
}

/// Calls `each` with the pointer to a member.
fn within(at: &mut String, name: &str, each: impl FnOnce(&mut String)) {
    let length = at.len();
    at.push('/');
    at.push_str(&name.replace('~', "~0").replace('/', "~1"));
    each(at);
    at.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(expected: &str, found: &str) -> Vec<String> {
        let differences = differences(Some(expected.as_bytes()), Some(found.as_bytes()));
        let told = |d: &Difference| {
            format!("{} {} {} -> {}", d.change.word(), d.pointer, d.expected, d.found)
        };
        differences.iter().map(told).collect()
    }

    #[test]
    fn the_same_json_in_other_bytes_is_no_difference() {
        let expected = r#"{"a":0.70,"b":1,"c":{"d":[1,"x"]}}"#;
        let found = r#"{ "c": {"d":[1.0,"x"]}, "b": 1.0, "a": 7e-1 }"#;
        assert_eq!(told(expected, found), Vec::<String>::new());
    }

    #[test]
    fn every_difference_is_told_by_its_pointer() {
        let expected = r#"{"a":1,"b":"x","c":{"d/e":[1,2]},"gone":null}"#;
        let found = r#"{"a":2,"b":7,"c":{"d/e":[1,3]},"new":true}"#;
        assert_eq!(
            told(expected, found),
            [
                "value /a 1 -> 2",
                "type /b \"x\" -> 7",
                "value /c/d~1e/1 2 -> 3",
                "removed /gone null -> ",
                "added /new  -> true",
            ]
        );
        assert_eq!(told("{}", "{"), ["not-json  {} -> {"]);
        assert_eq!(differences(Some(b"{}"), None)[0].change, Change::Tombstone);
    }

    #[test]
    fn integers_beyond_what_a_double_holds_are_told_apart() {
        assert_eq!(told("[9007199254740993]", "[9007199254740992]").len(), 1);
    }
}
