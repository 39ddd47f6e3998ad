//! A report that is read back: what it says of the run, as far as an audit needs it.

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::audit::{Listed, Verdicts};
use crate::workload;

/// The report of a run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// Wall clock at the start.
    #[serde(deserialize_with = "instant")]
    pub started_at: Timestamp,
    /// Wall clock at the end.
    #[serde(deserialize_with = "instant")]
    pub ended_at: Timestamp,
    /// Every setting.
    pub settings: Vec<PastSetting>,
    /// Id of the cluster that it wrote to; `None` where it came to know none.
    #[serde(default)]
    pub cluster_id: Option<String>,
    outcome: String,
    exit_code: u8,
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

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PastTopic {
    topic: String,
    planned: Option<u64>,
    partition_count: Option<u32>,
    generated: u64,
    acknowledged: u64,
    failed: u64,
    unresolved: u64,
    seq: PastSeq,
    duplicates_seq: PastSeq,
    partitions: Vec<PastPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PastSeq {
    failed: PastRanges,
    unresolved: PastRanges,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PastRanges {
    ranges: Vec<[u64; 2]>,
    more: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct PastPartition {
    partition: i32,
    first_offset: i64,
    last_offset: i64,
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format!("{text:?} is no time: {error}")))
}

/// Why a report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    /// It is no report.
    #[error("it is no report of a run: {0}; expected the JSON that REPORT_FILE names")]
    NotOne(serde_path_to_error::Error<serde_json::Error>),
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
        Ok(run)
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
        if outcome == "running" || self.generated() != [0, 0] {
            return None;
        }
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(format!("run {run_id} sent nothing: {outcome}, exit {exit_code}{reason}"))
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
                failed: listed(&topic.seq.failed),
                unresolved: listed(&topic.seq.unresolved),
                copies: [&topic.duplicates_seq.failed, &topic.duplicates_seq.unresolved]
                    .map(listed),
                generated: topic.generated,
                counts: [topic.acknowledged, topic.failed, topic.unresolved],
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
