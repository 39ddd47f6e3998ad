//! Which session a request belongs to.
//!
//! As many sessions are open at a time as there are lanes. Requests come in blocks of one per
//! lane, in an order of its own in each block. So a lane's next turn is the mean gap times the
//! number of lanes later, give or take as much, and any shard finds a lane's turns without the
//! others' help.

use rand::RngExt;

use crate::workload::rng::Stream;

/// Most lanes, which bounds the memory.
pub(super) const MOST: u32 = 4096;

/// The lanes of a run.
#[derive(Debug)]
pub(super) struct Lanes {
    count: u32,
    order: Stream,
    /// Turns that each lane is ahead of the first block: a run begins amid sessions.
    ahead: Box<[u32]>,
}

impl Lanes {
    /// `count` lanes whose first turns are spread over `epoch` turns.
    pub(super) fn new(count: u32, epoch: u32, order: Stream) -> Self {
        let ahead = |lane: u32| order.at_in(u64::from(lane), -1).random_range(0..epoch);
        Self { count, order, ahead: (0..count).map(ahead).collect() }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Lane and turn of a request.
    pub(super) fn of(&self, seq: u64) -> (u32, u64) {
        let (block, index) = (seq / u64::from(self.count), seq % u64::from(self.count));
        let lane = permuted(index, u64::from(self.count), self.order.at(block).random());
        let lane = u32::try_from(lane).unwrap_or_default();
        (lane, block + u64::from(self.ahead[lane as usize]))
    }
}

/// The place of `index` in an order of `0..count`. Steps that each permute the numbers of as many
/// bits are repeated until the result is below `count`.
fn permuted(index: u64, count: u64, key: u64) -> u64 {
    if count < 2 {
        return 0;
    }
    let bits = 64 - (count - 1).leading_zeros();
    let (mask, half) = (u64::MAX >> (64 - bits), bits.div_ceil(2));
    let mut x = index;
    loop {
        x = x.wrapping_add(key) & mask;
        for factor in [key >> 13 | 1, key >> 37 | 1] {
            x = x.wrapping_mul(factor) & mask;
            x ^= x >> half;
        }
        if x < count {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_each_lane_once_and_in_another_order() {
        for count in [1, 2, 3, 32, 100, 1000] {
            let lanes = Lanes::new(count, 64, Stream::new(1, "lanes", "run"));
            let block = |b: u64| {
                let seqs = b * u64::from(count)..(b + 1) * u64::from(count);
                seqs.map(|seq| lanes.of(seq).0).collect::<Vec<_>>()
            };
            for b in 0..50 {
                let mut sorted = block(b);
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..count));
            }
            if count >= 32 {
                let same = block(3).iter().zip(block(4)).filter(|(one, two)| **one == *two).count();
                assert!(same < 12, "{same} of {count}");
            }
        }
    }

    #[test]
    fn a_lane_s_turns_follow_each_other() {
        let lanes = Lanes::new(10, 64, Stream::new(1, "lanes", "run"));
        let turns: Vec<u64> =
            (0..200).map(|seq| lanes.of(seq)).filter(|of| of.0 == 3).map(|of| of.1).collect();
        assert!(turns.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}
