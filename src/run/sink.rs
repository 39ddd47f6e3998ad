//! Where a run's records go, and when waiting for its answers makes no sense any more.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::Ending;
use crate::awake::Awake;
use crate::plan::Record;

/// How much longer than the delivery timeout a run waits for a cluster that answers nothing: an answer
/// that came in time still has to be polled. What is open then is unresolved. A run without a broker is
/// to end within 2 s of the timeout, and reading the log and closing a client with a full queue take
/// their part of that.
pub const GRACE: Duration = Duration::from_millis(600);

/// How often a waiting run looks whether waiting still makes sense.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// What became of a record that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is in the queue, or refused for good and in the books as failed.
    Taken,
    /// The queue is full: offer it again after an answer came.
    Full,
}

/// Where records go.
pub trait Sink {
    /// Takes a record, or has no room for it now.
    fn offer(&self, record: &Record<'_>, due: Instant) -> Offer;
    /// Completes after an answer came: there may be room, or nothing left to wait for.
    fn answered(&self) -> impl Future<Output = ()>;
    /// Records that wait for an answer.
    fn open(&self) -> u64;
    /// How long records have waited without an answer to any of them.
    fn silence(&self) -> Duration;
    /// Whether nothing can be sent any more.
    fn is_fatal(&self) -> bool;
    /// No record will follow.
    fn seal(&self);
}

/// Whether waiting for answers makes no sense any more.
pub(super) fn hopeless(sink: &impl Sink, delivery_timeout: Duration) -> Option<Ending> {
    if sink.is_fatal() {
        return Some(Ending::Fatal);
    }
    (sink.silence() > delivery_timeout + GRACE).then_some(Ending::Silence)
}

/// Completes once this process has run for so long.
pub(super) async fn awake_for(limit: Duration) {
    let (mut awake, mut waited) = (Awake::default(), Duration::ZERO);
    while waited < limit {
        waited += awake.lap(Instant::now().into_std());
        tokio::time::sleep(WATCH_EVERY.min(limit.saturating_sub(waited))).await;
    }
}

/// Completes once waiting for answers makes no sense any more.
pub(super) async fn no_hope(sink: &impl Sink, delivery_timeout: Duration) -> Ending {
    let mut watch = tokio::time::interval(WATCH_EVERY);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        watch.tick().await;
        if let Some(ending) = hopeless(sink, delivery_timeout) {
            return ending;
        }
    }
}
