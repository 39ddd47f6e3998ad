//! What the times of some live pairs say of the others: they never go back.

use std::ops::Range;

/// Event times of live pairs, ascending in place and time.
pub(super) struct Known(pub(super) Vec<(u64, i64)>);

impl Known {
    /// The longest of these that never goes back: a time that a stage changed is left out.
    pub(super) fn of(mut all: Vec<(u64, i64)>) -> Self {
        all.sort_unstable();
        all.dedup_by_key(|(place, _)| *place);
        // The last of the best sequence of each length, and what is before each.
        let (mut ends, mut before) = (Vec::<usize>::new(), vec![usize::MAX; all.len()]);
        for at in 0..all.len() {
            let length = ends.partition_point(|end| all[*end].1 <= all[at].1);
            if length > 0 {
                before[at] = ends[length - 1];
            }
            if length == ends.len() {
                ends.push(at);
            } else {
                ends[length] = at;
            }
        }
        let mut kept = Vec::with_capacity(ends.len());
        let mut at = ends.last().copied().unwrap_or(usize::MAX);
        while let Some(known) = all.get(at) {
            kept.push(*known);
            at = before[at];
        }
        kept.reverse();
        Self(kept)
    }

    /// The places of the pairs that may have this time, below `end`.
    pub(super) fn places(&self, ms: i64, end: u64) -> Range<u64> {
        let from = self.0.partition_point(|(_, known)| *known < ms);
        let to = self.0.partition_point(|(_, known)| *known <= ms);
        let from = from.checked_sub(1).map_or(0, |at| self.0[at].0 + 1);
        from..self.0.get(to).map_or(end, |(place, _)| *place).max(from)
    }

    /// The times that a pair may have: `None` where nothing bounds them.
    pub(super) fn times(&self, place: u64) -> (Option<i64>, Option<i64>) {
        let at = self.0.partition_point(|(known, _)| *known < place);
        if let Some((known, ms)) = self.0.get(at).copied().filter(|(known, _)| *known == place) {
            debug_assert_eq!(known, place);
            return (Some(ms), Some(ms));
        }
        (at.checked_sub(1).map(|at| self.0[at].1), self.0.get(at).map(|(_, ms)| *ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_go_back_are_left_out_and_the_others_bound_what_is_between() {
        let known = Known::of(vec![(0, 10), (9, 40), (3, 900), (4, 12), (5, 12), (7, 5)]);
        assert_eq!(known.0, [(0, 10), (4, 12), (5, 12), (9, 40)]);
        assert_eq!((known.times(4), known.times(6)), ((Some(12), Some(12)), (Some(12), Some(40))));
        assert_eq!(
            (known.times(10), Known::of(Vec::new()).times(3)),
            ((Some(40), None), (None, None))
        );
        assert_eq!((known.places(12, 20), known.places(20, 20)), (1..9, 6..9));
        assert_eq!((known.places(5, 20), known.places(50, 20)), (0..0, 10..20));
    }
}
