//! Where the records of a run go.

use std::future::Future;
use std::time::Duration;

use crate::plan::{Emission, Record};

/// The queue has no room for a record: try again after an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// Where records go.
pub trait Sink {
    /// Enqueues a record, which was scheduled so long ago. One that is refused for good is counted as
    /// failed.
    ///
    /// # Errors
    /// [`QueueFull`].
    fn try_send(&self, record: &Record<'_>, late_by: Duration) -> Result<(), QueueFull>;
    /// A record had its turn: it was enqueued, or a fault keeps it from being sent, now or at all.
    fn had_turn(&self, _emission: &Emission, _record: &Record<'_>) {}
    /// Takes in the answers that came. Called now and then, also while none is waited for.
    fn take_in(&self) {}
    /// Completes after an answer came: once it is taken in there may be room, or nothing left to wait
    /// for.
    fn answered(&self) -> impl Future<Output = ()>;
    /// Records that wait for their delivery report.
    fn in_flight(&self) -> u64;
    /// How long records have been in flight without an answer to any of them.
    fn silent_for(&self) -> Duration;
    /// Whether nothing can be sent any more.
    fn is_fatal(&self) -> bool;
}
