//! `--detected`: what a pipeline flagged.
//!
//! A line has the fields of one of three forms, and any others beside them. Numbers may be text: the
//! labels of an alert are.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{Problem, Topics, ndjson};
use crate::audit::{Alert, Flags};
use crate::event::Kind;
use crate::faults::Fault;
use crate::plan::Plan;
use crate::workload::incidents::IncidentKind;

/// What an alert is of that does not say which incident it is about.
const ANY: &str = "any";

const FORM: &str = "expected {\"topic\",\"partition\",\"offset\"} or {\"topic\",\"seq\"}, with a \
    \"kind\" or without, or {\"at\"}, with an \"incident\" or without";

/// Reads what a pipeline flagged in these topics.
///
/// # Errors
/// The file cannot be read, or is not valid: the line, the field and what was expected of it.
pub(super) fn read(path: &Path, plan: &Plan, topics: &Topics) -> Result<Flags, Problem> {
    let mut flags = Flags::of_places(topics.is_one());
    ndjson::each(path, |number, line| {
        let fields: Value = serde_json::from_slice(line).map_err(|e| format!("{e}; {FORM}"))?;
        let Value::Object(fields) = fields else {
            return Err(format!("it is no JSON object; {FORM}"));
        };
        let line = Line { number, fields: &fields };
        let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        if has("incident") || !has("topic") && !has("seq") && !has("offset") {
            line.alert(&mut flags)
        } else if has("offset") || !has("seq") {
            line.place(&mut flags, topics)
        } else {
            line.pair(&mut flags, plan, topics)
        }
    })?;
    Ok(flags)
}

/// A line of the file. Its JSON Schema is `detected.v1`.
struct Line<'a> {
    number: u64,
    fields: &'a Map<String, Value>,
}

impl Line<'_> {
    fn alert(&self, flags: &mut Flags) -> Result<(), String> {
        let kind = match self.text("incident")?.filter(|word| word != ANY) {
            None => None,
            Some(word) => {
                let kind = IncidentKind::ALL.into_iter().find(|kind| kind.word() == word);
                Some(kind.ok_or_else(|| {
                    let known = IncidentKind::ALL.map(IncidentKind::word).join(", ");
                    format!("there is no incident {word:?}; the kinds are {known}, or {ANY}")
                })?)
            }
        };
        let at = self.fields.get("at").filter(|at| !at.is_null());
        let at = at.ok_or_else(|| format!("there is no \"at\"; {FORM}"))?;
        let at_ms = time(at).ok_or_else(|| {
            format!(
                "at is {at}; expected a time, as 2026-01-05T09:10:04Z, or as seconds, ms, us or ns \
                 since 1970"
            )
        })?;
        let (mut host, mut gpu) = (self.text("host")?, None);
        if let Some(text) = self.text("gpu")? {
            // Consumers know a GPU by its key.
            let index = match text.rsplit_once('/') {
                Some((of_key, index)) => {
                    host = host.or_else(|| Some(of_key.to_owned()));
                    index
                }
                None => &text,
            };
            let index = index.parse().map_err(|_| {
                format!("gpu is {text:?}; expected its index on the host, as 0, or its key")
            })?;
            gpu = Some(index);
        }
        flags.alert(Alert { line: self.number, kind, host, gpu, at_ms });
        Ok(())
    }

    fn pair(&self, flags: &mut Flags, plan: &Plan, topics: &Topics) -> Result<(), String> {
        let is_one = topics.is_one();
        let name = self.needed("topic")?;
        let (seq, fault) = (self.number("seq")?, self.fault()?);
        let is_own = self.text("run")?.is_none_or(|run| run == plan.identity.run_id);
        let topic = topics.find(&name).map(|(kind, _)| kind);
        // The name of an event is right in any case: of one topic for both, it alone is.
        let named = if is_one { event(&name) } else { topic.or(event(&name)) };
        if named.is_none() && topic.is_some() {
            let [metric, token] = Kind::BOTH.map(Kind::schema_name);
            return Err(format!(
                "topic {name} has both events of a pair; expected \"topic\":{metric:?} or {token:?}"
            ));
        }
        match named.filter(|_| is_own && plan.shard().place_of(seq).is_some()) {
            Some(kind) => flags.flag_pair(self.number, seq, kind, fault),
            None => flags.of_another(),
        }
        Ok(())
    }

    fn place(&self, flags: &mut Flags, topics: &Topics) -> Result<(), String> {
        let name = self.needed("topic")?;
        let (partition, offset) = (self.number("partition")?, self.number("offset")?);
        let fault = self.fault()?;
        match topics.find(&name).or(event(&name).map(|kind| (kind, 0))) {
            Some(topic) => flags.flag_at(self.number, topic, (partition, offset), fault),
            None => flags.of_another(),
        }
        Ok(())
    }

    /// The kind of fault that is named, if one is.
    fn fault(&self) -> Result<Option<Fault>, String> {
        let Some(word) = self.text("kind")?.filter(|word| word != ANY) else { return Ok(None) };
        let known = || Fault::ALL.map(Fault::word).join(", ");
        let fault = Fault::of_word(&word);
        let unknown = || format!("there is no fault {word:?}; the kinds are {}", known());
        fault.map(Some).ok_or_else(unknown)
    }

    /// A field as text; a number is text, too.
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(format!("{name} is {other}; expected text")),
        }
    }

    fn needed(&self, name: &str) -> Result<String, String> {
        self.text(name)?.ok_or_else(|| format!("there is no {name:?}; {FORM}"))
    }

    /// A field that is a whole number from 0.
    fn number<T: TryFrom<u64>>(&self, name: &str) -> Result<T, String> {
        let text = self.needed(name)?;
        let number = text.trim().parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("{name} is {text:?}; expected a whole number from 0"))
    }
}

fn event(name: &str) -> Option<Kind> {
    Kind::BOTH.into_iter().find(|kind| kind.schema_name() == name)
}

/// A time in ms since 1970: RFC 3339, or a number whose size tells its unit.
fn time(value: &Value) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    // Seconds have these many digits until the year 5138, and so on.
    let seconds = match number.abs() {
        size if size < 1e11 => number,
        size if size < 1e14 => number / 1e3,
        size if size < 1e17 => number / 1e6,
        _ => number / 1e9,
    };
    // A double has no exact thousandths: to the nearest millisecond.
    let since_1970 = SignedDuration::try_from_secs_f64(seconds + 0.5e-3).ok()?;
    Some(Timestamp::from_duration(since_1970).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_its_form_and_size_say() {
        let ms = 1_767_604_204_500;
        for at in [
            "\"2026-01-05T09:10:04.5Z\"",
            "\"2026-01-05T10:10:04.5+01:00\"",
            "1767604204.5",
            "\"1767604204.5\"",
            "1767604204500",
            "1767604204500000",
            "1767604204500000000",
        ] {
            assert_eq!(time(&serde_json::from_str(at).unwrap()), Some(ms), "{at}");
        }
        for at in ["\"now\"", "true", "1e300", "\"\"", "\"NaN\""] {
            assert_eq!(time(&serde_json::from_str(at).unwrap()), None, "{at}");
        }
    }
}
