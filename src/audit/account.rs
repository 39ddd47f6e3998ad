//! The account of an audit: every record that was read, and every record that was planned.

use serde::Serialize;

use super::missing::{Gone, Log, Missing};
use super::places::REMEMBERED;
use super::tally::ReadAccount;
use super::topic::Topic;
use super::verdicts::Verdict;
use super::{
    Audit, ChangeAccount, CopyAccount, Example, LogPartition, MissingAccount, OrderAccount,
    TornAccount, name,
};
use crate::event::Kind;
use crate::histogram::Quantiles;

/// What the producer said of records, and which of them are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictRow {
    /// `acknowledged`, `failed`, `unresolved` or `unknown`.
    pub verdict: &'static str,
    /// Records that are there.
    pub present: u64,
    /// Records that are not.
    pub missing: u64,
}

/// The account of one topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicAccount {
    /// Topic, or whatever it was read from.
    pub topic: String,
    /// Event type.
    pub event: &'static str,
    /// Records that were planned; null where that is not known.
    pub planned: Option<u64>,
    /// Planned records that the run never generated: it was stopped before.
    pub not_generated: u64,
    /// Records that a fault of the run left out.
    pub dropped: u64,
    /// Records that are there: `planned - not_generated - dropped = found + missing`.
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
    /// Copies by origin.
    pub copies: Vec<CopyAccount>,
    /// What differs.
    pub changes: Vec<ChangeAccount>,
    /// The first record that was not expected.
    pub first_unexpected: Option<Example>,
    /// Order.
    pub order: OrderAccount,
    /// From the event's time to the log, or to this reader, ms.
    pub latency_ms: Option<Quantiles>,
    /// Records whose time is outside the run of the report: another start with the same run id.
    pub outside_run: u64,
    /// Records without headers that were told by their value.
    pub told_by_value: u64,
    /// Records without headers that may be several pairs.
    pub ambiguous: u64,
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
    /// Whether every record is there, once and as it was sent.
    pub closed: bool,
    /// Both topics.
    pub topics: Vec<TopicAccount>,
    /// Pairs that do not fit.
    pub torn: TornAccount,
    /// What could not be told, one sentence each.
    pub could_not_tell: Vec<String>,
}

impl Audit<'_> {
    /// Closes the audit: these are the logs that were read.
    #[must_use]
    pub fn finish(mut self, logs: [Log; 2]) -> Account {
        let end = self.end.unwrap_or_else(|| {
            self.topics.iter().map(|topic| topic.seen.end()).max().unwrap_or_default()
        });
        self.alone(end);
        let mut could_not_tell = Vec::new();
        if self.end.is_none() {
            could_not_tell.push(
                "how many pairs were planned: what is missing behind the last one that was found"
                    .to_owned(),
            );
        }
        let missing = Kind::BOTH.map(|kind| self.missing(kind, end, &logs[kind as usize]));
        let Self { expectation, topics, torn, .. } = self;
        let mut accounts = Vec::new();
        for (((kind, topic), log), missing) in
            Kind::BOTH.into_iter().zip(topics).zip(logs).zip(missing)
        {
            let planned = expectation.planned.or(self.end);
            accounts.push(account(kind, topic, log, (planned, end), missing));
        }
        let torn = torn.0;
        tell(&accounts, &torn, &mut could_not_tell);
        let closed = torn.pairs() == 0 && accounts.iter().all(is_closed);
        Account {
            run_id: expectation.plan.identity.run_id.clone(),
            run_seed: expectation.plan.identity.run_seed,
            shard: expectation.plan.shard().to_string(),
            closed,
            topics: accounts,
            torn,
            could_not_tell,
        }
    }

    /// Pairs of which one record is there.
    fn alone(&mut self, end: u64) {
        let [metric, token] = &self.topics;
        for place in token.seen.missing(end).filter(|place| metric.seen.contains(*place)) {
            self.torn.alone(true, self.expectation.plan.shard().seq_at(place));
        }
        for place in metric.seen.missing(end).filter(|place| token.seen.contains(*place)) {
            self.torn.alone(false, self.expectation.plan.shard().seq_at(place));
        }
    }

    /// The missing records of a topic by cause, and the table of verdicts.
    fn missing(&self, kind: Kind, end: u64, log: &Log) -> (Vec<MissingAccount>, Vec<VerdictRow>) {
        let (expectation, topic) = (&self.expectation, &self.topics[kind as usize]);
        let verdicts = expectation.verdicts.as_ref().map(|verdicts| &verdicts[kind as usize]);
        let step = u64::from(expectation.plan.shard().count);
        let (mut missing, mut by_verdict) = (Missing::default(), [0_u64; 4]);
        for place in topic.seen.missing(end) {
            let seq = expectation.plan.shard().seq_at(place);
            let verdict = verdicts.map_or(Verdict::Unknown, |verdicts| verdicts.of(seq));
            by_verdict[verdict as usize] += 1;
            let gpu = expectation.plan.gpu_of(seq);
            let (key, partitions) =
                (expectation.plan.key_of(gpu), expectation.partitions[kind as usize]);
            let home = topic.home(gpu, key, partitions);
            let gone = Gone {
                seq,
                verdict,
                log: log.partitions.iter().find(|log| Some(log.partition) == home),
                read: home.and_then(|home| topic.streams.span(home)),
                key_highest: topic.streams.highest_of(gpu),
                other_last: topic.last_of_others(gpu),
                compacts: log.compacts,
            };
            missing.note(&gone, step);
        }
        let totals = match verdicts {
            Some(verdicts) => [verdicts.counts[0], verdicts.counts[1], verdicts.counts[2], 0],
            None => [0, 0, 0, end],
        };
        let rows = Verdict::ALL.into_iter().zip(totals).zip(by_verdict);
        let rows = rows.map(|((verdict, total), missing)| VerdictRow {
            verdict: verdict.word(),
            present: total.saturating_sub(missing),
            missing,
        });
        (missing.account(), rows.filter(|row| row.present + row.missing > 0).collect())
    }
}

/// The account of one topic.
fn account(
    kind: Kind,
    topic: Topic,
    log: Log,
    (planned, end): (Option<u64>, u64),
    (missing_by_cause, verdicts): (Vec<MissingAccount>, Vec<VerdictRow>),
) -> TopicAccount {
    let found = topic.seen.found();
    TopicAccount {
        topic: log.topic,
        event: name(kind),
        planned,
        not_generated: planned.unwrap_or(end).saturating_sub(end),
        dropped: 0,
        found,
        missing: end - found,
        repeated: topic.seen.repeated(),
        read: ReadAccount { foreign: topic.foreigners.0, ..topic.read },
        verdicts,
        missing_by_cause,
        copies: topic.streams.copies(),
        changes: topic.changes.account(),
        first_unexpected: topic.unexpected,
        order: topic.streams.order(),
        latency_ms: topic.latency.quantiles(),
        outside_run: topic.outside,
        told_by_value: topic.by_value,
        ambiguous: topic.ambiguous,
        partitions: log.partitions,
    }
}

fn is_closed(topic: &TopicAccount) -> bool {
    let read = &topic.read;
    topic.missing == 0 && read.first_altered + read.extra_copies + read.unexpected == 0
}

/// What could not be told of the topics.
fn tell(topics: &[TopicAccount], torn: &TornAccount, out: &mut Vec<String>) {
    for topic in topics {
        let name = &topic.topic;
        if topic.ambiguous > 0 {
            let n = topic.ambiguous;
            out.push(format!("which pairs {n} records of {name} without headers are"));
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
