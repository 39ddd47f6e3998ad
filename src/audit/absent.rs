//! What is not there when all was read: left out on purpose, not sent, or missing.

use std::time::Duration;

use serde::Serialize;

use super::Audit;
use super::missing::{Gone, Log, LogPartition, Missing, MissingAccount, Origin};
use super::ranges::Ranges;
use super::slots::Slot;
use super::verdicts::{Verdict, VerdictRow};
use crate::event::Kind;
use crate::faults::{Declared, Fault, FaultSet, Hold};

/// The records of a topic that are not there.
#[derive(Debug, Default)]
pub(super) struct Absent {
    missing: Missing,
    by_verdict: [u64; 4],
    /// Copies that the fault `duplicate` makes, there or not.
    pub(super) copies: u64,
    /// Records that a fault dropped.
    pub(super) dropped: u64,
    /// Records that incidents left out.
    pub(super) left_out: u64,
    /// Records of pairs that had begun which were not sent: the run was stopped before.
    pub(super) unsent: u64,
    /// Records that are missing.
    pub(super) records: u64,
    /// Of records and their copies, those that a stage took away because the other one is there.
    pub(super) removed: u64,
    removed_by_verdict: [u64; 4],
    /// Pairs of which it left both.
    pub(super) remaining: Ranges,
    done: Done,
    /// Missing records of which the copy is there, or the record that it is the copy of.
    pub(super) beside: u64,
}

/// What was done on purpose to the records that are to be in a topic.
#[derive(Debug, Default)]
struct Done {
    /// Records with each fault, and how many of them are missing.
    faults: [[u64; 2]; Fault::ALL.len()],
    /// The same of those with none.
    untouched: [u64; 2],
}

/// The missing records to which one thing was done on purpose, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingByFault {
    /// The kind of fault, or `untouched`. The copies that a fault makes are those of `duplicate`.
    pub fault: &'static str,
    /// How many records with it are missing; one with two kinds is counted for both.
    pub records: u64,
    /// How many there are to be.
    pub of: u64,
}

impl Done {
    fn note(&mut self, faults: FaultSet, is_missing: bool) {
        let count = |[of, missing]: &mut [u64; 2]| {
            *of += 1;
            *missing += u64::from(is_missing);
        };
        faults.iter().for_each(|fault| count(&mut self.faults[fault as usize]));
        if faults.is_empty() {
            count(&mut self.untouched);
        }
    }

    /// Nothing where none is missing, or nothing was done.
    fn account(&self) -> Vec<MissingByFault> {
        let kinds = Fault::ALL.into_iter().map(|fault| (fault.word(), self.faults[fault as usize]));
        let kinds = kinds.filter(|(_, [_, missing])| *missing > 0);
        let all = kinds.chain([("untouched", self.untouched)]);
        let is_nothing = self.faults.iter().all(|[of, _]| *of == 0)
            || self.faults.iter().chain([&self.untouched]).all(|[_, missing]| *missing == 0);
        let row = |(fault, [of, records]): (&'static str, [u64; 2])| MissingByFault {
            fault,
            records,
            of,
        };
        if is_nothing { Vec::new() } else { all.map(row).collect() }
    }
}

impl Absent {
    /// How many unmatched records were taken for missing ones.
    pub(super) fn taken(&self) -> u64 {
        self.missing.taken()
    }

    /// The missing records by cause and by fault, and the table of verdicts: of so many records that are
    /// there or missing.
    pub(super) fn account(
        self,
        counts: Option<[u64; 3]>,
        records: u64,
    ) -> (Vec<MissingAccount>, Vec<MissingByFault>, Vec<VerdictRow>) {
        let totals = match counts {
            Some([acknowledged, failed, unresolved]) => [acknowledged, failed, unresolved, 0],
            None => [0, 0, 0, records],
        };
        let rows = Verdict::ALL.into_iter().zip(totals).map(|(verdict, total)| {
            let missing = self.by_verdict[verdict as usize];
            let removed = self.removed_by_verdict[verdict as usize];
            let present = total.saturating_sub(missing + removed);
            VerdictRow { verdict: verdict.word(), present, missing }
        });
        let rows = rows.filter(|row| row.present + row.missing > 0).collect();
        (self.missing.account(), self.done.account(), rows)
    }
}

impl Audit<'_> {
    /// Looks through the pairs below `end` for the records of a topic that are not there. So many records
    /// match no pair, and may be missing ones.
    pub(super) fn absent(&mut self, kind: Kind, end: u64, log: &Log, unmatched: u64) -> Absent {
        let plan = self.expectation.plan;
        let mut absent = Absent { missing: Missing::beside(unmatched), ..Absent::default() };
        if plan.is_clean() {
            let next = |audit: &Self, from| {
                audit.topics[kind as usize].originals.seen.missing(from, end).next()
            };
            let mut place = next(self, 0);
            while let Some(missing) = place {
                self.missing(kind, missing, false, log, &mut absent);
                place = next(self, missing + 1);
            }
            return absent;
        }
        for place in 0..end {
            let seq = plan.shard().seq_at(place);
            let faults = plan.faults_at(seq, kind);
            if plan.gpu_at(kind, seq, || self.timetable.ms(place).unwrap_or_default()).is_none() {
                absent.left_out += 1;
                continue;
            }
            if faults.has(Fault::Drop) {
                absent.dropped += 1;
                continue;
            }
            let were_both_sent = faults.has(Fault::Duplicate)
                && [false, true].iter().all(|copy| !self.outline.is_unsent(kind, place, *copy));
            let is_one_of_two = self.expectation.deduplicated && were_both_sent;
            if is_one_of_two && self.topics[kind as usize].are_both_there(place) {
                absent.remaining.add(seq, u64::from(plan.shard().count));
            }
            for faults in faults.of_copies() {
                let slot = Slot::of(faults);
                let is_copy = slot == Slot::Copy;
                absent.copies += u64::from(is_copy);
                let topic = &self.topics[kind as usize];
                let is_there = |slot| topic.of_slot(slot).seen.contains(place);
                let is_removed = is_one_of_two && (is_copy || is_there(Slot::Copy));
                if self.outline.is_unsent(kind, place, is_copy) {
                    absent.unsent += 1;
                } else if !is_there(slot) && is_removed {
                    absent.removed += 1;
                    absent.removed_by_verdict[self.verdict(kind, seq, is_copy) as usize] += 1;
                } else {
                    let (is_missing, other) = (!is_there(slot), is_there(slot.other()));
                    absent.done.note(faults, is_missing);
                    absent.beside += u64::from(is_missing && other);
                    if is_missing {
                        self.missing(kind, place, is_copy, log, &mut absent);
                    }
                }
            }
        }
        absent
    }

    /// What the producer said of a record, or of its copy.
    fn verdict(&self, kind: Kind, seq: u64, is_copy: bool) -> Verdict {
        let verdicts = self.expectation.verdicts.as_ref().map(|both| &both[kind as usize]);
        verdicts.map_or(Verdict::Unknown, |verdicts| verdicts.of(seq, is_copy))
    }

    /// Notes a record that is missing.
    fn missing(&mut self, kind: Kind, place: u64, is_copy: bool, log: &Log, absent: &mut Absent) {
        let plan = self.expectation.plan;
        let seq = plan.shard().seq_at(place);
        let verdict = self.verdict(kind, seq, is_copy);
        absent.records += 1;
        absent.by_verdict[verdict as usize] += 1;
        let twins = &self.topics[1 - kind as usize];
        let has_copy = self.expectation.deduplicated && twins.copies.seen.contains(place);
        let is_elsewhere = !is_copy && self.topics[kind as usize].elsewhere.contains(place);
        if !is_copy && !is_elsewhere && (twins.originals.seen.contains(place) || has_copy) {
            self.torn.alone(kind == Kind::Token, seq);
        }
        let moment_ms = || self.timetable.ms(place).unwrap_or_default();
        let Some(gpu) = plan.gpu_at(kind, seq, moment_ms) else { return };
        let partitions = self.expectation.partitions[kind as usize];
        let home = self.topics[kind as usize].home(gpu, plan.key_of(gpu), partitions);
        let is_outside = self.is_outside(kind, place, is_copy, home.map(|home| (0, home)));
        let cut_off = self.cut_off(kind, place, is_copy, (log, home));
        let keeps_order = !is_copy && !plan.faults_at(seq, kind).is_held();
        let topic = &self.topics[kind as usize];
        let partition = log.partitions.iter().find(|log| Some(log.partition) == home);
        let offsets = home.and_then(|home| topic.streams.offsets((0, home)));
        let given = partition
            .and_then(|log| Some((offsets?, log.acknowledged?, log.log_start.max(log.read_from))));
        let is_own = matches!(log.origin, Origin::Own | Origin::UnknownCluster);
        let is_hidden = |log: &&LogPartition| {
            let last = log.acknowledged.map_or(log.end, |(_, last)| last);
            log.hidden_to > Some(last) && (!is_own || is_outside[1])
        };
        let gone = Gone {
            seq,
            is_copy,
            verdict,
            is_running: self.is_running,
            source: log,
            log: partition,
            unread: log.of_home(home).find(|log| !log.is_read),
            hidden: log.of_home(home).find(is_hidden),
            cut_off,
            is_outside,
            is_elsewhere,
            has_place: given.is_none_or(|(offsets, given, start)| {
                offsets.may_be_free(keeps_order.then_some(seq), given, start)
            }),
            new_leader: given.and_then(|(offsets, (first, _), _)| offsets.new_leader(first)),
            is_all_gone: topic.found() == 0,
            key_highest: topic.streams.highest_of(gpu),
            other_last: topic.last_of_others(gpu),
            has_gaps: log.of_home(home).any(|log| log.gaps > 0),
        };
        absent.missing.note(&gone, u64::from(plan.shard().count));
    }

    /// A partition whose log does not begin at its first record any more, and that may have had the record
    /// there: it was sent before all that was read of it.
    fn cut_off<'l>(
        &mut self,
        kind: Kind,
        place: u64,
        is_copy: bool,
        (log, home): (&'l Log, Option<i32>),
    ) -> Option<&'l LogPartition> {
        let mut logs = log.of_home(home).filter(|log| log.log_start > 0);
        logs.find(|log| {
            let at = Some((log.topic, log.partition));
            let [before_all, _] = self.is_outside(kind, place, is_copy, at);
            before_all
        })
    }

    /// Whether a record was sent before all that was read of a partition, or behind all of it: of the
    /// records that were not held back, which keep their order.
    fn is_outside(
        &mut self,
        kind: Kind,
        place: u64,
        is_copy: bool,
        home: Option<(u16, i32)>,
    ) -> [bool; 2] {
        let streams = &self.topics[kind as usize].streams;
        let Some((lowest, highest)) = home.and_then(|home| streams.span(home)) else {
            return [true; 2];
        };
        let shard = self.expectation.plan.shard();
        if self.expectation.plan.is_clean() {
            let seq = shard.seq_at(place);
            return [seq < lowest, seq > highest];
        }
        let sent = self.sent_at(kind, place, is_copy);
        let [lowest, highest] = [lowest, highest].map(|seq| {
            let place = shard.place_of(seq).unwrap_or_default();
            (self.timetable.ms(place).unwrap_or_default(), seq)
        });
        [sent < lowest, sent > highest]
    }

    /// When a record is sent by the schedule, ms since 1970, and behind which pair of that time.
    fn sent_at(&mut self, kind: Kind, place: u64, is_copy: bool) -> (i64, u64) {
        let plan = self.expectation.plan;
        let seq = plan.shard().seq_at(place);
        let Declared { hold, copy_after, .. } = plan.declared(seq, kind);
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let mut due = |place| self.timetable.ms(place).unwrap_or(i64::MAX);
        let sent = match hold {
            None => (due(place), seq),
            Some(Hold::Time(time)) => (due(place).saturating_add(ms(time)), 0),
            Some(Hold::Pairs(pairs)) => {
                let passed = place + pairs.div_ceil(u64::from(plan.shard().count));
                (due(passed), seq + pairs)
            }
        };
        match copy_after.filter(|_| is_copy) {
            Some(after) => (sent.0.saturating_add(ms(after)), 0),
            None => sent,
        }
    }
}
