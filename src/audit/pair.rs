//! A record of the run: which record of the plan it is, and what becomes of it in the account.

use super::examine::{Asked, Differs, Examined};
use super::slots::Slot;
use super::streams::Kept;
use super::{Audit, Example, Expectation, Read};
use crate::faults::Fault;

impl Audit<'_> {
    /// Takes a record of the pair `seq`.
    pub(super) fn of_pair(&mut self, read: &Read<'_>, seq: u64) {
        let Expectation { plan, ran_ms, partitions, .. } = self.expectation;
        let number = read.kind as usize;
        let Some(place) = plan.shard().place_of(seq) else {
            return self.topics[number].foreigners.shard();
        };
        if self.outline.end.is_some_and(|end| place >= end) {
            return self.unexpected(read, Some(seq));
        }
        let Some(Wanted { asked, slot, gpu, share_a_gpu }) = self.planned(read, place, seq) else {
            return self.unexpected(read, Some(seq));
        };
        let is_copy = slot == Slot::Copy;
        if let Some(flags) = &mut self.flags {
            flags.found_at(read.place(), seq);
        }
        let twins = &self.topics[1 - number].originals;
        let twin = twins.seen.contains(place).then(|| twins.places.of(place));
        let twin_ms = twin.flatten().map(|twin| twin.pair_ms);
        let (mut examined, shown_ms) = self.examined(read, &asked, twin_ms);
        let topic = &mut self.topics[number];
        topic.partition(plan, read, gpu, partitions[number], &mut examined);
        let Examined { pair_ms, ts_ms, is_untimed, is_reencoded, differs } = examined;
        topic.untimed += u64::from(is_untimed);
        let is_outside =
            !is_untimed && ran_ms.is_some_and(|(from, to)| pair_ms < from || pair_ms > to);
        topic.outside += u64::from(is_outside);
        let is_altered = differs.iter().any(Differs::alters);
        let is_first = topic.slots(slot).seen.mark(place);
        let is_beside = is_first && topic.of_slot(slot.other()).seen.contains(place);
        self.beside_copies += u64::from(is_beside);
        if is_first && is_altered && !asked.faults.is_empty() {
            topic.slots(slot).altered.insert(place);
        }
        if let Some(verdicts) =
            self.expectation.verdicts.as_ref().filter(|_| is_first && !is_untimed)
        {
            self.times.note(read, &verdicts[number], (seq, is_copy), shown_ms);
        }
        let read_as = &mut topic.read;
        read_as.reencoded += u64::from(is_reencoded);
        match (is_first, is_altered) {
            (true, false) => read_as.first_intact += 1,
            (true, true) => read_as.first_altered += 1,
            (false, _) => read_as.extra_copies += 1,
        }
        for differs in differs {
            topic.changes.note(differs, || Example::of(read, Some(seq), Some(pair_ms)));
        }
        let (is_changed, is_on_time) = (is_altered || is_reencoded, !asked.faults.is_held());
        let kept = Kept { slot, is_first, is_changed, is_outside, is_on_time };
        let at = topic.note(read, (seq, place, gpu), (pair_ms, ts_ms), kept);
        if is_first && !is_untimed {
            topic.note_latency(read, ts_ms);
        }
        // Of several pairs with one value, which it is has been guessed where the clock gave the times.
        let is_guessed = || plan.event_start().is_none() && read.run().is_none();
        let is_compared = is_first && !is_copy && !is_untimed && !is_guessed();
        if let Some(twin) = twin.filter(|_| is_compared) {
            let common = partitions[0] == partitions[1] && plan.has_keys() && share_a_gpu;
            self.torn.note(at, twin, common, seq);
        }
    }

    /// The record of the plan that a record of a pair is; `None` if there is none.
    fn planned(&mut self, read: &Read<'_>, place: u64, seq: u64) -> Option<Wanted> {
        let (plan, kind) = (self.expectation.plan, read.kind);
        let is_backfill = plan.event_start().is_some();
        let is_asked = is_backfill || plan.incidents().is_some();
        let due_ms = is_asked.then(|| self.timetable.ms(place)).flatten();
        let faults = plan.faults_at(seq, kind);
        let gpus = plan.gpus_at(seq, || due_ms.unwrap_or_default());
        let slot = self.topics[kind as usize].slot(place, faults, read);
        let is_copy = slot == Slot::Copy;
        let is_sent = is_asked == due_ms.is_some()
            && !faults.has(Fault::Drop)
            && !self.outline.is_unsent(kind, place, is_copy);
        let gpu = gpus[kind as usize].filter(|_| is_sent)?;
        let faults = if is_copy { faults } else { faults.without(Fault::Duplicate) };
        let asked = Asked { seq, kind, faults, due_ms, is_backfill };
        Some(Wanted { asked, slot, gpu, share_a_gpu: gpus[0] == gpus[1] })
    }
}

/// The record of the plan that a record is.
struct Wanted {
    asked: Asked,
    slot: Slot,
    /// The number of its GPU.
    gpu: usize,
    /// Whether both records of the pair are of that GPU.
    share_a_gpu: bool,
}
