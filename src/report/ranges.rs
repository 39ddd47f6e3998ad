//! Sets of `seq` as ranges.

use roaring::RoaringTreemap;
use serde::Serialize;

use crate::delivery::{COPY, Doubts};
use crate::workload::Shard;

/// The records of a topic that are not acknowledged, as ranges of `seq`: first and last. In a shard,
/// those of the range that are the shard's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeqReport {
    /// Given up with an error.
    pub failed: Ranges,
    /// Neither acknowledged nor given up.
    pub unresolved: Ranges,
    /// Of both, those that were found in the log.
    pub found: Ranges,
    /// Of both, those that were not found when the log was read.
    pub not_found: Ranges,
    /// Of the failed, those that were acknowledged, and were not in the log any more.
    pub truncated: Ranges,
}

impl SeqReport {
    /// What a shard knows of its records, copies apart.
    #[must_use]
    pub fn of(doubts: &Doubts, shard: Shard) -> Self {
        Self::each(doubts, |indexes| {
            Ranges::of(indexes.iter().filter(|index| *index < COPY), shard)
        })
    }

    /// What it knows of copies that were sent on purpose.
    #[must_use]
    pub fn of_copies(doubts: &Doubts, shard: Shard) -> Self {
        Self::each(doubts, |indexes| {
            Ranges::of(indexes.iter().filter_map(|index| index.checked_sub(COPY)), shard)
        })
    }

    fn each(doubts: &Doubts, ranges: impl Fn(&RoaringTreemap) -> Ranges) -> Self {
        Self {
            failed: ranges(&doubts.failed),
            unresolved: ranges(&doubts.unresolved),
            found: ranges(&doubts.found),
            not_found: ranges(&doubts.not_found),
            truncated: ranges(&doubts.truncated),
        }
    }
}

/// Ascending ranges of `seq`, first and last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ranges {
    /// The first of them, a thousand at the most.
    pub ranges: Vec<[u64; 2]>,
    /// How many more there are.
    pub more: u64,
}

/// Most ranges in a list of the report.
const MOST_RANGES: usize = 1_000;

impl Ranges {
    /// The ranges of these indexes of a shard.
    #[must_use]
    pub fn of(indexes: impl IntoIterator<Item = u64>, shard: Shard) -> Self {
        let mut list = Self { ranges: Vec::new(), more: 0 };
        let mut range: Option<[u64; 2]> = None;
        for index in indexes {
            match &mut range {
                Some([_, last]) if *last + 1 == index => *last = index,
                _ => list.push(
                    range
                        .replace([index, index])
                        .map(|range| range.map(|place| shard.seq_at(place))),
                ),
            }
        }
        list.push(range.map(|range| range.map(|place| shard.seq_at(place))));
        list
    }

    fn push(&mut self, range: Option<[u64; 2]>) {
        if self.ranges.len() < MOST_RANGES {
            self.ranges.extend(range);
        } else {
            self.more += u64::from(range.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_of_seq_in_the_run_and_join_what_follows_within_the_shard() {
        let indexes: RoaringTreemap = [0, 1, 2, 5, 7, 8].into_iter().collect();
        let whole = Ranges::of(&indexes, Shard { index: 0, count: 1 });
        assert_eq!(whole, Ranges { ranges: vec![[0, 2], [5, 5], [7, 8]], more: 0 });
        let shard = Ranges::of(&indexes, Shard { index: 2, count: 4 });
        assert_eq!(shard.ranges, [[2, 10], [22, 22], [30, 34]]);
        let none = Ranges::of(RoaringTreemap::new(), Shard { index: 0, count: 1 });
        assert_eq!(none, Ranges { ranges: vec![], more: 0 });
    }

    #[test]
    fn of_very_many_ranges_the_first_thousand_are_listed() {
        let indexes: RoaringTreemap = (0..5_000).map(|n| 2 * n).collect();
        let ranges = Ranges::of(&indexes, Shard { index: 0, count: 1 });
        assert_eq!((ranges.ranges.len(), ranges.more), (MOST_RANGES, 4_000));
    }
}
