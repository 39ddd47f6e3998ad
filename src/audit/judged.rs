//! What was done on purpose and is there: what an answer key and a pipeline's flags are held against.

use super::Audit;
use super::flags::Flags;
use super::key_check::{KeyAccount, KeyCheck, KeyLines, KeyRecord};
use super::score::{DetectedAccount, Extent, Scores};
use super::slots::Slot;
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};

impl Audit<'_> {
    /// Watches for the records that a pipeline flagged.
    pub fn watch(&mut self, flags: Flags) {
        self.flags = Some(flags);
    }

    /// Begins an answer key, when all is read.
    pub fn begin_key(&mut self) {
        self.key = Some(KeyCheck::new());
    }

    /// Takes a record that the key declares.
    pub fn key_record(&mut self, record: &KeyRecord) {
        // What the run was stopped before is in no topic, and its key says so.
        if !record.is_sent && !record.faults.has(Fault::Drop) {
            return;
        }
        let plan = self.expectation.plan;
        let place = plan.shard().place_of(record.seq);
        let place = place.filter(|place| self.outline.end.is_none_or(|end| *place < end));
        let slot = if record.is_copy { Slot::Copy } else { Slot::Original };
        let faults = plan.faults_at(record.seq, record.kind);
        let in_force = if record.is_copy { faults } else { faults.without(Fault::Duplicate) };
        let is_found = in_force == record.faults
            && place.is_some_and(|place| self.is_as_sent(record.kind, slot, place, in_force));
        if let Some(key) = &mut self.key {
            key.declared(record, place, is_found);
        }
    }

    /// Takes what its lines came to against those that the plan makes.
    pub fn key_lines(&mut self, lines: KeyLines) {
        if let Some(key) = &mut self.key {
            key.lines(lines);
        }
    }

    /// Takes an incident that the key declares, as the text that asked for it.
    pub fn key_incident(&mut self, text: String) {
        if let Some(key) = &mut self.key {
            key.incident(text);
        }
    }

    /// Whether a record with these faults is as the plan has it: there, and unaltered; or dropped. Of a
    /// record and its copy in a topic that was deduplicated, the one that is not there is so, too.
    fn is_as_sent(&self, kind: Kind, slot: Slot, place: u64, faults: FaultSet) -> bool {
        let topic = &self.topics[kind as usize];
        let slots = topic.of_slot(slot);
        if faults.has(Fault::Drop) {
            return !slots.seen.contains(place);
        }
        if self.expectation.deduplicated && topic.of_slot(slot.other()).seen.contains(place) {
            let is_there = slots.seen.contains(place);
            return !is_there || slot == Slot::Original && !slots.altered.contains(place);
        }
        slots.seen.contains(place) && !slots.altered.contains(place)
    }

    /// The faults that a pair's record and its copy have in the topic, as one.
    fn there(&mut self, kind: Kind, place: u64) -> FaultSet {
        let plan = self.expectation.plan;
        let seq = plan.shard().seq_at(place);
        let faults = plan.faults_at(seq, kind);
        let moment_ms = || self.timetable.ms(place).unwrap_or_default();
        if faults.is_empty() || plan.gpu_at(kind, seq, moment_ms).is_none() {
            return FaultSet::NONE;
        }
        let topic = &self.topics[kind as usize];
        let [original, copy] =
            [Slot::Original, Slot::Copy].map(|slot| topic.of_slot(slot).seen.contains(place));
        match (faults.has(Fault::Drop), original, copy) {
            (true, false, _) => faults,
            (true, true, _) | (_, false, false) => FaultSet::NONE,
            (_, _, true) => faults,
            (_, _, false) => faults.without(Fault::Duplicate),
        }
    }

    /// Holds the key and the flags against what is there of the pairs below `end`.
    ///
    /// So many records could have been flagged.
    pub(super) fn judge(
        &mut self,
        end: u64,
        records: u64,
    ) -> (Option<KeyAccount>, Option<DetectedAccount>) {
        let plan = self.expectation.plan;
        let (mut key, flags) = (self.key.take(), self.flags.take());
        let mut scores = Scores::new();
        let pairs = if key.is_none() && flags.is_none() || plan.is_clean() { 0 } else { end };
        for (place, kind) in (0..pairs).flat_map(|place| Kind::BOTH.map(|kind| (place, kind))) {
            let there = self.there(kind, place);
            let seq = plan.shard().seq_at(place);
            if let Some(flags) = &flags {
                scores.there(flags, seq, kind, there);
            }
            let Some(key) = &mut key else { continue };
            for slot in [Slot::Original, Slot::Copy] {
                let faults = match slot {
                    Slot::Copy if !there.has(Fault::Duplicate) => continue,
                    Slot::Copy => there,
                    Slot::Original => there.without(Fault::Duplicate),
                };
                if !faults.is_empty() && self.is_as_sent(kind, slot, place, faults) {
                    key.found(kind, slot, (place, seq), faults);
                }
            }
        }
        let incidents = plan.incidents().map(|incidents| incidents.planned()).unwrap_or_default();
        let texts = incidents.iter().map(|planned| planned.incident.text.clone());
        let last = end.checked_sub(1).filter(|_| flags.is_some());
        let span_ms = last.and_then(|last| Some((self.timetable.ms(0)?, self.timetable.ms(last)?)));
        let truth = |seq, kind| {
            let place = plan.shard().place_of(seq).filter(|place| *place < end);
            place.map_or(FaultSet::NONE, |place| self.there(kind, place))
        };
        let extent = Extent { records, span_ms };
        let detected = flags.map(|flags| scores.account(&flags, incidents, extent, truth));
        (key.map(|key| key.account(texts)), detected)
    }
}
