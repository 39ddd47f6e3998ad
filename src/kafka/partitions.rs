//! Which partitions keys go to: few keys can leave most of a topic empty.

use std::collections::BTreeSet;

use crate::plan::partition_of;
use crate::settings::{RecordKey, Settings};

/// How many of a topic's partitions these keys reach.
#[must_use]
pub fn reached<'a>(keys: impl Iterator<Item = &'a str>, partitions: usize) -> usize {
    match u32::try_from(partitions) {
        Ok(0) | Err(_) => 0,
        Ok(count) => {
            keys.map(|key| partition_of(key.as_bytes(), count)).collect::<BTreeSet<_>>().len()
        }
    }
}

/// Whether the partition of a record follows from its key, as [`reached`] has it.
#[must_use]
pub fn follow_from_keys(settings: &Settings) -> bool {
    let partitioner = settings.properties.get("partitioner").map(|set| set.expose());
    let is_murmur2 = matches!(partitioner, None | Some("murmur2" | "murmur2_random"));
    settings.record_key == RecordKey::Gpu && is_murmur2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_keys_of_the_shipped_seed_share_one_of_three_partitions() {
        let keys = ["vm4/0", "vm4/1"];
        let reached = |partitions| reached(keys.into_iter(), partitions);
        assert_eq!([1, 3, 6, 12, 50].map(reached), [1, 1, 2, 2, 2]);
        assert_eq!(reached(0), 0);
    }
}
