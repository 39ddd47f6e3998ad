//! The parts of a report.

use serde::Serialize;

use super::SeqReport;
use crate::delivery::times::TimesDigest;
use crate::delivery::{Closing, Counts, LatencyParts, PartitionCounts, Settled};
use crate::event::Kind;
use crate::faults::{Fault, FaultCounts};
use crate::histogram::Quantiles;
use crate::settings::Settings;

/// One setting in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingReport {
    /// Name.
    pub name: String,
    /// Value as text; a secret is not shown; empty where not set.
    pub value: String,
    /// Where it came from.
    pub source: String,
}

impl SettingReport {
    /// Every setting.
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        let listing = settings.listing().map(|setting| Self {
            name: setting.name,
            value: setting.value.into(),
            source: setting.source,
        });
        listing.collect()
    }
}

/// One topic in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// Topic name.
    pub topic: String,
    /// Event type.
    pub event: &'static str,
    /// Records the plan asked for; null where only a complete run can tell.
    pub planned: Option<u64>,
    /// Records handed to the client library.
    pub generated: u64,
    /// Records the cluster acknowledged.
    pub acknowledged: u64,
    /// Records given up with an error.
    pub failed: u64,
    /// Of these, those that were acknowledged, and were not in the log any more at the end.
    pub truncated: u64,
    /// Records with neither acknowledgement nor error when the run ended.
    pub unresolved: u64,
    /// Failed and unresolved records that were looked up in the log.
    pub settled: Settled,
    /// Copies beyond the first that were seen there; null where more than those are possible.
    pub copies: Option<u64>,
    /// Records that were seen there under the name of this run, and are not this process's.
    pub others: u64,
    /// Which records are not acknowledged, copies apart.
    pub seq: SeqReport,
    /// Which copies that the fault `duplicate` made are not acknowledged.
    pub duplicates_seq: SeqReport,
    /// Where each partition ended before the first record, by its number; empty where the run was not
    /// told.
    pub start_offsets: Vec<Option<i64>>,
    /// Partitions of the topic, where the run was told; `partitions` are those that it reached.
    pub partition_count: Option<usize>,
    /// Acknowledgements by partition.
    pub partitions: Vec<PartitionReport>,
}

/// The acknowledgements of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// How many, and their offsets.
    #[serde(flatten)]
    pub counts: PartitionCounts,
    /// Their times; null where not all of them are known.
    pub times: Option<TimesReport>,
}

/// The times of some records. The sums are modulo 2^64, in 16 hexadecimal digits, because many readers
/// of JSON would round them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimesReport {
    /// The earliest record timestamp, ms since 1970.
    pub first_ms: i64,
    /// The latest.
    pub last_ms: i64,
    /// Sum of the timestamps.
    pub sum: String,
    /// Sum of the timestamps by weights that follow from `seq`.
    pub digest: String,
    /// The same of their whole seconds.
    pub digest_sec: String,
    /// Sum of the weights.
    pub weights: String,
}

impl PartitionReport {
    pub(super) fn of(counts: &PartitionCounts, times: &[TimesDigest]) -> Self {
        let own = usize::try_from(counts.partition).ok().and_then(|number| times.get(number));
        let times = own.filter(|times| times.records == counts.acknowledged).map(TimesReport::of);
        Self { counts: *counts, times }
    }
}

impl TimesReport {
    fn of(times: &TimesDigest) -> Self {
        let TimesDigest { first_ms, last_ms, sum, digest, digest_sec, weights, .. } = *times;
        let hex = |number: u64| format!("{number:016x}");
        let [sum, digest, digest_sec, weights] = [sum, digest, digest_sec, weights].map(hex);
        Self { first_ms, last_ms, sum, digest, digest_sec, weights }
    }
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// Topic of the records.
    pub topic: String,
    /// What the client library calls it.
    pub kind: String,
    /// How many records.
    pub count: u64,
}

impl ErrorReport {
    /// Every kind, topic by topic.
    pub(super) fn all(counts: &Counts, topic: impl Fn(Kind) -> String) -> Vec<Self> {
        let failures = counts.failures().map(|(kind, text, failures)| Self {
            topic: topic(kind),
            kind: text.to_owned(),
            count: failures.count,
        });
        failures.collect()
    }
}

/// Faults of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultReport {
    /// Topic of the records.
    pub topic: String,
    /// The kind, as `FAULTS` names it.
    pub kind: &'static str,
    /// Records at which it was in force: sent with it, or dropped.
    pub count: u64,
}

impl FaultReport {
    /// Every kind that was in force, topic by topic.
    pub(super) fn all(counts: &FaultCounts, topic: impl Fn(Kind) -> String) -> Vec<Self> {
        let each = Kind::BOTH.into_iter().flat_map(|kind| Fault::ALL.map(|fault| (kind, fault)));
        let there = each.filter(|(kind, fault)| counts.of(*kind, *fault) > 0);
        let report = |(kind, fault): (Kind, Fault)| Self {
            topic: topic(kind),
            kind: fault.word(),
            count: counts.of(kind, fault),
        };
        there.map(report).collect()
    }
}

/// The records that close windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClosingReport {
    /// The time of all of them, RFC 3339.
    pub at: String,
    /// Both topics.
    pub topics: Vec<ClosingTopicReport>,
}

/// Those of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClosingTopicReport {
    /// Topic.
    pub topic: String,
    /// How many: one for each partition.
    pub records: u64,
    /// How many of them were acknowledged.
    pub acknowledged: u64,
}

impl ClosingReport {
    pub(super) fn of(closing: &Closing, topic: impl Fn(Kind) -> String) -> Self {
        let of_topic = |kind: Kind| ClosingTopicReport {
            topic: topic(kind),
            records: closing.records[kind as usize],
            acknowledged: closing.acknowledged[kind as usize],
        };
        let at = format!("{:.3}", closing.at);
        Self { at, topics: Kind::BOTH.map(of_topic).into() }
    }
}

/// Latency of the acknowledgements, ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyReport {
    /// From hand-over to acknowledgement.
    pub from_send: Option<Quantiles>,
    /// From the intended time to acknowledgement.
    pub from_intended: Option<Quantiles>,
    /// The means of what the time from hand-over consists of, if the client measured it.
    pub parts: Option<LatencyPartsReport>,
}

/// Means of the parts of the latency, ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyPartsReport {
    /// In the client: from hand-over to a request, and from there to the socket.
    pub client: f64,
    /// From the socket to the answer. A client cannot tell network and broker apart.
    pub network_and_broker: f64,
    /// How long the broker asks to be left alone after an answer.
    pub throttle: f64,
}

impl LatencyPartsReport {
    /// Of a run in which the client measured them.
    pub(super) fn of(parts: &LatencyParts) -> Option<Self> {
        let ms = |us: f64| us.round() / 1e3;
        Some(Self {
            client: ms(parts.batching.mean()? + parts.sending.mean()?),
            network_and_broker: ms(parts.round_trip.mean()?),
            throttle: ms(parts.throttle.mean().unwrap_or_default() * 1e3),
        })
    }
}
