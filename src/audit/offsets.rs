//! The offsets of a partition that hold no record, and between which records of the run they are.
//!
//! A record that was acknowledged has an offset for good. If it is not there, and no offset at its place
//! is free, the log was cut back and another record has its offset. If one is free, it may have been
//! there.

/// Most free stretches that are kept of a partition.
const MOST: usize = 4_096;

/// Most leaders that are kept of a partition.
const MOST_LEADERS: usize = 64;

/// Offsets that hold no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Free {
    /// The first, and the one behind the last.
    from: i64,
    to: i64,
    /// The record of the run before them, of those that keep their order.
    after: Option<u64>,
    /// The one behind them.
    before: Option<u64>,
}

/// What is known of the offsets of a partition.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// One more than the last that was read; `None` before the first.
    next: Option<i64>,
    /// The last record of the run, of those that keep their order.
    last: Option<u64>,
    free: Vec<Free>,
    /// Whether there are more.
    has_more: bool,
    /// The epoch of each leader whose records were read, and the first offset of them.
    leaders: Vec<(i32, i64)>,
}

impl Offsets {
    /// Notes that an offset has a record, of the run or not, which a leader of this epoch wrote.
    pub(super) fn read(&mut self, offset: i64, epoch: Option<i32>) {
        // What is before the first one may be before the start of the log: whoever asks knows.
        let next = self.next.replace(offset + 1).unwrap_or(i64::MIN);
        if offset > next {
            self.free(next, offset);
        }
        if let Some(epoch) = epoch
            && self.leaders.last().is_none_or(|(last, _)| *last != epoch)
            && self.leaders.len() < MOST_LEADERS
        {
            self.leaders.push((epoch, offset));
        }
    }

    fn free(&mut self, from: i64, to: i64) {
        let is_full = self.free.len() == MOST;
        match self.free.last_mut() {
            // No record of the run is between them.
            Some(free) if free.before.is_none() => free.to = to,
            _ if is_full => self.has_more = true,
            _ => self.free.push(Free { from, to, after: self.last, before: None }),
        }
    }

    /// Notes that the record that was read last is this one of the run, and keeps its order.
    pub(super) fn is(&mut self, seq: u64) {
        if let Some(free) = self.free.last_mut() {
            free.before.get_or_insert(seq);
        }
        self.last = self.last.max(Some(seq));
    }

    /// Whether a record of the run that was given one of these offsets, first to last, may have been at a
    /// free one of a log that starts there. Where it was is not known of a record that does not keep its
    /// order.
    pub(super) fn may_be_free(
        &self,
        seq: Option<u64>,
        (first, last): (i64, i64),
        start: i64,
    ) -> bool {
        let is_unread = self.next.is_none_or(|next| next <= last);
        let is_beyond = is_unread && seq.is_none_or(|seq| self.last < Some(seq));
        let is_place = |free: &Free| {
            let after = free.after.zip(seq).is_none_or(|(after, seq)| after < seq);
            let before = free.before.zip(seq).is_none_or(|(before, seq)| seq < before);
            let from = free.from.max(start);
            from < free.to && from <= last && first < free.to && after && before
        };
        self.has_more || is_beyond || self.free.iter().any(is_place)
    }

    /// The first offset from `from` on that a new leader wrote, and its epoch.
    pub(super) fn new_leader(&self, from: i64) -> Option<(i32, i64)> {
        self.leaders.iter().skip(1).copied().find(|(_, offset)| *offset >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets with a record of the run, with another's (`None`), and free ones in between.
    fn of(records: &[(i64, Option<u64>)]) -> Offsets {
        let mut offsets = Offsets::default();
        for (offset, seq) in records {
            offsets.read(*offset, Some(i32::from(*offset >= 4)));
            if let Some(seq) = seq {
                offsets.is(*seq);
            }
        }
        offsets
    }

    #[test]
    fn a_record_has_a_place_only_where_an_offset_between_its_neighbours_is_free() {
        let dense = of(&[(0, Some(0)), (1, Some(2)), (2, Some(7)), (3, None), (4, None)]);
        for seq in [1, 5, 9] {
            assert!(!dense.may_be_free(Some(seq), (0, 4), 0), "{seq}");
        }
        assert!(dense.may_be_free(Some(9), (0, 5), 0), "what is behind the end is not known");
        assert!(!dense.may_be_free(Some(5), (0, 5), 0), "but that has a later one before the end");

        let one = of(&[(0, Some(0)), (1, Some(2)), (3, Some(7)), (4, None)]);
        let places = [1, 3, 6, 9].map(|seq| one.may_be_free(Some(seq), (0, 4), 0));
        assert_eq!(places, [false, true, true, false]);
        assert!(one.may_be_free(None, (0, 4), 0), "it may have been anywhere");
        assert!(!one.may_be_free(None, (3, 4), 0), "the run was given none of the free ones");
    }

    #[test]
    fn what_is_before_the_first_record_is_free_from_the_start_of_the_log_on() {
        let late = of(&[(3, Some(7)), (4, None)]);
        let places = [0, 2, 3].map(|start| late.may_be_free(Some(5), (0, 4), start));
        assert_eq!(places, [true, true, false]);
        assert!(!late.may_be_free(Some(9), (0, 4), 0), "it was behind what is there");
    }

    #[test]
    fn offsets_that_are_free_behind_the_run_are_no_place_of_it() {
        let behind = of(&[(0, Some(0)), (1, None), (2, None), (5, None)]);
        assert!(!behind.may_be_free(Some(1), (0, 2), 0));
        assert!(behind.may_be_free(Some(1), (0, 3), 0));
        assert!(!behind.may_be_free(Some(0), (0, 0), 0));
    }

    #[test]
    fn a_new_leader_is_told_from_the_first() {
        let offsets = of(&[(2, Some(0)), (3, Some(2)), (4, Some(7)), (6, None)]);
        assert_eq!(offsets.new_leader(0), Some((1, 4)));
        assert_eq!(offsets.new_leader(5), None);
        assert_eq!(of(&[(4, Some(1))]).new_leader(0), None);
    }

    #[test]
    fn too_many_free_stretches_are_taken_for_a_place_of_anything() {
        let mut offsets = Offsets::default();
        for n in 0..i64::try_from(MOST).unwrap() + 2 {
            offsets.read(2 * n, None);
            offsets.is(n.unsigned_abs());
        }
        assert!(offsets.may_be_free(Some(1_000_000), (0, 1), 0));
    }
}
