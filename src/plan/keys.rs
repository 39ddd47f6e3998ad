//! The keys of the records, and in which partition each belongs.

use crate::workload::seed::Row;

/// The key of every GPU: `HOST/GPU_INDEX`.
#[must_use]
pub fn keys(rows: &[Row], hosts: &[String]) -> Vec<String> {
    let of = |host| rows.iter().map(move |row| format!("{host}/{}", row.gpu_index));
    hosts.iter().flat_map(of).collect()
}

/// The partition of a key among so many, as Java clients choose it, and librdkafka's
/// `murmur2_random`: murmur2 with the seed 0x9747b28c, without its sign, modulo the partitions.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> i32 {
    let hash = murmur2(key) & 0x7fff_ffff;
    (hash % partitions.max(1)).cast_signed()
}

fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0, |k, byte| k << 8 | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |k, byte| k << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafka_clients() {
        // From UtilsTest.testMurmur2 of kafka-clients.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        assert_eq!(partition_of(b"abc", 10), (479_470_107 & 0x7fff_ffff) % 10);
    }
}
