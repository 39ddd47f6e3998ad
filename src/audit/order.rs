//! Order as an amount: how far records are behind their place, in records and in event time.

use std::collections::VecDeque;

use serde::Serialize;

use super::amount::{Amounts, Spread};

/// Lateness that a stream processor may be set to allow, ms.
const ALLOWED_MS: [u64; 8] = [0, 1_000, 5_000, 10_000, 60_000, 300_000, 3_600_000, 86_400_000];

/// Highest seqs that are kept of all partitions, to see how far behind one a record is: 4 MiB.
const KEPT: usize = 1 << 18;

/// Most and fewest that are kept of one.
const OF_ONE: std::ops::RangeInclusive<usize> = 64..=16_384;

/// The order of the records of one topic.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Records behind one of a higher `seq` of their partition.
    out_of_place: u64,
    /// The same among the records of one key.
    out_of_place_in_key: u64,
    /// How many records stand between a record and its place.
    displacement: Spread,
    /// How far its event time is behind the highest before it, ms.
    lateness: Spread,
    later_than: [u64; ALLOWED_MS.len()],
    /// Highest `seq` so far of each key, by the number of its GPU.
    keys: Vec<Option<u64>>,
}

/// What was read of one partition.
#[derive(Debug, Default)]
pub(super) struct Stream {
    read: u64,
    /// Highest event time so far, ms.
    time_ms: Option<i64>,
    /// The records that had the highest `seq` so far: it, and their number in the partition.
    peaks: VecDeque<(u64, u64)>,
}

/// The order in the account.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OrderAccount {
    /// Records behind one of a higher `seq` in their partition.
    pub out_of_place: u64,
    /// Records behind one of a higher `seq` of their key.
    pub out_of_place_in_key: u64,
    /// How many records of the partition a record is behind its place.
    pub displacement_records: Option<Amounts>,
    /// How far event times are behind the highest before them in their partition, ms.
    pub lateness_ms: Option<Amounts>,
    /// How many records each allowed lateness would have dropped.
    pub dropped_by_allowed_lateness: Vec<Dropped>,
}

/// What an allowed lateness would have dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The allowed lateness, ms.
    pub allowed_ms: u64,
    /// Records that are later than that.
    pub records: u64,
}

impl Order {
    /// The order of a run with so many GPUs.
    pub(super) fn new(gpus: usize) -> Self {
        Self { keys: vec![None; gpus], ..Self::default() }
    }

    /// The first copy of a record, as the next of its partition, which is one of so many.
    pub(super) fn read(
        &mut self,
        (stream, of): (&mut Stream, usize),
        seq: u64,
        gpu: usize,
        ts_ms: Option<i64>,
    ) {
        stream.read += 1;
        match (stream.time_ms, ts_ms) {
            (Some(time), Some(ts_ms)) if ts_ms < time => self.late(time.abs_diff(ts_ms), seq),
            (time, ts_ms) => stream.time_ms = ts_ms.or(time),
        }
        match stream.peaks.back() {
            Some((highest, _)) if *highest > seq => {
                self.out_of_place += 1;
                let behind = stream.peaks.partition_point(|(peak, _)| *peak < seq);
                self.displacement.add(stream.read - stream.peaks[behind].1, seq);
            }
            _ => {
                let kept = (KEPT / of.max(1)).clamp(*OF_ONE.start(), *OF_ONE.end());
                if stream.peaks.len() >= kept {
                    stream.peaks.drain(..=stream.peaks.len() - kept);
                    if stream.peaks.capacity() > 2 * kept {
                        stream.peaks.shrink_to(kept);
                    }
                }
                stream.peaks.push_back((seq, stream.read));
            }
        }
        match &mut self.keys[gpu] {
            Some(highest) if *highest > seq => self.out_of_place_in_key += 1,
            highest => *highest = Some(seq),
        }
    }

    fn late(&mut self, by_ms: u64, seq: u64) {
        self.lateness.add(by_ms, seq);
        for (later, allowed) in self.later_than.iter_mut().zip(ALLOWED_MS) {
            *later += u64::from(by_ms > allowed);
        }
    }

    /// The highest `seq` of a key that was read.
    pub(super) fn highest_of(&self, gpu: usize) -> Option<u64> {
        self.keys[gpu]
    }

    /// The account of it.
    pub(super) fn account(&self) -> OrderAccount {
        let dropped = ALLOWED_MS.iter().zip(&self.later_than).filter(|(_, records)| **records > 0);
        let dropped = dropped
            .map(|(allowed_ms, records)| Dropped { allowed_ms: *allowed_ms, records: *records });
        OrderAccount {
            out_of_place: self.out_of_place,
            out_of_place_in_key: self.out_of_place_in_key,
            displacement_records: self.displacement.amounts(),
            lateness_ms: self.lateness.amounts(),
            dropped_by_allowed_lateness: dropped.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(read: &[(u64, usize, i64)]) -> OrderAccount {
        let (mut order, mut stream) = (Order::new(2), Stream::default());
        for (seq, gpu, ts_ms) in read {
            order.read((&mut stream, 1), *seq, *gpu, Some(*ts_ms));
        }
        order.account()
    }

    #[test]
    fn order_is_an_amount_in_records_and_event_time() {
        let in_order = account(&[(0, 0, 0), (1, 1, 500), (2, 0, 1_000)]);
        assert_eq!((in_order.out_of_place, in_order.displacement_records), (0, None));
        assert_eq!(in_order.dropped_by_allowed_lateness, []);

        // Pair 1 comes three records after its place, 4.2 s late; its key has no later one before it.
        let late = account(&[(0, 0, 0), (2, 0, 1_000), (3, 0, 4_000), (4, 0, 5_000), (1, 1, 800)]);
        assert_eq!((late.out_of_place, late.out_of_place_in_key), (1, 0));
        assert_eq!(late.displacement_records.map(|a| (a.max, a.max_seq)), Some((3, 1)));
        assert_eq!(late.lateness_ms.map(|a| (a.max, a.max_seq)), Some((4_200, 1)));
        let dropped: Vec<_> =
            late.dropped_by_allowed_lateness.iter().map(|d| (d.allowed_ms, d.records)).collect();
        assert_eq!(dropped, [(0, 1), (1_000, 1)]);
    }

    #[test]
    fn a_key_is_out_of_order_where_its_own_records_are() {
        let read = account(&[(5, 0, 0), (3, 1, 0), (4, 1, 0), (2, 0, 0)]);
        assert_eq!((read.out_of_place, read.out_of_place_in_key), (3, 1));
    }
}
