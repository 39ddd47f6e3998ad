//! What a run can be reported from.

use std::collections::BTreeMap;

use super::super::in_flight::Doubts;
use crate::books::Books;
use crate::latency::Times;

/// The offset of each partition of each topic, the metric's first, at or after which a record is.
pub type Offsets = [BTreeMap<i32, i64>; 2];

/// Books and latencies at one moment.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The books.
    pub books: Books,
    /// The records without an acknowledgement, the metrics first.
    pub doubts: [Doubts; 2],
    /// Where the first of them can be in the log, as far as acknowledgements tell.
    pub doubts_from: Offsets,
    /// From hand-over to acknowledgement.
    pub from_send: Times,
    /// From the intended time to acknowledgement.
    pub from_due: Times,
}
