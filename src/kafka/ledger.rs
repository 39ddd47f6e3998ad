//! What the cluster answers, written into the books as it comes.
//!
//! librdkafka calls back on the polling thread; the run asks from its own. One lock holds all of it:
//! a count and the time of the last answer can never disagree.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::errors::{class, failure};
use crate::books::{Books, FailureClass};
use crate::event::Kind;
use crate::host::log;
use crate::latency::Times;

/// Travels with a record through librdkafka and comes back with its fate.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Which of the two events.
    pub kind: Kind,
    /// When it was handed over.
    pub sent: Instant,
    /// When it was meant to be.
    pub due: Instant,
}

/// Books and latencies at one moment.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The books.
    pub books: Books,
    /// From hand-over to acknowledgement.
    pub from_send: Times,
    /// From the intended time to acknowledgement.
    pub from_due: Times,
}

/// What the polling thread has to know.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// Answers so far.
    pub answers: u64,
    /// Records that wait for one.
    pub open: u64,
    /// How long they have waited without an answer to any of them.
    pub silence: Duration,
    /// The books are closed.
    pub closed: bool,
}

#[derive(Debug, Default)]
struct State {
    account: Account,
    /// No answer is taken any more: the report is written.
    closed: bool,
    /// Since when records wait without an answer to any; `None` while none waits.
    silent_since: Option<Instant>,
    denied: Option<String>,
    last_error: Option<String>,
    said: BTreeSet<String>,
}

/// The callbacks of a producer, and what they have written down.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    /// Answers came and are dealt with: there may be room in the queue, or nothing left to wait for.
    pub answered: Notify,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        // The data are plain counts: a panic elsewhere leaves them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record was handed to librdkafka, or is about to be.
    pub fn generated(&self, kind: Kind, now: Instant) {
        let mut state = self.state();
        state.account.books.generated(kind);
        state.silent_since.get_or_insert(now);
    }

    /// The queue had no room for a record that was counted as generated.
    pub fn withdrawn(&self, kind: Kind) {
        let mut state = self.state();
        state.account.books.withdrawn(kind);
        if state.account.books.total_open() == 0 {
            state.silent_since = None;
        }
    }

    /// A record was refused before it left.
    pub fn refused(&self, kind: Kind, error: RDKafkaErrorCode) {
        let mut state = self.state();
        state.account.books.failed(kind, failure(error));
        state.answer(Instant::now());
    }

    /// Records that wait for an answer.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.state().account.books.total_open()
    }

    /// How long records have waited without an answer to any of them.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.state().silence()
    }

    /// Why the cluster refuses this client, where it does.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.state().denied.clone()
    }

    /// The last error that librdkafka reported.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }

    /// The books as they stand.
    #[must_use]
    pub fn books(&self) -> Books {
        self.state().account.books.clone()
    }

    /// What is still to come.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let state = self.state();
        let books = &state.account.books;
        Pending {
            answers: books.total_acknowledged() + books.total_failed(),
            open: books.total_open(),
            silence: state.silence(),
            closed: state.closed,
        }
    }

    /// Closes the books: what is open stays unresolved, whatever is answered later.
    #[must_use]
    pub fn close(&self) -> Account {
        let mut state = self.state();
        state.closed = true;
        state.account.clone()
    }
}

impl State {
    fn silence(&self) -> Duration {
        self.silent_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn answer(&mut self, now: Instant) {
        self.silent_since = (self.account.books.total_open() > 0).then_some(now);
    }
}

impl ClientContext for Ledger {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let text = format!("{facility}: {message}");
        match level {
            // Errors also come to `error()`, which says each of them once.
            RDKafkaLogLevel::Warning => {
                log::say(move || warn!(target: "librdkafka", "{text}"));
            }
            _ => log::say(move || debug!(target: "librdkafka", "{text}")),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let text = if reason.is_empty() { error.to_string() } else { reason.to_owned() };
        let first = {
            let mut state = self.state();
            match code {
                Some(code) if class(code) == FailureClass::Denied => {
                    state.denied = Some(text.clone());
                }
                // This one only sums up the others, which say more.
                Some(RDKafkaErrorCode::AllBrokersDown) if state.last_error.is_some() => {}
                _ => state.last_error = Some(text.clone()),
            }
            state.said.insert(format!("{code:?}"))
        };
        if first {
            log::say(move || warn!(target: "librdkafka", "{text}"));
        } else {
            log::say(move || debug!(target: "librdkafka", "{text}"));
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Ledger {
    type DeliveryOpaque = Box<Stamp>;

    fn delivery(&self, result: &DeliveryResult<'_>, stamp: Box<Stamp>) {
        let now = Instant::now();
        let mut state = self.state();
        if state.closed {
            return;
        }
        match result {
            Ok(message) => {
                let offset = Some(message.offset()).filter(|offset| *offset >= 0);
                let account = &mut state.account;
                account.books.acknowledged(stamp.kind, message.partition(), offset);
                account.from_send.record(now.saturating_duration_since(stamp.sent));
                account.from_due.record(now.saturating_duration_since(stamp.due));
                state.answer(now);
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let failure = failure(code);
                let silence = failure.class == FailureClass::Silence;
                state.account.books.failed(stamp.kind, failure);
                // A record whose time ran out is no answer of the cluster.
                if !silence || state.account.books.total_open() == 0 {
                    state.answer(now);
                }
            }
        }
    }
}
