//! Takes in delivery reports: which records they end, and which wait for too long.
//!
//! How many records have been handed over is told to it, and it may hear of a delivery report before it
//! hears of its record.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::in_flight::InFlight;
use super::notes::Notes;
use super::times::{SendTimes, TimesDigest};
use super::window::Window;
use super::{Counts, Delivered, Doubts, Failure, FailureClass, InFlightRecord, Totals};
use crate::awake::Awake;
use crate::event::Kind;

/// How exactly a record's time is kept.
const AGE_EVERY: Duration = Duration::from_millis(100);

/// Pairs between two notes of how far the acknowledgements were.
const NOTE_EVERY: u64 = 4096;

/// Counts, and which records are in flight or ended without an acknowledgement.
#[derive(Debug)]
pub struct Accounting {
    totals: Totals,
    in_flight: [InFlight; 2],
    window: Window,
    notes: Notes,
    /// How long records have waited without an answer to any; `None` while none waits.
    silent_for: Option<Duration>,
    awake: Awake,
    /// How long this process has run since the first look.
    ran_for: Duration,
    /// How long a record may wait, and its failure if it has waited longer.
    give_up: (Duration, Failure),
    /// How long the process had run when these were the next indexes to be handed over.
    ages: VecDeque<(Duration, [u64; 2])>,
    /// The next index of each topic.
    next: [u64; 2],
    /// Acknowledged records whose times are still to be added up: index and partition.
    untimed: [Vec<(u64, i32)>; 2],
}

impl Accounting {
    /// The accounting of a run whose records fail as `timed_out` after `timeout`, and should wait for
    /// `target` at the most.
    #[must_use]
    pub fn new(timeout: Duration, timed_out: Failure, target: Duration) -> Self {
        Self::of(Totals::default(), (timeout, timed_out), target)
    }

    /// The same of a client without idempotence: a record that is sent again can be in the log twice,
    /// and behind later ones.
    #[must_use]
    pub fn reordered(timeout: Duration, timed_out: Failure, target: Duration) -> Self {
        let mut totals = Totals { counts: Counts::reordered(), ..Totals::default() };
        for doubts in &mut totals.doubts {
            doubts.copies_unknown = true;
        }
        Self::of(totals, (timeout, timed_out), target)
    }

    fn of(totals: Totals, give_up: (Duration, Failure), target: Duration) -> Self {
        Self {
            totals,
            in_flight: Default::default(),
            window: Window::new(target, Duration::ZERO),
            notes: Notes::default(),
            silent_for: None,
            awake: Awake::default(),
            ran_for: Duration::ZERO,
            give_up,
            ages: VecDeque::new(),
            next: [0, 0],
            untimed: Default::default(),
        }
    }

    /// Counts and latencies so far.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The same of a client that waits so long for a batch to fill.
    #[must_use]
    pub fn lingering(mut self, target: Duration, linger: Duration) -> Self {
        self.window = Window::new(target, linger);
        self
    }

    /// How many records may be in flight.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.window.size()
    }

    /// How long records have been in flight without an answer to any of them.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.silent_for.unwrap_or_default()
    }

    /// Records that have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.totals.counts.total_generated() - self.in_flight()
    }

    fn in_flight(&self) -> u64 {
        self.totals.counts.total_in_flight()
    }

    fn doubts(&mut self, kind: Kind) -> &mut Doubts {
        &mut self.totals.doubts[kind as usize]
    }

    /// So many records of each topic have been handed over.
    pub fn handed_over(&mut self, next: [u64; 2]) {
        for kind in Kind::BOTH {
            let (slot, next) = (kind as usize, next[kind as usize]);
            for index in self.next[slot]..next {
                self.in_flight[slot].insert(index);
            }
            let noted = self.next[slot] / NOTE_EVERY;
            self.next[slot] = self.next[slot].max(next);
            self.totals.counts.generated(kind, next);
            if slot == 0 && next / NOTE_EVERY > noted {
                self.note();
            }
        }
        if self.in_flight() > 0 {
            self.silent_for.get_or_insert(Duration::ZERO);
        }
    }

    /// A record was refused before it left, and is counted as handed over.
    pub fn refused(&mut self, kind: Kind, index: u64, failure: Failure) {
        self.totals.counts.failed(kind, failure);
        self.in_flight[kind as usize].remove(index);
        self.doubts(kind).failed.insert(index);
        self.answer();
    }

    /// The record with this index has been handed over, and so have all before it.
    fn handed_over_to(&mut self, kind: Kind, index: u64) {
        if index >= self.next[kind as usize] {
            let mut next = self.next;
            next[kind as usize] = index + 1;
            self.handed_over(next);
        }
    }

    /// A delivery report came.
    pub fn reported(&mut self, report: Delivered, now: Instant) {
        let Delivered { record, outcome, trace } = report;
        let InFlightRecord { kind, index, .. } = record;
        self.handed_over_to(kind, index);
        if let Some(trace) = trace {
            self.doubts(kind).trace(index, trace);
        }
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
                self.totals.counts.acknowledged(kind, index, (partition, offset));
                self.untimed[kind as usize].push((index, partition));
                self.totals.from_send.record(record.waited);
                self.totals.from_scheduled.record(record.waited + record.late_by);
                let in_flight = self.totals.counts.total_in_flight();
                let sent = now.checked_sub(record.waited).unwrap_or(now);
                self.window.acknowledged(sent, now, in_flight);
                self.answer();
            }
            // librdkafka infers a success if a later batch of the partition was accepted. The broker
            // may have refused this one: it takes any first sequence of a producer.
            Ok((_, None)) => self.unconfirmed(kind, index),
            Err(failure) if failure.class == FailureClass::Purged => self.unconfirmed(kind, index),
            Err(failure) => self.failed(kind, index, failure),
        }
    }

    fn unconfirmed(&mut self, kind: Kind, index: u64) {
        self.totals.counts.unconfirmed(kind);
        self.doubts(kind).unresolved.insert(index);
        self.doubt(kind, index);
        self.answer();
    }

    fn failed(&mut self, kind: Kind, index: u64, failure: Failure) {
        let class = failure.class;
        self.totals.counts.failed(kind, failure);
        self.doubts(kind).failed.insert(index);
        // What a broker refused, or never got, is not in its log.
        if class != FailureClass::Denied && !self.doubts(kind).unstored.contains(index) {
            self.doubt(kind, index);
        }
        // A record that timed out is no answer of the cluster.
        if class != FailureClass::Silence || self.in_flight() == 0 {
            self.answer();
        }
    }

    /// Adds up the times of what was acknowledged, and has those forgotten that nothing needs any more.
    pub fn add_times(&mut self, sent: &mut SendTimes) {
        for kind in Kind::BOTH {
            let digests = &mut self.totals.times[kind as usize];
            for (index, partition) in self.untimed[kind as usize].drain(..) {
                let Ok(partition) = usize::try_from(partition) else { continue };
                if digests.len() <= partition {
                    digests.resize(partition + 1, TimesDigest::default());
                }
                if let Some((weight, ms)) = sent.of(kind, index) {
                    digests[partition].add(weight, ms);
                }
            }
            let oldest = self.in_flight[kind as usize].oldest();
            sent.forget_below(kind, oldest.unwrap_or(self.next[kind as usize]));
        }
    }

    fn answer(&mut self) {
        self.silent_for = (self.in_flight() > 0).then_some(Duration::ZERO);
    }

    /// Lets time pass, and gives up the records that have waited too long.
    pub fn pass(&mut self, now: Instant) {
        let lap = self.awake.lap(now);
        self.silent_for = self.silent_for.map(|silent_for| silent_for + lap);
        self.ran_for += lap;
        self.give_up_the_old();
    }

    fn give_up_the_old(&mut self) {
        let now = self.ran_for;
        if self.ages.back().is_none_or(|(at, _)| now >= *at + AGE_EVERY) {
            self.ages.push_back((now, self.next));
        }
        while let Some((at, next)) = self.ages.front().copied()
            && now > at + self.give_up.0
        {
            self.ages.pop_front();
            for kind in Kind::BOTH {
                while let Some(index) = self.in_flight[kind as usize].oldest()
                    && index < next[kind as usize]
                {
                    self.in_flight[kind as usize].remove(index);
                    self.failed(kind, index, self.give_up.1.clone());
                }
            }
        }
    }

    /// Notes how far the acknowledgements are.
    fn note(&mut self) {
        // The pair that comes next may be on its way already, and is not counted yet.
        let index = self.next[0] + 1;
        let oldest = self.in_flight.iter().filter_map(InFlight::oldest).min().unwrap_or(index);
        let counts = &self.totals.counts;
        self.notes.note(index, oldest, || {
            Kind::BOTH.map(|kind| {
                let partitions = counts.topic(kind).partitions();
                partitions.map(|p| (p.partition, p.last_offset + 1)).collect()
            })
        });
    }

    /// A record ended without an acknowledgement, but can be in the log.
    fn doubt(&mut self, kind: Kind, index: u64) {
        self.doubts(kind).in_doubt.insert(index);
        self.notes.pin();
    }

    /// No delivery report follows: what is in flight is unresolved.
    #[must_use]
    pub fn close(mut self) -> Totals {
        for kind in Kind::BOTH {
            let in_flight = self.in_flight[kind as usize].all();
            let doubts = self.doubts(kind);
            doubts.unresolved |= &in_flight;
            doubts.in_doubt |= &in_flight;
        }
        self.totals.doubts_from = self.notes.from();
        self.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Trace;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn failure(class: FailureClass) -> Failure {
        Failure { kind: format!("{class:?}"), class }
    }

    /// A run in which pairs are handed over, and their delivery reports come afterwards.
    struct Run {
        accounting: Accounting,
        now: Instant,
    }

    impl Run {
        fn new() -> Self {
            let timed_out = failure(FailureClass::Silence);
            Self { accounting: Accounting::new(TIMEOUT, timed_out, TIMEOUT), now: Instant::now() }
        }

        /// Lets time pass while the process runs.
        fn pass(&mut self, time: Duration) -> u64 {
            let end = self.now + time;
            while self.now < end {
                self.now += Duration::from_millis(50);
                self.accounting.pass(self.now);
            }
            self.accounting.pass(self.now);
            self.accounting.in_flight()
        }

        fn send(&mut self, index: u64) {
            self.accounting.handed_over([index + 1; 2]);
        }

        fn report(&mut self, index: u64, outcome: Result<Option<i64>, Failure>) {
            self.report_with(index, outcome, None);
        }

        fn report_with(
            &mut self,
            index: u64,
            outcome: Result<Option<i64>, Failure>,
            trace: Option<Trace>,
        ) {
            for kind in Kind::BOTH {
                let (waited, late_by) = (Duration::ZERO, Duration::ZERO);
                let record = InFlightRecord { kind, index, waited, late_by };
                let outcome = outcome.clone().map(|offset| (0, offset));
                self.accounting.reported(Delivered { record, outcome, trace }, self.now);
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
        assert_eq!(run.pass(Duration::ZERO), 2);
        let totals = run.accounting.close();
        let [metric, _] = &totals.doubts;
        assert_eq!(metric.unresolved.iter().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(metric.in_doubt, metric.unresolved);
        assert_eq!(totals.counts.topic(Kind::Metric).unresolved(), 2);
    }

    #[test]
    fn a_record_is_given_up_after_the_delivery_timeout_and_not_for_a_pause() {
        let mut run = Run::new();
        run.pass(Duration::from_secs(1));
        run.send(0);
        run.pass(TIMEOUT / 2);
        // The process was stopped for an hour.
        run.now += Duration::from_secs(3600);
        assert_eq!(run.pass(TIMEOUT / 2 - Duration::from_secs(1)), 2);
        assert_eq!(run.pass(Duration::from_secs(2)), 0);
        assert_eq!(run.accounting.totals().counts.total_failed(), 2);
        // The report comes after all: it is in the log.
        run.report(0, Ok(Some(7)));
        let [metric, _] = run.accounting.close().doubts;
        assert_eq!((metric.failed.len(), metric.found.len(), metric.open()), (1, 1, 0));
    }

    #[test]
    fn what_no_broker_can_have_stored_is_not_in_doubt() {
        let mut run = Run::new();
        for index in 0..3 {
            run.send(index);
        }
        let trace = |may_be_stored| Some(Trace { digest: 77, may_be_stored });
        run.report_with(0, Err(failure(FailureClass::Refused)), trace(false));
        run.report_with(1, Err(failure(FailureClass::Refused)), trace(true));
        let [metric, _] = run.accounting.close().doubts;
        assert_eq!(metric.failed.iter().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(metric.in_doubt.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(metric.unstored.iter().collect::<Vec<_>>(), [0]);
        assert_eq!(metric.digests.into_iter().collect::<Vec<_>>(), [(1, 77)]);
    }

    #[test]
    fn what_was_taken_back_at_the_end_is_unresolved_and_not_failed() {
        let mut run = Run::new();
        run.send(0);
        let trace = Trace { digest: 5, may_be_stored: true };
        run.report_with(0, Err(failure(FailureClass::Purged)), Some(trace));
        let totals = run.accounting.close();
        let (counts, [metric, _]) = (&totals.counts, &totals.doubts);
        assert_eq!((counts.total_failed(), counts.total_unresolved()), (0, 2));
        assert_eq!((metric.unresolved.len(), metric.in_doubt.len()), (1, 1));
        assert_eq!(metric.digests.get(&0), Some(&5));
    }

    #[test]
    fn latency_is_counted_from_the_hand_over_and_from_the_scheduled_time() {
        let mut run = Run::new();
        run.send(0);
        let (waited, late_by) = (Duration::from_millis(20), Duration::from_millis(300));
        let record = InFlightRecord { kind: Kind::Metric, index: 0, waited, late_by };
        let outcome = Ok((0, Some(0)));
        run.accounting.reported(Delivered { record, outcome, trace: None }, run.now);
        let totals = run.accounting.close();
        let [send, scheduled] =
            [totals.from_send, totals.from_scheduled].map(|times| times.quantiles().unwrap().max);
        assert!((20.0..21.0).contains(&send), "{send}");
        assert!((320.0..325.0).contains(&scheduled), "{scheduled}");
    }

    #[test]
    fn silence_lasts_from_the_last_answer_and_ends_with_the_next_one() {
        let mut run = Run::new();
        let second = Duration::from_secs(1);
        run.pass(second);
        assert_eq!(run.accounting.silent_for(), Duration::ZERO, "nothing is in flight");
        run.send(0);
        run.send(1);
        run.pass(second);
        let silent = run.accounting.silent_for();
        assert!((second..2 * second).contains(&silent), "{silent:?}");
        run.report(0, Ok(Some(0)));
        assert_eq!(run.accounting.silent_for(), Duration::ZERO);
        run.pass(second);
        run.report(1, Err(failure(FailureClass::Silence)));
        assert_eq!(run.accounting.silent_for(), Duration::ZERO, "nothing is in flight any more");
    }

    #[test]
    fn a_refusal_of_rights_leaves_no_doubt() {
        let mut run = Run::new();
        run.send(0);
        run.report(0, Err(failure(FailureClass::Denied)));
        let [metric, _] = run.accounting.close().doubts;
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
        let totals = run.accounting.close();
        let from = u64::try_from(totals.doubts_from[0][&0]).unwrap();
        assert!((2 * NOTE_EVERY - 1..=lost).contains(&from), "{from}");
    }

    #[test]
    fn the_times_of_what_was_acknowledged_are_added_up_whoever_takes_the_answer_in() {
        let (mut run, mut times) = (Run::new(), SendTimes::default());
        let mut acknowledged = TimesDigest::default();
        for index in 0..9_u64 {
            let (weight, ms) = (2 * index + 1, 1_000 + index.cast_signed());
            Kind::BOTH.iter().for_each(|kind| times.note(*kind, index, weight, ms));
            run.send(index);
            match index % 3 {
                0 => run.report(index, Ok(None)),
                1 => run.report(index, Err(failure(FailureClass::Refused))),
                _ => {
                    run.report(index, Ok(Some(index.cast_signed())));
                    acknowledged.add(weight, ms);
                }
            }
            if index % 4 == 3 {
                run.accounting.add_times(&mut times);
            }
        }
        run.accounting.add_times(&mut times);
        assert_eq!(run.accounting.close().times, [vec![acknowledged], vec![acknowledged]]);
        assert_eq!(times.of(Kind::Metric, 8), None, "nothing waits for it");
    }

    #[test]
    fn a_report_may_come_before_its_record_is_counted() {
        let mut run = Run::new();
        run.report(1, Ok(Some(0)));
        assert_eq!(run.pass(Duration::ZERO), 2);
        run.accounting.handed_over([1, 1]);
        assert_eq!(run.accounting.totals().counts.total_generated(), 4);
        run.send(1);
        run.report(0, Ok(Some(1)));
        assert_eq!(run.pass(Duration::ZERO), 0);
        assert_eq!(run.accounting.totals().counts.total_acknowledged(), 4);
    }
}
