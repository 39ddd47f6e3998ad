//! Which part of a run a process sends.

use std::fmt;

/// Which part of the run this process sends: the pairs whose `seq` is `index` modulo `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0 to `count` - 1.
    pub index: u32,
    /// Number of shards, at least 1.
    pub count: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    /// The number of a pair within the shard, from 0; `None` if another shard sends it.
    #[must_use]
    pub fn place_of(self, seq: u64) -> Option<u64> {
        let (index, count) = (u64::from(self.index), u64::from(self.count));
        (seq % count == index).then_some(seq / count)
    }

    /// The `seq` of the pair with this number within the shard.
    #[must_use]
    pub fn seq_at(self, place: u64) -> u64 {
        place * u64::from(self.count) + u64::from(self.index)
    }

    /// How many of a run's `pairs` are the shard's.
    #[must_use]
    pub fn share_of(self, pairs: u64) -> u64 {
        let (index, count) = (u64::from(self.index), u64::from(self.count));
        pairs / count + u64::from(pairs % count > index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_pair_has_one_place_in_one_shard(count in 1..9_u32, pairs in 0..100_u64) {
            let mut shared = 0;
            for shard in (0..count).map(|index| Shard { index, count }) {
                let places: Vec<_> = (0..pairs).filter_map(|seq| shard.place_of(seq)).collect();
                prop_assert!(places.iter().copied().eq(0..shard.share_of(pairs)));
                prop_assert!(places.iter().all(|at| shard.place_of(shard.seq_at(*at)) == Some(*at)));
                shared += shard.share_of(pairs);
            }
            prop_assert_eq!(shared, pairs);
        }
    }
}
