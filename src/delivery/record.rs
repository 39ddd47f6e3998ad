//! What the accounting is told, and

use std::time::Duration;

use super::Failure;
use crate::event::Kind;

/// A record, as its delivery report names it.
#[derive(Debug, Clone, Copy)]
pub struct InFlightRecord {
    /// Which of the two events.
    pub kind: Kind,
    /// Position among the pairs of this process.
    pub index: u64,
    /// How long ago it was handed over.
    pub waited: Duration,
    /// From the scheduled time until then.
    pub late_by: Duration,
}

/// A delivery report: partition and offset of a record, or an error. Success may come without an
/// offset.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Which record.
    pub record: InFlightRecord,
    /// Where it is.
    pub outcome: Result<(i32, Option<i64>), Failure>,
}
