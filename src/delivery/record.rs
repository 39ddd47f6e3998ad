//! What the accounting is told, and

use std::hash::{DefaultHasher, Hasher};
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
    /// What else the client knows of a record without an offset.
    pub trace: Option<Trace>,
}

/// What the client knows of a record that has no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The [`digest`] of its value.
    pub digest: u64,
    /// Whether a broker can have stored it: it was sent, and no answer says that it was refused.
    pub may_be_stored: bool,
}

/// A number that tells values apart, within this process.
#[must_use]
pub fn digest(value: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(value.is_some().into());
    hasher.write(value.unwrap_or_default());
    hasher.finish()
}
