//! Faults that change the value of a record.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg64Mcg;
use serde_json::Value;

use super::fields::{Texts, fields_of, length_of, place_of, push, set, write};
use super::malformed;
use super::{Fault, Parameter};

/// Name of the field that a record has too many.
const EXTRA: (&str, &str) = ("unexpected_field", "true");

/// Name of the field that makes a value large.
const PADDING: &str = "padding";

/// What a number that was never measured looks like, as exporters were seen to write it.
///
/// The blank values of DCGM's types (`dcgm_structs.h`): int64 9223372036854775792 "not found" to
/// ...794 "not supported", int32 2147483632, fp64 140737488355328.0; reported as readings in
/// slurm-job-exporter#30, gpu-monitoring-tools#92 and #97, NVIDIA/DCGM#83 and #202. `utilization` is
/// a hundredth of the percentage, of which NVIDIA/DCGM#199 shows 4294967295 and 1,000 to 200,000.
const SENTINELS: [(&str, &[&str]); 3] = [
    ("utilization", &["42949672.95", "21474836.32", "10.0", "420.0", "2000.0"]),
    ("mem_used_mb", &["9223372036854775792", "9223372036854775794", "2147483632"]),
    ("power_w", &["140737488355328.0"]),
];

/// What was done to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The kind.
    pub fault: Fault,
    /// The field that it was done to.
    pub field: Option<String>,
    /// Which form of the kind, where it has several.
    pub form: Option<&'static str>,
}

/// Does to a value what the kind does.
pub(super) fn apply(
    fault: Fault,
    parameter: Parameter,
    rng: &mut Pcg64Mcg,
    value: &mut Vec<u8>,
) -> Change {
    let mut change = Change { fault, field: None, form: None };
    match fault {
        Fault::Tombstone => value.clear(),
        Fault::Malformed => (change.form, change.field) = malformed::apply(rng, value),
        _ => change_fields(&mut change, parameter, rng, value),
    }
    change
}

/// Changes one field of the object.
fn change_fields(
    change: &mut Change,
    parameter: Parameter,
    rng: &mut Pcg64Mcg,
    value: &mut Vec<u8>,
) {
    let Some(mut fields) = fields_of(value) else { return };
    let at = match change.fault {
        Fault::Sentinel => {
            let (name, values) = SENTINELS.choose(rng).unwrap_or(&SENTINELS[0]);
            let at = place_of(&fields, name);
            set(&mut fields, at, values.choose(rng).unwrap_or(&values[0]));
            at
        }
        Fault::FailedRequest => {
            let at = place_of(&fields, "completion_tokens");
            set(&mut fields, at, "0");
            at
        }
        Fault::ExtraField => Some(push(&mut fields, EXTRA.0, EXTRA.1)),
        Fault::Oversize => {
            let at = push(&mut fields, PADDING, "\"\"");
            let wanted = if let Parameter::Bytes(bytes) = parameter { bytes } else { 0 };
            let padding = wanted.saturating_sub(length_of(&fields));
            fields[at].1 = format!("\"{}\"", "x".repeat(padding));
            Some(at)
        }
        fault => {
            let at = rng.random_range(0..fields.len().max(1));
            change_field(fault, &mut fields, at)
        }
    };
    change.field = at.and_then(|at| fields.get(at)).map(|(key, _)| key.clone());
    if change.fault == Fault::MissingField
        && let Some(at) = at
    {
        fields.remove(at);
    }
    if let (Fault::RenamedField, Some((key, _))) =
        (change.fault, at.and_then(|at| fields.get_mut(at)))
    {
        *key = renamed(key);
    }
    write(&fields, value);
}

/// Changes the field at a place; the place, if there is one.
fn change_field(fault: Fault, fields: &mut Texts, at: usize) -> Option<usize> {
    let (key, text) = fields.get(at)?;
    match fault {
        Fault::NullField => set(fields, Some(at), "null"),
        Fault::WrongType => {
            let other = other_type(key, text);
            set(fields, Some(at), &other);
        }
        Fault::DuplicateKey => {
            let (key, other) = (key.clone(), other_value(text));
            push(fields, &key, other);
        }
        _ => {}
    }
    Some(at)
}

/// The same value as another type: a number becomes text, a text a number, a time milliseconds.
fn other_type(key: &str, text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::String(time)) if key == "ts" => {
            let at = time.parse::<jiff::Timestamp>();
            at.map_or(0, jiff::Timestamp::as_millisecond).to_string()
        }
        Ok(Value::String(_)) => "0".to_owned(),
        _ => Value::from(text).to_string(),
    }
}

/// What the second of two fields with one name has.
fn other_value(text: &str) -> &'static str {
    if text.starts_with('"') { "\"second\"" } else { "-1" }
}

/// The name as another language writes it: `gpu_index` is `gpuIndex`, `ts` is `Ts`.
fn renamed(key: &str) -> String {
    let mut name = String::new();
    let mut is_upper = !key.contains('_');
    for c in key.chars() {
        if c == '_' {
            is_upper = true;
        } else if std::mem::take(&mut is_upper) {
            name.extend(c.to_uppercase());
        } else {
            name.push(c);
        }
    }
    // A name of the user's own may be all underscores or without case.
    if name == key || name.is_empty() { format!("{key}_renamed") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Stream;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const METRIC: &str = r#"{"gpu_index":0,"name":"L4","utilization":0.7,"mem_used_mb":9,"mem_total_mb":10,"power_w":1.0,"price_per_hour_usd":2.5,"ts":"2026-01-01T00:00:00.001Z","host":"vm4"}"#;
    const USAGE: &str = r#"{"ts":"2026-01-01T00:00:00.001Z","model":"m","prompt_tokens":12,"completion_tokens":34,"latency_ms":5,"gpu_index":0}"#;

    fn changed(fault: Fault, value: &str, index: u64) -> (String, Change) {
        let mut rng = Stream::new(1, "test", "").at(index);
        let mut bytes = value.as_bytes().to_vec();
        let change = apply(fault, fault.default_parameter(), &mut rng, &mut bytes);
        (String::from_utf8_lossy(&bytes).into_owned(), change)
    }

    /// Every outcome of a kind by the field that it names.
    fn outcomes(fault: Fault, value: &str) -> BTreeSet<(String, String)> {
        let all = (0..500).map(|index| changed(fault, value, index));
        all.map(|(text, change)| (change.field.unwrap_or_default(), text)).collect()
    }

    fn outcome(fault: Fault, value: &str, field: &str) -> String {
        let found = outcomes(fault, value).into_iter().find(|(name, _)| name == field);
        found.unwrap_or_else(|| panic!("{fault:?} never hits {field}")).1
    }

    #[test]
    fn the_rest_of_the_value_keeps_its_bytes() {
        let missing = outcome(Fault::MissingField, USAGE, "model");
        assert_eq!(missing, USAGE.replace(r#""model":"m","#, ""));
        let null = outcome(Fault::NullField, METRIC, "power_w");
        assert_eq!(null, METRIC.replace(r#""power_w":1.0"#, r#""power_w":null"#));
        let renamed = outcome(Fault::RenamedField, METRIC, "price_per_hour_usd");
        assert_eq!(renamed, METRIC.replace("price_per_hour_usd", "pricePerHourUsd"));
        let renamed = outcome(Fault::RenamedField, USAGE, "ts");
        assert_eq!(renamed, USAGE.replace("\"ts\"", "\"Ts\""));
        let extra = outcome(Fault::ExtraField, USAGE, "unexpected_field");
        assert_eq!(extra, USAGE.replace('}', r#","unexpected_field":true}"#));
        let twice = outcome(Fault::DuplicateKey, USAGE, "model");
        assert_eq!(twice, USAGE.replace('}', r#","model":"second"}"#));
    }

    #[test]
    fn a_wrong_type_keeps_what_the_value_says_where_it_can() {
        for (field, before, after) in [
            ("ts", r#""2026-01-01T00:00:00.001Z""#, "1767225600001"),
            ("model", r#""m""#, "0"),
            ("prompt_tokens", "12", r#""12""#),
        ] {
            let (before, after) = (format!("\"{field}\":{before}"), format!("\"{field}\":{after}"));
            assert_eq!(outcome(Fault::WrongType, USAGE, field), USAGE.replace(&before, &after));
        }
    }

    #[test]
    fn every_field_of_both_events_is_hit() {
        for value in [METRIC, USAGE] {
            let fields: BTreeSet<_> =
                fields_of(value.as_bytes()).unwrap().into_iter().map(|(key, _)| key).collect();
            for fault in [
                Fault::MissingField,
                Fault::NullField,
                Fault::WrongType,
                Fault::RenamedField,
                Fault::DuplicateKey,
            ] {
                let hit: BTreeSet<_> =
                    outcomes(fault, value).into_iter().map(|(field, _)| field).collect();
                assert_eq!(hit, fields, "{fault:?}");
            }
        }
    }

    #[test]
    fn a_sentinel_is_one_that_an_exporter_wrote() {
        let outcomes = outcomes(Fault::Sentinel, METRIC);
        assert_eq!(outcomes.len(), SENTINELS.iter().map(|(_, values)| values.len()).sum::<usize>());
        let power = METRIC.replace(r#""power_w":1.0"#, r#""power_w":140737488355328.0"#);
        assert!(outcomes.contains(&("power_w".to_owned(), power)));
    }

    #[test]
    fn a_failed_request_has_no_completion_and_a_tombstone_no_value() {
        let failed = outcome(Fault::FailedRequest, USAGE, "completion_tokens");
        assert_eq!(failed, USAGE.replace(r#""completion_tokens":34"#, r#""completion_tokens":0"#));
        assert_eq!(changed(Fault::Tombstone, USAGE, 0).0, "");
    }

    #[test]
    fn an_oversize_value_has_the_bytes_that_were_asked_for() {
        let (text, change) = changed(Fault::Oversize, METRIC, 0);
        assert_eq!((text.len(), change.field.as_deref()), (65_536, Some("padding")));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["host"], "vm4");
    }

    proptest! {
        #[test]
        fn fields_of_the_users_own_survive_as_they_are(key in "[a-z_\"\\\\é]{0,9}", index: u64) {
            let name = Value::from(key.as_str());
            let value = format!(r#"{{{name}:{{"a": [1,  2.50]}},"ts":"x"}}"#);
            let mut bytes = value.as_bytes().to_vec();
            let fields = fields_of(&bytes).unwrap();
            write(&fields, &mut bytes);
            prop_assert_eq!(String::from_utf8_lossy(&bytes), value.as_str());
            let (renamed, _) = changed(Fault::RenamedField, &value, index);
            prop_assert_ne!(renamed, value);
        }
    }
}
