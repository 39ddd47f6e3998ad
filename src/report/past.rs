//! A report that is read back: what it says of the run, as far as an audit needs it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::RUNNING;
use crate::audit::{Listed, Verdicts};
use crate::delivery::times::TimesDigest;
use crate::workload;

/// Largest report that is read, bytes: two topics of 100,000 partitions take 80 MB.
pub const MAX_BYTES: u64 = 96 << 20;

/// Most partitions of a topic, as for `--partitions`.
const PARTITIONS_MAX: u32 = 100_000;

/// Most records of a topic: each pair of the longest run, and its copy.
const RECORDS_MAX: u64 = 2_000_000_000_000;

/// The report of a run that is over, or of one that still ran when it was written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PastRun {
    /// Name of the run.
    pub run_id: String,
    /// Its seed.
    pub run_seed: u64,
    /// Version of the workload model that it was sent with.
    pub workload_version: u32,
    /// SHA-256 of the rows of its seed; `None` where it could not be read.
    #[serde(default)]
    pub seed_sha256: Option<String>,
    /// SHA-256 of all that makes its records; `None` in a report of an earlier release.
    #[serde(default)]
    pub plan_sha256: Option<String>,
    /// Id of the cluster, if the report has it.
    #[serde(default)]
    pub cluster_id: Option<String>,
    /// Which part of the run, i/n.
    #[serde(default)]
    pub shard: String,
    /// Wall clock at the start.
    #[serde(deserialize_with = "instant")]
    pub started_at: Timestamp,
    /// Wall clock at the end.
    #[serde(deserialize_with = "instant")]
    pub ended_at: Timestamp,
    #[serde(default)]
    lateness_ms: Option<PastLateness>,
    /// Every setting.
    pub settings: Vec<PastSetting>,
    outcome: String,
    exit_code: Option<u8>,
    #[serde(default)]
    reason: Option<String>,
    topics: [PastTopic; 2],
}

/// A setting of a run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PastSetting {
    /// Name.
    pub name: String,
    /// Value as text; empty where it was not set.
    pub value: String,
    /// Where it came from.
    pub source: String,
}

impl PastSetting {
    /// Whether somebody chose the value, and it is shown.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        !["default", "default of this command", "not set"].contains(&self.source.as_str())
            && self.value != "(not shown)"
    }
}

/// How late pairs were generated, ms.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct PastLateness {
    max: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PastTopic {
    topic: String,
    planned: Option<u64>,
    #[serde(default)]
    start_offsets: Vec<Option<i64>>,
    partition_count: Option<u32>,
    generated: u64,
    acknowledged: u64,
    failed: u64,
    #[serde(default)]
    truncated: u64,
    unresolved: u64,
    seq: PastSeq,
    duplicates_seq: PastSeq,
    partitions: Vec<PastPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PastSeq {
    failed: PastRanges,
    unresolved: PastRanges,
    /// Of the failed ones those that were acknowledged first.
    #[serde(default)]
    truncated: PastRanges,
}

impl PastSeq {
    /// The failed records that were never acknowledged.
    fn never_acknowledged(&self) -> Listed {
        let mut left = self.failed.ranges.clone();
        for [from, to] in &self.truncated.ranges {
            let parts = left.iter().flat_map(|[first, last]| {
                let before = (*first < *from).then(|| [*first, (*last).min(from - 1)]);
                let behind = (*last > *to).then(|| [(*first).max(to + 1), *last]);
                before.into_iter().chain(behind)
            });
            left = parts.collect();
        }
        Listed { ranges: left, has_more: self.failed.more > 0 || self.truncated.more > 0 }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct PastRanges {
    ranges: Vec<[u64; 2]>,
    more: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct PastPartition {
    partition: i32,
    acknowledged: u64,
    first_offset: i64,
    last_offset: i64,
    #[serde(default)]
    times: Option<PastTimes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct PastTimes {
    first_ms: i64,
    last_ms: i64,
    #[serde(deserialize_with = "hexadecimal")]
    sum: u64,
    #[serde(deserialize_with = "hexadecimal")]
    digest: u64,
    #[serde(deserialize_with = "hexadecimal")]
    digest_sec: u64,
    #[serde(deserialize_with = "hexadecimal")]
    weights: u64,
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = u64::from_str_radix(&text, 16);
    number.map_err(|_| D::Error::custom(format!("{text:?} is no hexadecimal number of 64 bits")))
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format!("{text:?} is no time: {error}")))
}

/// A number of a report that no run has.
#[derive(Debug, thiserror::Error)]
#[error("{what} {number}, where no run has more than {most}")]
pub struct TooLarge {
    what: String,
    number: u64,
    most: u64,
}

/// Why a report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    /// It is no report.
    #[error("it is no report of a run: {0}; expected the JSON that REPORT_FILE names")]
    NotOne(serde_path_to_error::Error<serde_json::Error>),
    /// It has a number that no run has: memory and time must not follow it.
    #[error("it is no report of a run: {0}")]
    TooLarge(TooLarge),
    /// It was written with another model.
    #[error(
        "the run was sent with version {0} of the workload model, and this program has version \
         {own}: it would regenerate other bytes; use the program that sent it", own = workload::VERSION
    )]
    OtherModel(u32),
}

impl PastRun {
    /// Reads a report.
    ///
    /// # Errors
    /// [`BadReport`].
    pub fn parse(json: &[u8]) -> Result<Self, BadReport> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let run: Self = serde_path_to_error::deserialize(&mut json).map_err(BadReport::NotOne)?;
        if run.workload_version != workload::VERSION {
            return Err(BadReport::OtherModel(run.workload_version));
        }
        run.check_numbers().map_err(BadReport::TooLarge)?;
        Ok(run)
    }

    /// How late a pair was generated at most, by its schedule, ms.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    pub fn most_late_ms(&self) -> Option<i64> {
        self.lateness_ms.map(|lateness| lateness.max.ceil().max(0.0) as i64)
    }

    /// The value of a setting, where the report has it.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|setting| setting.name == name);
        found.map(|setting| setting.value.as_str())
    }

    fn check_numbers(&self) -> Result<(), TooLarge> {
        for topic in &self.topics {
            let of = |what: &str| format!("topic {} has {what}", topic.topic);
            let check = |what: &str, number: u64, most: u64| {
                let what = of(what);
                if number > most { Err(TooLarge { what, number, most }) } else { Ok(()) }
            };
            let partitions = u64::from(topic.partition_count.unwrap_or_default());
            let listed = topic.start_offsets.len().max(topic.partitions.len()) as u64;
            check("partition_count", partitions.max(listed), PARTITIONS_MAX.into())?;
            for (what, number) in [
                ("planned", topic.planned.unwrap_or_default()),
                ("generated", topic.generated),
                ("acknowledged", topic.acknowledged),
                ("failed", topic.failed),
                ("unresolved", topic.unresolved),
            ] {
                check(what, number, RECORDS_MAX)?;
            }
            for partition in &topic.partitions {
                let number = u64::try_from(partition.partition).unwrap_or(u64::MAX);
                check("partition", number, PARTITIONS_MAX.into())?;
            }
        }
        Ok(())
    }

    /// Whether the run still went on when the report was written: what it sent is not known.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.outcome == RUNNING
    }

    /// Whether the report tells where the partitions of the run's own topic ended before the first record.
    #[must_use]
    pub fn has_start_offsets(&self, (number, name): (usize, &str)) -> bool {
        let topic = &self.topics[number];
        topic.topic == name && !topic.start_offsets.is_empty()
    }

    /// Where a partition of a topic ended before the first record, if it is the run's own topic and the
    /// report tells. A partition that was added later began at 0, and one that was cut back is read from
    /// there.
    #[must_use]
    pub fn start_offset(&self, (number, name): (usize, &str), partition: i32) -> Option<i64> {
        let topic = Some(&self.topics[number]).filter(|topic| topic.topic == name)?;
        let starts = Some(&topic.start_offsets).filter(|starts| !starts.is_empty())?;
        let start = starts.get(usize::try_from(partition).ok()?).copied().unwrap_or(Some(0))?;
        let own = topic.partitions.iter().find(|own| own.partition == partition);
        // In a log that was cut back, records of the run are below its old end.
        let is_cut_back = topic.truncated > 0 || own.is_some_and(|own| own.first_offset < start);
        Some(if is_cut_back { 0 } else { start })
    }

    /// The times of each topic's acknowledged records by partition, where the report has those of all.
    #[must_use]
    pub fn times(&self) -> [Option<BTreeMap<i32, TimesDigest>>; 2] {
        self.topics.each_ref().map(|topic| {
            let own = topic.partitions.iter().map(|own| {
                let PastTimes { first_ms, last_ms, sum, digest, digest_sec, weights } = own.times?;
                let records = own.acknowledged;
                let times =
                    TimesDigest { records, first_ms, last_ms, sum, digest, digest_sec, weights };
                Some((own.partition, times))
            });
            let times = own.collect::<Option<BTreeMap<_, _>>>()?;
            let records: u64 = times.values().map(|times| times.records).sum();
            (records == topic.acknowledged && !self.is_running()).then_some(times)
        })
    }

    /// The names of both topics.
    #[must_use]
    pub fn topics(&self) -> [&str; 2] {
        self.topics.each_ref().map(|topic| topic.topic.as_str())
    }

    /// Records of a topic that were planned, where that was known: its pairs, in a clean run.
    #[must_use]
    pub fn planned(&self) -> Option<u64> {
        self.topics[0].planned
    }

    /// Why there is nothing of the run to look for, in words: it ended before its first record.
    #[must_use]
    pub fn sent_nothing(&self) -> Option<String> {
        let Self { run_id, outcome, exit_code, reason, .. } = self;
        if outcome == RUNNING || self.generated() != [0, 0] {
            return None;
        }
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let exit = exit_code.map(|code| format!(", exit {code}")).unwrap_or_default();
        Some(format!("run {run_id} sent nothing: {outcome}{exit}{reason}"))
    }

    /// Whether a signal or an error ended it before its time, where so many planned records were not
    /// generated.
    #[must_use]
    pub fn was_stopped(&self, not_generated: u64) -> bool {
        self.outcome == "interrupted" || (self.outcome != "delivered" && not_generated > 0)
    }

    /// Records of each topic that were handed to the client library.
    #[must_use]
    pub fn generated(&self) -> [u64; 2] {
        self.topics.each_ref().map(|topic| topic.generated)
    }

    /// Partitions of each topic, where the run came to know them.
    #[must_use]
    pub fn partition_counts(&self) -> [Option<u32>; 2] {
        self.topics.each_ref().map(|topic| topic.partition_count)
    }

    /// Records that were not acknowledged: they may be missing in the topics.
    #[must_use]
    pub fn not_acknowledged(&self) -> u64 {
        self.topics.iter().map(|topic| topic.failed + topic.unresolved).sum()
    }

    /// What the producer said of each topic's records.
    #[must_use]
    pub fn verdicts(&self) -> [Verdicts; 2] {
        let listed = |ranges: &PastRanges| Listed {
            ranges: ranges.ranges.clone(),
            has_more: ranges.more > 0,
        };
        [0, 1].map(|topic| {
            let topic = &self.topics[topic];
            Verdicts {
                failed: topic.seq.never_acknowledged(),
                unresolved: listed(&topic.seq.unresolved),
                copies: [&topic.duplicates_seq.failed, &topic.duplicates_seq.unresolved]
                    .map(listed),
                generated: topic.generated,
                counts: [
                    topic.acknowledged + topic.truncated,
                    topic.failed.saturating_sub(topic.truncated),
                    topic.unresolved,
                ],
            }
        })
    }

    /// The first and last offset that the run was given in a partition of this topic, if it is its own.
    #[must_use]
    pub fn offsets(&self, (number, name): (usize, &str), partition: i32) -> Option<(i64, i64)> {
        let topic = Some(&self.topics[number]).filter(|topic| topic.topic == name)?;
        let mut partitions = topic.partitions.iter();
        let found = partitions.find(|found| found.partition == partition)?;
        Some((found.first_offset, found.last_offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_truncated_was_acknowledged_before() {
        let list = |ranges: &[[u64; 2]]| PastRanges { ranges: ranges.to_vec(), more: 0 };
        let never = |failed: &[[u64; 2]], truncated: &[[u64; 2]]| {
            let unresolved = PastRanges::default();
            let (failed, truncated) = (list(failed), list(truncated));
            PastSeq { failed, unresolved, truncated }.never_acknowledged().ranges
        };
        assert_eq!(never(&[[0, 9]], &[[3, 5]]), [[0, 2], [6, 9]]);
        assert_eq!(never(&[[0, 9], [20, 29]], &[[0, 4], [8, 9], [20, 29]]), [[5, 7]]);
        assert_eq!(never(&[[0, 9]], &[]), [[0, 9]]);
    }
}
