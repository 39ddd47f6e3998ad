//! The account of an audit: every record that was read, and every record that was planned.

use serde::Serialize;

use super::absent::{Absent, MissingByFault};
use super::closure::Closure;
use super::missing::{Log, Origin};
use super::places::REMEMBERED;
use super::tally::ReadAccount;
use super::topic::Topic;
use super::verdicts::VerdictRow;
use super::{
    Audit, ChangeAccount, CopyAccount, DetectedAccount, Example, InputAccount, KeyAccount,
    LogPartition, MissingAccount, OrderAccount, TimesAccount, TornAccount, name,
};
use crate::event::Kind;
use crate::histogram::Quantiles;

/// The account of one topic.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TopicAccount {
    /// Topic, or whatever it was read from; several names if there are several.
    pub topic: String,
    /// The name of each.
    pub topics: Vec<String>,
    /// What it is to the run.
    pub origin: Origin,
    /// Event type.
    pub event: &'static str,
    /// One record for each planned pair, and the declared copies; null where that is not known.
    pub planned: Option<u64>,
    /// Copies that the fault `duplicate` makes of pairs that the run came to.
    pub declared_copies: u64,
    /// Planned records that the run never generated: it was stopped before.
    pub not_generated: u64,
    /// Records that the fault `drop` left out.
    pub dropped: u64,
    /// Records that incidents left out.
    pub left_out: u64,
    /// Of records and the copies that the fault `duplicate` makes of them, those that a de-duplicating
    /// stage took away, where there is to be one.
    pub removed_copies: u64,
    /// Copies that it left beside their records.
    pub remaining_copies: u64,
    /// The first ranges of seq of these, first and last.
    pub remaining_ranges: Vec<[u64; 2]>,
    /// How many more ranges there are.
    pub remaining_more: u64,
    /// Records that are there: `planned - not_generated - dropped - left_out - removed_copies =
    /// found + missing`.
    pub found: u64,
    /// Records that are not.
    pub missing: u64,
    /// What was read.
    pub read: ReadAccount,
    /// Records that were read more than once.
    pub repeated: u64,
    /// The producer's verdict against presence.
    pub verdicts: Vec<VerdictRow>,
    /// Why records are missing.
    pub missing_by_cause: Vec<MissingAccount>,
    /// What was done on purpose to the missing records; empty where nothing was done to any record.
    pub missing_by_fault: Vec<MissingByFault>,
    /// Copies by origin.
    pub copies: Vec<CopyAccount>,
    /// What differs.
    pub changes: Vec<ChangeAccount>,
    /// The first record that was not expected.
    pub first_unexpected: Option<Example>,
    /// Order; null where the lines that were read have none.
    pub order: Option<OrderAccount>,
    /// Records of which nothing tells the time, so that they were not compared.
    pub untimed: u64,
    /// From the event's time to the log, or to this reader, ms.
    pub latency_ms: Option<Quantiles>,
    /// Records whose time is outside the run of the report: another start with the same run id.
    pub outside_run: u64,
    /// The times of the records against those of the report; null where the settings give them.
    pub times: Option<TimesAccount>,
    /// Records without headers that were told by their value.
    pub told_by_value: u64,
    /// The first record of the other topic.
    pub first_misplaced: Option<Example>,
    /// The first event without headers that may be one of several, or none.
    pub first_unmatched: Option<Example>,
    /// The partitions that were read.
    pub partitions: Vec<LogPartition>,
}

/// The account of an audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Name of the run.
    pub run_id: String,
    /// Its seed.
    pub run_seed: u64,
    /// Which part of it, i/n.
    pub shard: String,
    /// Parts of the records that were not compared.
    pub ignored: Vec<&'static str>,
    /// Whether exactly one of a record and its declared copy must be present.
    pub deduplicated: bool,
    /// Id of the cluster that was read; `None` of lines.
    pub cluster_id: Option<String>,
    /// What it comes to.
    pub verdict: Closure,
    /// Whether every record is there, once and as it was sent.
    pub closed: bool,
    /// What leaves it undecided, and what would decide it, one sentence each.
    pub undecided: Vec<String>,
    /// Whether the run was stopped before its end: the account is of what it had sent.
    pub stopped: bool,
    /// What may explain all that is missing; null if nothing does.
    pub hint: Option<String>,
    /// Both topics.
    pub topics: Vec<TopicAccount>,
    /// Pairs that do not fit.
    pub torn: TornAccount,
    /// What an answer key declares, against what was found; null without one.
    pub answer_key: Option<KeyAccount>,
    /// What a pipeline flagged, against what was done on purpose; null if that is not asked for.
    pub detected: Option<DetectedAccount>,
    /// What is to be said of the file or pipe that was read; null of topics.
    pub input: Option<InputAccount>,
    /// What could not be told, one sentence each.
    pub could_not_tell: Vec<String>,
}

impl Account {
    /// Notes that reading ended early, in words: an account that looks closed may not be. Of a reader that
    /// was asked to stop nothing is claimed.
    pub fn ended_early(&mut self, what: &str, is_stopped: bool) {
        if self.verdict == Closure::Closed || is_stopped {
            self.verdict = Closure::Undecided;
        }
        self.closed = false;
        self.undecided.push(what.to_owned());
    }
}

impl TopicAccount {
    /// How many records are missing by the causes that are asked for.
    pub(super) fn missing_of(&self, is_asked: impl Fn(&MissingAccount) -> bool) -> u64 {
        let asked = self.missing_by_cause.iter().filter(|missing| is_asked(missing));
        asked.map(|missing| missing.records).sum()
    }
}

impl Audit<'_> {
    /// Closes the audit: these are the logs that were read.
    #[must_use]
    pub fn finish(mut self, logs: [Log; 2]) -> Account {
        self.settle(true);
        self.is_over = true;
        for (seq, waiting) in self.pool.never_timed() {
            self.of_pair_again(&waiting, seq);
        }
        for (seq, waiting) in self.far.rest() {
            waiting.lend(|read| self.unexpected(read, Some(seq)));
        }
        self.topics.iter_mut().for_each(Topic::settle_homes);
        let known = self.outline.end;
        let end = known.unwrap_or_else(|| {
            let slots = self.topics.iter().flat_map(|topic| [&topic.originals, &topic.copies]);
            slots.map(|slots| slots.seen.end()).max().unwrap_or_default()
        });
        let mut could_not_tell = Vec::new();
        let absent = self.absent_of_both(end, &logs);
        let left_out: u64 = absent.iter().map(|absent| absent.left_out).sum();
        let (answer_key, detected) = self.judge(end, (end * 2).saturating_sub(left_out));
        let hint = self.hint(&absent);
        let Self { expectation, topics, torn, times, .. } = self;
        let planned = expectation.planned.or(known);
        let verdicts = match &expectation.verdicts {
            Some(both) => both.each_ref().map(|verdicts| Some(verdicts.counts)),
            None => [None; 2],
        };
        let of_topics = topics.into_iter().zip(logs).zip(absent).zip(verdicts);
        let accounts: Vec<_> = Kind::BOTH
            .into_iter()
            .zip(of_topics)
            .map(|(kind, (((topic, log), absent), counts))| {
                let account = account(kind, topic, log, (planned, end), (absent, counts));
                TopicAccount { times: times.account(kind, account.found), ..account }
            })
            .collect();
        let torn = torn.0;
        tell(&accounts, &torn, &mut could_not_tell);
        let (verdict, undecided) =
            Closure::of(&accounts, &torn, answer_key.as_ref(), known.is_some());
        Account {
            run_id: expectation.plan.identity.run_id.clone(),
            run_seed: expectation.plan.identity.run_seed,
            shard: expectation.plan.shard().to_string(),
            ignored: self.ignored.words(),
            deduplicated: expectation.deduplicated,
            cluster_id: None,
            verdict,
            closed: verdict == Closure::Closed,
            undecided,
            stopped: false,
            hint,
            topics: accounts,
            torn,
            answer_key,
            detected,
            input: None,
            could_not_tell,
        }
    }
}

impl Audit<'_> {
    /// What is not there of both topics. A record that matches no pair may be a missing one: of its own
    /// topic, or of either where nothing tells which event it is.
    fn absent_of_both(&mut self, end: u64, logs: &[Log; 2]) -> [Absent; 2] {
        let of_either = self.is_one || logs.iter().any(|log| log.origin == Origin::Export);
        let mut either = 0;
        let unmatched = Kind::BOTH.map(|kind| {
            let (topic, log) = (&self.topics[kind as usize], &logs[kind as usize]);
            let [told, untold] = topic.unmatched;
            let is_copied = matches!(log.origin, Origin::Stage | Origin::Export);
            match log.has_headers && !is_copied {
                true => 0,
                false if of_either => {
                    either += untold;
                    told
                }
                false => told + untold,
            }
        });
        Kind::BOTH.map(|kind| {
            let own = unmatched[kind as usize];
            let absent = self.absent(kind, end, &logs[kind as usize], own + either);
            either -= absent.taken().saturating_sub(own);
            absent
        })
    }

    /// What explains all that is missing: a stage that removes duplicates, which nobody named.
    fn hint(&self, absent: &[Absent; 2]) -> Option<String> {
        let sum = |count: fn(&Absent) -> u64| absent.iter().map(count).sum::<u64>();
        let (missing, beside) = (sum(|of| of.records), sum(|of| of.beside));
        let is_it = missing > 0 && missing == beside && !self.expectation.deduplicated;
        is_it.then(|| {
            format!(
                "of each of the {missing} that are missing, a record or its deliberate copy, the other is \
                 there: behind a stage that removes duplicates use --deduplicated"
            )
        })
    }
}

impl Account {
    /// Adds what is to be said of the file or pipe that was read.
    pub fn take_input(&mut self, input: Option<InputAccount>) {
        if let Some(input) = &input {
            let missing: u64 = self.topics.iter().map(|topic| topic.missing).sum();
            if input.unreadable > 0 && missing > 0 {
                let n = input.unreadable;
                let what = "which records the lines are that cannot be read";
                self.could_not_tell.push(format!("{what} ({n}): they may be missing ones"));
            }
            if input.untold_times > 0 {
                let n = input.untold_times;
                let what = "record timestamps are right: they are no times";
                self.could_not_tell.push(format!("whether {n} {what}"));
            }
        }
        self.input = input;
    }
}

/// The account of one topic of so many planned pairs, of which the run came to those below `end`.
fn account(
    kind: Kind,
    topic: Topic,
    log: Log,
    (planned, end): (Option<u64>, u64),
    (absent, counts): (Absent, Option<[u64; 3]>),
) -> TopicAccount {
    let found = topic.found();
    let Absent { copies, dropped, left_out, unsent, records: missing, removed, .. } = absent;
    let remaining = absent.remaining.clone();
    let (missing_by_cause, missing_by_fault, verdicts) = absent.account(counts, found + missing);
    let topics = if log.topics.is_empty() { vec![log.topic.clone()] } else { log.topics };
    TopicAccount {
        topic: log.topic,
        topics,
        origin: log.origin,
        event: name(kind),
        planned: planned.map(|pairs| pairs + copies),
        declared_copies: copies,
        not_generated: planned.unwrap_or(end).saturating_sub(end) + unsent,
        dropped,
        left_out,
        removed_copies: removed,
        remaining_copies: remaining.records,
        remaining_ranges: remaining.ranges,
        remaining_more: remaining.more,
        found,
        missing,
        repeated: topic.originals.seen.repeated() + topic.copies.seen.repeated(),
        read: ReadAccount { foreign: topic.foreigners.0, ..topic.read },
        verdicts,
        missing_by_cause,
        missing_by_fault,
        copies: topic.streams.copies(),
        changes: topic.changes.account(),
        first_unexpected: topic.unexpected,
        order: topic.has_order.then(|| topic.streams.order()),
        untimed: topic.untimed,
        latency_ms: topic.latency.quantiles(),
        outside_run: topic.outside,
        times: None,
        told_by_value: topic.by_value,
        first_misplaced: topic.misplaced,
        first_unmatched: topic.first_unmatched,
        partitions: log.partitions,
    }
}

/// What could not be told of the topics.
fn tell(topics: &[TopicAccount], torn: &TornAccount, out: &mut Vec<String>) {
    for topic in topics {
        let name = &topic.topic;
        if topic.read.unmatched > 0 {
            let n = topic.read.unmatched;
            let what = "without headers could not be matched: they may be missing ones";
            out.push(format!("which pairs {n} records of {name} are: they are {what}"));
        }
        if topic.told_by_value > 0 {
            out.push(format!(
                "of {} records of {name} without headers, whether they are of this run or of another \
                 with the same values, and what altered ones were",
                topic.told_by_value
            ));
        }
        let unknown: u64 = topic.copies.iter().map(|copies| copies.distance_unknown).sum();
        if unknown > 0 {
            out.push(format!(
                "how far {unknown} copies in {name} are from their first one: more than {REMEMBERED} pairs"
            ));
        }
    }
    if torn.not_compared > 0 {
        out.push(format!(
            "whether the two records of {} pairs fit: the topics were read too far apart",
            torn.not_compared
        ));
    }
}
