//! Where the first copies of the latest records were: what a copy and a twin are held against.
//!
//! Partitions and topics are read side by side, so only what was read lately is asked for. What is
//! older is forgotten.

use std::collections::VecDeque;

use super::seen::{CHUNK, LENGTH};

/// Chunks that are kept: 3 MiB.
const KEPT: usize = 32;

/// Records of a topic whose places are known.
pub(super) const REMEMBERED: u64 = CHUNK * KEPT as u64;

/// Where a record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The event time of its pair, ms since 1970; [`UNTIMED`] where nothing told it.
    pub(super) pair_ms: i64,
    /// Which of the topics that have its event.
    pub(super) topic: u16,
    /// Offset in its partition.
    pub(super) offset: i64,
    /// Partition; -1 where the source does not tell.
    pub(super) partition: i32,
}

/// Stands for the time of a record of which nothing tells it.
pub(super) const UNTIMED: i64 = i64::MIN;

impl Place {
    /// The event time of its pair, if it was told.
    pub(super) fn time_ms(&self) -> Option<i64> {
        Some(self.pair_ms).filter(|ms| *ms != UNTIMED)
    }
}

/// Stands for a record that was not read.
const NOWHERE: Place = Place { pair_ms: 0, topic: 0, offset: 0, partition: i32::MIN };

/// The places of one topic.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// With their numbers, in the order in which they were begun. There are so few that a search is
    /// quicker than a hash.
    chunks: VecDeque<(u64, Box<[Place]>)>,
}

impl Places {
    /// Notes where the first copy of a record is.
    pub(super) fn note(&mut self, place: u64, at: Place) {
        let number = place / CHUNK;
        let is_its = |(kept, _): &(u64, _)| *kept == number;
        let index = self.chunks.iter().rposition(is_its).unwrap_or_else(|| {
            if self.chunks.len() == KEPT {
                self.chunks.pop_front();
            }
            self.chunks.push_back((number, vec![NOWHERE; LENGTH].into()));
            self.chunks.len() - 1
        });
        self.chunks[index].1[(place % CHUNK) as usize] = at;
    }

    /// All that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, Place)> {
        let chunks = self.chunks.iter();
        let places =
            chunks.flat_map(|(number, chunk)| (number * CHUNK..).zip(chunk.iter().copied()));
        places.filter(|(_, at)| *at != NOWHERE)
    }

    /// Where a record that was read was; `None` if that is forgotten.
    pub(super) fn of(&self, place: u64) -> Option<Place> {
        let (_, chunk) = self.chunks.iter().rev().find(|(kept, _)| *kept == place / CHUNK)?;
        let at = chunk[(place % CHUNK) as usize];
        (at != NOWHERE).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_places_are_known_and_older_ones_are_forgotten() {
        let mut places = Places::default();
        let at = |n: u64| Place { pair_ms: 1, topic: 0, offset: n.cast_signed(), partition: 0 };
        for chunk in 0..=KEPT as u64 {
            places.note(chunk * CHUNK, at(chunk));
        }
        assert_eq!(places.of(0), None);
        assert_eq!(places.of(CHUNK), Some(at(1)));
    }
}
