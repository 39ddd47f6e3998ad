//! What a run is reported from.

use std::collections::BTreeMap;

use super::times::TimesDigest;
use super::{Counts, Doubts, LatencyParts};
use crate::histogram::Times;

/// The offset of each partition of each topic, the metric's first, at or after which a record is.
pub type Offsets = [BTreeMap<i32, i64>; 2];

/// Counts and latencies at one moment.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// The counts.
    pub counts: Counts,
    /// The records without an acknowledgement, the metrics first.
    pub doubts: [Doubts; 2],
    /// The lowest offsets that these can have, as far as acknowledgements tell.
    pub doubts_from: Offsets,
    /// Partitions of each topic; none where the run did not get so far as to be told.
    pub partitions: [usize; 2],
    /// From hand-over to acknowledgement.
    pub from_send: Times,
    /// From the scheduled time to acknowledgement.
    pub from_scheduled: Times,
    /// The times of the acknowledged records of each topic, by the number of their partition.
    pub times: [Vec<TimesDigest>; 2],
    /// Where the time from hand-over went.
    pub latency_parts: LatencyParts,
}
