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

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::Audit;
use super::examine::{Asked, ts_of};
use super::json::{Json, digest, digest_but_ts};
use super::record::{Owned, Read};
use super::seen::{CHUNK, LENGTH};
use super::shared::{by_fields, is_event};
use super::slots::Slot;
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};

/// What records take that are kept at first, bytes.
const KEPT: usize = 64 << 20;

/// What they take at most.
const MOST_KEPT: usize = 256 << 20;

/// What records take that wait for the time of their pair, bytes.
const MOST_UNTIMED: usize = 16 << 20;

/// Pairs that are tried for one record by a live run's clock.
const MOST_TRIED: u64 = 4_096;

/// Seconds in which a live pair is looked for.
const SECONDS_TRIED: usize = 16;

/// Milliseconds in which the record of a live pair is looked for whose value does not tell its own.
const MS_TRIED: i64 = 2_000;

/// Pairs of one time that are tried at once.
const FEW: u64 = 64;

/// Pairs behind the last one that was found in which more are looked for, where the end is not known.
const BEYOND: u64 = 1 << 14;

/// Fields of a record without identity that may have another value than the record it is taken for:
/// one of another run has more.
const MOST_CHANGED: usize = 1;

/// Records that are still missing which are compared with what is left when all was read.
const MOST_COMPARED: usize = 1 << 18;

/// A record of the plan: its kind, and the place of its pair.
type Own = (Kind, u64);

/// What a value says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    /// The digest of its JSON, or of its bytes.
    whole: u64,
    /// The same without its time.
    but_ts: Option<u64>,
    /// Its time, ms since 1970.
    ts_ms: Option<i64>,
}

impl Said {
    fn of(value: &[u8]) -> Self {
        let json = Json::of(value);
        Self {
            whole: digest(value, json.as_ref()),
            but_ts: json.as_ref().and_then(digest_but_ts),
            // What is no JSON may still show it.
            ts_ms: match &json {
                Some(json) => json.ts_ms(),
                None => ts_of(Some(value)),
            },
        }
    }
}

/// A record without identity.
#[derive(Debug)]
struct Row {
    read: Owned,
    /// `None` of a record without a value.
    said: Option<Said>,
}

/// Records without identity that wait, and the times of a live run's pairs.
#[derive(Debug)]
pub(super) struct Pool {
    rows: Vec<Row>,
    bytes: usize,
    limit: usize,
    /// How many waited when that was looked at before the end.
    looked_at: u64,
    /// Event times of live pairs by place, in chunks; [`i64::MIN`] stands for none.
    times: BTreeMap<u64, Box<[i64]>>,
    /// Whether any record was without identity.
    is_used: bool,
    /// Records of which nothing tells the time before the other one of their pair is read, by place.
    untimed: HashMap<u64, Vec<(u64, Owned)>>,
    untimed_bytes: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            limit: KEPT,
            looked_at: 0,
            times: BTreeMap::new(),
            is_used: false,
            untimed: HashMap::new(),
            untimed_bytes: 0,
        }
    }
}

impl Pool {
    fn keep(&mut self, row: Row) {
        self.bytes += row.read.size() + size_of::<Row>();
        self.rows.push(row);
    }

    /// Whether those that wait may be the ones that are left, and more wait than when that was seen last.
    pub(super) fn is_worth_a_look(&mut self, left: Option<u64>) -> bool {
        let waiting = self.rows.len() as u64;
        let is = waiting > self.looked_at + self.looked_at / 8
            && left.is_some_and(|left| left <= waiting);
        if is {
            self.looked_at = waiting;
        }
        is
    }

    /// Keeps a record of the pair `seq` whose time nothing tells; whether there is room.
    pub(super) fn wait_for_time(&mut self, read: &Read<'_>, seq: u64, place: u64) -> bool {
        let owned = Owned::of(read);
        let is_room = self.untimed_bytes + owned.size() <= MOST_UNTIMED;
        if is_room {
            self.untimed_bytes += owned.size();
            self.untimed.entry(place).or_default().push((seq, owned));
        }
        is_room
    }

    /// The records that waited for the time of a pair.
    pub(super) fn timed(&mut self, place: u64) -> Vec<(u64, Owned)> {
        if self.untimed.is_empty() {
            return Vec::new();
        }
        let waited = self.untimed.remove(&place).unwrap_or_default();
        self.untimed_bytes -= waited.iter().map(|(_, owned)| owned.size()).sum::<usize>();
        waited
    }

    /// All that waited in vain.
    pub(super) fn never_timed(&mut self) -> Vec<(u64, Owned)> {
        let mut rest: Vec<_> = std::mem::take(&mut self.untimed).into_values().flatten().collect();
        rest.sort_by_key(|(seq, _)| *seq);
        rest
    }

    /// Notes the time of a live pair.
    pub(super) fn note_time(&mut self, place: u64, ms: i64) {
        if self.is_used {
            let chunk = self.times.entry(place / CHUNK);
            chunk.or_insert_with(|| vec![i64::MIN; LENGTH].into())[(place % CHUNK) as usize] = ms;
        }
    }
}

/// Which records were found, by their numbers, and which are left.
struct Found<'r> {
    rows: &'r [Row],
    /// What each is.
    found: Vec<Option<Own>>,
    by_whole: HashMap<u64, Vec<u32>>,
    /// The first record of the plan with each digest that has any.
    first: HashMap<u64, Own>,
    /// How many are taken for one record of the plan.
    taken: HashMap<Own, u64>,
    /// Times of live pairs that became known.
    times: Vec<(u64, i64)>,
}

impl<'r> Found<'r> {
    fn new(rows: &'r [Row]) -> Self {
        let mut by_whole = HashMap::<_, Vec<u32>>::new();
        for (number, row) in rows.iter().enumerate().rev() {
            if let (Some(said), Ok(number)) = (row.said, u32::try_from(number)) {
                by_whole.entry(said.whole).or_default().push(number);
            }
        }
        Self {
            rows,
            found: vec![None; rows.len()],
            by_whole,
            first: HashMap::new(),
            taken: HashMap::new(),
            times: Vec::new(),
        }
    }

    /// The rows with this digest that are left, the latest first.
    fn left(&mut self, whole: u64) -> Option<&mut Vec<u32>> {
        let found = &self.found;
        let left = self.by_whole.get_mut(&whole)?;
        while left.last().is_some_and(|number| found[*number as usize].is_some()) {
            left.pop();
        }
        Some(left).filter(|left| !left.is_empty())
    }

    /// Takes the rows with this digest for a record of the plan that is open so many times: one whose
    /// topic and key fit before others.
    fn take(&mut self, whole: u64, own: Own, open: u64, key: Option<&str>) {
        if !self.by_whole.contains_key(&whole) {
            return;
        }
        self.first.entry(whole).or_insert(own);
        for _ in self.taken.get(&own).copied().unwrap_or(0)..open {
            let rows = self.rows;
            let fits = |number: &u32| rows[*number as usize].read.is_of(own.0, key);
            let Some(left) = self.left(whole) else { return };
            let at = left.iter().rposition(fits).unwrap_or(left.len() - 1);
            let number = left.remove(at);
            self.assign(number as usize, own);
        }
    }

    fn assign(&mut self, number: usize, own: Own) {
        self.found[number] = Some(own);
        *self.taken.entry(own).or_default() += 1;
    }

    /// What is left of a digest whose records of the plan are all there is a copy.
    fn copies(&mut self) {
        self.copies_if(|_| true);
    }

    /// The same of what says something.
    fn copies_if(&mut self, is_asked: impl Fn(&Said) -> bool) {
        let rows = self.rows;
        for (whole, own) in self.first.clone() {
            let is_asked =
                |number: u32| rows[number as usize].said.is_some_and(|said| is_asked(&said));
            while let Some(number) =
                self.left(whole).and_then(|left| left.pop_if(|number| is_asked(*number)))
            {
                self.found[number as usize] = Some(own);
            }
        }
    }

    /// Takes what is claimed once for the record of the plan that it claims.
    fn claim(&mut self, claims: HashMap<Own, Vec<usize>>) {
        for (own, numbers) in claims {
            if let [number] = numbers[..]
                && !self.taken.contains_key(&own)
            {
                self.assign(number, own);
            }
        }
    }

    /// What is left: the number, the record, and what its value says.
    fn open(&self) -> impl Iterator<Item = (usize, &'r Owned, Option<Said>)> {
        let rows = self.rows.iter().enumerate().zip(&self.found);
        rows.filter(|(_, found)| found.is_none())
            .map(|((number, row), _)| (number, &row.read, row.said))
    }
}

/// Event times of live pairs, ascending in place and time.
struct Known(Vec<(u64, i64)>);

impl Known {
    /// The longest of these that never goes back: a time that a stage changed is left out.
    fn of(mut all: Vec<(u64, i64)>) -> Self {
        all.sort_unstable();
        all.dedup_by_key(|(place, _)| *place);
        // The last of the best sequence of each length, and what is before each.
        let (mut ends, mut before) = (Vec::<usize>::new(), vec![usize::MAX; all.len()]);
        for at in 0..all.len() {
            let length = ends.partition_point(|end| all[*end].1 <= all[at].1);
            if length > 0 {
                before[at] = ends[length - 1];
            }
            if length == ends.len() {
                ends.push(at);
            } else {
                ends[length] = at;
            }
        }
        let mut kept = Vec::with_capacity(ends.len());
        let mut at = ends.last().copied().unwrap_or(usize::MAX);
        while let Some(known) = all.get(at) {
            kept.push(*known);
            at = before[at];
        }
        kept.reverse();
        Self(kept)
    }

    /// The places of the pairs that may have this time, below `end`.
    fn places(&self, ms: i64, end: u64) -> Range<u64> {
        let from = self.0.partition_point(|(_, known)| *known < ms);
        let to = self.0.partition_point(|(_, known)| *known <= ms);
        let from = from.checked_sub(1).map_or(0, |at| self.0[at].0 + 1);
        from..self.0.get(to).map_or(end, |(place, _)| *place).max(from)
    }

    /// The times that a pair may have: `None` where nothing bounds them.
    fn times(&self, place: u64) -> (Option<i64>, Option<i64>) {
        let at = self.0.partition_point(|(known, _)| *known < place);
        if let Some((known, ms)) = self.0.get(at).copied().filter(|(known, _)| *known == place) {
            debug_assert_eq!(known, place);
            return (Some(ms), Some(ms));
        }
        (at.checked_sub(1).map(|at| self.0[at].1), self.0.get(at).map(|(_, ms)| *ms))
    }
}

/// Records by what they say beside their time, and by the second of their pair.
struct BySecond {
    rows: HashMap<(u64, i64), Vec<u32>>,
    /// The seconds, ascending.
    seconds: Vec<i64>,
    /// The first and the last time, ms.
    span: [i64; 2],
}

impl BySecond {
    /// What is left, where a fault may have moved times this far, ms.
    fn of(found: &Found<'_>, skew: Option<i64>) -> Self {
        let mut by = Self { rows: HashMap::new(), seconds: Vec::new(), span: [i64::MAX, i64::MIN] };
        for (number, _, said) in found.open() {
            let Some(Said { but_ts: Some(but_ts), ts_ms: Some(ms), .. }) = said else { continue };
            for shift in [Some(0), skew].into_iter().flatten() {
                let ms = ms.saturating_sub(shift);
                let second = ms.div_euclid(1_000);
                by.span = [by.span[0].min(ms), by.span[1].max(ms)];
                by.seconds.push(second);
                by.rows.entry((but_ts, second)).or_default().extend(u32::try_from(number));
            }
        }
        by.seconds.sort_unstable();
        by.seconds.dedup();
        by
    }

    /// The seconds in which a pair is looked for that is due then: from where the pairs before it are on,
    /// and where the schedule has it.
    fn tried(&self, pace: &Pace, due_ms: i64, (least, most): (i64, i64)) -> Vec<i64> {
        let least = least.div_euclid(1_000).max(pace.second.unwrap_or(i64::MIN));
        let most = most.div_euclid(1_000);
        let at = |from: i64| self.seconds.partition_point(|second| *second < from);
        let first = at(least);
        let near = pace.expected(due_ms).map(|expected| at(expected.saturating_sub(1)).max(first));
        let tried =
            (first..first + SECONDS_TRIED).chain(near.into_iter().flat_map(|at| at..at + 4));
        let tried = tried.filter_map(|at| self.seconds.get(at).copied());
        tried.filter(|second| *second <= most).collect()
    }
}

/// How far a live run has come.
#[derive(Default)]
struct Pace {
    /// The second of the last pair.
    second: Option<i64>,
    /// When it was due, and its time, ms.
    last: Option<(i64, i64)>,
    /// The second of one that is far ahead.
    ahead: Option<i64>,
}

impl Pace {
    /// Seconds that are near.
    const NEAR: i64 = 5;

    /// The second in which a pair is by the schedule, from the last one on.
    fn expected(&self, due_ms: i64) -> Option<i64> {
        self.last.map(|(was, ms)| ms.saturating_add(due_ms - was).div_euclid(1_000))
    }

    /// Notes a pair. A time that a stage moved far ahead must not take all others with it: two have to
    /// agree.
    fn note(&mut self, second: i64, due_ms: i64, ms: i64) {
        let is_near = |from: i64| second <= from.saturating_add(Self::NEAR);
        let agrees = self.ahead.is_some_and(|ahead| second >= ahead && is_near(ahead));
        if self.second.is_none_or(is_near) || self.expected(due_ms).is_some_and(is_near) || agrees {
            *self = Self { second: Some(second), last: Some((due_ms, ms)), ahead: None };
        } else {
            self.ahead = Some(second);
        }
    }
}

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

    /// The times of live pairs that are known.
    fn known(&self, found: &Found<'_>) -> Known {
        let kept = self.pool.times.iter().flat_map(|(chunk, times)| {
            let places = (chunk * CHUNK..).zip(times.iter().copied());
            places.filter(|(_, ms)| *ms != i64::MIN)
        });
        let places = self.topics.iter().flat_map(|topic| topic.originals.places.all());
        let places = places.filter_map(|(place, at)| Some((place, at.time_ms()?)));
        Known::of(kept.chain(places).chain(found.times.iter().copied()).collect())
    }

    /// Finds records of a live run; returns how many pairs it looked at.
    fn by_clock(&mut self, found: &mut Found<'_>, is_last: bool) -> u64 {
        let known = self.known(found);
        let mut visited = self.usages_by_second(found, &known);
        let known = self.known(found);
        self.usages_by_bounds(found, &known);
        let known = self.known(found);
        self.at_known_times(found, &known);
        visited += known.0.len() as u64;
        if is_last && found.open().next().is_some() {
            // Where two pairs of a GPU are never in one millisecond, what is there twice is a copy.
            if self.expectation.plan.keeps_pairs_apart() {
                found.copies_if(|said| said.ts_ms.is_some());
            }
            self.metrics_by_bounds(found, &known);
            let known = self.known(found);
            self.at_known_times(found, &known);
            self.within_known_times(found, &known);
        }
        visited
    }

    /// From when to when a live pair was rendered, as far as the report bounds it, ms since 1970.
    fn rendered_ms(&mut self, place: u64) -> (i64, i64) {
        /// Clocks are set, and the first pair waits for a cluster.
        const SLACK_MS: i64 = 1_000;
        let (late, ran) = (self.expectation.lateness_ms, self.expectation.ran_ms);
        let (Some(late), Some((from, to))) = (late, ran) else { return (i64::MIN, i64::MAX) };
        let due = self.timetable.ms(place).unwrap_or(from);
        // What the run took beyond its schedule may have been before its first pair.
        let last = self.outline.end.and_then(|end| self.timetable.ms(end.checked_sub(1)?));
        let beyond = to.saturating_sub(last.unwrap_or(from)).max(0);
        let until = due.saturating_add(late).saturating_add(beyond).saturating_add(SLACK_MS);
        (due.max(from).saturating_sub(SLACK_MS), until.min(to))
    }

    /// Goes through the pairs in their order, and looks for each usage in the seconds in which usages
    /// were read: from that of the pair before on.
    fn usages_by_second(&mut self, found: &mut Found<'_>, known: &Known) -> u64 {
        let plan = self.expectation.plan;
        let skew = plan.clock_skew().and_then(|skew| i64::try_from(skew.as_millis()).ok());
        let by_second = BySecond::of(found, skew);
        let end = self.end_so_far();
        let [from, to] = by_second.span;
        let (from, to) = (known.places(from, end).start, known.places(to, end).end);
        let is_sparse = to.saturating_sub(from) > 64 * found.rows.len() as u64 + MOST_TRIED;
        if by_second.seconds.is_empty() || (is_sparse && !known.0.is_empty()) {
            return 0;
        }
        let (mut pace, mut since) = (Pace::default(), 0);
        for place in from..to {
            // Nothing says how long the run was: it ends where nothing more is found.
            since += 1;
            if self.outline.end.is_none() && since > BEYOND {
                break;
            }
            let own = (Kind::Token, place);
            let Some(open) = self.is_open(own).filter(|open| *open > 0) else { continue };
            let (mut least, mut most) = self.rendered_ms(place);
            if let (Some(low), high) = known.times(place) {
                (least, most) = (least.max(low), most.min(high.unwrap_or(i64::MAX)));
            }
            let due_ms = self.timetable.ms(place).unwrap_or_default();
            for second in by_second.tried(&pace, due_ms, (least, most)) {
                if let Some(ms) = self.usage_of(found, &by_second, (own, open), second) {
                    since = 0;
                    pace.note(second, due_ms, ms);
                    break;
                }
            }
        }
        to.saturating_sub(from)
    }

    /// Takes the usage of a pair of this second for what it is; its time.
    fn usage_of(
        &mut self,
        found: &mut Found<'_>,
        by_second: &BySecond,
        (own, open): (Own, u64),
        second: i64,
    ) -> Option<i64> {
        let (said, key) = self.says(own, second * 1_000)?;
        let said = said?;
        let rows = by_second.rows.get(&(said.but_ts?, second))?;
        let shift = said.ts_ms.map_or(0, |ms| ms - second * 1_000);
        let ms = |row: &Row| Some(row.said?.ts_ms? - shift);
        let fits = |number: &&u32| {
            let row = &found.rows[**number as usize];
            found.found[**number as usize].is_none()
                && ms(row).is_some_and(|ms| ms.div_euclid(1_000) == second)
                && row.read.is_of(Kind::Token, key)
        };
        let number = *rows.iter().find(fits)? as usize;
        let row = &found.rows[number];
        let (whole, ms) = (row.said?.whole, ms(row)?);
        found.first.insert(whole, own);
        found.assign(number, own);
        // Its copy has the same bytes.
        found.take(whole, own, open, key);
        found.times.push((own.1, ms));
        Some(ms)
    }

    /// Looks for the pairs of the usages that are left between those whose times are known.
    fn usages_by_bounds(&mut self, found: &mut Found<'_>, known: &Known) {
        let end = self.end_so_far();
        let plan = self.expectation.plan;
        let skew = plan.clock_skew().and_then(|skew| i64::try_from(skew.as_millis()).ok());
        for (number, _, said) in found.open().collect::<Vec<_>>() {
            let Some(Said { whole, ts_ms: Some(ms), .. }) = said else { continue };
            'shifts: for shift in [Some(0), skew].into_iter().flatten() {
                let ms = ms.saturating_sub(shift);
                let places = known.places(ms, end);
                if places.end - places.start > MOST_TRIED {
                    continue;
                }
                for own in places.map(|place| (Kind::Token, place)) {
                    let taken = found.taken.get(&own).copied().unwrap_or(0);
                    if self.is_open(own).is_none_or(|open| open <= taken) {
                        continue;
                    }
                    if self.is_whole(own, ms, whole) {
                        found.first.insert(whole, own);
                        found.assign(number, own);
                        found.times.push((own.1, ms));
                        break 'shifts;
                    }
                }
            }
        }
    }

    /// Looks for all that is left of pairs whose times are known.
    fn at_known_times(&mut self, found: &mut Found<'_>, known: &Known) {
        let is_clean = self.expectation.plan.is_clean();
        let times = || found.open().filter_map(|(_, _, said)| said?.ts_ms);
        let (Some(least), Some(most)) = (times().min(), times().max()) else {
            if found.open().next().is_some() && !is_clean {
                self.at_times(found, &known.0);
            }
            return;
        };
        // A fault may have taken or moved the time of a value.
        let within = |known: &Vec<(u64, i64)>| {
            let from = known.partition_point(|(_, ms)| *ms < least);
            from..known.partition_point(|(_, ms)| *ms <= most)
        };
        let range = if is_clean { within(&known.0) } else { 0..known.0.len() };
        self.at_times(found, &known.0[range]);
    }

    fn at_times(&mut self, found: &mut Found<'_>, known: &[(u64, i64)]) {
        for (place, ms) in known {
            for kind in Kind::BOTH {
                self.look(found, (kind, *place), *ms);
            }
        }
    }

    /// Takes metrics of pairs whose usage is not there: a GPU has the same one in each of them. The first
    /// that may have the time is as good as any other.
    fn metrics_by_bounds(&mut self, found: &mut Found<'_>, known: &Known) {
        let end = self.end_so_far();
        let mut left: Vec<_> = found.open().collect();
        left.sort_by_key(|(_, _, said)| said.and_then(|said| said.ts_ms));
        for (number, _, said) in left {
            let Some(Said { whole, ts_ms: Some(ms), .. }) = said else { continue };
            let places = known.places(ms, end);
            for own in (places.start..places.end.min(places.start.saturating_add(MOST_TRIED)))
                .map(|place| (Kind::Metric, place))
            {
                let taken = found.taken.get(&own).copied().unwrap_or(0);
                let is_known = known.times(own.1);
                let is_elsewhere =
                    is_known.0.is_some() && is_known.0 == is_known.1 && is_known.0 != Some(ms);
                if is_elsewhere || self.is_open(own).is_none_or(|open| open <= taken) {
                    continue;
                }
                if self.is_whole(own, ms, whole) {
                    found.first.insert(whole, own);
                    found.assign(number, own);
                    found.times.push((own.1, ms));
                    break;
                }
            }
        }
    }

    /// Looks for records of pairs neither of whose values tells the time, in every millisecond that the
    /// pairs around them leave.
    fn within_known_times(&mut self, found: &mut Found<'_>, known: &Known) {
        if self.expectation.plan.is_clean() {
            return;
        }
        for own in self.missing_records() {
            if found.open().next().is_none() {
                return;
            }
            if self.faults_of(own).is_empty() {
                continue;
            }
            let (from, to) = match known.times(own.1) {
                (Some(from), Some(to)) if to - from <= MS_TRIED => (from, to),
                // What was cut off before its time is the same at any.
                (from, to) => {
                    let any = from.or(to).unwrap_or_default();
                    (any, any)
                }
            };
            for ms in from..=to {
                if self.look(found, own, ms) {
                    break;
                }
            }
        }
    }

    /// One more than the last place that a record can have.
    fn end_so_far(&self) -> u64 {
        self.outline.end.unwrap_or_else(|| self.far.reach())
    }

    /// Looks for records without a value among those that have none: key and time tell, as far as they do.
    fn without_value(&mut self, found: &mut Found<'_>) {
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
    fn by_most_of_it(&mut self, found: &mut Found<'_>) {
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
    fn is_mostly(&mut self, own: Own, value: &[u8], at: i64) -> bool {
        self.changes(own, value, at).is_some_and(|changes| changes <= MOST_CHANGED)
    }

    /// How many fields of a value, of those that are there, are others than those of a record; `None` if it
    /// is of another GPU, or is the other event.
    fn changes(&mut self, own: Own, value: &[u8], at: i64) -> Option<usize> {
        if by_fields(Some(value)).is_some_and(|kind| kind != own.0) {
            return None;
        }
        let plan = self.expectation.plan;
        let due_ms = Some(self.timetable.ms(own.1).unwrap_or(at));
        let seq = plan.shard().seq_at(own.1);
        let is_backfill = plan.event_start().is_some();
        let asked = Asked { seq, kind: own.0, faults: self.faults_of(own), due_ms, is_backfill };
        let record = asked.expected(plan, at, &mut self.buffer);
        let differences = super::compare::differences(record.value, Some(value));
        let is_gpu = |pointer: &str| ["/gpu_index", "/host"].contains(&pointer);
        let there = differences.iter().filter(|d| d.change != super::compare::Change::Removed);
        let is_other = there.clone().any(|d| is_gpu(&d.pointer) || d.pointer.is_empty());
        let changed = there.filter(|d| d.change != super::compare::Change::Added).count();
        (!is_other).then_some(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_go_back_are_left_out_and_the_others_bound_what_is_between() {
        let known = Known::of(vec![(0, 10), (9, 40), (3, 900), (4, 12), (5, 12), (7, 5)]);
        assert_eq!(known.0, [(0, 10), (4, 12), (5, 12), (9, 40)]);
        assert_eq!((known.times(4), known.times(6)), ((Some(12), Some(12)), (Some(12), Some(40))));
        assert_eq!(
            (known.times(10), Known::of(Vec::new()).times(3)),
            ((Some(40), None), (None, None))
        );
        assert_eq!((known.places(12, 20), known.places(20, 20)), (1..9, 6..9));
        assert_eq!((known.places(5, 20), known.places(50, 20)), (0..0, 10..20));
    }

    #[test]
    fn what_a_value_says_is_the_same_however_a_stage_wrote_it() {
        let said = |text: &str| Said::of(text.as_bytes());
        let (a, b) = (
            said(r#"{"ts":"1970-01-01T00:00:01.500Z","n":0.70}"#),
            said(r#"{"n": 7e-1, "ts":"1970-01-01T00:00:01.500Z"}"#),
        );
        assert_eq!(a, b);
        assert_eq!(a.ts_ms, Some(1_500));
        let other = said(r#"{"n":0.7,"ts":"1970-01-01T00:00:02.500Z"}"#);
        assert_eq!((a.but_ts == other.but_ts, a.whole == other.whole), (true, false));
        assert_eq!((said("{\"a\":").but_ts, said("{\"a\":").ts_ms), (None, None));
    }
}
