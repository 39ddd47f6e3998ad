//! The times of the records that were acknowledged, in a few numbers: in a live run they are the
//! clock's, and no setting gives them again.
//!
//! The digest is a sum over the records of a partition, so their order makes no difference, and parts
//! of a run add up. Each time has a weight that its `seq` decides. So an exchange of two times shows,
//! and what a constant shift does to the sum can be computed from the weights alone.

use std::collections::VecDeque;

use crate::event::Kind;

/// The digest of (seq, time) over some records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimesDigest {
    /// How many.
    pub records: u64,
    /// The earliest time, ms since 1970; 0 where there is no record.
    pub first_ms: i64,
    /// The latest.
    pub last_ms: i64,
    /// Sum of the times, modulo 2^64.
    pub sum: u64,
    /// Sum of the times by their weights, modulo 2^64.
    pub digest: u64,
    /// The same of the whole seconds of the times.
    pub digest_sec: u64,
    /// Sum of the weights, modulo 2^64.
    pub weights: u64,
}

/// The weight of a record's time: odd, so that no change of one time leaves the digest as it was.
#[must_use]
pub fn weight(seq: u64, is_copy: bool) -> u64 {
    // The last steps of SplitMix64.
    let mut z = (seq << 1 | u64::from(is_copy)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) | 1
}

impl TimesDigest {
    /// Adds a record.
    pub fn add(&mut self, weight: u64, ms: i64) {
        let whole = |ms: i64| weight.wrapping_mul(ms.cast_unsigned());
        if self.records == 0 {
            (self.first_ms, self.last_ms) = (ms, ms);
        }
        self.records += 1;
        self.first_ms = self.first_ms.min(ms);
        self.last_ms = self.last_ms.max(ms);
        self.sum = self.sum.wrapping_add(ms.cast_unsigned());
        self.digest = self.digest.wrapping_add(whole(ms));
        self.digest_sec = self.digest_sec.wrapping_add(whole(ms.div_euclid(1000)));
        self.weights = self.weights.wrapping_add(weight);
    }

    /// Adds all of another digest.
    pub fn merge(&mut self, other: &Self) {
        if other.records == 0 {
            return;
        }
        if self.records == 0 {
            *self = *other;
            return;
        }
        self.records += other.records;
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.sum = self.sum.wrapping_add(other.sum);
        self.digest = self.digest.wrapping_add(other.digest);
        self.digest_sec = self.digest_sec.wrapping_add(other.digest_sec);
        self.weights = self.weights.wrapping_add(other.weights);
    }
}

/// The times of the records that may still be acknowledged, by their index among those of their topic.
#[derive(Debug, Default)]
pub struct SendTimes([Ring; 2]);

#[derive(Debug, Default)]
struct Ring {
    /// Index of the first one.
    first: u64,
    /// Weight and time, ms since 1970. A weight of 0 stands for a record that was not noted.
    times: VecDeque<(u64, i64)>,
}

impl SendTimes {
    /// Notes the time of a record that was handed over. Indexes come in ascending order.
    pub fn note(&mut self, kind: Kind, index: u64, weight: u64, ms: i64) {
        let Ring { first, times } = &mut self.0[kind as usize];
        if times.is_empty() {
            *first = index;
        }
        while *first + (times.len() as u64) < index {
            times.push_back((0, 0));
        }
        times.push_back((weight, ms));
    }

    /// Weight and time of a record.
    #[must_use]
    pub fn of(&self, kind: Kind, index: u64) -> Option<(u64, i64)> {
        let Ring { first, times } = &self.0[kind as usize];
        let at = usize::try_from(index.checked_sub(*first)?).ok()?;
        times.get(at).copied().filter(|(weight, _)| *weight != 0)
    }

    /// Forgets those below an index.
    pub fn forget_below(&mut self, kind: Kind, index: u64) {
        let Ring { first, times } = &mut self.0[kind as usize];
        let gone = usize::try_from(index.saturating_sub(*first)).unwrap_or(usize::MAX);
        let gone = gone.min(times.len());
        times.drain(..gone);
        *first += gone as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(times: &[(u64, i64)]) -> TimesDigest {
        let mut digest = TimesDigest::default();
        times.iter().for_each(|(seq, ms)| digest.add(weight(*seq, false), *ms));
        digest
    }

    proptest! {
        #[test]
        fn the_order_and_the_parts_make_no_difference_and_one_time_does(
            times in prop::collection::vec((0..1000_u64, 0..4_000_000_000_000_i64), 1..50),
            cut in 0..50_usize, by in 1..100_000_i64
        ) {
            let whole = digest(&times);
            let mut backwards = times.clone();
            backwards.reverse();
            prop_assert_eq!(digest(&backwards), whole);
            let (left, right) = times.split_at(cut.min(times.len()));
            let mut parts = digest(left);
            parts.merge(&digest(right));
            prop_assert_eq!(parts, whole);
            let mut other = times.clone();
            other[0].1 += by;
            prop_assert_ne!(digest(&other).digest, whole.digest);
            let all: Vec<_> = times.iter().map(|(seq, ms)| (*seq, ms + by)).collect();
            let shift = whole.weights.wrapping_mul(by.cast_unsigned());
            prop_assert_eq!(digest(&all).digest, whole.digest.wrapping_add(shift));
        }
    }

    #[test]
    fn an_exchange_of_two_times_shows() {
        assert_ne!(digest(&[(1, 10), (2, 20)]).digest, digest(&[(1, 20), (2, 10)]).digest);
    }

    #[test]
    fn a_time_is_known_until_it_is_forgotten() {
        let mut times = SendTimes::default();
        for index in [3, 4, 6] {
            times.note(Kind::Metric, index, 1, 100 + index.cast_signed());
        }
        let known =
            |times: &SendTimes| [2, 3, 4, 5, 6, 7].map(|index| times.of(Kind::Metric, index));
        let (at, none) = (|ms| Some((1, ms)), None);
        assert_eq!(known(&times), [none, at(103), at(104), none, at(106), none]);
        times.forget_below(Kind::Metric, 4);
        assert_eq!(known(&times), [none, none, at(104), none, at(106), none]);
        times.forget_below(Kind::Metric, 99);
        times.note(Kind::Metric, 7, 1, 107);
        assert_eq!(known(&times), [none, none, none, none, none, at(107)]);
        assert_eq!(times.of(Kind::Token, 7), None);
    }
}
