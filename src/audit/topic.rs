//! What was read of one topic.

use super::changes::{Changes, Example};
use super::compare::Change;
use super::examine::{Differs, Examined, Part};
use super::record::Read;
use super::seen::Seen;
use super::streams::Streams;
use super::tally::{Foreigners, ReadAccount};
use crate::histogram::Times;
use crate::plan::{Plan, partition_of};

/// What was read of one topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) seen: Seen,
    pub(super) read: ReadAccount,
    pub(super) changes: Changes,
    pub(super) foreigners: Foreigners,
    pub(super) streams: Streams,
    /// The partition of each GPU's first record.
    homes: Vec<Option<i32>>,
    /// The last record of another run that has a GPU's key, by its offset.
    others: Vec<Option<i64>>,
    pub(super) unexpected: Option<Example>,
    pub(super) outside: u64,
    pub(super) ambiguous: u64,
    pub(super) by_value: u64,
    pub(super) latency: Times,
}

impl Topic {
    /// Nothing of a run with so many GPUs.
    pub(super) fn new(gpus: usize) -> Self {
        Self {
            streams: Streams::new(gpus),
            homes: vec![None; gpus],
            others: vec![None; gpus],
            ..Self::default()
        }
    }

    /// The partition in which the records of a GPU are.
    pub(super) fn home(&self, gpu: usize, key: &str, partitions: Option<u32>) -> Option<i32> {
        self.homes[gpu].or_else(|| Some(partition_of(key.as_bytes(), partitions?)))
    }

    /// Notes a record of another run that has the key of a GPU: compaction keeps the last one.
    pub(super) fn other(&mut self, gpu: usize, offset: i64) {
        let last = &mut self.others[gpu];
        *last = Some(last.map_or(offset, |last| last.max(offset)));
    }

    /// Where the last record of another run with the key of a GPU is.
    pub(super) fn last_of_others(&self, gpu: usize) -> Option<i64> {
        self.others[gpu]
    }

    /// Notes whether the record is in the partition of its key.
    pub(super) fn partition(
        &mut self,
        plan: &Plan,
        read: &Read<'_>,
        gpu: usize,
        partitions: Option<u32>,
        examined: &mut Examined,
    ) {
        // A record with another key belongs elsewhere.
        let has_other_key = examined.differs.iter().any(|differs| differs.part == Part::Key);
        let Some(partition) = read.partition.filter(|_| plan.has_keys() && !has_other_key) else {
            return;
        };
        let own = *self.homes[gpu].get_or_insert(partition);
        let key = plan.key_of(gpu).as_bytes();
        let expected = partitions.map_or(own, |partitions| partition_of(key, partitions));
        if partition != expected {
            examined.differs.push(Differs {
                part: Part::Partition,
                at: String::new(),
                change: Change::Value,
                expected: expected.to_string(),
                found: partition.to_string(),
            });
        }
    }
}
