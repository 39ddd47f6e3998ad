//! What is left when all was read: told by less than its whole value, if it can be no other.

use std::collections::HashMap;

use super::found::Found;
use super::known::Known;
use super::{MOST_CHANGED, Own};
use crate::audit::Audit;
use crate::audit::compare::{Change, differences};
use crate::audit::examine::Asked;
use crate::audit::shared::by_fields;
use crate::event::Kind;
use crate::faults::Fault;

impl Audit<'_> {
    /// Looks for records without a value among those that have none: key and time tell, as far as they do.
    pub(super) fn without_value(&mut self, found: &mut Found<'_>) {
        let empty: Vec<_> = found.open().filter(|(_, _, said)| said.is_none()).collect();
        if empty.is_empty() {
            return;
        }
        // A value of no bytes is no tombstone: what is as it was sent goes first.
        let all = empty.iter().map(|of| (of, true)).chain(empty.iter().map(|of| (of, false)));
        let plan = self.expectation.plan;
        let known = self.known(found);
        let missing = self.missing_records().into_iter();
        let may_be = |audit: &Self, own: &Own| {
            let faults = audit.faults_of(*own);
            faults.has(Fault::Tombstone) || faults.has(Fault::Malformed)
        };
        let missing: Vec<_> = missing.filter(|own| may_be(self, own)).collect();
        for ((number, read, _), is_exact) in all {
            if found.found[*number].is_some() {
                continue;
            }
            let is = |audit: &mut Self, own: &Own| {
                let seq = plan.shard().seq_at(own.1);
                let taken = found.taken.get(own).copied().unwrap_or(0);
                let is_open = audit.is_open(*own).is_some_and(|open| open > taken);
                let due = audit.timetable.ms(own.1).unwrap_or_default();
                let gpu = plan.gpu_at(own.0, seq, || due);
                let key = gpu.map(|gpu| plan.key_of(gpu)).filter(|_| plan.has_keys());
                let at = match (plan.event_start(), known.times(own.1)) {
                    (Some(_), _) => Some(due),
                    (None, (Some(from), Some(to))) if from == to => Some(from),
                    _ => None,
                };
                let shift =
                    plan.clock_skew().filter(|_| audit.faults_of(*own).has(Fault::ClockSkew));
                let shift =
                    shift.and_then(|shift| i64::try_from(shift.as_millis()).ok()).unwrap_or(0);
                let is_then = read.is_then(at.map(|at| at.saturating_add(shift)));
                // One form of a value that is not JSON is none at all.
                let is_empty = |audit: &mut Self| {
                    audit.says(*own, at.unwrap_or_default()).is_some_and(|(said, _)| said.is_none())
                };
                let is_tombstone = audit.faults_of(*own).has(Fault::Tombstone);
                let is_as_sent = is_tombstone == read.value().is_none();
                let is_its = is_open && read.is_of(own.0, key) && is_then;
                (is_as_sent || !is_exact) && is_its && is_empty(audit)
            };
            if let Some(own) = missing.iter().copied().find(|own| is(self, own)) {
                found.assign(*number, own);
            }
        }
    }

    /// Takes what is left for a record that is still missing if it can be no other: it has all but its
    /// time, or its time and GPU and most of the rest.
    pub(super) fn by_most_of_it(&mut self, found: &mut Found<'_>) {
        let known = self.known(found);
        let missing: Vec<_> = self
            .missing_records()
            .into_iter()
            .filter(|own| {
                let taken = found.taken.get(own).copied().unwrap_or(0);
                self.is_open(*own).is_some_and(|open| open > taken)
            })
            .collect();
        let mut by_rest = HashMap::<u64, Vec<Own>>::new();
        let mut by_time = HashMap::<(Kind, i64), Vec<Own>>::new();
        for own in missing {
            let Some(at) = self.time_of(own.1, &known) else { continue };
            let Some((Some(said), _)) = self.says(own, at) else { continue };
            // A GPU has the same metric for a second, so its time is what tells one.
            if let (Kind::Token, Some(rest)) = (own.0, said.but_ts) {
                by_rest.entry(rest).or_default().push(own);
            }
            by_time.entry((own.0, said.ts_ms.unwrap_or(at))).or_default().push(own);
        }
        let mut claims = HashMap::<Own, Vec<usize>>::new();
        for (number, _, said) in found.open() {
            let rest = said.and_then(|said| by_rest.get(&said.but_ts?));
            if let Some([own]) = rest.map(Vec::as_slice) {
                claims.entry(*own).or_default().push(number);
            }
        }
        found.claim(claims);
        let mut claims = HashMap::<Own, Vec<usize>>::new();
        for (number, read, said) in found.open() {
            let Some((ms, value)) = said.and_then(|said| said.ts_ms).zip(read.value()) else {
                continue;
            };
            let mut those = Vec::new();
            for own in Kind::BOTH.iter().filter_map(|kind| by_time.get(&(*kind, ms))).flatten() {
                let at = self.time_of(own.1, &known).unwrap_or(ms);
                if !found.taken.contains_key(own) && self.is_mostly(*own, value, at) {
                    those.push(*own);
                }
            }
            if let [own] = those[..] {
                claims.entry(own).or_default().push(number);
            }
        }
        // Idle GPUs have much in common. Where most of what is left is none of the run's, a metric is no
        // more likely to be than the others.
        let left = found.open();
        let left = left.filter(|(_, read, said)| read.lend(|read| self.may_be_own(read, *said)));
        if 2 * claims.len() < left.count() {
            claims.retain(|(kind, _), _| *kind == Kind::Token);
        }
        found.claim(claims);
    }

    /// The time of a pair, if it is known.
    fn time_of(&mut self, place: u64, known: &Known) -> Option<i64> {
        match self.expectation.plan.event_start() {
            Some(_) => self.timetable.ms(place),
            None => Some(known.times(place)).and_then(|(from, to)| from.filter(|_| from == to)),
        }
    }

    /// Whether a value has the GPU of a record, and most of the rest.
    pub(super) fn is_mostly(&mut self, own: Own, value: &[u8], at: i64) -> bool {
        self.changes(own, value, at).is_some_and(|changes| changes <= MOST_CHANGED)
    }

    /// How many fields of a value, of those that are there, are others than those of a record; `None` if it
    /// is of another GPU, or is the other event.
    pub(super) fn changes(&mut self, own: Own, value: &[u8], at: i64) -> Option<usize> {
        if by_fields(Some(value)).is_some_and(|kind| kind != own.0) {
            return None;
        }
        let plan = self.expectation.plan;
        let due_ms = Some(self.timetable.ms(own.1).unwrap_or(at));
        let seq = plan.shard().seq_at(own.1);
        let is_backfill = plan.event_start().is_some();
        let asked = Asked { seq, kind: own.0, faults: self.faults_of(own), due_ms, is_backfill };
        let record = asked.expected(plan, at, &mut self.buffer);
        let differences = differences(record.value, Some(value));
        let is_gpu = |pointer: &str| ["/gpu_index", "/host"].contains(&pointer);
        let there = differences.iter().filter(|d| d.change != Change::Removed);
        let is_other = there.clone().any(|d| is_gpu(&d.pointer) || d.pointer.is_empty());
        let changed = there.filter(|d| d.change != Change::Added).count();
        (!is_other).then_some(changed)
    }
}
