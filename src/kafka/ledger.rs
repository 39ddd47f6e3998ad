//! What the cluster answers, written into the books as it comes.
//!
//! librdkafka calls back on the polling thread; the run asks from its own. One lock holds all of it:
//! a count and the time of the last answer can never disagree.
//!
//! Records are given up here, and not by librdkafka, whose own time-out comes later: it would give up
//! the first record of a batch alone and send the rest under a new epoch, which the broker stores a
//! second time; and it counts the time in which this process was stopped. It goes on trying to send
//! what was given up here, with the sequence numbers by which the broker knows a copy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::errors::{class, failure, plain};
use super::in_flight::{Doubts, InFlight};
use super::window::Window;
use crate::awake::Awake;
use crate::books::{Books, FailureClass};
use crate::event::Kind;
use crate::host::log;
use crate::latency::Times;

/// Travels with a record through librdkafka and comes back with its fate.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Which of the two events.
    pub kind: Kind,
    /// Position among the pairs of this process.
    pub index: u64,
    /// When it was handed over.
    pub sent: Instant,
    /// When it was meant to be.
    pub due: Instant,
}

/// The offset of each partition of each topic, the metric's first, at or after which a record is.
pub type Offsets = [BTreeMap<i32, i64>; 2];

/// Books and latencies at one moment.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The books.
    pub books: Books,
    /// The records without an acknowledgement, the metrics first.
    pub doubts: [Doubts; 2],
    /// Where the first of them can be in the log, as far as acknowledgements tell.
    pub doubts_from: Offsets,
    /// From hand-over to acknowledgement.
    pub from_send: Times,
    /// From the intended time to acknowledgement.
    pub from_due: Times,
}

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

/// How exactly a record's time is kept: it is given up so much too late at the most.
const AGE_EVERY: Duration = Duration::from_millis(100);

/// Pairs between two notes of how far the acknowledgements were.
const NOTE_EVERY: u64 = 4096;

#[derive(Debug)]
struct State {
    account: Account,
    in_flight: [InFlight; 2],
    window: Window,
    /// The last acknowledged offsets when a pair was handed over, by its index: for as long as a
    /// record in flight may need them.
    notes: VecDeque<(u64, Offsets)>,
    /// Where the first record that ended without an acknowledgement can be.
    doubts_from: Option<Offsets>,
    /// No answer is taken any more: the report is written.
    closed: bool,
    /// How long records have waited without an answer to any; `None` while none waits.
    silence: Option<Duration>,
    awake: Awake,
    /// How long this process has run since the first look.
    ran_for: Duration,
    /// How long a record may wait.
    delivery_timeout: Duration,
    /// How long the process had run when these were the next indexes to be handed over.
    ages: VecDeque<(Duration, [u64; 2])>,
    /// The next index of each topic.
    next: [u64; 2],
    /// Delivery reports so far, those of records that had been given up included.
    reports: u64,
    denied: Option<String>,
    last_error: Option<String>,
    said: BTreeSet<String>,
}

/// The callbacks of a producer, and what they have written down.
#[derive(Debug)]
pub struct Ledger {
    state: Mutex<State>,
    /// Answers came and are dealt with: there may be room in the queue, or nothing left to wait for.
    pub answered: Notify,
}

impl Ledger {
    /// A ledger of a run whose records are given up after `delivery_timeout`, and should wait for
    /// `target` at the most.
    #[must_use]
    pub fn new(delivery_timeout: Duration, target: Duration) -> Self {
        let state = State {
            account: Account::default(),
            in_flight: Default::default(),
            window: Window::new(target),
            notes: VecDeque::new(),
            doubts_from: None,
            closed: false,
            silence: None,
            awake: Awake::default(),
            ran_for: Duration::ZERO,
            delivery_timeout,
            ages: VecDeque::new(),
            next: [0, 0],
            reports: 0,
            denied: None,
            last_error: None,
            said: BTreeSet::new(),
        };
        Self { state: Mutex::new(state), answered: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The data are plain counts: a panic elsewhere leaves them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record is about to be handed to librdkafka. Whether it may: not while as many wait as can be
    /// delivered in time.
    pub fn generated(&self, kind: Kind, index: u64) -> bool {
        let mut state = self.state();
        if state.account.books.total_open() >= state.window.size() {
            return false;
        }
        state.account.books.generated(kind);
        state.in_flight[slot(kind)].insert(index);
        state.next[slot(kind)] = index + 1;
        state.silence.get_or_insert(Duration::ZERO);
        if kind == Kind::BOTH[0] && index.is_multiple_of(NOTE_EVERY) {
            state.note(index);
        }
        true
    }

    /// The queue had no room for a record that was counted as generated.
    pub fn withdrawn(&self, kind: Kind, index: u64) {
        let mut state = self.state();
        state.account.books.withdrawn(kind);
        state.in_flight[slot(kind)].remove(index);
        if state.account.books.total_open() == 0 {
            state.silence = None;
        }
    }

    /// A record was refused before it left.
    pub fn refused(&self, kind: Kind, index: u64, error: RDKafkaErrorCode) {
        let mut state = self.state();
        state.account.books.failed(kind, failure(error));
        state.in_flight[slot(kind)].remove(index);
        state.account.doubts[slot(kind)].failed.insert(index);
        state.answer();
    }

    /// Records that wait for an answer.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.state().account.books.total_open()
    }

    /// How long records have waited without an answer to any of them. Time in which this process did
    /// not run does not count: what came in it still lies in the socket.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.state().silence.unwrap_or_default()
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
        let mut state = self.state();
        let lap = state.awake.lap(Instant::now());
        if let Some(silence) = &mut state.silence {
            *silence += lap;
        }
        state.ran_for += lap;
        state.give_up_the_old();
        let books = &state.account.books;
        let answers = [books.total_generated() - books.total_open(), state.reports];
        let silence = state.silence.unwrap_or_default();
        Pending { answers, open: books.total_open(), silence, closed: state.closed }
    }

    /// Closes the books: what is open stays unresolved, whatever is answered later.
    #[must_use]
    pub fn close(&self) -> Account {
        let mut state = self.state();
        if !state.closed {
            state.closed = true;
            for kind in Kind::BOTH {
                let open = state.in_flight[slot(kind)].all();
                let doubts = &mut state.account.doubts[slot(kind)];
                doubts.unresolved |= &open;
                doubts.in_doubt |= &open;
            }
            let oldest = || state.notes.front().map(|(_, offsets)| offsets.clone());
            state.account.doubts_from =
                state.doubts_from.clone().or_else(oldest).unwrap_or_default();
        }
        state.account.clone()
    }
}

/// Position of a kind of event in a pair of anything.
pub(super) fn slot(kind: Kind) -> usize {
    usize::from(kind != Kind::BOTH[0])
}

impl State {
    fn answer(&mut self) {
        self.silence = (self.account.books.total_open() > 0).then_some(Duration::ZERO);
    }

    /// Gives up the records whose time is over.
    fn give_up_the_old(&mut self) {
        if self.closed {
            return;
        }
        let now = self.ran_for;
        if self.ages.back().is_none_or(|(at, _)| now >= *at + AGE_EVERY) {
            self.ages.push_back((now, self.next));
        }
        while let Some((at, next)) = self.ages.front().copied()
            && now > at + self.delivery_timeout
        {
            self.ages.pop_front();
            for kind in Kind::BOTH {
                while let Some(index) = self.in_flight[slot(kind)].oldest()
                    && index < next[slot(kind)]
                {
                    self.in_flight[slot(kind)].remove(index);
                    self.account.books.failed(kind, failure(RDKafkaErrorCode::MessageTimedOut));
                    self.account.doubts[slot(kind)].failed.insert(index);
                    self.doubt(kind, index);
                }
            }
            if self.account.books.total_open() == 0 {
                self.silence = None;
            }
        }
    }

    /// Notes how far the acknowledgements are. What is handed over from here on comes behind them.
    fn note(&mut self, index: u64) {
        if self.doubts_from.is_some() {
            return;
        }
        let oldest = self.in_flight.iter().filter_map(InFlight::oldest).min().unwrap_or(index);
        while self.notes.get(1).is_some_and(|(at, _)| *at <= oldest) {
            self.notes.pop_front();
        }
        let offsets = Kind::BOTH.map(|kind| {
            let partitions = self.account.books.topic(kind).partitions();
            partitions.map(|p| (p.partition, p.last_offset + 1)).collect()
        });
        self.notes.push_back((index, offsets));
    }

    /// A record ended without an acknowledgement, but can be in the log.
    fn doubt(&mut self, kind: Kind, index: u64) {
        self.account.doubts[slot(kind)].in_doubt.insert(index);
        if self.doubts_from.is_none() {
            // The oldest note that is kept is older than every record that was in flight.
            self.doubts_from = self.notes.pop_front().map(|(_, offsets)| offsets);
            self.notes.clear();
        }
    }
}

impl ClientContext for Ledger {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let text = plain(message);
        {
            let mut state = self.state();
            if state.closed {
                // The summary is the last line of a run.
                return;
            }
            // librdkafka calls a connection that was closed on it an error only at times.
            if facility == "FAIL" {
                state.last_error = Some(text.clone());
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

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let text = if reason.is_empty() { error.to_string() } else { plain(reason) };
        let first = {
            let mut state = self.state();
            if state.closed {
                return;
            }
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
        state.reports += 1;
        if !state.in_flight[slot(stamp.kind)].remove(stamp.index) {
            // It was given up, and is in the log after all.
            let doubts = &mut state.account.doubts[slot(stamp.kind)];
            let is_stored = result.as_ref().is_ok_and(|message| message.offset() >= 0);
            if is_stored && doubts.in_doubt.contains(stamp.index) {
                doubts.found.insert(stamp.index);
            }
            return;
        }
        match result {
            Ok(message) if message.offset() >= 0 => {
                let account = &mut state.account;
                account.books.acknowledged(stamp.kind, message.partition(), message.offset());
                account.from_send.record(now.saturating_duration_since(stamp.sent));
                account.from_due.record(now.saturating_duration_since(stamp.due));
                let open = account.books.total_open();
                state.window.acknowledged(stamp.sent, now, open);
                state.answer();
            }
            // librdkafka infers a success where a later batch of the partition was accepted. The
            // broker may have refused this one: it takes any first sequence of a producer.
            Ok(_) => {
                state.account.books.unconfirmed(stamp.kind);
                state.account.doubts[slot(stamp.kind)].unresolved.insert(stamp.index);
                state.doubt(stamp.kind, stamp.index);
                state.answer();
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let failure = failure(code);
                let class = failure.class;
                state.account.books.failed(stamp.kind, failure);
                state.account.doubts[slot(stamp.kind)].failed.insert(stamp.index);
                if class != FailureClass::Denied {
                    state.doubt(stamp.kind, stamp.index);
                }
                // A record whose time ran out is no answer of the cluster.
                if class != FailureClass::Silence || state.account.books.total_open() == 0 {
                    state.answer();
                }
            }
        }
    }
}
