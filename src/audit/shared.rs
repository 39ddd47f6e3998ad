//! A topic that both events share: which of the two a record of it is.
//!
//! The fields of its value tell, unless a fault took them away: then the plan knows what became of
//! either record of the pair.

use serde::Deserialize;

use super::examine::{Asked, ts_of};
use super::json::Json;
use super::record::Read;
use super::slots::Slot;
use super::{Audit, Expectation};
use crate::event::Kind;
use crate::faults::Fault;
use crate::plan::FAULT;

/// Which of the two events a value is, by its fields. A row of the seed may have fields of its own with
/// names of the other event.
pub(super) fn by_fields(value: Option<&[u8]>) -> Option<Kind> {
    #[derive(Deserialize)]
    struct Fields {
        prompt_tokens: Option<serde::de::IgnoredAny>,
        utilization: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice(value?).ok()? {
        Fields { prompt_tokens: Some(_), utilization: None } => Some(Kind::Token),
        Fields { prompt_tokens: None, utilization: Some(_) } => Some(Kind::Metric),
        Fields { .. } => None,
    }
}

/// Whether an object has fields of an event, as far as a stage left them.
pub(super) fn is_event(json: &Json<'_>) -> bool {
    let names = ["ts", "gpu_index", "host", "utilization", "power_w", "mem_used_mb", "model"];
    let names = names.iter().chain(&["prompt_tokens", "completion_tokens", "latency_ms"]);
    names.filter(|name| json.field(name).is_some()).count() >= 2
}

impl Audit<'_> {
    /// Which of the two events a record is, whatever `read` has for it; `None` if nothing tells.
    pub fn kind_of(&mut self, read: &Read<'_>) -> Option<Kind> {
        let read = &read.tamed();
        if let Some(kind) = by_fields(read.value) {
            return Some(kind);
        }
        match read.run() {
            Some(run) if run == self.expectation.plan.identity.run_id.as_bytes() => {
                self.by_plan(read, read.seq()?)
            }
            Some(_) => None,
            // Its bytes will tell, whatever is said here.
            None => self.may_be_sent(read.value?).then_some(Kind::Metric),
        }
    }

    /// Whether the run may have sent such a value: an event, or what a fault leaves of one.
    fn may_be_sent(&mut self, value: &[u8]) -> bool {
        match Json::of(value) {
            Some(json) => is_event(&json),
            None => {
                !value.is_empty() && !self.expectation.plan.is_clean() || self.lacks_empty(value)
            }
        }
    }

    /// Whether a value of no bytes may be a record that is still to come.
    fn lacks_empty(&mut self, value: &[u8]) -> bool {
        value.is_empty() && !self.expectation.plan.is_clean() && self.is_empty_missing()
    }

    /// Which record of a pair it is. Each of these tells where those before it leave both: which one the
    /// run sent, its value, its header `fault`, its key, that it is to have no value; and which one is not
    /// there yet, for then both are the same.
    pub(super) fn by_plan(&mut self, read: &Read<'_>, seq: u64) -> Option<Kind> {
        let place = self.expectation.plan.shard().place_of(seq)?;
        if self.outline.end.is_some_and(|end| place >= end) {
            return None;
        }
        let tests = [
            Self::was_sent,
            Self::has_its_value,
            Self::has_its_fault,
            Self::has_its_key,
            Self::is_empty_too,
            Self::is_to_come,
        ];
        let mut left = Kind::BOTH.to_vec();
        for test in tests {
            let mut those = left.clone();
            those.retain(|kind| test(self, &Read { kind: *kind, ..*read }, (seq, place)));
            match those[..] {
                [only] => return Some(only),
                [] => {}
                _ => left = those,
            }
        }
        left.first().copied()
    }

    fn was_sent(&mut self, read: &Read<'_>, (seq, place): (u64, u64)) -> bool {
        let plan = self.expectation.plan;
        let moment_ms = || self.timetable.ms(place).unwrap_or_default();
        plan.gpu_at(read.kind, seq, moment_ms).is_some()
            && !plan.faults_at(seq, read.kind).has(Fault::Drop)
    }

    pub(super) fn has_its_value(&mut self, read: &Read<'_>, pair: (u64, u64)) -> bool {
        // A stage may have taken it away, so that nothing is left says little: the header says more.
        read.value.is_none_or(<[u8]>::is_empty) || self.is_its_value(read, pair)
    }

    fn is_empty_too(&mut self, read: &Read<'_>, pair: (u64, u64)) -> bool {
        read.value.is_some_and(|value| !value.is_empty()) || self.is_its_value(read, pair)
    }

    /// Whether it has the value of this record.
    fn is_its_value(&mut self, read: &Read<'_>, (seq, place): (u64, u64)) -> bool {
        let Expectation { plan, .. } = self.expectation;
        let faults = plan.faults_at(seq, read.kind);
        let is_backfill = plan.event_start().is_some();
        let due_ms = self.timetable.ms(place);
        let asked = Asked { seq, kind: read.kind, faults, due_ms, is_backfill };
        let own = read.timestamp_ms.filter(|_| !read.has_append_time).or_else(|| ts_of(read.value));
        let twins = &self.topics[1 - read.kind as usize].originals.places;
        let at = match due_ms.filter(|_| is_backfill) {
            Some(due) => Some(due),
            None => own.map(|ms| asked.unshifted(plan, ms)).or_else(|| twins.of(place)?.time_ms()),
        };
        let at = at.unwrap_or_default();
        let value = asked.expected(plan, at, &mut self.buffer).value;
        super::compare::differences(value, read.value).is_empty()
    }

    fn has_its_fault(&mut self, read: &Read<'_>, (seq, _): (u64, u64)) -> bool {
        let faults = self.expectation.plan.faults_at(seq, read.kind);
        faults.of_copies().any(|faults| {
            let fault = (!faults.is_empty()).then(|| faults.to_string());
            fault.as_deref().map(str::as_bytes) == read.header(FAULT)
        })
    }

    fn has_its_key(&mut self, read: &Read<'_>, (seq, place): (u64, u64)) -> bool {
        let plan = self.expectation.plan;
        let gpu = plan.gpu_at(read.kind, seq, || self.timetable.ms(place).unwrap_or_default());
        let key = gpu.filter(|_| plan.has_keys()).map(|gpu| plan.key_of(gpu).as_bytes());
        read.key.is_none_or(|found| found == key)
    }

    fn is_to_come(&mut self, read: &Read<'_>, (seq, place): (u64, u64)) -> bool {
        let faults = self.expectation.plan.faults_at(seq, read.kind);
        let topic = &self.topics[read.kind as usize];
        let slot = topic.slot(place, faults, read);
        let is_dropped = faults.has(Fault::Drop) && slot == Slot::Original;
        !is_dropped && !topic.of_slot(slot).seen.contains(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_by_a_field_that_only_one_event_has() {
        let by = |text: &str| by_fields(Some(text.as_bytes()));
        assert_eq!(by(r#"{"prompt_tokens":null,"utilization":1}"#), Some(Kind::Metric));
        assert_eq!(by(r#"{"prompt_tokens":"7"}"#), Some(Kind::Token));
        assert_eq!(by(r#"{"gpu_index":1}"#), None);
        assert_eq!(by("{\"utilization\":"), None);
        assert_eq!(by_fields(None), None);
    }
}
