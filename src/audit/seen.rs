//! Which records of a topic were read: two bits each, in chunks that take one word once all of their
//! records are there.

/// Records of a chunk.
pub(super) const CHUNK: u64 = LENGTH as u64;

/// The same as a length.
pub(super) const LENGTH: usize = 4096;

const WORDS: usize = LENGTH / 64;

/// What was seen of a chunk's records.
#[derive(Debug, Default)]
enum Chunk {
    /// None of them.
    #[default]
    Untouched,
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

impl Marks {
    fn none() -> Box<Self> {
        Box::new(Self { seen: [0; WORDS], again: [0; WORDS], unseen: CHUNK, repeated: 0 })
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
#[derive(Debug, Default)]
pub(super) struct Seen {
    chunks: Vec<Chunk>,
    found: u64,
}

impl Seen {
    /// Notes a record; whether it is its first copy.
    pub(super) fn mark(&mut self, place: u64) -> bool {
        let index = usize::try_from(place / CHUNK).unwrap_or(usize::MAX);
        if self.chunks.len() <= index {
            self.chunks.resize_with(index + 1, Chunk::default);
        }
        let chunk = &mut self.chunks[index];
        match chunk {
            Chunk::Untouched => *chunk = Chunk::Partly(Marks::none()),
            Chunk::Whole => *chunk = Chunk::Partly(Marks::all()),
            Chunk::Partly(_) => {}
        }
        let Chunk::Partly(marks) = chunk else { return false };
        let is_first = marks.mark(place % CHUNK);
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
        let partly = self.chunks.iter().map(|chunk| match chunk {
            Chunk::Partly(marks) => marks.repeated,
            Chunk::Untouched | Chunk::Whole => 0,
        });
        partly.sum()
    }

    /// Whether a record was read.
    pub(super) fn contains(&self, place: u64) -> bool {
        let index = usize::try_from(place / CHUNK).unwrap_or(usize::MAX);
        match self.chunks.get(index) {
            None | Some(Chunk::Untouched) => false,
            Some(Chunk::Whole) => true,
            Some(Chunk::Partly(marks)) => {
                let at = place % CHUNK;
                marks.seen[(at / 64) as usize] >> (at % 64) & 1 == 1
            }
        }
    }

    /// The places from `from` on and below `end` that were not read, ascending.
    pub(super) fn missing(&self, from: u64, end: u64) -> impl Iterator<Item = u64> {
        let chunks = (from / CHUNK..end.div_ceil(CHUNK)).filter(|index| {
            let chunk = usize::try_from(*index).ok().and_then(|index| self.chunks.get(index));
            !matches!(chunk, Some(Chunk::Whole))
        });
        let places =
            chunks.flat_map(move |index| (index * CHUNK).max(from)..((index + 1) * CHUNK).min(end));
        places.filter(|place| !self.contains(*place))
    }

    /// One more than the highest place that was read.
    pub(super) fn end(&self) -> u64 {
        let last = self.chunks.iter().rposition(|chunk| !matches!(chunk, Chunk::Untouched));
        let Some(last) = last else { return 0 };
        let from = last as u64 * CHUNK;
        (from..from + CHUNK).rev().find(|place| self.contains(*place)).map_or(0, |place| place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_chunk_that_is_whole_takes_a_word_and_opens_again_for_a_copy() {
        let mut seen = Seen::default();
        assert!((0..CHUNK).rev().all(|place| seen.mark(place)));
        assert!(matches!(seen.chunks[..], [Chunk::Whole]));
        assert!(!seen.mark(7));
        assert!(!seen.mark(7));
        assert_eq!((seen.found(), seen.repeated(), seen.end()), (CHUNK, 1, CHUNK));
        assert_eq!(seen.missing(0, CHUNK + 2).collect::<Vec<_>>(), [CHUNK, CHUNK + 1]);
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
