//! Named random streams: the same bytes on every platform, in any order of calls.
//!
//! The run seed, a name and a scope (the run's id, or a GPU's) address a stream, and an index a
//! draw in it. So `pair(seq)` does not depend on who asks, how often, or in which shard, and a new
//! stream never changes the values of another.
//!
//! SipHash-1-3 (128 bit) turns seed, name and scope into two keys. SplitMix64 turns a key and an
//! index into half the state of a PCG-64-MCG. All are fixed algorithms on little-endian bytes;
//! `StdRng` can change with any release of its crate. SplitMix64 is written here because the crates
//! that have it only step through a sequence, and a hash for each index cost a third of an event.

use rand_pcg::Pcg64Mcg;
use siphasher::sip128::{Hash128, SipHasher13};

/// One named stream of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    keys: Hash128,
}

impl Stream {
    /// The stream `name` of a run seed, within `scope`.
    #[must_use]
    pub(crate) fn new(run_seed: u64, name: &str, scope: &str) -> Self {
        let address = [name.as_bytes(), &[0], scope.as_bytes()].concat();
        Self { keys: SipHasher13::new_with_keys(run_seed, 0).hash(&address) }
    }

    /// One number at `index`, for less than a generator costs. It is half of the generator's state
    /// there, so a stream is asked for either.
    #[must_use]
    pub(crate) fn number(&self, index: u64) -> u64 {
        split_mix(self.keys.h1, index)
    }

    /// The generator for the draws at `index`.
    #[must_use]
    pub(crate) fn at(&self, index: u64) -> Pcg64Mcg {
        let Hash128 { h1, h2 } = self.keys;
        Pcg64Mcg::new(u128::from(split_mix(h1, index)) << 64 | u128::from(split_mix(h2, index)))
    }

    /// The generator for the draws at `index` of the series `member`.
    #[must_use]
    pub(super) fn at_in(&self, member: u64, index: i64) -> Pcg64Mcg {
        let Hash128 { h1, h2 } = self.keys;
        let keys = Hash128 { h1: split_mix(h1, member), h2: split_mix(h2, member) };
        Self { keys }.at(index.cast_unsigned())
    }
}

/// Number `index` of the SplitMix64 sequence of a seed, computed without the numbers before it.
fn split_mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    fn draws(stream: Stream, index: u64) -> [u64; 2] {
        let mut rng = stream.at(index);
        [rng.random(), rng.random()]
    }

    #[test]
    fn the_numbers_of_a_stream_are_pinned() {
        // A change here changes the bytes of every seeded run: bump the workload's version.
        let stream = Stream::new(1, "tokens", "run");
        assert_eq!(draws(stream, 0), [16_305_738_563_779_310_224, 7_981_933_506_168_866_016]);
    }

    #[test]
    fn the_sequence_is_that_of_split_mix_64() {
        // The first numbers of the seed 1234567, as published with the algorithm.
        let first = [0, 1, 2].map(|index| split_mix(1_234_567, index));
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        // Half of the bits differ, between indexes and between members.
        let stream = Stream::new(1, "load", "vm4");
        let (mut along, mut across) = (0, 0);
        for index in 0..1_000 {
            let first = |member, index| -> u64 { stream.at_in(member, index).random() };
            along += (first(0, index) ^ first(0, index + 1)).count_ones();
            across += (first(0, index) ^ first(1, index)).count_ones();
        }
        for bits in [along, across] {
            assert!((31_500..32_500).contains(&bits), "{along}, {across} of 64000");
        }
    }

    #[test]
    fn seed_name_scope_and_index_each_give_other_numbers() {
        let base = draws(Stream::new(1, "tokens", "run"), 0);
        assert_ne!(base, draws(Stream::new(2, "tokens", "run"), 0));
        assert_ne!(base, draws(Stream::new(1, "latency", "run"), 0));
        assert_ne!(base, draws(Stream::new(1, "tokens", "other"), 0));
        assert_ne!(base, draws(Stream::new(1, "tokens", "run"), 1));
        // the border between name and scope counts
        assert_ne!(draws(Stream::new(1, "ab", "c"), 0), draws(Stream::new(1, "a", "bc"), 0));
    }
}
