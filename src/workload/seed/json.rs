//! The JSON of a seed file. The values of its rows are slices of the text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use super::SeedError;

/// The rows of a seed file, their values unread.
pub(super) fn read_rows(text: &str) -> Result<Vec<RawFields<'_>>, SeedError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let rows = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (row, field) = place(error.path());
        let said = not_rows(error.inner(), row, field);
        match decimal_comma(text, error.inner()) {
            Some(number) => {
                let meant = number.replace(',', ".");
                let problem = format!("{number} has a decimal comma; write {meant}");
                SeedError { problem, ..said }
            }
            None => said,
        }
    })?;
    json.end().map(|()| rows).map_err(|error| not_rows(&error, None, None))
}

/// The number around the place of an error, where it was written with a comma: `0,37`.
fn decimal_comma<'a>(text: &'a str, error: &serde_json::Error) -> Option<&'a str> {
    let line = text.lines().nth(error.line().checked_sub(1)?)?;
    let (before, behind) = line.split_at_checked(error.column().checked_sub(1)?)?;
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = before.strip_suffix(',')?;
    let whole = whole.bytes().rev().take_while(u8::is_ascii_digit).count();
    let from = before.len() - 1 - whole;
    (whole > 0 && digits(behind) > 0).then(|| &line[from..before.len() + digits(behind)])
}

/// Row, from 1, and field that a path leads to.
fn place(path: &Path) -> (Option<usize>, Option<String>) {
    let mut segments = path.iter();
    let row = segments.next().and_then(|segment| match segment {
        Segment::Seq { index } => Some(index + 1),
        _ => None,
    });
    let field = segments.next().and_then(|segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        _ => None,
    });
    (row, field)
}

fn not_rows(error: &serde_json::Error, row: Option<usize>, field: Option<String>) -> SeedError {
    let whole = error.to_string();
    // The line is said in front.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = whole.strip_suffix(&place).unwrap_or(&whole);
    let problem = match said.contains("expected") {
        true => format!("{said}, at column {}", error.column()),
        false => format!("{said} at column {}; expected valid JSON", error.column()),
    };
    SeedError { line: error.line().max(1), row, field, problem }
}

/// The fields of an object in its order, borrowed from its text.
pub(crate) struct RawFields<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Reads the fields of an object; a map would lose their order, and those that stand twice.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = RawFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a GPU row, {...}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(RawFields(fields))
    }
}
