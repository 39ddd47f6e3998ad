//! Where the first copies of the latest records were: what a copy and a twin are held against.
//!
//! Partitions and topics are read side by side, so only what was read lately is asked for. Each place has
//! one entry, which it shares with those that are a multiple of [`REMEMBERED`] away, and the latest of them
//! is kept: of records in their order that is all of the last ones, and of records in any order each costs
//! the same.

use super::seen::{CHUNK, LENGTH};

/// Chunks that are kept: 4 MiB.
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

/// An entry: the record that has it, and where that was.
type Entry = Option<(u64, Place)>;

/// The places of one topic.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Entries in chunks, each made when it is first needed.
    chunks: Vec<Option<Box<[Entry]>>>,
}

/// The chunk of a place, and the entry in it.
fn entry_of(place: u64) -> (usize, usize) {
    ((place / CHUNK % KEPT as u64) as usize, (place % CHUNK) as usize)
}

impl Places {
    /// Notes where the first copy of a record is.
    pub(super) fn note(&mut self, place: u64, at: Place) {
        let (chunk, entry) = entry_of(place);
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || None);
        }
        let entries = self.chunks[chunk].get_or_insert_with(|| vec![None; LENGTH].into());
        entries[entry] = Some((place, at));
    }

    /// All that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, Place)> {
        self.chunks.iter().flatten().flat_map(|entries| entries.iter().copied().flatten())
    }

    /// Where a record that was read was; `None` if that is forgotten.
    pub(super) fn of(&self, place: u64) -> Option<Place> {
        let (chunk, entry) = entry_of(place);
        let (kept, at) = self.chunks.get(chunk)?.as_ref()?[entry]?;
        (kept == place).then_some(at)
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
