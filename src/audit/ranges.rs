//! A list of `seq` as ranges, with a limit.

/// Most ranges in a list.
const MOST_RANGES: usize = 32;

/// Ranges of seq, first and last; what is behind the limit is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges {
    pub(super) records: u64,
    pub(super) ranges: Vec<[u64; 2]>,
    /// How many more ranges there are.
    pub(super) more: u64,
    last: u64,
}

impl Ranges {
    /// Adds a record. They come in ascending order, `step` apart in a shard.
    pub(super) fn add(&mut self, seq: u64, step: u64) {
        let follows = self.records > 0 && self.last + step == seq;
        self.records += 1;
        self.last = seq;
        if !follows && self.ranges.len() < MOST_RANGES {
            self.ranges.push([seq; 2]);
        } else if !follows {
            self.more += 1;
        } else if let Some(range) = self.ranges.last_mut().filter(|_| self.more == 0) {
            range[1] = seq;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_what_follows_and_the_rest_is_counted() {
        let mut ranges = Ranges::default();
        for seq in [1, 3, 9].into_iter().chain((0..50).map(|n| 100 + 10 * n)) {
            ranges.add(seq, 2);
        }
        assert_eq!((ranges.records, ranges.more), (53, 20));
        assert_eq!(ranges.ranges[..2], [[1, 3], [9, 9]]);
    }
}
