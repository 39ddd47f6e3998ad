//! A topic that both events share: which of the two a record of it is.
//!
//! The fields of its value tell, unless a fault took them away: then the plan knows what became of
//! either record of the pair.

use serde::Deserialize;

use super::by_value::Match;
use super::examine::Asked;
use super::record::Read;
use super::slots::Slot;
use super::{Audit, Expectation};
use crate::event::Kind;
use crate::faults::Fault;
use crate::plan::FAULT;

/// Which of the two events a value is, by its fields.
pub(super) fn by_fields(value: Option<&[u8]>) -> Option<Kind> {
    #[derive(Deserialize)]
    struct Fields {
        prompt_tokens: Option<serde::de::IgnoredAny>,
        utilization: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice(value?).ok()? {
        Fields { prompt_tokens: Some(_), .. } => Some(Kind::Token),
        Fields { utilization: Some(_), .. } => Some(Kind::Metric),
        Fields { .. } => None,
    }
}

impl Audit<'_> {
    /// Which of the two events a record is, whatever `read` has for it; `None` if nothing tells.
    pub fn kind_of(&mut self, read: &Read<'_>) -> Option<Kind> {
        if let Some(kind) = by_fields(read.value) {
            return Some(kind);
        }
        match read.run() {
            Some(run) if run == self.expectation.plan.identity.run_id.as_bytes() => {
                self.by_plan(read, read.seq()?)
            }
            Some(_) => None,
            None => {
                let mut kinds = Kind::BOTH.into_iter();
                kinds.find(|kind| {
                    matches!(self.by_value(&Read { kind: *kind, ..*read }), Match::Pair(_))
                })
            }
        }
    }

    /// Which record of a pair it is. Each of these tells where those before it leave both: its value,
    /// its header `fault`, its key; and which one is not there yet, for then both are the same.
    fn by_plan(&mut self, read: &Read<'_>, seq: u64) -> Option<Kind> {
        let place = self.expectation.plan.shard().place_of(seq)?;
        let tests = [Self::has_its_value, Self::has_its_fault, Self::has_its_key, Self::is_to_come];
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

    fn has_its_value(&mut self, read: &Read<'_>, (seq, place): (u64, u64)) -> bool {
        // A stage may have taken it away, so that nothing is left says little: the header says more.
        if read.value.is_none_or(<[u8]>::is_empty) {
            return true;
        }
        let Expectation { plan, .. } = self.expectation;
        let faults = plan.faults_at(seq, read.kind);
        let is_backfill = plan.event_start().is_some();
        let due_ms = self.timetable.ms(place);
        let asked = Asked { seq, kind: read.kind, faults, due_ms, is_backfill };
        let own = read.timestamp_ms.filter(|_| !read.has_append_time);
        let at = due_ms.filter(|_| is_backfill);
        let at = at.or_else(|| own.map(|ms| asked.unshifted(plan, ms))).unwrap_or_default();
        asked.expected(plan, at, &mut self.buffer).value == read.value
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
