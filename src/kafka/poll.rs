//! Takes in what librdkafka has to tell.
//!
//! While a run sends, its own thread does it between two records: it frees what it has allocated, and
//! contends with nobody. Until then, and for clients that only ask questions, a thread does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::delivery_reports::DeliveryReports;
use super::native::Events;
use crate::delivery::times::SendTimes;

/// How often the thread looks though nothing came: records are given up by it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Events that are taken in at one go.
const AT_A_STRETCH: u32 = 64;

/// What a client has to tell, and to whom.
pub(super) type Told = Events<DeliveryReports>;

/// Takes in what came; `sent` has the times of the records. Whether the accounting is still open.
pub(super) fn take_in(
    events: &Told,
    reports: &DeliveryReports,
    mut sent: Option<&mut SendTimes>,
) -> bool {
    for _ in 0..AT_A_STRETCH {
        events.take_next(Duration::ZERO);
        if reports.take_in(sent.as_deref_mut()).is_none() {
            return false;
        }
        if events.are_taken() {
            return true;
        }
    }
    // librdkafka only tells of the first one.
    reports.answered.notify_one();
    true
}

/// Takes in what comes until the sending thread does, or the accounting is closed.
pub(super) fn until_sending(events: &Told, reports: &DeliveryReports, sending: &AtomicBool) {
    while !sending.load(Ordering::Acquire) && take_in(events, reports, None) {
        if events.are_taken() {
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}
