//! A record as the columns of a table: those that are there are compared, and no others.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::compare::{self, Change, Difference, shortened};
use super::moment::Moment;

/// Name of the field that has the event time.
const TS: &str = "ts";

/// What a column of a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// Text that says nothing of its type, as in CSV.
    Text(&'a str),
    /// A JSON value, as it is written; not `null`.
    Json(&'a str),
}

/// The columns of a row that are fields of its event.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Name of the field and what it has.
    pub cells: &'a [(&'a str, Cell<'a>)],
    /// The finest unit that the times of the table have, nanoseconds.
    pub precision_ns: i128,
}

/// What was read of the rows of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RowAccount {
    /// How many there were.
    pub rows: u64,
    /// Fields that were compared, by name.
    pub compared: Vec<String>,
    /// Fields of the event that no row has.
    pub not_there: Vec<String>,
    /// Columns that are no field of the event, and were ignored: the first of them.
    pub ignored: Vec<String>,
    /// The finest unit of the event times, microseconds; null where there are none.
    pub time_precision_us: Option<u64>,
}

/// What was read of a file or a pipe, beside the records in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InputAccount {
    /// Lines that are no record, nor any value that the run sent.
    pub unreadable: u64,
    /// The first of them.
    pub first_unreadable: Vec<BadLine>,
    /// Record timestamps that are no times, and were not compared.
    pub untold_times: u64,
    /// Rows of a table, metrics first; null where there were none.
    pub rows: [Option<RowAccount>; 2],
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: i64,
    /// Why.
    pub problem: String,
}

/// The fields of a JSON object in their order; twice if they are there twice.
#[derive(Debug)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(Name(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// How a cell compares with what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// It is written in the same way.
    Same,
    /// It is the same value, written in another way.
    Reencoded,
    /// It is another value.
    Other,
}

impl Row<'_> {
    /// The event time of the row.
    pub(super) fn moment(&self) -> Option<Moment> {
        let (_, cell) = self.cells.iter().find(|(name, _)| *name == TS)?;
        cell.moment()
    }

    /// Where it differs from a value, and whether it is written in another way.
    pub(super) fn differences(&self, expected: Option<&[u8]>) -> (Vec<Difference>, bool) {
        let sent = expected.and_then(|value| serde_json::from_slice::<Fields<'_>>(value).ok());
        let sent = sent.map(|Fields(fields)| fields).unwrap_or_default();
        let (mut differences, mut is_reencoded) = (Vec::new(), false);
        for (name, cell) in self.cells {
            let mut wanted = sent.iter().filter(|(field, _)| field == name).peekable();
            let first = wanted.peek().map(|(_, raw)| raw.get());
            // Of a field that was sent twice, a table keeps either.
            let likeness = wanted.map(|(_, raw)| cell.likeness(name, raw.get(), self.precision_ns));
            let likeness = likeness.min_by_key(|likeness| *likeness as u8);
            let change = match (likeness, cell) {
                (Some(Likeness::Same), _) | (None, Cell::Null) => continue,
                (Some(Likeness::Reencoded), _) => {
                    is_reencoded = true;
                    continue;
                }
                (Some(Likeness::Other), Cell::Null) => Change::Removed,
                (Some(Likeness::Other), _) => Change::Value,
                (None, _) => Change::Added,
            };
            differences.push(Difference {
                pointer: format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                change,
                expected: shortened(first.unwrap_or_default()),
                found: match cell {
                    Cell::Null => "NULL".to_owned(),
                    Cell::Text(text) | Cell::Json(text) => shortened(text),
                },
            });
        }
        (differences, is_reencoded)
    }
}

impl Cell<'_> {
    /// The moment that it tells.
    #[must_use]
    pub fn moment(&self) -> Option<Moment> {
        match self {
            Self::Null => None,
            Self::Text(text) => Moment::of_text(text),
            Self::Json(json) => moment_of(json),
        }
    }

    fn likeness(&self, name: &str, wanted: &str, precision_ns: i128) -> Likeness {
        let reencoded = |same: bool| if same { Likeness::Reencoded } else { Likeness::Other };
        if let Self::Null = self {
            return match wanted {
                "null" => Likeness::Same,
                // An empty text in CSV cannot be told from none.
                "\"\"" => Likeness::Reencoded,
                _ => Likeness::Other,
            };
        }
        let sent = string_of(wanted);
        let text = match self {
            Self::Json(json) if *json == wanted => return Likeness::Same,
            Self::Json(json) => string_of(json),
            Self::Null => None,
            Self::Text(text) => Some(Cow::Borrowed(*text)),
        };
        let is_text = matches!(self, Self::Text(_));
        if text.is_some() && text == sent || is_text && text.as_deref() == Some(wanted) {
            return Likeness::Same;
        }
        if name == TS
            && let (Some(own), Some(sent)) = (self.moment(), moment_of(wanted))
        {
            return reencoded(own.is(&sent, precision_ns));
        }
        let plain = text.as_deref().unwrap_or(match self {
            Self::Json(json) | Self::Text(json) => json,
            Self::Null => "",
        });
        let sent = sent.as_deref().unwrap_or(wanted);
        if let (Some(own), Some(number)) = (Decimal::of(plain), Decimal::of(sent)) {
            return reencoded(own == number || own.is_double_of(plain, &number, sent));
        }
        let truth = |text: &str| match text {
            "true" | "t" | "TRUE" | "True" | "1" => Some(true),
            "false" | "f" | "FALSE" | "False" | "0" => Some(false),
            _ => None,
        };
        if matches!(wanted, "true" | "false") {
            return reencoded(truth(plain) == truth(wanted));
        }
        let is_nested =
            wanted.starts_with(['{', '[']) && plain.trim_start().starts_with(['{', '[']);
        let is_json = || serde_json::from_str::<&RawValue>(plain).is_ok();
        reencoded(
            is_nested
                && is_json()
                && compare::differences(Some(wanted.as_bytes()), Some(plain.as_bytes())).is_empty(),
        )
    }
}

/// The text of a JSON string.
fn string_of(json: &str) -> Option<Cow<'_, str>> {
    if !json.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Name<'_>>(json).ok().map(|Name(text)| text)
}

/// The moment that a JSON value tells.
fn moment_of(json: &str) -> Option<Moment> {
    match string_of(json) {
        Some(text) => Moment::of_text(&text),
        None => Moment::of_number(json),
    }
}

/// A number by its digits, so that every form of it is one.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    /// Without zeros at either end.
    digits: String,
    /// The place of the last digit.
    exponent: i64,
}

impl Decimal {
    /// Whether it is all the digits of the double that stands for a shorter number: SQLite prints 248.7
    /// as 248.69999999999998863 in JSON. Fifteen digits are the same through any double.
    fn is_double_of(&self, text: &str, sent: &Self, sent_text: &str) -> bool {
        const EXACT: usize = 15;
        let double = |text: &str| text.parse::<f64>().ok();
        self.digits.len() > EXACT
            && sent.digits.len() <= EXACT
            && double(text).is_some_and(|own| {
                double(sent_text).is_some_and(|sent| own.total_cmp(&sent).is_eq())
            })
    }

    fn of(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let exponent: i64 = exponent.parse().ok()?;
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        let zeros = i64::try_from(all.len() - all.trim_end_matches('0').len()).ok()?;
        let places = i64::try_from(fraction.len()).ok()?;
        let is_zero = digits.is_empty();
        Some(Self {
            is_negative: text.starts_with('-') && !is_zero,
            digits: digits.to_owned(),
            exponent: if is_zero { 0 } else { exponent.checked_sub(places)?.checked_add(zeros)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment::MS;
    use super::*;

    const SENT: &[u8] = br#"{"gpu_index":0,"name":"RTX","utilization":0.7,"power_w":280.0,"ok":true,"tags":{"a":[1]},"none":null,"ts":"2026-01-05T09:00:00.354Z","host":"vm4"}"#;

    fn told(cells: &[(&str, Cell<'_>)], precision_ns: i128) -> (Vec<String>, bool) {
        let (differences, is_reencoded) = Row { cells, precision_ns }.differences(Some(SENT));
        let told = |d: &Difference| {
            format!("{} {} {} -> {}", d.change.word(), d.pointer, d.expected, d.found)
        };
        (differences.iter().map(told).collect(), is_reencoded)
    }

    #[test]
    fn only_the_columns_that_are_there_are_compared() {
        let same = [("power_w", Cell::Json("280.0")), ("host", Cell::Text("vm4"))];
        assert_eq!(told(&same, MS), (vec![], false));
        assert_eq!(told(&[], MS), (vec![], false));
    }

    #[test]
    fn what_a_database_writes_in_another_way_is_the_same_value() {
        for cells in [
            [("utilization", Cell::Text("0.70")), ("power_w", Cell::Text("2.8e2"))],
            [("utilization", Cell::Json("\"0.7\"")), ("gpu_index", Cell::Json("0.0"))],
            [("ts", Cell::Text("2026-01-05 09:00:00.354+00")), ("ok", Cell::Text("t"))],
            [("power_w", Cell::Json("280")), ("utilization", Cell::Json("0.69999999999999995559"))],
            [("ts", Cell::Json("1767603600354")), ("ok", Cell::Text("1"))],
            [("tags", Cell::Text("{\"a\": [1]}")), ("none", Cell::Null)],
        ] {
            assert_eq!(told(&cells, MS), (vec![], true), "{cells:?}");
        }
    }

    #[test]
    fn another_value_is_named_by_its_field() {
        let cells = [
            ("utilization", Cell::Text("0.69999999999999917")),
            ("power_w", Cell::Null),
            ("gpu_index", Cell::Text("0,0")),
            ("ts", Cell::Text("2026-01-05 09:00:00")),
            ("missing", Cell::Json("1")),
            ("absent", Cell::Null),
        ];
        let (told, _) = told(&cells, MS);
        let expected = [
            "value /utilization 0.7 -> 0.69999999999999917",
            "removed /power_w 280.0 -> NULL",
            "value /gpu_index 0 -> 0,0",
            "value /ts \"2026-01-05T09:00:00.354Z\" -> 2026-01-05 09:00:00",
            "added /missing  -> 1",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn of_a_field_that_was_sent_twice_a_table_keeps_either() {
        let sent = br#"{"a":1,"a":-1}"#;
        for (text, differs) in [("1", 0), ("-1", 0), ("2", 1)] {
            let cells = [("a", Cell::Text(text))];
            let (differences, _) = Row { cells: &cells, precision_ns: MS }.differences(Some(sent));
            assert_eq!(differences.len(), differs, "{text}");
        }
    }
}
