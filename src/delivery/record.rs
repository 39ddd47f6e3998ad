//! What the accounting is told, and what it tells.

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

/// What the polling thread has to know.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// Records that have ended so far, and delivery reports so far.
    pub answers: [u64; 2],
    /// Records in flight.
    pub in_flight: u64,
    /// How long they have been without an answer to any of them.
    pub silent_for: Duration,
}
