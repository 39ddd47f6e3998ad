//! Checks every field of a row of a seed file.

use serde_json::value::RawValue;

use super::json::RawFields;
use super::{ADDED, Field, REQUIRED, Row, SeedError, Slot, line_at};
use crate::workload::constants::CONSTANTS;

/// Checks row number `row` of the file's `text`.
pub(super) fn read(text: &str, row: usize, raw: &RawFields<'_>) -> Result<Row, SeedError> {
    RowReader { text, row, raw }.read()
}

/// Upper bound of the hardware constants. No watt, millisecond or batch comes near it.
const MOST: f64 = 1e6;

/// Checks one row.
struct RowReader<'a> {
    text: &'a str,
    row: usize,
    raw: &'a RawFields<'a>,
}

impl RowReader<'_> {
    fn read(&self) -> Result<Row, SeedError> {
        for (i, (key, value)) in self.raw.0.iter().enumerate() {
            if self.raw.0[..i].iter().any(|(before, _)| before == key) {
                let problem = "the field stands twice in the row; expected it once";
                return Err(self.error(key, value, problem));
            }
        }
        if let Some((key, value)) = self.raw.0.iter().find(|(k, _)| ADDED.contains(&k.as_str())) {
            return Err(self.error(
                key,
                value,
                "the program adds this field; expected it left out",
            ));
        }
        let utilization = self.float("utilization", 1.0)?;
        let percent = (utilization * 100.0).round();
        let (used, total) = (self.integer("mem_used_mb")?, self.integer("mem_total_mb")?);
        if used > total {
            let value = self.value("mem_used_mb")?;
            let problem =
                format!("{used} is more than mem_total_mb, {total}; expected 0 to {total}");
            return Err(self.error("mem_used_mb", value, &problem));
        }
        self.float("price_per_hour_usd", f64::MAX)?;
        let index = self.integer("gpu_index")?;
        let gpu_index = u32::try_from(index).map_err(|_| self.not_an_index(index))?;
        Ok(Row {
            gpu_index,
            name: self.name()?,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 100"
            )]
            utilization_percent: percent as u8,
            mem_used_mb: used,
            mem_total_mb: total,
            power_w: self.float("power_w", f64::MAX)?,
            model: self.model()?,
            constants: self.constants()?,
            fields: self.raw.0.iter().map(|(key, value)| field(key, value, utilization)).collect(),
        })
    }

    fn value(&self, key: &str) -> Result<&RawValue, SeedError> {
        self.optional(key).ok_or_else(|| {
            let line = self.raw.0.first().map_or(1, |(_, value)| self.line_of(value));
            let meant = self.like(key).map(|other| format!(", but the row has {other:?}"));
            let problem =
                format!("missing{}; expected every row to have it", meant.unwrap_or_default());
            SeedError { line, row: Some(self.row), field: Some(key.to_owned()), problem }
        })
    }

    /// The field that is probably this one, misspelled.
    fn like(&self, key: &str) -> Option<&str> {
        let others = self.raw.0.iter().map(|(other, _)| other.as_str());
        let others = others.filter(|other| REQUIRED.iter().all(|(name, _)| name != other));
        let distances = others.map(|other| (strsim::damerau_levenshtein(other, key), other));
        let (distance, other) = distances.min()?;
        (distance <= key.len() / 3).then_some(other)
    }

    fn name(&self) -> Result<String, SeedError> {
        let value = self.value("name")?;
        match serde_json::from_str::<String>(value.get()) {
            Ok(name) if !name.trim().is_empty() => Ok(name),
            _ => Err(self.error("name", value, &found(value, "a GPU model name in quotes"))),
        }
    }

    /// The language model of the row, if it names one.
    fn model(&self) -> Result<Option<String>, SeedError> {
        let Some(value) = self.optional("model") else { return Ok(None) };
        match serde_json::from_str::<String>(value.get()) {
            Ok(name) if !name.trim().is_empty() => Ok(Some(name)),
            _ => {
                Err(self.error("model", value, &found(value, "a language model's name in quotes")))
            }
        }
    }

    /// The constants of the hardware that the row sets.
    fn constants(&self) -> Result<Vec<(&'static str, f64)>, SeedError> {
        let set = CONSTANTS.iter().filter(|name| self.optional(name).is_some());
        let constants = set.map(|name| Ok((*name, self.float(name, MOST)?)));
        let constants = constants.collect::<Result<Vec<_>, SeedError>>()?;
        for (name, at_least) in
            [("power_cap_w", self.float("power_w", f64::MAX)?), ("batch_max", 1.0)]
        {
            let set = constants.iter().find(|(n, value)| *n == name && *value < at_least);
            if let (Some(_), Some(value)) = (set, self.optional(name)) {
                let which = if name == "power_cap_w" { " (power_w)" } else { "" };
                let expected = format!("a number from {at_least}{which} to {MOST}");
                return Err(self.error(name, value, &found(value, &expected)));
            }
        }
        Ok(constants)
    }

    fn optional(&self, key: &str) -> Option<&RawValue> {
        self.raw.0.iter().find(|(k, _)| k == key).map(|(_, value)| *value)
    }

    fn float(&self, key: &str, max: f64) -> Result<f64, SeedError> {
        let value = self.value(key)?;
        let number = serde_json::from_str::<f64>(value.get()).ok().filter(|n| n.is_finite());
        number.filter(|n| (0.0..=max).contains(n)).ok_or_else(|| {
            let expected = if max < f64::MAX {
                format!("a number from 0 to {max}")
            } else {
                "a number, 0 or more".into()
            };
            let is_share = key == "utilization";
            let instead = instead(value, is_share, false).filter(|_| is_share || is_text(value));
            self.error(key, value, &(found(value, &expected) + &instead.unwrap_or_default()))
        })
    }

    fn integer(&self, key: &str) -> Result<u64, SeedError> {
        let value = self.value(key)?;
        let number = serde_json::from_str::<u64>(value.get()).ok();
        // Memory in MiB stays far below the largest integer that every JSON reader holds exactly.
        number.filter(|n| *n < 1 << 53).ok_or_else(|| {
            let instead = instead(value, false, true).unwrap_or_default();
            self.error(key, value, &(found(value, "a whole number, 0 or more") + &instead))
        })
    }

    fn not_an_index(&self, index: u64) -> SeedError {
        let problem = format!("{index} is not valid; expected a whole number below 4294967296");
        let line = self.value("gpu_index").map_or(1, |value| self.line_of(value));
        SeedError { line, row: Some(self.row), field: Some("gpu_index".into()), problem }
    }

    fn error(&self, key: &str, value: &RawValue, problem: &str) -> SeedError {
        SeedError {
            line: self.line_of(value),
            row: Some(self.row),
            field: Some(key.to_owned()),
            problem: problem.to_owned(),
        }
    }

    /// The value is a slice of the text, so its address gives its position.
    fn line_of(&self, value: &RawValue) -> usize {
        let offset = value.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        line_at(self.text.as_bytes().get(..offset).unwrap_or_default())
    }
}

fn found(value: &RawValue, expected: &str) -> String {
    let text: String = value.get().chars().take(60).collect();
    if text == "null" {
        return format!("null stands for a value that is still to be written; expected {expected}");
    }
    format!("{text} is not valid; expected {expected}")
}

fn meant_share(number: f64, is_percent: bool) -> f64 {
    if is_percent { number / 100.0 } else { number }
}

fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// The number that was meant by a text as in `"37 %"`, or by a share in percent, to be written instead.
fn instead(value: &RawValue, is_share: bool, is_whole: bool) -> Option<String> {
    let text = value.get();
    let inner = text.trim_matches('"').trim();
    let end = inner.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(inner.len());
    let (number, unit) = inner.split_at(end);
    let number: f64 = number.parse().ok()?;
    let is_percent = is_share && (unit.trim() == "%" || number >= 2.0);
    if !["", "%", "MiB", "MB", "W"].contains(&unit.trim())
        || (is_share && meant_share(number, is_percent) > 1.0)
    {
        return None;
    }
    let meant = meant_share(number, is_percent);
    let meant = if is_whole { meant.round() } else { meant };
    Some(format!("; write {meant}"))
}

fn field(key: &str, value: &RawValue, utilization: f64) -> Field {
    let slot = match key {
        "utilization" => Slot::Utilization,
        "mem_used_mb" => Slot::MemUsed,
        "power_w" => Slot::Power,
        _ => Slot::Constant,
    };
    // NVML reports whole percent, and the contract has whole hundredths: 0.705 becomes 0.71.
    let hundredths = (utilization * 100.0).round() / 100.0;
    let value_json = if slot == Slot::Utilization && (utilization - hundredths).abs() > 1e-9 {
        hundredths.to_string()
    } else {
        value.get().to_owned()
    };
    Field { key_json: serde_json::Value::from(key).to_string(), value_json, slot }
}
