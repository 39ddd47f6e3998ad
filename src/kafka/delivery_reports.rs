//! librdkafka's callbacks, and the counts of a run.
//!
//! How many records are handed over is told in atomics: sending takes no lock, and answers take one for
//! each event of librdkafka, which holds many delivery reports. Others read the counts: the reporter,
//! and whoever asks the cluster.
//!
//! Records are given up here, and not by librdkafka, whose own time-out comes later: it would give up
//! the first record of a batch alone and send the rest under a new epoch, which the broker stores a
//! second time; and it counts the time in which this process was stopped. It goes on trying to send
//! what was given up here, with the sequence numbers by which the broker knows a copy.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use tokio::sync::Notify;

use super::causes::Way;
use super::config::longest_wait;
use super::errors::failure;
use super::heard::Heard;
use super::native::{Code, DeliveryReport, ErrorCode, HeaderList, Listener};
use super::opaque::Opaque;
use crate::delivery::times::SendTimes;
use crate::delivery::{Accounting, Counts, Delivered, InFlightRecord, Totals};
use crate::event::Kind;
use crate::send_loop::GRACE;

thread_local! {
    /// The delivery reports of the event that this thread is handling.
    static REPORTED: RefCell<Vec<Delivered>> = const { RefCell::new(Vec::new()) };
    /// Their headers, to be used again.
    static RETURNED: RefCell<Vec<HeaderList>> = const { RefCell::new(Vec::new()) };
}

/// The callbacks of a producer.
#[derive(Debug)]
pub(super) struct DeliveryReports {
    /// `None` once the run is reported: what comes later changes nothing.
    accounting: Mutex<Option<Accounting>>,
    /// The counts when it was closed.
    closed: OnceLock<Counts>,
    heard: Mutex<Heard>,
    /// Header lists that can be used again: at most as many as were in flight.
    returned: Mutex<Vec<HeaderList>>,
    /// Records of each topic that have been handed over. Only the sending thread writes it.
    handed_over: [AtomicU64; 2],
    /// Records that have ended, and how many may be in flight. Written under the accounting's lock.
    ended: AtomicU64,
    window: AtomicU64,
    /// Something is to be taken in.
    pub(super) answered: Notify,
    /// Who takes it in while nothing is sent.
    poller: OnceLock<Thread>,
}

impl DeliveryReports {
    /// Of a run whose records are given up after `delivery_timeout`, and wait so long for their batch.
    pub(super) fn new(
        delivery_timeout: Duration,
        linger: Duration,
        is_idempotent: bool,
        way: Way,
    ) -> Self {
        // A cluster that answers nothing at all ends the run before, with its records unresolved.
        let timeout = delivery_timeout + 2 * GRACE;
        let timed_out = failure(Code::MessageTimedOut.into());
        let accounting = if is_idempotent { Accounting::new } else { Accounting::reordered };
        let target = longest_wait(delivery_timeout);
        let accounting = accounting(timeout, timed_out, target).lingering(target, linger);
        Self {
            window: accounting.window().into(),
            accounting: Mutex::new(Some(accounting)),
            closed: OnceLock::new(),
            heard: Mutex::new(Heard::of(way)),
            returned: Mutex::default(),
            handed_over: Default::default(),
            ended: AtomicU64::new(0),
            answered: Notify::new(),
            poller: OnceLock::new(),
        }
    }

    /// Whom to wake, too.
    pub(super) fn wakes(&self, poller: Thread) {
        let _only_one = self.poller.set(poller);
        self.wake();
    }

    /// Whether one more record can be delivered in time.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight() < self.window.load(Ordering::Relaxed)
    }

    /// All records of a kind below this index have been handed over.
    pub(super) fn handed_over(&self, kind: Kind, index: u64) {
        self.handed_over[kind as usize].store(index, Ordering::Release);
    }

    /// A record was refused before it left. Its failure counts as an end, so it counts as handed over.
    pub(super) fn refused(&self, kind: Kind, index: u64, error: ErrorCode) {
        self.handed_over(kind, index + 1);
        self.with_accounting(|accounting| accounting.refused(kind, index, failure(error)));
    }

    /// Records that wait for their delivery report.
    pub(super) fn in_flight(&self) -> u64 {
        // In this order: a record ends after it was handed over, and may be counted before.
        let ended = self.ended.load(Ordering::Acquire);
        self.next().iter().sum::<u64>().saturating_sub(ended)
    }

    fn next(&self) -> [u64; 2] {
        self.handed_over.each_ref().map(|next| next.load(Ordering::Acquire))
    }

    /// How long records have been in flight without an answer to any of them. Time in which this
    /// process did not run does not count: what came in it still lies in the socket.
    pub(super) fn silent_for(&self) -> Duration {
        self.with_accounting(|accounting| accounting.silent_for()).unwrap_or_default()
    }

    /// The counts as they stand.
    pub(super) fn counts(&self) -> Counts {
        let counts = self.with_accounting(|accounting| accounting.totals().counts.clone());
        counts.or_else(|| self.closed.get().cloned()).unwrap_or_default()
    }

    /// Takes in the delivery reports of the event that this thread has handled, and gives up what has
    /// waited too long; `sent` has the times of the records. `None` once the accounting is closed.
    pub(super) fn take_in(&self, sent: Option<&mut SendTimes>) -> Option<()> {
        RETURNED.with_borrow_mut(|returned| {
            if !returned.is_empty() {
                lock(&self.returned).append(returned);
            }
        });
        self.with_accounting(|accounting| {
            let now = Instant::now();
            REPORTED.with_borrow_mut(|reported| {
                reported.drain(..).for_each(|report| accounting.reported(report, now));
            });
            accounting.pass(now);
            if let Some(sent) = sent {
                accounting.add_times(sent);
            }
        })
    }

    /// Moves the header lists that came back into `free`.
    pub(super) fn returned_headers(&self, free: &mut Vec<HeaderList>) {
        free.append(&mut lock(&self.returned));
    }

    /// Closes the accounting: what is in flight stays unresolved, whatever is answered later.
    pub(super) fn close(&self, sent: &mut SendTimes) -> Totals {
        let Some(mut accounting) = lock(&self.accounting).take() else { return Totals::default() };
        accounting.handed_over(self.next());
        accounting.add_times(sent);
        let mut totals = accounting.close();
        totals.latency_parts = self.heard().latency_parts;
        let _only_once = self.closed.set(totals.counts.clone());
        totals
    }

    /// What was heard beside delivery reports.
    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        lock(&self.heard)
    }

    fn with_accounting<T>(&self, work: impl FnOnce(&mut Accounting) -> T) -> Option<T> {
        let mut guard = lock(&self.accounting);
        let accounting = guard.as_mut()?;
        accounting.handed_over(self.next());
        let done = work(accounting);
        self.window.store(accounting.window(), Ordering::Relaxed);
        self.ended.store(accounting.ended(), Ordering::Release);
        Some(done)
    }

    fn is_closed(&self) -> bool {
        lock(&self.accounting).is_none()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves counts whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener for DeliveryReports {
    fn wake(&self) {
        self.answered.notify_one();
        if let Some(poller) = self.poller.get() {
            poller.unpark();
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // The summary is the last line of a run.
        if !self.is_closed() {
            self.heard().log(level, facility, message);
        }
    }

    fn statistics(&self, json: &str) {
        self.heard().statistics(json);
    }

    fn error(&self, code: ErrorCode, reason: &str) {
        if !self.is_closed() {
            self.heard().error(code, reason);
        }
    }

    fn delivered(&self, report: &DeliveryReport<'_>) {
        let Opaque { kind, index, late_by, pooled } = Opaque::unpack(report.opaque());
        if let Some(list) = pooled.then(|| report.take_headers()).flatten() {
            RETURNED.with_borrow_mut(|returned| returned.push(list));
        }
        let record = InFlightRecord { kind, index, waited: report.latency(), late_by };
        let outcome = report.outcome().map_err(failure);
        let is_acknowledged = matches!(outcome, Ok((_, Some(_))));
        let trace = (!is_acknowledged).then(|| report.trace());
        REPORTED.with_borrow_mut(|reported| reported.push(Delivered { record, outcome, trace }));
    }
}
