//! What the cluster answers, written into the books as it comes.
//!
//! librdkafka calls back on the polling thread; the run asks from its own. One lock holds all of it:
//! a count and the time of the last answer can never disagree.
//!
//! Records are given up here, and not by librdkafka, whose own time-out comes later: it would give up
//! the first record of a batch alone and send the rest under a new epoch, which the broker stores a
//! second time; and it counts the time in which this process was stopped. It goes on trying to send
//! what was given up here, with the sequence numbers by which the broker knows a copy.

mod account;
mod notes;
mod state;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use rdkafka::statistics::Statistics;
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::errors::{class, plain};
use super::in_flight::Stamp;
use super::probe;
use crate::books::{Books, FailureClass};
use crate::event::Kind;
use crate::host::{limits, log};
use crate::settings::Server;
pub use account::{Account, Offsets};
use state::State;

/// What the polling thread has to know.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// Records that have ended so far, and delivery reports so far.
    pub answers: [u64; 2],
    /// Records that wait for one.
    pub open: u64,
    /// How long they have waited without an answer to any of them.
    pub silence: Duration,
    /// The books are closed.
    pub closed: bool,
}

/// What was written down, and what librdkafka said.
#[derive(Debug)]
struct Written {
    state: State,
    denied: Option<String>,
    exhausted: Option<String>,
    learned: Vec<Server>,
    last_error: Option<String>,
    said: BTreeSet<String>,
}

/// The callbacks of a producer, and what they have written down.
#[derive(Debug)]
pub struct Ledger {
    written: Mutex<Written>,
    /// Answers came and are dealt with: there may be room in the queue, or nothing left to wait for.
    pub answered: Notify,
}

impl Ledger {
    /// A ledger of a run whose records are given up after `delivery_timeout`, and should wait for
    /// `target` at the most.
    #[must_use]
    pub fn new(delivery_timeout: Duration, target: Duration) -> Self {
        let state = State::new(delivery_timeout, target);
        let written = Written {
            state,
            denied: None,
            exhausted: None,
            learned: Vec::new(),
            last_error: None,
            said: BTreeSet::new(),
        };
        Self { written: Mutex::new(written), answered: Notify::new() }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // The data are plain counts: a panic elsewhere leaves them whole.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record is about to be handed to librdkafka. Whether it may: not while as many wait as can be
    /// delivered in time.
    pub fn generated(&self, kind: Kind, index: u64) -> bool {
        self.written().state.generated(kind, index)
    }

    /// The queue had no room for a record that was counted as generated.
    pub fn withdrawn(&self, kind: Kind, index: u64) {
        self.written().state.withdrawn(kind, index);
    }

    /// A record was refused before it left.
    pub fn refused(&self, kind: Kind, index: u64, error: RDKafkaErrorCode) {
        self.written().state.refused(kind, index, error);
    }

    /// Records that wait for an answer.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.written().state.account().books.total_open()
    }

    /// How long records have waited without an answer to any of them. Time in which this process did
    /// not run does not count: what came in it still lies in the socket.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.written().state.silence()
    }

    /// Why the cluster refuses this client, where it does.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.written().denied.clone()
    }

    /// What the system gives too little of, as far as librdkafka has met it.
    #[must_use]
    pub fn exhausted(&self) -> Option<String> {
        self.written().exhausted.clone()
    }

    /// The brokers that the client has learned of, if it writes statistics.
    #[must_use]
    pub fn learned(&self) -> Vec<Server> {
        self.written().learned.clone()
    }

    /// The last error that librdkafka reported.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.written().last_error.clone()
    }

    /// The books as they stand.
    #[must_use]
    pub fn books(&self) -> Books {
        self.written().state.account().books.clone()
    }

    /// What is still to come. Gives up what has waited too long.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.written().state.pending(Instant::now())
    }

    /// Closes the books: what is open stays unresolved, whatever is answered later.
    #[must_use]
    pub fn close(&self) -> Account {
        self.written().state.close()
    }
}

impl ClientContext for Ledger {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let text = plain(message);
        {
            let mut written = self.written();
            if written.state.is_closed() {
                // The summary is the last line of a run.
                return;
            }
            // librdkafka calls a connection that was closed on it an error only at times.
            if facility == "FAIL" {
                written.last_error = Some(text.clone());
            }
        }
        let text = format!("{facility}: {text}");
        match level {
            // Errors also come to `error()`, which says each of them once.
            RDKafkaLogLevel::Warning => {
                log::say(move || warn!(target: "librdkafka", "{text}"));
            }
            _ => log::say(move || debug!(target: "librdkafka", "{text}")),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.written().learned = probe::learned_brokers(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let text = if reason.is_empty() { error.to_string() } else { plain(reason) };
        let first = {
            let mut written = self.written();
            if written.state.is_closed() {
                return;
            }
            if limits::is_exhausted(&text).is_some() {
                written.exhausted = Some(text.clone());
            }
            match code {
                Some(code) if class(code) == FailureClass::Denied => {
                    written.denied = Some(text.clone());
                }
                // This one only sums up the others, which say more.
                Some(RDKafkaErrorCode::AllBrokersDown) if written.last_error.is_some() => {}
                _ => written.last_error = Some(text.clone()),
            }
            written.said.insert(format!("{code:?}"))
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
        let mut written = self.written();
        if written.state.is_closed() {
            return;
        }
        let outcome = match result {
            Ok(message) => {
                Ok((message.partition(), Some(message.offset()).filter(|offset| *offset >= 0)))
            }
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        written.state.reported(&stamp, outcome, Instant::now());
    }
}
