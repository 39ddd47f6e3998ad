//! What is kept of each partition of a topic: order, copies, and where the latest records were.

use std::collections::BTreeMap;

use super::copies::{self, Copied, Copies, CopyAccount};
use super::offsets::Offsets;
use super::order::{Order, OrderAccount, Stream};
use super::places::Place;
use super::record::Read;
use super::slots::Slot;

/// Most partitions that are told apart: a line may claim any.
const MOST: usize = 1 << 14;

/// One partition of a topic.
#[derive(Debug, Default)]
struct Partition {
    order: Stream,
    copies: Copies,
    /// First copies, and where the first of them is.
    firsts: u64,
    begins: Option<i64>,
    /// Lowest and highest seq of its first copies that were not held back.
    span: Option<(u64, u64)>,
    offsets: Offsets,
}

/// The partitions of one topic.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// By topic, of those that have the event, and number.
    partitions: BTreeMap<(u16, i32), Partition>,
    order: Order,
}

/// What is to be kept of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) slot: Slot,
    pub(super) is_first: bool,
    pub(super) is_changed: bool,
    pub(super) is_outside: bool,
    /// Whether it was not held back.
    pub(super) is_on_time: bool,
}

impl Streams {
    /// No partition of a run with so many GPUs.
    pub(super) fn new(gpus: usize) -> Self {
        Self { order: Order::new(gpus), ..Self::default() }
    }

    /// Whether there is room for what is kept of a partition.
    pub(super) fn has_room(&self, partition: (u16, i32)) -> bool {
        self.partitions.len() < MOST || self.partitions.contains_key(&partition)
    }

    /// Notes where a record is, whosever it is.
    pub(super) fn at(&mut self, read: &Read<'_>) {
        if let Some(partition) = read.partition {
            let partition = self.partitions.entry((read.topic, partition)).or_default();
            partition.offsets.read(read.offset, read.leader_epoch);
        }
    }

    /// What is known of the offsets of a partition.
    pub(super) fn offsets(&self, partition: (u16, i32)) -> Option<&Offsets> {
        Some(&self.partitions.get(&partition)?.offsets)
    }

    /// Notes a record of the run, and where it and its first copy are.
    pub(super) fn note(
        &mut self,
        seq: u64,
        gpu: usize,
        (at, first): (Place, Option<Place>),
        ts_ms: Option<i64>,
        kept: Kept,
    ) {
        let partitions = self.partitions.len();
        let partition = self.partitions.entry((at.topic, at.partition)).or_default();
        if kept.is_first {
            partition.firsts += 1;
            partition.begins.get_or_insert(at.offset);
        }
        if kept.is_first && kept.slot == Slot::Original {
            if kept.is_on_time {
                let (lowest, highest) = partition.span.unwrap_or((seq, seq));
                partition.span = Some((lowest.min(seq), highest.max(seq)));
                partition.offsets.is(seq);
            }
            self.order.read((&mut partition.order, partitions), seq, gpu, ts_ms);
        } else {
            let copied = Copied {
                seq,
                at,
                first,
                is_changed: kept.is_changed,
                is_declared: kept.is_first,
                is_of_another_start: kept.is_outside,
            };
            partition.copies.note(&copied, partition.firsts, partition.begins);
        }
    }

    /// Lowest and highest seq that were read of a partition, among records that were not held back.
    pub(super) fn span(&self, partition: (u16, i32)) -> Option<(u64, u64)> {
        self.partitions.get(&partition)?.span
    }

    /// The highest seq of a GPU that was read.
    pub(super) fn highest_of(&self, gpu: usize) -> Option<u64> {
        self.order.highest_of(gpu)
    }

    pub(super) fn order(&self) -> OrderAccount {
        self.order.account()
    }

    pub(super) fn copies(&self) -> Vec<CopyAccount> {
        copies::account(self.partitions.values().map(|partition| &partition.copies))
    }
}
