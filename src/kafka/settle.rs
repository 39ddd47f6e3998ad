//! Looks up in the log what is in doubt at the end of a run.
//!
//! A record without an acknowledgement may be in the log all the same: its time ran out on the way,
//! its answer was lost, or librdkafka took the success of a later batch for its own. Each record
//! carries its run and seq, so the log can tell, and it also tells which are in it more than once.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use roaring::RoaringTreemap;

use super::reader::{self, ReadRecord, Unread};
use crate::delivery::{COPY, Doubts};
use crate::faults::Fault;
use crate::plan::FAULT;
use crate::workload::Shard;

/// Whose records are looked for.
#[derive(Debug, Clone)]
pub struct Run {
    /// Name of the run, as in the header `run`.
    pub id: String,
    /// Which of its pairs are this process's.
    pub shard: Shard,
}

impl Run {
    /// The index of a record of this run, from its headers.
    fn index(&self, record: &ReadRecord<'_>) -> Option<u64> {
        if record.header("run")? != self.id {
            return None;
        }
        let faults = record.header(FAULT).unwrap_or_default();
        let is_copy = faults.split(',').any(|word| word == Fault::Duplicate.word());
        let index = self.shard.place_of(record.header("seq")?.parse().ok()?)?;
        Some(if is_copy { index + COPY } else { index })
    }
}

/// Reads a topic from these offsets of its partitions, and writes down which of the records in doubt
/// are there, and how many copies there are.
///
/// It does not stop when all are found: the copies lie behind.
///
/// # Errors
/// [`Unread`]. What was found until then is written down; the rest stays in doubt.
pub fn settle(
    config: &ClientConfig,
    topic: &str,
    from: &BTreeMap<i32, i64>,
    run: &Run,
    doubts: &mut Doubts,
    within: Duration,
    stopped: impl Fn() -> bool,
) -> Result<(), Unread> {
    let (mut seen, mut copies) = (RoaringTreemap::new(), 0);
    let read = reader::read(config, topic, from, within, stopped, |record| {
        if let Some(index) = run.index(record)
            && !seen.insert(index)
        {
            copies += 1;
        }
    });
    doubts.found |= &doubts.in_doubt & &seen;
    doubts.copies = copies;
    if read.is_ok() {
        doubts.not_found = &doubts.in_doubt - &doubts.found;
    }
    read
}
