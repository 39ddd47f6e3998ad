//! What is kept of each partition of a topic: order, copies, and where the latest records were.

use std::collections::BTreeMap;

use super::copies::{self, Copied, Copies, CopyAccount};
use super::order::{Order, OrderAccount, Stream};
use super::places::{Place, Places};
use super::record::Read;

/// One partition of a topic.
#[derive(Debug, Default)]
struct Partition {
    order: Stream,
    copies: Copies,
    firsts: u64,
    /// Lowest and highest seq of its first copies.
    span: Option<(u64, u64)>,
}

/// The partitions of one topic.
#[derive(Debug, Default)]
pub(super) struct Streams {
    partitions: BTreeMap<i32, Partition>,
    order: Order,
    /// Where the latest first copies were.
    pub(super) places: Places,
}

/// What is to be kept of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) is_first: bool,
    pub(super) is_changed: bool,
    pub(super) is_outside: bool,
}

impl Streams {
    /// No partition of a run with so many GPUs.
    pub(super) fn new(gpus: usize) -> Self {
        Self { order: Order::new(gpus), ..Self::default() }
    }

    /// Notes a record of the run; returns where it is.
    pub(super) fn note(
        &mut self,
        read: &Read<'_>,
        (seq, place, gpu): (u64, u64, usize),
        ts_ms: i64,
        kept: Kept,
    ) -> Place {
        let (_, number) = read.stream();
        let at = Place { ts_ms, offset: read.offset, partition: number };
        let partition = self.partitions.entry(number).or_default();
        if kept.is_first {
            partition.firsts += 1;
            let (lowest, highest) = partition.span.unwrap_or((seq, seq));
            partition.span = Some((lowest.min(seq), highest.max(seq)));
            self.order.read(&mut partition.order, seq, gpu, ts_ms);
            self.places.note(place, at);
        } else {
            let copied = Copied {
                seq,
                at,
                first: self.places.of(place),
                is_changed: kept.is_changed,
                is_declared: false,
                is_of_another_start: kept.is_outside,
            };
            let lowest = partition.span.map(|(lowest, _)| lowest);
            partition.copies.note(&copied, partition.firsts, lowest);
        }
        at
    }

    /// Lowest and highest seq that were read of a partition.
    pub(super) fn span(&self, partition: i32) -> Option<(u64, u64)> {
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
