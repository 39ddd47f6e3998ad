//! A record of the run: which record of the plan it is, and what becomes of it in the account.

use super::examine::{Asked, Differs, Examined, examine};
use super::places::{Place, UNTIMED};
use super::record::Owned;
use super::slots::Slot;
use super::streams::Kept;
use super::{Audit, Example, Expectation, Read};
use crate::event::Kind;
use crate::faults::Fault;

/// Fields in which a record that is in the wrong topic may differ from what was sent.
const MOST_CHANGED: usize = 2;

impl Audit<'_> {
    /// Takes a record of the pair `seq`.
    pub(super) fn of_pair(&mut self, read: &Read<'_>, seq: u64) {
        let plan = self.expectation.plan;
        let number = read.kind as usize;
        let Some(place) = plan.shard().place_of(seq) else {
            return self.topics[number].foreigners.shard();
        };
        if self.outline.end.is_some_and(|end| place >= end) {
            return self.unexpected(read, Some(seq));
        }
        if self.is_too_far(read, (seq, place)) {
            if !self.far.wait(read, seq, place) {
                self.unexpected(read, Some(seq));
            }
            return;
        }
        self.of_place(read, (seq, place));
    }

    /// Holds it against the record of the plan, unless it is in the wrong topic, or its time is still to be
    /// told.
    fn of_place(&mut self, read: &Read<'_>, (seq, place): (u64, u64)) {
        let plan = self.expectation.plan;
        let may_be_misplaced = read.is_told && !self.is_one;
        let Some(wanted) = self.planned(read, place, seq) else {
            return match may_be_misplaced && self.has_fewer_as_other(read, (seq, place), 1) {
                true => self.misplaced(read, (other(read.kind), place)),
                false => self.unexpected(read, Some(seq)),
            };
        };
        if let Some(flags) = &mut self.flags {
            flags.found_at(read.place(), seq);
        }
        let twins = &self.topics[1 - read.kind as usize];
        let twin = twins.originals.seen.contains(place);
        let twin = twin.then(|| twins.originals.places.of(place));
        let twin_ms = twin.flatten().and_then(|twin| twin.time_ms());
        let (examined, shown_ms) = self.examined(read, &wanted.asked, twin_ms);
        let changes = examined.changes_of_value();
        if may_be_misplaced && changes > 0 && self.has_fewer_as_other(read, (seq, place), changes) {
            return self.misplaced(read, (other(read.kind), place));
        }
        let Examined { is_timeless, is_untimed, pair_ms, .. } = examined;
        // A stage may have moved its time.
        let is_proof = read.kind == Kind::Token && !is_untimed && examined.has_value_but_for_time();
        // The other record of its pair may tell its time. The order of lines means nothing.
        let may_wait = is_timeless && read.partition.is_none() && !self.is_over;
        if may_wait && self.pool.wait_for_time(read, seq, place) {
            return;
        }
        if plan.event_start().is_none() && !is_timeless && changes == 0 {
            self.pool.note_time(place, pair_ms);
        }
        self.account_for(read, place, wanted, (examined, shown_ms), twin);
        if !is_timeless {
            for (seq, waiting) in self.pool.timed(place) {
                self.of_pair_again(&waiting, seq);
            }
        }
        if is_proof && self.outline.end.is_none() {
            for (seq, waiting) in self.far.prove(place) {
                waiting.lend(|read| self.of_pair(read, seq));
            }
        }
    }

    /// What becomes of it in the account. The pair's other record was read there, unless that is
    /// forgotten.
    fn account_for(
        &mut self,
        read: &Read<'_>,
        place: u64,
        wanted: Wanted,
        (mut examined, shown_ms): (Examined, Option<i64>),
        twin: Option<Option<Place>>,
    ) {
        let Expectation { plan, ran_ms, partitions, .. } = self.expectation;
        let Wanted { asked, slot, gpu, share_a_gpu } = wanted;
        let seq = asked.seq;
        let topic = &mut self.topics[read.kind as usize];
        let at_home =
            topic.partition(plan, read, gpu, partitions[read.kind as usize], &mut examined);
        let at_home = at_home.filter(|_| !self.ignored.partition);
        examined.differs.retain(|differs| self.ignored.compares(differs.part));
        let Examined { pair_ms, ts_ms, is_timeless, is_untimed, is_reencoded, differs } = examined;
        topic.untimed += u64::from(is_untimed);
        let is_outside =
            !is_timeless && ran_ms.is_some_and(|(from, to)| pair_ms < from || pair_ms > to);
        topic.outside += u64::from(is_outside);
        let is_altered = differs.iter().any(Differs::alters);
        let is_first = topic.slots(slot).seen.mark(place);
        let is_beside = is_first && topic.of_slot(slot.other()).seen.contains(place);
        self.beside_copies += u64::from(is_beside);
        if is_first && is_altered && !asked.faults.is_empty() {
            topic.slots(slot).altered.insert(place);
        }
        let verdicts = self.expectation.verdicts.as_ref();
        if let Some(verdicts) = verdicts.filter(|_| is_first && !is_timeless) {
            let verdicts = &verdicts[read.kind as usize];
            self.times.note(read, verdicts, (seq, slot == Slot::Copy), shown_ms);
        }
        topic.read.count((is_first, is_altered), is_reencoded);
        let example = || Example::of(read, Some(seq), Some(pair_ms));
        if let Some(partition) = at_home {
            let with_faults = (!asked.faults.is_empty()).then_some((slot, place));
            let home = topic.home_of(gpu, partition, example);
            home.count(is_first && !is_altered, with_faults);
        }
        for differs in differs {
            topic.changes.note(differs, example);
        }
        let (is_changed, is_on_time) = (is_altered || is_reencoded, !asked.faults.is_held());
        let kept = Kept { slot, is_first, is_changed, is_outside, is_on_time };
        let noted_ms = if is_timeless { UNTIMED } else { pair_ms };
        let own_ms = (!is_timeless).then_some(ts_ms);
        let at = topic.note(read, (seq, place, gpu), (noted_ms, own_ms), kept);
        if is_first && !is_timeless {
            topic.note_latency(read, ts_ms);
        }
        // Of several pairs with one value, which it is has been guessed where the clock gave the times.
        let is_guessed = plan.event_start().is_none() && read.run().is_none();
        let is_compared = is_first && slot == Slot::Original && !is_timeless && !is_guessed;
        let is_untimed_twin = twin.flatten().is_some_and(|twin| twin.time_ms().is_none());
        if let Some(twin) = twin.filter(|_| is_compared && !is_untimed_twin) {
            let common = share_a_gpu && self.has_common_partitions();
            self.torn.note(at, twin, common, seq);
        }
    }

    /// Takes a record of the pair `seq` that waited for its time, which may tell its event, too. What was
    /// found by its value is the event that has it.
    pub(super) fn of_pair_again(&mut self, waiting: &Owned, seq: u64) {
        waiting.lend(|read| {
            let kind = match read.is_told || read.run().is_none() {
                true => read.kind,
                false => self.by_plan(read, seq).unwrap_or(read.kind),
            };
            self.topics[read.kind as usize].read.records -= 1;
            self.topics[kind as usize].read.records += 1;
            self.of_pair(&Read { kind, ..*read }, seq);
        });
    }

    /// Whether a record claims a pair far beyond all that is proved, and does not prove it.
    fn is_too_far(&mut self, read: &Read<'_>, (seq, place): (u64, u64)) -> bool {
        let is_far = self.outline.end.is_none() && place >= self.far.reach();
        let has_value =
            read.kind == Kind::Token && read.value.is_some_and(|value| !value.is_empty());
        is_far && !(has_value && self.has_its_value(read, (seq, place)))
    }

    /// Whether a value differs in fewer places from the other record of its pair.
    fn has_fewer_as_other(
        &mut self,
        read: &Read<'_>,
        (seq, place): (u64, u64),
        changes: usize,
    ) -> bool {
        let as_other = Read { kind: other(read.kind), ..*read };
        let Some(Wanted { asked, .. }) = self.planned(&as_other, place, seq) else { return false };
        let plan = self.expectation.plan;
        let other = examine(plan, &asked, None, &as_other, &mut self.buffer);
        let as_other = other.changes_of_value();
        !other.is_untimed && as_other < changes && as_other <= MOST_CHANGED
    }

    /// Takes a record of the run that is in the topic of the other event.
    pub(super) fn misplaced(&mut self, read: &Read<'_>, (kind, place): (Kind, u64)) {
        let seq = self.expectation.plan.shard().seq_at(place);
        if let Some(flags) = &mut self.flags {
            flags.found_at(read.place(), seq);
        }
        self.topics[kind as usize].elsewhere.insert(place);
        let topic = &mut self.topics[read.kind as usize];
        topic.read.misplaced += 1;
        let example = || Example::of(read, Some(seq), read.timestamp_ms);
        topic.misplaced.get_or_insert_with(example);
    }

    /// Whether both records of a pair are to be in partitions of one number, if they have one key.
    fn has_common_partitions(&self) -> bool {
        let [metric, token] = self.expectation.partitions;
        metric == token && self.expectation.plan.has_keys() && !self.ignored.partition
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

/// The event of the other topic.
fn other(kind: Kind) -> Kind {
    match kind {
        Kind::Metric => Kind::Token,
        Kind::Token => Kind::Metric,
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
