//! What differs between two values, by JSON pointer.

use super::json::{Json, Node, is_same};

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
    match (Json::of(expected), Json::of(found)) {
        (Some(wanted), Some(was)) => {
            let mut differences = Vec::new();
            compare(&wanted, &was, &mut String::new(), &mut differences);
            differences
        }
        (Some(_), None) => whole(Change::NotJson),
        (None, _) => whole(Change::Value),
    }
}

fn compare(expected: &Json<'_>, found: &Json<'_>, at: &mut String, out: &mut Vec<Difference>) {
    let difference = |change| Difference {
        pointer: at.clone(),
        change,
        expected: shortened(expected.text),
        found: shortened(found.text),
    };
    match (&expected.node, &found.node) {
        (Node::Object(wanted), Node::Object(was)) => fields(wanted, was, at, out),
        (Node::Array(wanted), Node::Array(was)) if wanted.len() == was.len() => {
            for (index, (value, found)) in wanted.iter().zip(was).enumerate() {
                within(at, &index.to_string(), |at| compare(value, found, at, out));
            }
        }
        (wanted, was) if std::mem::discriminant(wanted) != std::mem::discriminant(was) => {
            out.push(difference(Change::Type));
        }
        _ if !is_same(expected, found) => out.push(difference(Change::Value)),
        _ => {}
    }
}

/// The fields of an object.
type Fields<'a> = [(String, Json<'a>)];

/// Compares the fields of two objects: of those that share a name the first with the first, and so on.
fn fields(wanted: &Fields<'_>, was: &Fields<'_>, at: &mut String, out: &mut Vec<Difference>) {
    let alike = |fields: &Fields<'_>, name: &str| {
        let from = fields.partition_point(|(found, _)| found.as_str() < name);
        from..from + fields[from..].iter().take_while(|(found, _)| found == name).count()
    };
    for (number, (name, value)) in wanted.iter().enumerate() {
        let nth = number - alike(wanted, name).start;
        let found = was[alike(was, name)].get(nth);
        within(at, name, |at| match found {
            Some((_, found)) => compare(value, found, at, out),
            None => out.push(one_sided(at, Change::Removed, value)),
        });
    }
    for (number, (name, value)) in was.iter().enumerate() {
        if number - alike(was, name).start >= alike(wanted, name).len() {
            within(at, name, |at| out.push(one_sided(at, Change::Added, value)));
        }
    }
}

fn one_sided(at: &str, change: Change, value: &Json<'_>) -> Difference {
    let text = shortened(value.text);
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
        assert_eq!(
            told("{\"mem\":9223372036854775794}", "{\"mem\":9223372036854775807.0}"),
            ["value /mem 9223372036854775794 -> 9223372036854775807.0"]
        );
    }

    #[test]
    fn a_field_that_stands_twice_is_no_field_that_stands_once() {
        let (once, twice) = (r#"{"a":7,"b":1}"#, r#"{"a":999,"b":1,"a":7}"#);
        assert_eq!(told(once, twice), ["value /a 7 -> 999", "added /a  -> 7"]);
        assert_eq!(told(twice, once), ["value /a 999 -> 7", "removed /a 7 -> "]);
        assert_eq!(told(twice, r#"{"a":7,"b":1,"a":999}"#).len(), 2);
        assert_eq!(told(twice, r#"{"b":1.0,"a":999,"a":7}"#), Vec::<String>::new());
    }
}
