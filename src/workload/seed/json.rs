//! The JSON of a seed file. The values of its rows are slices of the text.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::SeedError;

/// The reader's position, for errors that serde_json itself reports.
#[derive(Default)]
struct Position {
    row: Cell<usize>,
    field: Cell<Option<String>>,
}

/// The rows of a seed file, their values unread.
pub(super) fn read_rows(text: &str) -> Result<Vec<RawRow<'_>>, SeedError> {
    let position = Position::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let rows = RowsSeed(&position).deserialize(&mut json);
    rows.and_then(|rows| json.end().map(|()| rows)).map_err(|e| {
        let row = Some(position.row.get()).filter(|row| *row > 0);
        let problem = format!("{e}; expected a JSON array of GPU rows");
        SeedError { line: e.line().max(1), row, field: position.field.take(), problem }
    })
}

/// A row's fields, borrowed from the file's text.
pub(super) struct RawRow<'a>(pub(super) Vec<(String, &'a RawValue)>);

struct RowsSeed<'p>(&'p Position);
struct RowSeed<'p>(&'p Position);

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Vec<RawRow<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Vec<RawRow<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of GPU rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        self.0.row.set(1);
        while let Some(row) = seq.next_element_seed(RowSeed(self.0))? {
            rows.push(row);
            self.0.row.set(rows.len() + 1);
        }
        self.0.row.set(0);
        Ok(rows)
    }
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = RawRow<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = RawRow<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a GPU row, {...}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Vec<(String, &'de RawValue)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            self.0.field.set(Some(key.clone()));
            if fields.iter().any(|(k, _)| *k == key) {
                return Err(A::Error::custom("the field stands twice in the row"));
            }
            fields.push((key, map.next_value()?));
            self.0.field.set(None);
        }
        Ok(RawRow(fields))
    }
}
