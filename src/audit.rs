//! What was read of a run, held against what was planned: a closed account of both.
//!
//! Nothing is remembered that can be computed: each record that is read names its pair, and the plan
//! gives the record that was sent. What is kept is two bits a record, and where the latest ones were.
//! Every record that is read is one of: first copy intact, first copy altered, extra copy, unexpected
//! (this run, a pair that it does not have), foreign. Every planned record is found or missing.

mod account;
mod amount;
mod by_value;
mod changes;
mod compare;
mod copies;
mod examine;
mod missing;
mod order;
mod places;
mod record;
mod seen;
mod streams;
mod tally;
mod timetable;
mod topic;
mod torn;
mod verdicts;
mod words;

use std::collections::HashMap;

pub use account::{Account, TopicAccount, VerdictRow};
pub use amount::Amounts;
pub use changes::{ChangeAccount, Example};
pub use copies::{CopyAccount, CopyOrigin};
pub use missing::{Log, LogPartition, MissingAccount, Why};
pub use order::{Dropped, OrderAccount};
pub use record::Read;
pub use tally::{Foreign, ReadAccount};
pub use torn::TornAccount;
pub use verdicts::{Listed, Verdict, Verdicts};
pub use words::Look;

use crate::event::Kind;
use crate::plan::{Buffer, Plan};
use by_value::{ByValue, Match};
use examine::{Differs, Examined, examine};
use timetable::Timetable;
use topic::Topic;
use torn::Torn;

/// The JSON Schema of an account.
pub const SCHEMA: &str = include_str!("../packaging/schemas/verify.v1.schema.json");

/// What is known of a run before its records are read.
#[derive(Debug)]
pub struct Expectation<'p> {
    /// What it was to send.
    pub plan: &'p Plan,
    /// What its producer said of each topic's records; `None` without a report.
    pub verdicts: Option<[Verdicts; 2]>,
    /// Pairs that were planned for the shard, if known.
    pub planned: Option<u64>,
    /// From when to when it ran, ms since 1970, where its events have the time of the wall clock.
    pub ran_ms: Option<(i64, i64)>,
    /// Partitions of each topic, where keys decide the partition and the number is known.
    pub partitions: [Option<u32>; 2],
}

/// The audit of a run.
#[derive(Debug)]
pub struct Audit<'p> {
    expectation: Expectation<'p>,
    /// Places of the shard that there are records of; `None` if that is not known.
    end: Option<u64>,
    buffer: Buffer<'p>,
    timetable: Timetable,
    by_value: ByValue,
    topics: [Topic; 2],
    torn: Torn,
    /// The number of each GPU by its key.
    gpus: HashMap<&'p [u8], usize>,
}

impl<'p> Audit<'p> {
    /// The audit of a run, before any of its records is read.
    #[must_use]
    pub fn new(expectation: Expectation<'p>) -> Self {
        let plan = expectation.plan;
        let start = plan.event_start().unwrap_or(plan.identity.started_at);
        let generated = |verdicts: &[Verdicts; 2]| {
            verdicts.iter().map(|verdicts| verdicts.generated).max().unwrap_or_default()
        };
        let end = expectation.verdicts.as_ref().map(generated).or(expectation.planned);
        let gpus = plan.gpus();
        Self {
            timetable: Timetable::new(plan, start),
            topics: [Topic::new(gpus), Topic::new(gpus)],
            buffer: Buffer::default(),
            by_value: ByValue::default(),
            torn: Torn::default(),
            gpus: (0..gpus).map(|gpu| (plan.key_of(gpu).as_bytes(), gpu)).collect(),
            expectation,
            end,
        }
    }

    /// Takes the next record that was read.
    pub fn read(&mut self, read: &Read<'_>) {
        let topic = &mut self.topics[read.kind as usize];
        topic.read.records += 1;
        let Some(run) = read.header("run") else { return self.without_headers(read) };
        if run != self.expectation.plan.identity.run_id.as_bytes() {
            topic.foreigners.run(run);
            if let Some(gpu) = read.key.flatten().and_then(|key| self.gpus.get(key)) {
                topic.other(*gpu, read.offset);
            }
            return;
        }
        let seq = read.header("seq").and_then(|seq| std::str::from_utf8(seq).ok());
        match seq.and_then(|seq| seq.parse().ok()) {
            Some(seq) => self.of_pair(read, seq),
            None => self.unexpected(read, None),
        }
    }

    /// Records of the run that were found so far, each counted once.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.topics.iter().map(|topic| topic.seen.found()).sum()
    }

    /// Records that are to be found, if known.
    #[must_use]
    pub fn wanted(&self) -> Option<u64> {
        self.end.map(|end| end * 2)
    }

    /// Whether every record was found.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.wanted() == Some(self.found())
    }

    fn without_headers(&mut self, read: &Read<'_>) {
        let Expectation { plan, .. } = self.expectation;
        let shard = plan.shard();
        let run = (plan, shard);
        match self.by_value.find(run, &mut self.timetable, read, &mut self.buffer) {
            Match::Pair(seq) => {
                self.topics[read.kind as usize].by_value += 1;
                self.of_pair(read, seq);
            }
            Match::Ambiguous => {
                let topic = &mut self.topics[read.kind as usize];
                topic.ambiguous += 1;
                topic.foreigners.no_headers();
            }
            Match::None => self.topics[read.kind as usize].foreigners.no_headers(),
        }
    }

    fn unexpected(&mut self, read: &Read<'_>, seq: Option<u64>) {
        let topic = &mut self.topics[read.kind as usize];
        topic.read.unexpected += 1;
        topic.unexpected.get_or_insert_with(|| Example::of(read, seq, read.timestamp_ms));
    }

    fn of_pair(&mut self, read: &Read<'_>, seq: u64) {
        let Expectation { plan, ran_ms, .. } = self.expectation;
        let shard = plan.shard();
        let Some(place) = shard.place_of(seq) else {
            return self.topics[read.kind as usize].foreigners.shard();
        };
        let is_backfill = plan.event_start().is_some();
        let due = is_backfill.then(|| self.timetable.ms(place)).flatten();
        if self.end.is_some_and(|end| place >= end) || (is_backfill && due.is_none()) {
            return self.unexpected(read, Some(seq));
        }
        let gpu = plan.gpu_of(seq);
        let mut examined = examine(plan, seq, due, read, &mut self.buffer);
        let partitions = self.expectation.partitions[read.kind as usize];
        let topic = &mut self.topics[read.kind as usize];
        topic.partition(plan, read, gpu, partitions, &mut examined);
        let Examined { ts_ms, is_reencoded, differs } = examined;
        let is_outside = ran_ms.is_some_and(|(from, to)| ts_ms < from || ts_ms > to);
        topic.outside += u64::from(is_outside);
        let is_altered = differs.iter().any(Differs::alters);
        let is_first = topic.seen.mark(place);
        let read_as = &mut topic.read;
        read_as.reencoded += u64::from(is_reencoded);
        match (is_first, is_altered) {
            (true, false) => read_as.first_intact += 1,
            (true, true) => read_as.first_altered += 1,
            (false, _) => read_as.extra_copies += 1,
        }
        for differs in differs {
            topic.changes.note(differs, || Example::of(read, Some(seq), Some(ts_ms)));
        }
        let at = topic.streams.note(
            read,
            (seq, place, gpu),
            ts_ms,
            streams::Kept { is_first, is_changed: is_altered || is_reencoded, is_outside },
        );
        if let Some(arrived) =
            read.timestamp_ms.filter(|_| read.has_append_time).or(read.seen_at_ms)
            && is_first
        {
            let ms = u64::try_from(arrived.saturating_sub(ts_ms)).unwrap_or_default();
            topic.latency.record(std::time::Duration::from_millis(ms));
        }
        let twins = &self.topics[1 - read.kind as usize];
        if is_first && twins.seen.contains(place) {
            let twin = twins.streams.places.of(place);
            let comparable = self.expectation.partitions;
            let common = comparable[0] == comparable[1] && plan.has_keys();
            self.torn.note(at, twin, common, seq);
        }
    }
}

/// The name of a kind in the account.
fn name(kind: Kind) -> &'static str {
    kind.schema_name()
}
