//! Records without identity: which of the run's they are, by what their values say.
//!
//! They are kept until it is known, and then looked up by a digest of their JSON, or of their bytes where
//! they are not JSON, so neither their order nor how a stage wrote the JSON matters. Nothing is kept of
//! the plan: its records are made again where the times of those that were read say that they may be.
//!
//! - In a run with `EVENT_START` the schedule has the time of each pair. Every pair of a time that was read
//!   is rendered, once for all records of that time.
//! - In a live run the clock gave the times, and they never go back from one pair to the next. Usages come
//!   first: their tokens tell pairs apart. What is known of some pairs bounds the others, and the time of
//!   a pair tells which metric is its own.
//! - What has the same JSON is interchangeable among the records still to come. Beyond those it is a copy.
//! - Only when all was read may a value be told by less: all but its time, or its time and GPU with most
//!   of its fields, if no other record that is still missing could be meant.
//!
//! It takes up to 64 MiB of records at a time where they come about in the order of their times: then
//! each pair is rendered once. Records in no order make it take up to 256 MiB, so that pairs are not
//! rendered again too often: ten million rows of 200 bytes take some thirty rounds. A live run takes
//! eight bytes a pair on top.

mod clock;
mod found;
mod known;
mod leftover;
mod pool;
mod seconds;

use super::Audit;
use found::Found;
pub(super) use pool::Pool;
use pool::{Row, Said};

use super::examine::Asked;
use super::json::Json;
use super::record::{Owned, Read};
use super::shared::is_event;
use super::slots::Slot;
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};

/// What records take at most that wait, bytes.
const MOST_KEPT: usize = 256 << 20;

/// Pairs of one time that are tried at once.
const FEW: u64 = 64;

/// Pairs behind the last one that was found in which more are looked for, where the end is not known.
const BEYOND: u64 = 1 << 14;

/// Records that are still missing which are compared with what is left when all was read.
const MOST_COMPARED: usize = 1 << 18;

/// Pairs that are tried for one record by a live run's clock.
const MOST_TRIED: u64 = 4_096;

/// Fields of a record without identity that may have another value than the record it is taken for:
/// one of another run has more.
const MOST_CHANGED: usize = 1;

/// A record of the plan: its kind, and the place of its pair.
type Own = (Kind, u64);

impl Audit<'_> {
    /// Takes a record that does not say which it is.
    pub(super) fn without_identity(&mut self, read: &Read<'_>) {
        let said = read.value.filter(|value| !value.is_empty()).map(Said::of);
        if let Some(own) = self.at_once(read, said) {
            return self.is_record(read, own);
        }
        self.pool.is_used = true;
        self.pool.keep(Row { read: Owned::of(read), said });
        if self.pool.bytes >= self.pool.limit {
            self.settle(false);
        }
    }

    /// Which record it is, in a run with `EVENT_START` that has only a few of that time.
    fn at_once(&mut self, read: &Read<'_>, said: Option<Said>) -> Option<Own> {
        let plan = self.expectation.plan;
        plan.event_start()?;
        let own = read.timestamp_ms.filter(|_| !read.has_append_time);
        let ms = said.and_then(|said| said.ts_ms).or(own)?;
        let skew = plan.clock_skew().and_then(|skew| i64::try_from(skew.as_millis()).ok());
        let (mut copied, mut alike) = (None, Vec::new());
        for (ms, is_skewed) in
            [(ms, false)].into_iter().chain(skew.map(|skew| (ms.saturating_sub(skew), true)))
        {
            let places = self.timetable.between(ms, ms);
            if places.end - places.start > FEW {
                return None;
            }
            for own in places.flat_map(|place| Kind::BOTH.map(|kind| (kind, place))) {
                let Some(open) = self.is_open(own) else { continue };
                let is = skew.is_some() && self.faults_of(own).has(Fault::ClockSkew);
                if is != is_skewed {
                    continue;
                }
                let says = self.says(own, ms);
                let is_it = says.is_some_and(|(is, key)| is == said && read.is_of(own.0, key));
                if is_it && open > 0 {
                    return Some(own);
                }
                if is_it {
                    copied.get_or_insert(own);
                }
                // The columns of a table are a part of what was sent.
                let value = read.value.filter(|_| read.row.is_some() && read.is_of(own.0, None));
                let changes = value.and_then(|value| self.changes(own, value, ms));
                if let Some(changes) = changes.filter(|changes| *changes <= MOST_CHANGED) {
                    alike.push((own, open, changes));
                }
            }
        }
        if copied.is_some() && said.is_some() {
            return copied;
        }
        // Those that fit are interchangeable, and others have to be the only one.
        let fits = alike.iter().filter(|(.., changes)| *changes == 0);
        let (mut fits, open) = (fits.peekable(), |(_, open, _): &&(Own, u64, usize)| *open > 0);
        if let Some((own, ..)) = fits.clone().find(open).or_else(|| fits.next()) {
            return Some(*own);
        }
        let still: Vec<_> = alike.iter().filter(open).collect();
        match (still.as_slice(), alike.as_slice()) {
            ([(own, ..)], _) | ([], [(own, ..)]) => Some(*own),
            _ => None,
        }
    }

    /// Finds out what the records are that wait. Before the end of the reading those stay whose own
    /// record may still come to be known.
    pub(super) fn settle(&mut self, is_last: bool) {
        let rows = std::mem::take(&mut self.pool.rows);
        self.pool.bytes = 0;
        if rows.is_empty() {
            return;
        }
        let mut found = Found::new(&rows);
        let visited = match self.expectation.plan.event_start() {
            Some(_) => self.by_schedule(&mut found, is_last),
            None => self.by_clock(&mut found, is_last),
        };
        // Of a live pair whose usage is still to come the metric may have the same bytes.
        if is_last || self.expectation.plan.event_start().is_some() {
            found.copies();
        }
        let is_forced = is_last || self.pool.limit >= MOST_KEPT;
        let is_left = found.open().next().is_some();
        if is_forced && is_left {
            self.without_value(&mut found);
            self.by_most_of_it(&mut found);
        }
        let found = found.found;
        let few = rows.len() as u64 / 8;
        for (row, found) in rows.into_iter().zip(found) {
            match found {
                Some(own) => row.read.lend(|read| self.is_record(read, own)),
                None if is_forced => self.is_none(&row),
                None => self.pool.keep(row),
            }
        }
        // Where far more is made again than was read, or much has to wait, more has to be read at once.
        if visited / 8 > few || self.pool.bytes > self.pool.limit / 2 {
            self.pool.limit = (2 * self.pool.limit).min(MOST_KEPT);
        }
    }

    /// Accounts for a record that was found.
    fn is_record(&mut self, read: &Read<'_>, (kind, place): Own) {
        let seq = self.expectation.plan.shard().seq_at(place);
        if read.is_told && read.kind != kind {
            self.topics[read.kind as usize].read.records += 1;
            self.misplaced(read, (kind, place));
        } else {
            let topic = &mut self.topics[kind as usize];
            topic.read.records += 1;
            topic.by_value += 1;
            self.of_pair(&Read { kind, ..*read }, seq);
        }
        self.was_taken(read);
    }

    /// Accounts for a record that was not found: it may be one that is missing, or is another's.
    fn is_none(&mut self, row: &Row) {
        row.read.lend(|read| {
            let may_be = self.may_be_own(read, row.said);
            let topic = &mut self.topics[read.kind as usize];
            topic.read.records += 1;
            if may_be {
                topic.unmatched(read);
            } else {
                topic.foreigners.no_headers();
            }
            self.was_taken(read);
        });
    }

    /// Whether a record that was not found may be one of the run: an event, or what is left of one, in
    /// the time of the run, of a host of its own as far as it says.
    fn may_be_own(&mut self, read: &Read<'_>, said: Option<Said>) -> bool {
        /// A stage with a wrong time zone moves times this far.
        const ZONES_MS: i64 = 26 * 3_600_000;
        let plan = self.expectation.plan;
        let has_own_key = |key: &[u8]| !plan.has_keys() || self.gpus.contains_key(key);
        if read.key.flatten().is_some_and(|key| !has_own_key(key)) && plan.has_keys() {
            return false;
        }
        let Some(json) = read.value.and_then(Json::of) else { return true };
        if !is_event(&json) {
            return false;
        }
        let host = json.field("host").and_then(Json::text);
        // What stands for bytes that are no text says nothing of the host that it was.
        let host = host.filter(|host| !host.contains(char::REPLACEMENT_CHARACTER));
        let is_of = |host: &str| {
            (0..plan.gpus())
                .any(|gpu| plan.key_of(gpu).rsplit_once('/').is_some_and(|(own, _)| own == host))
        };
        if host.is_some_and(|host| !is_of(host)) {
            return false;
        }
        let ran = self.expectation.ran_ms.or_else(|| {
            plan.event_start()?;
            let end = self.outline.end?.checked_sub(1)?;
            Some((self.timetable.ms(0)?, self.timetable.ms(end)?))
        });
        let skew = plan.most_set_back_ms();
        match (said.and_then(|said| said.ts_ms), ran) {
            (Some(ms), Some((from, to))) => {
                let around = ZONES_MS.saturating_add(skew);
                ms >= from.saturating_sub(around) && ms <= to.saturating_add(around)
            }
            _ => true,
        }
    }

    /// How often the record of a pair is still to come, itself and its copy; `None` if there is none.
    fn is_open(&mut self, (kind, place): Own) -> Option<u64> {
        let plan = self.expectation.plan;
        if self.outline.end.is_some_and(|end| place >= end) {
            return None;
        }
        let seq = plan.shard().seq_at(place);
        let faults = plan.faults_at(seq, kind);
        let moment_ms = || self.timetable.ms(place).unwrap_or_default();
        plan.gpu_at(kind, seq, moment_ms)?;
        let topic = &self.topics[kind as usize];
        let mut sent = None;
        for slot in faults.of_copies().map(Slot::of) {
            if !self.outline.is_unsent(kind, place, slot == Slot::Copy) {
                let is_there = topic.of_slot(slot).seen.contains(place);
                sent = Some(sent.unwrap_or(0) + u64::from(!is_there));
            }
        }
        sent
    }

    /// The faults of a record that is not the copy of another.
    fn faults_of(&self, (kind, place): Own) -> FaultSet {
        let plan = self.expectation.plan;
        plan.faults_at(plan.shard().seq_at(place), kind).without(Fault::Duplicate)
    }

    /// What the record of a pair of this time says, if it has a value, and its key.
    fn says(&mut self, own: Own, pair_ms: i64) -> Option<(Option<Said>, Option<&str>)> {
        let (kind, place) = own;
        let plan = self.expectation.plan;
        let is_backfill = plan.event_start().is_some();
        let is_asked = is_backfill || plan.incidents().is_some();
        let due_ms = is_asked.then(|| self.timetable.ms(place)).flatten();
        if is_asked && due_ms.is_none() {
            return None;
        }
        let seq = plan.shard().seq_at(place);
        let asked = Asked { seq, kind, faults: self.faults_of(own), due_ms, is_backfill };
        let record = asked.expected(plan, pair_ms, &mut self.buffer);
        let value = record.value.filter(|value| !value.is_empty());
        Some((value.map(Said::of), record.key))
    }

    /// Whether the record of a pair of this time has a value with this digest.
    fn is_whole(&mut self, own: Own, pair_ms: i64, whole: u64) -> bool {
        self.says(own, pair_ms)
            .is_some_and(|(said, _)| said.is_some_and(|said| said.whole == whole))
    }

    /// Takes what is left with the value of a record of the plan for that record.
    /// Returns whether there was any.
    fn look(&mut self, found: &mut Found<'_>, own: Own, pair_ms: i64) -> bool {
        let Some(open) = self.is_open(own) else { return false };
        let Some((Some(said), key)) = self.says(own, pair_ms) else { return false };
        let is_any = found.by_whole.contains_key(&said.whole);
        found.take(said.whole, own, open, key);
        is_any
    }

    /// Finds records of a run with `EVENT_START`; returns how many pairs it looked at.
    fn by_schedule(&mut self, found: &mut Found<'_>, is_last: bool) -> u64 {
        let plan = self.expectation.plan;
        let mut times: Vec<_> = found.open().filter_map(|(_, _, said)| said?.ts_ms).collect();
        times.sort_unstable();
        times.dedup();
        let skew = plan.clock_skew().and_then(|skew| i64::try_from(skew.as_millis()).ok());
        let mut visited = 0;
        for ms in times {
            for (ms, is_skewed) in
                [Some((ms, false)), skew.map(|skew| (ms.saturating_sub(skew), true))]
                    .into_iter()
                    .flatten()
            {
                let places = self.timetable.between(ms, ms);
                let mut since = 0;
                for place in places.start..places.end.min(self.end_so_far()) {
                    // Nothing says how long the run was: it ends where nothing more is found.
                    if since > BEYOND && self.outline.end.is_none() {
                        break;
                    }
                    (visited, since) = (visited + 1, since + 1);
                    for own in Kind::BOTH.map(|kind| (kind, place)) {
                        let is = skew.is_some() && self.faults_of(own).has(Fault::ClockSkew);
                        if is == is_skewed && self.look(found, own, ms) {
                            since = 0;
                        }
                    }
                }
            }
        }
        // A fault may have taken the time away.
        if is_last && !plan.is_clean() && found.open().next().is_some() {
            for own in self.missing_records() {
                if let Some(ms) =
                    self.timetable.ms(own.1).filter(|_| !self.faults_of(own).is_empty())
                {
                    self.look(found, own, ms);
                }
            }
        }
        visited
    }

    /// The records of the plan that are still to come.
    fn missing_records(&mut self) -> Vec<Own> {
        let Some(end) = self.outline.end else { return Vec::new() };
        let mut missing = Vec::new();
        for kind in Kind::BOTH {
            let topic = &self.topics[kind as usize];
            let places = topic.originals.seen.missing(0, end);
            missing.extend(places.take(MOST_COMPARED).map(|place| (kind, place)));
        }
        missing
    }

    /// Whether a record is still to come whose value has no bytes, and is no tombstone.
    pub(super) fn is_empty_missing(&mut self) -> bool {
        let missing = self.missing_records().into_iter();
        let mut malformed = missing.filter(|own| self.faults_of(*own).has(Fault::Malformed));
        let malformed: Vec<_> = malformed.by_ref().collect();
        malformed.into_iter().any(|own| {
            let at = self.timetable.ms(own.1).unwrap_or_default();
            self.says(own, at).is_some_and(|(said, _)| said.is_none())
        })
    }

    /// One more than the last place that a record can have.
    fn end_so_far(&self) -> u64 {
        self.outline.end.unwrap_or_else(|| self.far.reach())
    }
}
