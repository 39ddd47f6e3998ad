//! Which records of a topic are in flight, and which ended without an acknowledgement.
//!
//! A record is named by its *index*: its position among the pairs of this process. A shard of n
//! sends each n-th pair of the run, so `seq` is the index times n, plus the shard's number.

use std::collections::{BTreeMap, VecDeque};

use roaring::RoaringTreemap;

use super::Trace;

/// Bits in a word of the window.
const WORD: u64 = u64::BITS as u64;

/// The records that wait for an answer: one bit each, from the oldest that still does.
///
/// A set of ranges would fall to pieces, because partitions answer in turns. The window is as long
/// as the records that were sent after the oldest one without an answer.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Index of the first bit, a multiple of the word.
    base: u64,
    words: VecDeque<u64>,
}

impl InFlight {
    /// A record was handed over. Indexes come in ascending order.
    pub(super) fn insert(&mut self, index: u64) {
        if self.words.is_empty() {
            self.base = index - index % WORD;
        }
        let (word, bit) = self.place(index);
        while self.words.len() <= word {
            self.words.push_back(0);
        }
        self.words[word] |= bit;
    }

    /// A record was answered. Whether it waited.
    pub(super) fn remove(&mut self, index: u64) -> bool {
        if index < self.base {
            return false;
        }
        let (word, bit) = self.place(index);
        let Some(bits) = self.words.get_mut(word) else { return false };
        let waited = *bits & bit != 0;
        *bits &= !bit;
        while self.words.front() == Some(&0) {
            self.words.pop_front();
            self.base += WORD;
        }
        waited
    }

    /// The oldest record that waits.
    #[must_use]
    pub(super) fn oldest(&self) -> Option<u64> {
        let first = self.words.front()?;
        Some(self.base + u64::from(first.trailing_zeros()))
    }

    /// Every record that waits.
    #[must_use]
    pub(super) fn all(&self) -> RoaringTreemap {
        let mut all = RoaringTreemap::new();
        let mut base = self.base;
        for word in &self.words {
            let set = (0..WORD).filter(|bit| word >> bit & 1 == 1);
            all.extend(set.map(|bit| base + bit));
            base += WORD;
        }
        all
    }

    /// Word and bit of an index at or above the base.
    fn place(&self, index: u64) -> (usize, u64) {
        let distance = index - self.base;
        // Longer than memory is: no such word exists.
        let word = usize::try_from(distance / WORD).unwrap_or(usize::MAX);
        (word, 1 << (distance % WORD))
    }
}

/// Added to the index of a record that a fault sends a second time: above every index of a pair.
pub const COPY: u64 = 1 << 41;

/// The records of a topic that ended without an acknowledgement, by index. While a run with faults goes
/// on, a record's index is its place among those of its topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Doubts {
    /// Given up with an error.
    pub failed: RoaringTreemap,
    /// Neither acknowledged nor given up: no answer, or one without an offset.
    pub unresolved: RoaringTreemap,
    /// Those of both that can be in the log all the same.
    pub in_doubt: RoaringTreemap,
    /// Those in doubt that were found there.
    pub found: RoaringTreemap,
    /// Those in doubt that were not there when the log had been read to its end.
    pub not_found: RoaringTreemap,
    /// Those without an acknowledgement that no broker can have stored, as far as the client knows.
    pub unstored: RoaringTreemap,
    /// Of the failed ones those that were acknowledged, and were not in the log any more.
    pub truncated: RoaringTreemap,
    /// The digests of the values of those in doubt, as far as they are known.
    pub digests: BTreeMap<u64, u64>,
    /// Copies of records beyond the first that were seen while the log was read.
    pub copies: u64,
    /// Whether there can be more copies than that: not all that could have some was read, or not all
    /// that was read is told apart.
    pub copies_unknown: bool,
    /// Records that were seen there under the name of this run, and are not this process's.
    pub others: u64,
}

/// Digests that are kept of a topic's records in doubt: 32 MiB.
const MOST_DIGESTS: usize = 1_000_000;

impl Doubts {
    /// What the client knows of a record without an offset.
    pub(super) fn trace(&mut self, index: u64, trace: Trace) {
        if !trace.may_be_stored {
            self.unstored.insert(index);
        } else if self.digests.len() < MOST_DIGESTS {
            self.digests.insert(index, trace.digest);
        }
    }

    /// Names each record anew.
    pub fn rename(&mut self, name: impl Fn(u64) -> Option<u64>) {
        let Self { failed, unresolved, in_doubt, found, not_found, unstored, .. } = self;
        for set in [failed, unresolved, in_doubt, found, not_found, unstored] {
            *set = set.iter().filter_map(&name).collect();
        }
        let digests = std::mem::take(&mut self.digests).into_iter();
        self.digests = digests.filter_map(|(index, of)| Some((name(index)?, of))).collect();
    }

    /// Every record that ended without an acknowledgement.
    #[must_use]
    pub fn all(&self) -> RoaringTreemap {
        &(&self.failed | &self.unresolved) | &self.in_doubt
    }

    /// How many of those in doubt are neither found nor known not to be there.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.in_doubt.len() - self.found.len() - self.not_found.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_window_is_a_set(first in 0..1000_u64, acts in prop::collection::vec((any::<bool>(), 0..300_u64), 0..400)) {
            let (mut window, mut set, mut next) = (InFlight::default(), BTreeSet::new(), first);
            for (insert, back) in acts {
                if insert {
                    window.insert(next);
                    set.insert(next);
                    next += 1 + back % 3;
                } else {
                    let index = next.saturating_sub(back);
                    prop_assert_eq!(window.remove(index), set.remove(&index));
                }
                prop_assert_eq!(window.oldest(), set.first().copied());
            }
            prop_assert!(window.all().iter().eq(set));
        }
    }

    #[test]
    fn an_answer_to_a_record_that_was_never_sent_is_none() {
        let mut window = InFlight::default();
        assert!(!window.remove(7));
        window.insert(70);
        assert!(!window.remove(3) && !window.remove(7000));
        assert!(window.remove(70) && !window.remove(70));
        assert_eq!(window.oldest(), None);
    }
}
