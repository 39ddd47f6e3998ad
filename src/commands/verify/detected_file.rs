//! `--detected`: what a pipeline flagged.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Problem, ndjson};
use crate::audit::{Alert, Flags};
use crate::event::Kind;
use crate::faults::Fault;
use crate::plan::Plan;
use crate::workload::incidents::IncidentKind;

/// A line of it. Its JSON Schema is `detected.v1`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Incident(Incident),
    Pair(Pair),
    Place(Place),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Incident {
    incident: String,
    host: Option<String>,
    gpu: Option<u32>,
    at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    run: Option<String>,
    seq: u64,
    topic: String,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    topic: String,
    partition: i32,
    offset: i64,
    kind: Option<String>,
}

/// Reads what a pipeline flagged in these topics.
///
/// # Errors
/// The file cannot be read, or is not valid.
pub(super) fn read(path: &Path, plan: &Plan, topics: &[String; 2]) -> Result<Flags, Problem> {
    let is_one = topics[0] == topics[1];
    let mut flags = Flags::of_places(is_one);
    let event = |name: &str| Kind::BOTH.into_iter().find(|kind| kind.schema_name() == name);
    let topic = |name: &str| Kind::BOTH.into_iter().find(|kind| topics[*kind as usize] == name);
    ndjson::each(path, FORM, |line: Line| {
        match line {
            Line::Incident(Incident { incident, host, gpu, at }) => {
                let mut kinds = IncidentKind::ALL.into_iter();
                let kind = kinds.find(|kind| kind.word() == incident).ok_or_else(|| {
                    let known = IncidentKind::ALL.map(IncidentKind::word).join(", ");
                    format!("there is no incident {incident:?}; the kinds are {known}")
                })?;
                let at: Timestamp =
                    at.parse().map_err(|_| format!("at {at:?} is no RFC 3339 time"))?;
                flags.alert(Alert { kind, host, gpu, at_ms: at.as_millisecond() });
            }
            Line::Pair(Pair { run, seq, topic: name, kind }) => {
                let fault = fault(kind.as_deref())?;
                let is_own = run.is_none_or(|run| run == plan.identity.run_id);
                // The name of an event is right in any case: of one topic for both, it alone is.
                let named = if is_one { event(&name) } else { topic(&name).or(event(&name)) };
                if named.is_none() && topic(&name).is_some() {
                    let [metric, token] = Kind::BOTH.map(Kind::schema_name);
                    return Err(format!(
                        "topic {name} has both events of a pair; expected \"topic\":{metric:?} or {token:?}"
                    ));
                }
                match named.filter(|_| is_own && plan.shard().place_of(seq).is_some()) {
                    Some(kind) => flags.flag_pair(seq, kind, fault),
                    None => flags.of_another(),
                }
            }
            Line::Place(Place { topic: name, partition, offset, kind }) => {
                let fault = fault(kind.as_deref())?;
                match topic(&name).or(event(&name)) {
                    Some(kind) => flags.flag_at(kind, partition, offset, fault),
                    None => flags.of_another(),
                }
            }
        }
        Ok(())
    })?;
    Ok(flags)
}

const FORM: &str = "flag; expected {\"topic\",\"partition\",\"offset\"} or {\"topic\",\"seq\"}, with a \
    \"kind\" or without, or {\"incident\",\"at\"}";

fn fault(word: Option<&str>) -> Result<Option<Fault>, String> {
    let Some(word) = word else { return Ok(None) };
    let known = || Fault::ALL.map(Fault::word).join(", ");
    let fault = Fault::of_word(word);
    fault.map(Some).ok_or_else(|| format!("there is no fault {word:?}; the kinds are {}", known()))
}
