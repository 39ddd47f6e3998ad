//! Which records of a topic were read: two bits each, in chunks that take one word once all of their
//! records are there.

use std::collections::BTreeMap;

/// Records of a chunk.
pub(super) const CHUNK: u64 = LENGTH as u64;

/// The same as a length.
pub(super) const LENGTH: usize = 4096;

const WORDS: usize = LENGTH / 64;

/// Records of a chunk that take a list instead of marks: what is far from all others takes no more.
const FEW: usize = 16;

/// What was seen of a chunk's records.
#[derive(Debug)]
enum Chunk {
    /// A few of them, each once.
    Few(Vec<u16>),
    /// Some of them, or one more than once.
    Partly(Box<Marks>),
    /// Each of them once.
    Whole,
}

#[derive(Debug)]
struct Marks {
    seen: [u64; WORDS],
    again: [u64; WORDS],
    unseen: u64,
    repeated: u64,
}

impl Chunk {
    fn contains(&self, at: u64) -> bool {
        match self {
            Self::Whole => true,
            Self::Few(few) => few.iter().any(|one| u64::from(*one) == at),
            Self::Partly(marks) => marks.seen[(at / 64) as usize] >> (at % 64) & 1 == 1,
        }
    }
}

impl Marks {
    fn of(few: &[u16]) -> Box<Self> {
        let (seen, again) = ([0; WORDS], [0; WORDS]);
        let mut marks = Box::new(Self { seen, again, unseen: CHUNK, repeated: 0 });
        for at in few {
            marks.mark(u64::from(*at));
        }
        marks
    }

    fn all() -> Box<Self> {
        Box::new(Self { seen: [u64::MAX; WORDS], again: [0; WORDS], unseen: 0, repeated: 0 })
    }

    /// Whether it is the first time.
    fn mark(&mut self, at: u64) -> bool {
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.unseen -= 1;
            return true;
        }
        self.repeated += u64::from(self.again[word] & bit == 0);
        self.again[word] |= bit;
        false
    }
}

/// The records of one topic that were read, by their place in the shard.
///
/// It takes what was read, whatever place that claims: a chunk that nothing was read of takes nothing.
#[derive(Debug, Default)]
pub(super) struct Seen {
    chunks: BTreeMap<u64, Chunk>,
    found: u64,
}

impl Seen {
    /// Notes a record; whether it is its first copy.
    pub(super) fn mark(&mut self, place: u64) -> bool {
        let chunk = self.chunks.entry(place / CHUNK).or_insert_with(|| Chunk::Few(Vec::new()));
        let at = place % CHUNK;
        match chunk {
            Chunk::Few(few) => {
                // Below the length of a chunk.
                let short = u16::try_from(at).unwrap_or_default();
                if few.len() < FEW && !few.contains(&short) {
                    few.push(short);
                    self.found += 1;
                    return true;
                }
                *chunk = Chunk::Partly(Marks::of(few));
            }
            Chunk::Whole => *chunk = Chunk::Partly(Marks::all()),
            Chunk::Partly(_) => {}
        }
        let Chunk::Partly(marks) = chunk else { return false };
        let is_first = marks.mark(at);
        if marks.unseen == 0 && marks.repeated == 0 {
            *chunk = Chunk::Whole;
        }
        self.found += u64::from(is_first);
        is_first
    }

    /// How many records were read, each counted once.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// How many were read more than once.
    pub(super) fn repeated(&self) -> u64 {
        let partly = self.chunks.values().map(|chunk| match chunk {
            Chunk::Partly(marks) => marks.repeated,
            Chunk::Few(_) | Chunk::Whole => 0,
        });
        partly.sum()
    }

    /// Whether a record was read.
    pub(super) fn contains(&self, place: u64) -> bool {
        self.chunks.get(&(place / CHUNK)).is_some_and(|chunk| chunk.contains(place % CHUNK))
    }

    /// The places from `from` on and below `end` that were not read, ascending.
    pub(super) fn missing(&self, from: u64, end: u64) -> impl Iterator<Item = u64> {
        let chunks = (from / CHUNK..end.div_ceil(CHUNK))
            .filter(|index| !matches!(self.chunks.get(index), Some(Chunk::Whole)));
        chunks.flat_map(move |index| {
            let chunk = self.chunks.get(&index);
            let places = (index * CHUNK).max(from)..((index + 1) * CHUNK).min(end);
            places.filter(move |place| chunk.is_none_or(|chunk| !chunk.contains(place % CHUNK)))
        })
    }

    /// One more than the highest place that was read.
    pub(super) fn end(&self) -> u64 {
        let Some((last, chunk)) = self.chunks.last_key_value() else { return 0 };
        let highest = (0..CHUNK).rev().find(|at| chunk.contains(*at));
        highest.map_or(0, |at| last * CHUNK + at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chunk_that_is_whole_takes_a_word_and_opens_again_for_a_copy() {
        let mut seen = Seen::default();
        assert!((0..CHUNK).rev().all(|place| seen.mark(place)));
        assert!(matches!(seen.chunks[&0], Chunk::Whole));
        assert!(!seen.mark(7));
        assert!(!seen.mark(7));
        assert_eq!((seen.found(), seen.repeated(), seen.end()), (CHUNK, 1, CHUNK));
        assert_eq!(seen.missing(0, CHUNK + 2).collect::<Vec<_>>(), [CHUNK, CHUNK + 1]);
    }

    #[test]
    fn a_place_far_from_all_others_takes_no_more_than_itself() {
        let mut seen = Seen::default();
        for place in [3, 2_000_000_000, u64::MAX / 2, u64::MAX - 1] {
            assert!(seen.mark(place) && !seen.contains(place - 1) && seen.contains(place));
        }
        assert_eq!((seen.chunks.len(), seen.found(), seen.end()), (4, 4, u64::MAX));
    }

    proptest! {
        #[test]
        fn it_is_the_counts_of_a_map(
            places in proptest::collection::vec(0..3 * CHUNK, 0..200),
            whole in proptest::bool::ANY,
        ) {
            let mut seen = Seen::default();
            let mut counts = BTreeMap::<u64, u32>::new();
            let all = if whole { 0..CHUNK } else { 0..0 };
            for place in all.chain(places) {
                let count = counts.entry(place).or_default();
                *count += 1;
                prop_assert_eq!(seen.mark(place), *count == 1);
            }
            prop_assert_eq!(seen.found(), counts.len() as u64);
            prop_assert_eq!(seen.repeated(), counts.values().filter(|n| **n > 1).count() as u64);
            prop_assert_eq!(seen.end(), counts.keys().last().map_or(0, |last| last + 1));
            let missing: Vec<_> = (0..3 * CHUNK).filter(|p| !counts.contains_key(p)).collect();
            prop_assert_eq!(seen.missing(0, 3 * CHUNK).collect::<Vec<_>>(), missing);
        }
    }
}
