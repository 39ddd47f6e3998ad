//! Which partitions keys go to: few keys can leave most of a topic empty.

use std::collections::BTreeSet;

use crate::settings::{RecordKey, Settings};

/// How many of a topic's partitions these keys reach.
#[must_use]
pub fn reached<'a>(keys: impl Iterator<Item = &'a str>, partitions: usize) -> usize {
    let Ok(count) = u32::try_from(partitions) else { return 0 };
    keys.filter_map(|key| of_key(key.as_bytes(), count)).collect::<BTreeSet<_>>().len()
}

/// Whether the partition of a record follows from its key, as [`reached`] has it.
#[must_use]
pub fn follow_from_keys(settings: &Settings) -> bool {
    let partitioner = settings.properties.get("partitioner").map(|set| set.expose());
    let is_murmur2 = matches!(partitioner, None | Some("murmur2" | "murmur2_random"));
    settings.record_key == RecordKey::Gpu && is_murmur2
}

/// The partition of a key, as Java clients and librdkafka's `murmur2` choose it.
fn of_key(key: &[u8], partitions: u32) -> Option<u32> {
    (murmur2(key) & 0x7fff_ffff).checked_rem(partitions)
}

/// MurmurHash2, 32 bits, with the seed of Kafka's `Utils.murmur2`.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Kafka's keys are shorter than 4 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let chunks = bytes.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        let chunk = chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let mixed = chunk.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ mixed >> 24).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let rest = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_kafka_s_own_test() {
        // UtilsTest.testMurmur2 of Apache Kafka.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn the_two_keys_of_the_shipped_seed_share_one_of_three_partitions() {
        let keys = ["vm4/0", "vm4/1"];
        let reached = |partitions| reached(keys.into_iter(), partitions);
        assert_eq!([1, 3, 6, 12, 50].map(reached), [1, 1, 2, 2, 2]);
        assert_eq!(reached(0), 0);
    }
}
