//! What is seen of a topic's records when the log is read at the end of a run, and what follows from it.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use super::{Doubts, Failure, FailureClass};

/// How the records of a topic are told apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// Whether the log was read to its end.
    pub is_whole: bool,
    /// Whether another process can have written a record that is the same to the last byte: what is seen
    /// cannot be called this process's.
    pub is_shared: bool,
}

/// The records of one event that were seen in the log.
#[derive(Debug)]
pub struct Sightings {
    /// Every record that was handed over, by index.
    sent: RoaringTreemap,
    /// Those without an acknowledgement.
    open: RoaringTreemap,
    /// Those that were seen.
    seen: RoaringTreemap,
    /// The same, each with eight bits of the digest of its value.
    values: RoaringTreemap,
    /// Those that were acknowledged and seen, by partition.
    there: BTreeMap<i32, u64>,
    repeated: u64,
    others: u64,
    /// Whether the acknowledgements are in doubt, too.
    is_cut_back: bool,
}

impl Sightings {
    /// Of a process that has sent these records, before anything is read.
    #[must_use]
    pub fn new(sent: RoaringTreemap, doubts: &Doubts, is_cut_back: bool) -> Self {
        Self {
            sent,
            open: doubts.all(),
            seen: RoaringTreemap::new(),
            values: RoaringTreemap::new(),
            there: BTreeMap::new(),
            repeated: 0,
            others: 0,
            is_cut_back,
        }
    }

    /// A record was seen that is the one of the plan, at the time that it shows.
    pub fn own(&mut self, index: u64, partition: i32, digest: u64, doubts: &Doubts) {
        let is_another = !self.sent.contains(index)
            || doubts.unstored.contains(index)
            || doubts.digests.get(&index).is_some_and(|own| *own != digest);
        if is_another {
            return self.other();
        }
        if !self.values.insert(index << 8 | digest & 0xff) {
            self.repeated += 1;
        } else if !self.seen.insert(index) {
            // A run's record has one time only.
            self.other();
        } else if !self.open.contains(index) {
            *self.there.entry(partition).or_default() += 1;
        }
    }

    /// A record was seen that has the name of the run, and is another process's.
    pub fn other(&mut self) {
        self.others += 1;
    }

    /// Records of other processes under the name of this run.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Records that were seen again, to the last byte.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How many records in doubt are not seen yet: without an acknowledgement, and those whose
    /// acknowledgement is in doubt.
    #[must_use]
    pub fn unseen(&self, doubts: &Doubts) -> [u64; 2] {
        let open = doubts.in_doubt.len() - doubts.found.union_len(&(&doubts.in_doubt & &self.seen));
        let acknowledged = if self.is_cut_back { self.acknowledged().len() } else { 0 };
        let there: u64 = self.there.values().sum();
        [open, acknowledged.saturating_sub(there)]
    }

    fn acknowledged(&self) -> RoaringTreemap {
        &self.sent - &self.open
    }

    /// Writes down what follows, and returns how many of the acknowledged records are known to be there
    /// still, by partition, if their acknowledgements are in doubt.
    pub fn conclude(self, reading: Reading, doubts: &mut Doubts) -> Option<BTreeMap<i32, u64>> {
        let Reading { is_whole, is_shared } = reading;
        let seen = &doubts.in_doubt & &self.seen;
        if is_whole {
            doubts.not_found |= &(&doubts.in_doubt - &doubts.found) - &seen;
        }
        if !is_shared {
            doubts.found |= seen;
        }
        doubts.copies = self.repeated;
        doubts.copies_unknown |= is_shared;
        doubts.others = self.others;
        if !self.is_cut_back {
            return None;
        }
        let acknowledged = self.acknowledged();
        let unseen = &acknowledged - &self.seen;
        let (truncated, mut unknown) = if is_whole {
            (unseen, RoaringTreemap::new())
        } else {
            (RoaringTreemap::new(), unseen)
        };
        let mut there = self.there;
        if is_shared {
            unknown |= &acknowledged & &self.seen;
            there.clear();
        }
        doubts.failed |= &truncated;
        doubts.truncated |= truncated;
        doubts.unresolved |= &unknown;
        doubts.in_doubt |= unknown;
        Some(there)
    }
}

/// Why a record failed that was acknowledged, and was not in the log any more.
#[must_use]
pub fn truncation() -> Failure {
    let kind = "truncated (acknowledged, and not in the log any more)".to_owned();
    Failure { kind, class: FailureClass::Truncated }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(indexes: &[u64]) -> RoaringTreemap {
        indexes.iter().copied().collect()
    }

    fn listed(set: &RoaringTreemap) -> Vec<u64> {
        set.iter().collect()
    }

    /// Six records, of which the last three have no acknowledgement: 3 timed out, 4 was refused, and 5
    /// was taken back.
    fn doubts() -> Doubts {
        Doubts {
            failed: set(&[3, 4]),
            unresolved: set(&[5]),
            in_doubt: set(&[3, 5]),
            unstored: set(&[4]),
            digests: BTreeMap::from([(3, 33)]),
            ..Doubts::default()
        }
    }

    fn sightings(is_cut_back: bool) -> (Sightings, Doubts) {
        let doubts = doubts();
        (Sightings::new((0..6).collect(), &doubts, is_cut_back), doubts)
    }

    const WHOLE: Reading = Reading { is_whole: true, is_shared: false };

    #[test]
    fn what_is_in_doubt_is_found_by_its_own_value() {
        let (mut sightings, mut doubts) = sightings(false);
        for (index, digest) in [(0, 1), (1, 2), (3, 33)] {
            sightings.own(index, 0, digest, &doubts);
        }
        assert_eq!(sightings.unseen(&doubts), [1, 0]);
        assert_eq!(sightings.conclude(WHOLE, &mut doubts), None);
        assert_eq!((listed(&doubts.found), listed(&doubts.not_found)), (vec![3], vec![5]));
        assert_eq!((doubts.copies, doubts.copies_unknown, doubts.others), (0, false, 0));
    }

    #[test]
    fn a_record_that_cannot_be_this_processs_is_another_processs() {
        for (what, own) in [
            ("another value than the one that was sent", &[(3, 34)][..]),
            ("a record that was refused", &[(4, 1)]),
            ("a record that was never sent", &[(6, 1)]),
            ("an acknowledged record with two times", &[(0, 1), (0, 2)]),
        ] {
            let (mut sightings, mut doubts) = sightings(false);
            own.iter().for_each(|(index, digest)| sightings.own(*index, 0, *digest, &doubts));
            assert_eq!((sightings.others(), sightings.repeated()), (1, 0), "{what}");
            sightings.conclude(WHOLE, &mut doubts);
            assert_eq!((doubts.found.len(), doubts.others, doubts.copies), (0, 1, 0), "{what}");
        }
    }

    #[test]
    fn a_copy_is_the_same_to_the_last_byte() {
        let (mut sightings, mut doubts) = sightings(false);
        for (index, digest) in [(0, 1), (0, 1), (3, 33), (3, 33), (3, 33)] {
            sightings.own(index, 0, digest, &doubts);
        }
        assert_eq!((sightings.others(), sightings.repeated()), (0, 3));
        sightings.conclude(WHOLE, &mut doubts);
        assert_eq!((listed(&doubts.found), doubts.copies), (vec![3], 3));
    }

    #[test]
    fn what_another_process_may_have_written_settles_nothing() {
        let (mut sightings, mut doubts) = sightings(true);
        for (index, digest) in [(0, 1), (3, 33)] {
            sightings.own(index, 0, digest, &doubts);
        }
        let there = sightings.conclude(Reading { is_shared: true, ..WHOLE }, &mut doubts);
        assert_eq!(there, Some(BTreeMap::new()));
        assert_eq!((listed(&doubts.found), listed(&doubts.not_found)), (vec![], vec![5]));
        assert_eq!(listed(&doubts.truncated), [1, 2]);
        assert_eq!(listed(&doubts.unresolved), [0, 5]);
        assert!(doubts.copies_unknown);
    }

    #[test]
    fn of_a_log_that_was_cut_back_only_what_is_seen_stays_acknowledged() {
        let (mut sightings, mut doubts) = sightings(true);
        for (index, partition) in [(0, 1), (2, 0), (5, 0)] {
            sightings.own(index, partition, 1, &doubts);
        }
        assert_eq!(sightings.unseen(&doubts), [1, 1]);
        let there = sightings.conclude(WHOLE, &mut doubts);
        assert_eq!(there, Some(BTreeMap::from([(0, 1), (1, 1)])));
        assert_eq!((listed(&doubts.truncated), listed(&doubts.failed)), (vec![1], vec![1, 3, 4]));
        assert_eq!((listed(&doubts.found), listed(&doubts.not_found)), (vec![5], vec![3]));
    }

    #[test]
    fn what_was_not_read_to_the_end_is_unresolved() {
        let (mut sightings, mut doubts) = sightings(true);
        sightings.own(1, 0, 1, &doubts);
        let there = sightings.conclude(Reading::default(), &mut doubts);
        assert_eq!(there, Some(BTreeMap::from([(0, 1)])));
        assert_eq!((doubts.truncated.len(), doubts.not_found.len()), (0, 0));
        assert_eq!(listed(&doubts.unresolved), [0, 2, 5]);
        assert_eq!((listed(&doubts.in_doubt), doubts.open()), (vec![0, 2, 3, 5], 4));
    }
}
