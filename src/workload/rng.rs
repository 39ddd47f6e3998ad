//! Named random streams: the same bytes on every platform, in any order of asking.
//!
//! A stream is addressed by the run seed, a name and a scope (the run's id, or a GPU's), a draw by
//! its index in the stream. `pair(seq)` therefore does not depend on who asks, how often or in which
//! shard, and a new stream never moves the values of another.
//!
//! SipHash-1-3 (128 bit) turns the address into the state of a PCG-64-MCG. Both are fixed
//! algorithms on little-endian bytes; `StdRng` may change with any release of its crate.

use rand_pcg::Pcg64Mcg;
use siphasher::sip128::{Hash128, SipHasher13};

/// One named stream of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream {
    keys: Hash128,
}

impl Stream {
    /// The stream `name` of a run seed, within `scope`.
    #[must_use]
    pub(super) fn new(run_seed: u64, name: &str, scope: &str) -> Self {
        let address = [name.as_bytes(), &[0], scope.as_bytes()].concat();
        Self { keys: SipHasher13::new_with_keys(run_seed, 0).hash(&address) }
    }

    /// The generator for the draws at `index`.
    #[must_use]
    pub(super) fn at(&self, index: u64) -> Pcg64Mcg {
        let hasher = SipHasher13::new_with_keys(self.keys.h1, self.keys.h2);
        let Hash128 { h1, h2 } = hasher.hash(&index.to_le_bytes());
        Pcg64Mcg::new(u128::from(h1) << 64 | u128::from(h2))
    }

    /// The generator for the draws at `index` of the series `member`.
    #[must_use]
    pub(super) fn at_in(&self, member: u64, index: i64) -> Pcg64Mcg {
        let hasher = SipHasher13::new_with_keys(self.keys.h1, self.keys.h2);
        let address = u128::from(member) << 64 | u128::from(index.cast_unsigned());
        let Hash128 { h1, h2 } = hasher.hash(&address.to_le_bytes());
        Pcg64Mcg::new(u128::from(h1) << 64 | u128::from(h2))
    }
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
        assert_eq!(draws(stream, 0), [18_032_605_051_448_733_896, 894_285_459_336_142_845]);
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
