//! What was read of a run, held against what was planned: a closed account of both.
//!
//! Nothing is remembered that can be computed: each record that is read names its pair, and the plan
//! gives the record that was sent. What is kept is two bits a record, and where the latest ones were.
//! Every record that is read is one of: first copy intact, first copy altered, extra copy, unexpected
//! (this run, a record that it does not have), foreign. Every planned record is found or missing. A
//! copy that the fault `duplicate` makes is a record of its own; what a fault drops, or an incident
//! leaves out, is none.

mod absent;
mod account;
mod amount;
mod authorship;
mod by_value;
mod changes;
mod closure;
mod compare;
mod copies;
mod examine;
mod far;
mod flags;
mod ignored;
mod json;
mod judged;
mod key_check;
mod missing;
mod moment;
mod offsets;
mod order;
mod outline;
mod pair;
mod places;
mod ranges;
mod record;
mod rows;
mod score;
mod seen;
mod shared;
mod slots;
mod streams;
mod tally;
mod times;
mod timetable;
mod topic;
mod torn;
mod verdicts;
mod words;

use std::collections::HashMap;

pub use absent::MissingByFault;
pub use account::{Account, TopicAccount};
pub use amount::Amounts;
pub use authorship::{Author, Authorship};
pub use changes::{ChangeAccount, Example};
pub use closure::Closure;
pub use copies::{CopyAccount, CopyOrigin};
pub use flags::{Alert, Flags};
pub use ignored::Ignored;
pub use key_check::{KeyAccount, KeyDifference, KeyFieldDifference, KeyLines, KeyRecord, KeyRow};
pub use missing::{Log, LogPartition, MissingAccount, Origin, Why};
pub use moment::Moment;
pub use order::{Dropped, OrderAccount};
pub use record::Read;
pub use rows::{BadLine, Cell, Fields, InputAccount, Row, RowAccount};
pub use score::{AlertScore, DetectedAccount, FaultScore, IncidentScore, Shares};
pub use tally::{Foreign, ReadAccount};
pub use times::{SentTimes, TimesAccount, TimesVerdict};
pub use torn::TornAccount;
pub use verdicts::{Listed, Verdict, VerdictRow, Verdicts};
pub use words::Look;

use crate::event::Kind;
use crate::plan::{Buffer, CLOSING, Plan};
use by_value::Pool;
use far::Far;
use key_check::KeyCheck;
use outline::Outline;
use times::Times;
use timetable::Timetable;
use topic::Topic;
use torn::Torn;

/// The JSON Schema of an account.
pub const SCHEMA: &str = include_str!("../packaging/schemas/verify.v1.schema.json");

/// The JSON Schema of a line of what a pipeline flagged.
pub const DETECTED_SCHEMA: &str = include_str!("../packaging/schemas/detected.v1.schema.json");

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
    /// Whether the records came through a stage that removes duplicates: either a record or the copy that
    /// the fault `duplicate` makes of it must be there, not both.
    pub deduplicated: bool,
    /// How late a pair was rendered at most, by its schedule, ms; `None` without a report that tells.
    pub lateness_ms: Option<i64>,
    /// Partitions of each topic, where keys decide the partition and the number is known.
    pub partitions: [Option<u32>; 2],
}

/// The audit of a run.
#[derive(Debug)]
pub struct Audit<'p> {
    expectation: Expectation<'p>,
    outline: Outline,
    buffer: Buffer<'p>,
    timetable: Timetable,
    pool: Pool,
    /// Whether all was read.
    is_over: bool,
    far: Far,
    topics: [Topic; 2],
    /// Whether the run has one topic for both events.
    is_one: bool,
    torn: Torn,
    times: Times,
    /// Whether the run still went on when its report was written.
    is_running: bool,
    /// Records that were read, and their copies too.
    beside_copies: u64,
    /// Parts of the records that are not compared.
    ignored: Ignored,
    /// What a pipeline flagged, if that is to be held against what was done.
    flags: Option<Flags>,
    key: Option<KeyCheck>,
    /// The number of each GPU by its key.
    gpus: HashMap<&'p [u8], usize>,
}

impl<'p> Audit<'p> {
    /// The audit of a run, before any of its records is read.
    #[must_use]
    pub fn new(expectation: Expectation<'p>) -> Self {
        let plan = expectation.plan;
        let start = plan.event_start().unwrap_or(plan.identity.started_at);
        let gpus = plan.gpus();
        Self {
            timetable: Timetable::new(plan, start),
            topics: [Topic::new(gpus), Topic::new(gpus)],
            buffer: Buffer::default(),
            pool: Pool::default(),
            is_over: false,
            far: Far::default(),
            is_one: plan.topic(Kind::Metric) == plan.topic(Kind::Token),
            torn: Torn::default(),
            is_running: false,
            times: Times::new(plan.event_start().is_none()),
            beside_copies: 0,
            gpus: (0..gpus).map(|gpu| (plan.key_of(gpu).as_bytes(), gpu)).collect(),
            ignored: Ignored::default(),
            flags: None,
            key: None,
            outline: Outline::of(&expectation),
            expectation,
        }
    }

    /// Says that the run still went on when its report was written: what is missing may not have been sent.
    pub fn goes_on(&mut self) {
        self.is_running = true;
    }

    /// Leaves parts of the records out of the comparison: a stage made them again.
    pub fn ignore(&mut self, ignored: Ignored) {
        self.ignored = ignored;
    }

    /// Takes the next record that was read.
    pub fn read(&mut self, read: &Read<'_>) {
        let mut read = self.ignored.without(&read.tamed());
        let streams = &self.topics[read.kind as usize].streams;
        read.partition = read.partition.filter(|number| streams.has_room((read.topic, *number)));
        let read = &read;
        self.topics[read.kind as usize].has_order |= read.partition.is_some();
        // Where both events are in one topic, either's records are at its offsets.
        let both = Kind::BOTH.into_iter().filter(|kind| *kind == read.kind || self.is_one);
        both.for_each(|kind| self.topics[kind as usize].streams.at(read));
        if read.run().is_none() && read.header(CLOSING).is_none() {
            return self.without_identity(read);
        }
        self.take(read);
        self.was_taken(read);
    }

    /// Notes that it is known which record this is.
    fn was_taken(&mut self, read: &Read<'_>) {
        if let Some(flags) = &mut self.flags {
            flags.is_of_another(read.place());
        }
    }

    fn take(&mut self, read: &Read<'_>) {
        let topic = &mut self.topics[read.kind as usize];
        topic.read.records += 1;
        if read.header(CLOSING).is_some() {
            return topic.foreigners.no_headers();
        }
        let run = read.run().unwrap_or_default();
        if run != self.expectation.plan.identity.run_id.as_bytes() {
            topic.foreigners.run(run);
            if let Some(gpu) = read.key.flatten().and_then(|key| self.gpus.get(key)) {
                topic.other(*gpu, read.offset);
            }
            return;
        }
        match read.seq() {
            Some(seq) => self.of_pair(read, seq),
            None => self.unexpected(read, None),
        }
    }

    /// Notes that something was read which is no record, and may be what is left of any of them.
    pub fn unreadable(&mut self) {
        self.topics[Kind::Metric as usize].unmatched[1] += 1;
    }

    /// Records of the run that were found so far, each counted once; of a run that was deduplicated, a
    /// record and its copy are one.
    #[must_use]
    pub fn found(&self) -> u64 {
        let found: u64 = self.topics.iter().map(Topic::found).sum();
        found - if self.expectation.deduplicated { self.beside_copies } else { 0 }
    }

    /// Records that are to be found, if known.
    #[must_use]
    pub fn wanted(&self) -> Option<u64> {
        let copies = if self.expectation.deduplicated { self.outline.sent_copies } else { 0 };
        Some(self.outline.records? - copies)
    }

    /// Whether every record was found.
    #[must_use]
    pub fn is_complete(&mut self) -> bool {
        let wanted = self.wanted();
        if self.pool.is_worth_a_look(wanted.map(|wanted| wanted.saturating_sub(self.found()))) {
            self.settle(false);
        }
        wanted == Some(self.found())
    }

    fn unexpected(&mut self, read: &Read<'_>, seq: Option<u64>) {
        let topic = &mut self.topics[read.kind as usize];
        topic.read.unexpected += 1;
        topic.unexpected.get_or_insert_with(|| Example::of(read, seq, read.timestamp_ms));
    }
}

/// The name of a kind in the account.
fn name(kind: Kind) -> &'static str {
    kind.schema_name()
}
