//! `SHARD`: which part of a run a process sends.

use super::parse::{Refusal, digits};
use crate::workload::Shard;

/// Reads `i/n`, or `slot:SLOT/n` with the slot of a Docker Swarm task.
pub(super) fn shard(text: &str) -> Result<Shard, Refusal> {
    let (index, count) = text.split_once('/').ok_or(Refusal::Unexpected)?;
    if let Some(slot) = index.strip_prefix("slot:") {
        return shard_of_slot(slot, count);
    }
    match (digits::<u32>(index), digits::<u32>(count)) {
        (Some(index), Some(count)) if index < count => Ok(Shard { index, count }),
        (Some(_), Some(0)) => Err("0 shards send nothing".into()),
        (Some(index), Some(count)) => {
            Err(format!("shard {index} of {count} does not exist; the last is {}", count - 1)
                .into())
        }
        _ => Err(Refusal::Unexpected),
    }
}

/// The shard of a Docker Swarm task, from what `{{.Task.Slot}}` is there.
///
/// The tasks of a service have the slots 1 to n, those of a job 0 to n-1; for slot 0 Swarm writes
/// the id of the node, 25 digits of base 36. Modulo n either is every shard once. Shown with a real
/// Swarm in `tests/system/docker`.
fn shard_of_slot(slot: &str, count: &str) -> Result<Shard, Refusal> {
    let base_36 = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let node_id = slot.len() == 25 && slot.bytes().all(base_36);
    let number = if node_id { Some(0) } else { digits::<u32>(slot) };
    match (number, digits::<u32>(count)) {
        (Some(_), Some(0)) => Err("0 shards send nothing".into()),
        (Some(slot), Some(count)) if slot <= count => Ok(Shard { index: slot % count, count }),
        (Some(slot), Some(count)) => {
            Err(format!("slot {slot} is more than the {count} shards").into())
        }
        _ => Err(Refusal::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shards_are_numbered_from_zero() {
        assert_eq!(shard("1/2"), Ok(Shard { index: 1, count: 2 }));
        assert_eq!(
            shard("2/2").unwrap_err().to_string(),
            "shard 2 of 2 does not exist; the last is 1"
        );
        assert_eq!(shard("0/0").unwrap_err().to_string(), "0 shards send nothing");
        assert!(shard("1").is_err());
    }

    #[test]
    fn the_slots_of_swarm_tasks_are_every_shard_once() {
        let index = |slot: &str| shard(&format!("slot:{slot}/4")).map(|shard| shard.index);
        let job = ["3du0jx548ph4vrqh9jsynqu9p", "1", "2", "3"].map(index);
        assert_eq!(job, [0, 1, 2, 3].map(Ok));
        let service = ["1", "2", "3", "4"].map(index);
        assert_eq!(service, [1, 2, 3, 0].map(Ok));
        assert_eq!(index("5").unwrap_err().to_string(), "slot 5 is more than the 4 shards");
        assert_eq!(shard("slot:1/0").unwrap_err().to_string(), "0 shards send nothing");
        for text in
            ["slot:/4", "slot:{{.Task.Slot}}/4", "slot:1", "slot:-1/4", "slot:a/4", "slot:1/x"]
        {
            assert_eq!(shard(text), Err(Refusal::Unexpected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_shard_of_its_run_or_refused(text in "(slot:)?[0-9a-z]{0,25}/?[0-9]{0,3}") {
            if let Ok(Shard { index, count }) = shard(&text) {
                prop_assert!(index < count);
            }
        }
    }
}
