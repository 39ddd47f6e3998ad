//! The records that close the last windows of a consumer.

use jiff::Timestamp;

use super::{Buffer, Headers, Plan, Record, partition_of};
use crate::event::Kind;
use crate::event::json::CONTENT_TYPE;
use crate::faults::FaultSet;

/// Name of the header of a record that closes windows; its value is the run id.
pub const CLOSING: &str = "close-windows";

/// Pairs among which one is looked for whose key belongs in a partition.
const MOST_TRIED: u64 = 100_000;

impl Plan {
    /// The record that closes the windows of one of so many partitions, by its time `at`.
    ///
    /// It is an event as the run would have had next, so that every consumer can read it, and of a GPU
    /// whose key belongs in that partition, if there is one. It has neither `run` nor `seq`: it is no
    /// record of the run.
    pub fn closing<'a, 'p>(
        &'p self,
        kind: Kind,
        (partition, partitions): (i32, u32),
        at: Timestamp,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        let is_at_home = |key: &str| partition_of(key.as_bytes(), partitions) == partition;
        let next = self.schedule.planned_pairs().unwrap_or(0);
        let tried = if self.keys.iter().any(|key| is_at_home(key)) { MOST_TRIED } else { 0 };
        let mut seqs = next..next.saturating_add(tried);
        let is_of_it = |seq: &u64| {
            let gpu = self.gpu_at(kind, *seq, || at.as_millisecond());
            gpu.is_some_and(|gpu| is_at_home(self.key_of(gpu)))
        };
        let seq = seqs.find(is_of_it).unwrap_or(next);
        let headers =
            Headers::of_two([(CLOSING, &self.identity.run_id), ("content-type", CONTENT_TYPE)]);
        Record { headers, ..self.expected((seq, kind), at, FaultSet::NONE, buffer) }
    }
}
