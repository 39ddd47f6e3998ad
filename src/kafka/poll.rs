//! The thread that polls librdkafka for delivery reports and errors.
//!
//! A blocking poll of the wrapper cannot do that: it returns only when its time is up, whatever
//! came, and spins through the last millisecond of it. So the thread polls without waiting, and
//! sleeps in between for a sixteenth of the time since the last answer. A measured latency is at most
//! that much too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer};

use super::delivery_reports::DeliveryReports;
use crate::delivery::Pending;

/// Shortest sleep between two polls while records are in flight.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// Longest sleep between two polls while records are in flight.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Sleep while none is in flight: only errors of connections can come, and the next record ends it.
const IDLE_PAUSE: Duration = Duration::from_millis(50);

/// What the sending and the polling thread tell each other.
#[derive(Debug, Default)]
pub(super) struct Phase {
    /// No record will follow.
    pub(super) finished: AtomicBool,
    /// The thread sleeps because no record is in flight.
    pub(super) idle: AtomicBool,
}

/// Polls until sending is finished and every record has its delivery report, or the accounting is
/// closed.
pub(super) fn poll(producer: &BaseProducer<DeliveryReports>, phase: &Phase) {
    let reports = producer.context();
    let mut before = None;
    loop {
        let finished = phase.finished.load(Ordering::Acquire);
        producer.poll(Duration::ZERO);
        let Some(now) = reports.take_in() else {
            return reports.answered.notify_one();
        };
        let idle = now.in_flight == 0;
        if finished && idle {
            return reports.answered.notify_one();
        }
        let seen = (now.answers, reports.events());
        if before.replace(seen).is_some_and(|before| before != seen) {
            // Here and not in the callback: the queue has room only once the event is gone. One
            // poll handles one event, and there may be more. Statistics come before all others: a
            // thread that paused after each would hear of no error.
            reports.answered.notify_one();
            continue;
        }
        if idle {
            phase.idle.store(true, Ordering::Release);
            // A record may have come between the look and the flag.
            if reports.in_flight() == 0 && !phase.finished.load(Ordering::Acquire) {
                std::thread::park_timeout(IDLE_PAUSE);
            }
            phase.idle.store(false, Ordering::Release);
        } else {
            std::thread::park_timeout(pause(&now));
        }
    }
}

/// How long to sleep while records are in flight and no answer comes.
fn pause(now: &Pending) -> Duration {
    (now.silent_for / 16).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}
