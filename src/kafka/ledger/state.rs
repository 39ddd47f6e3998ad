//! What the ledger has written down: pure, but for the clock readings that it is handed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::super::errors::failure;
use super::super::in_flight::{Doubts, InFlight, Stamp};
use super::super::window::Window;
use super::notes::Notes;
use super::{Account, Pending};
use crate::awake::Awake;
use crate::books::FailureClass;
use crate::event::Kind;
use crate::run::GRACE;

/// How exactly a record's time is kept.
const AGE_EVERY: Duration = Duration::from_millis(100);

/// How much longer than the delivery timeout a record waits: a cluster that answers nothing at all
/// ends the run before, with all of its records unresolved.
const PATIENCE: Duration = GRACE.saturating_mul(2);

/// Pairs between two notes of how far the acknowledgements were.
const NOTE_EVERY: u64 = 4096;

/// Counts, and which records wait or ended without an acknowledgement.
#[derive(Debug)]
pub(super) struct State {
    account: Account,
    in_flight: [InFlight; 2],
    window: Window,
    notes: Notes,
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
}

impl State {
    pub(super) fn new(delivery_timeout: Duration, target: Duration) -> Self {
        Self {
            account: Account::default(),
            in_flight: Default::default(),
            window: Window::new(target),
            notes: Notes::default(),
            closed: false,
            silence: None,
            awake: Awake::default(),
            ran_for: Duration::ZERO,
            delivery_timeout,
            ages: VecDeque::new(),
            next: [0, 0],
            reports: 0,
        }
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn silence(&self) -> Duration {
        self.silence.unwrap_or_default()
    }

    fn open(&self) -> u64 {
        self.account.books.total_open()
    }

    fn doubts(&mut self, kind: Kind) -> &mut Doubts {
        &mut self.account.doubts[kind as usize]
    }

    /// A record is about to be handed over; not while as many wait as can be delivered in time.
    pub(super) fn generated(&mut self, kind: Kind, index: u64) -> bool {
        if self.open() >= self.window.size() {
            return false;
        }
        self.account.books.generated(kind);
        self.in_flight[kind as usize].insert(index);
        self.next[kind as usize] = index + 1;
        self.silence.get_or_insert(Duration::ZERO);
        if kind == Kind::BOTH[0] && index.is_multiple_of(NOTE_EVERY) {
            self.note(index);
        }
        true
    }

    /// The queue had no room for it.
    pub(super) fn withdrawn(&mut self, kind: Kind, index: u64) {
        self.account.books.withdrawn(kind);
        self.in_flight[kind as usize].remove(index);
        if self.open() == 0 {
            self.silence = None;
        }
    }

    /// It was refused before it left.
    pub(super) fn refused(&mut self, kind: Kind, index: u64, code: RDKafkaErrorCode) {
        self.account.books.failed(kind, failure(code));
        self.in_flight[kind as usize].remove(index);
        self.doubts(kind).failed.insert(index);
        self.answer();
    }

    /// A delivery report came: where the record is, or an error. Success may come without an offset.
    pub(super) fn reported(
        &mut self,
        stamp: &Stamp,
        outcome: Result<(i32, Option<i64>), RDKafkaErrorCode>,
        now: Instant,
    ) {
        let Stamp { kind, index, .. } = *stamp;
        self.reports += 1;
        if !self.in_flight[kind as usize].remove(index) {
            // It was given up, and is in the log after all.
            let is_stored = matches!(outcome, Ok((_, Some(_))));
            let doubts = self.doubts(kind);
            if is_stored && doubts.in_doubt.contains(index) {
                doubts.found.insert(index);
            }
            return;
        }
        match outcome {
            Ok((partition, Some(offset))) => {
                self.account.books.acknowledged(kind, partition, offset);
                self.account.from_send.record(now.saturating_duration_since(stamp.sent));
                self.account.from_due.record(now.saturating_duration_since(stamp.due));
                let open = self.open();
                self.window.acknowledged(stamp.sent, now, open);
                self.answer();
            }
            // librdkafka infers a success where a later batch of the partition was accepted. The
            // broker may have refused this one: it takes any first sequence of a producer.
            Ok((_, None)) => {
                self.account.books.unconfirmed(kind);
                self.doubts(kind).unresolved.insert(index);
                self.doubt(kind, index);
                self.answer();
            }
            Err(code) => self.failed(kind, index, code),
        }
    }

    fn failed(&mut self, kind: Kind, index: u64, code: RDKafkaErrorCode) {
        let failure = failure(code);
        let class = failure.class;
        self.account.books.failed(kind, failure);
        self.doubts(kind).failed.insert(index);
        if class != FailureClass::Denied {
            self.doubt(kind, index);
        }
        // A record whose time ran out is no answer of the cluster.
        if class != FailureClass::Silence || self.open() == 0 {
            self.answer();
        }
    }

    fn answer(&mut self) {
        self.silence = (self.open() > 0).then_some(Duration::ZERO);
    }

    /// A look at the clock: lets time pass.
    pub(super) fn pending(&mut self, now: Instant) -> Pending {
        let lap = self.awake.lap(now);
        if let Some(silence) = &mut self.silence {
            *silence += lap;
        }
        self.ran_for += lap;
        if !self.closed {
            self.give_up_the_old();
        }
        let open = self.open();
        let ended = self.account.books.total_generated() - open;
        let answers = [ended, self.reports];
        Pending { answers, open, silence: self.silence(), closed: self.closed }
    }

    /// Gives up the records whose time is over.
    fn give_up_the_old(&mut self) {
        let now = self.ran_for;
        if self.ages.back().is_none_or(|(at, _)| now >= *at + AGE_EVERY) {
            self.ages.push_back((now, self.next));
        }
        while let Some((at, next)) = self.ages.front().copied()
            && now > at + self.delivery_timeout + PATIENCE
        {
            self.ages.pop_front();
            for kind in Kind::BOTH {
                while let Some(index) = self.in_flight[kind as usize].oldest()
                    && index < next[kind as usize]
                {
                    self.in_flight[kind as usize].remove(index);
                    self.failed(kind, index, RDKafkaErrorCode::MessageTimedOut);
                }
            }
        }
    }

    fn note(&mut self, index: u64) {
        let oldest = self.in_flight.iter().filter_map(InFlight::oldest).min().unwrap_or(index);
        let books = &self.account.books;
        self.notes.note(index, oldest, || {
            Kind::BOTH.map(|kind| {
                let partitions = books.topic(kind).partitions();
                partitions.map(|p| (p.partition, p.last_offset + 1)).collect()
            })
        });
    }

    /// A record ended without an acknowledgement, but can be in the log.
    fn doubt(&mut self, kind: Kind, index: u64) {
        self.doubts(kind).in_doubt.insert(index);
        self.notes.pin();
    }

    /// Nothing is taken in any more: what waits is unresolved.
    pub(super) fn close(&mut self) -> Account {
        if !self.closed {
            self.closed = true;
            for kind in Kind::BOTH {
                let open = self.in_flight[kind as usize].all();
                let doubts = self.doubts(kind);
                doubts.unresolved |= &open;
                doubts.in_doubt |= &open;
            }
            self.account.doubts_from = self.notes.from();
        }
        self.account.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// A run in which each pair is handed over, and what became of it is told afterwards.
    struct Run {
        state: State,
        now: Instant,
    }

    impl Run {
        fn new() -> Self {
            Self { state: State::new(TIMEOUT, TIMEOUT), now: Instant::now() }
        }

        /// Lets time pass while the process runs.
        fn pass(&mut self, time: Duration) -> Pending {
            let end = self.now + time;
            while self.now < end {
                self.now += Duration::from_millis(50);
                self.state.pending(self.now);
            }
            self.state.pending(self.now)
        }

        fn send(&mut self, index: u64) {
            assert!(Kind::BOTH.iter().all(|kind| self.state.generated(*kind, index)));
        }

        fn report(&mut self, index: u64, outcome: Result<Option<i64>, RDKafkaErrorCode>) {
            for kind in Kind::BOTH {
                let stamp = Stamp { kind, index, sent: self.now, due: self.now };
                self.state.reported(&stamp, outcome.map(|offset| (0, offset)), self.now);
            }
        }
    }

    #[test]
    fn what_has_no_offset_is_in_doubt_and_waits_for_nothing() {
        let mut run = Run::new();
        for index in 0..3 {
            run.send(index);
        }
        run.report(0, Ok(None));
        run.report(1, Ok(Some(0)));
        assert_eq!(run.pass(Duration::ZERO).open, 2);
        let account = run.state.close();
        let [metric, _] = &account.doubts;
        assert_eq!(metric.unresolved.iter().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(metric.in_doubt, metric.unresolved);
        assert_eq!(account.books.topic(Kind::Metric).unresolved(), 2);
    }

    #[test]
    fn a_record_is_given_up_after_the_delivery_timeout_and_not_for_a_pause() {
        let mut run = Run::new();
        run.pass(Duration::from_secs(1));
        run.send(0);
        run.pass(TIMEOUT / 2);
        // The process was stopped for an hour.
        run.now += Duration::from_secs(3600);
        assert_eq!(run.pass(TIMEOUT / 2).open, 2);
        assert_eq!(run.pass(PATIENCE).open, 0);
        assert_eq!(run.state.account().books.total_failed(), 2);
        // The report comes after all: it is in the log.
        run.report(0, Ok(Some(7)));
        let [metric, _] = run.state.close().doubts;
        assert_eq!((metric.failed.len(), metric.found.len(), metric.open()), (1, 1, 0));
    }

    #[test]
    fn a_refusal_of_rights_leaves_no_doubt() {
        let mut run = Run::new();
        run.send(0);
        run.report(0, Err(RDKafkaErrorCode::TopicAuthorizationFailed));
        let [metric, _] = run.state.close().doubts;
        assert_eq!((metric.failed.len(), metric.in_doubt.len()), (1, 0));
    }

    #[test]
    fn a_doubt_is_looked_for_behind_what_was_acknowledged_when_it_was_sent() {
        let mut run = Run::new();
        let lost = 3 * NOTE_EVERY + 5;
        for index in 0..4 * NOTE_EVERY {
            run.send(index);
            if index == lost {
                run.report(index, Ok(None));
            } else {
                run.report(index, Ok(Some(i64::try_from(index).unwrap())));
            }
        }
        let account = run.state.close();
        assert_eq!(account.doubts_from[0][&0], i64::try_from(3 * NOTE_EVERY).unwrap());
    }
}
