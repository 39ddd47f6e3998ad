//! When to send, to wait and to give up: pure, but for the readings that it is handed.

use std::time::Duration;

use tokio::time::Instant;

use super::LoopEnd;
use crate::awake::Awake;
use crate::delivery::Ending;
use crate::faults::FaultCounts;
use crate::histogram::Times;
use crate::host::signals::Received;
use crate::plan::Emission;

/// How much longer than the delivery timeout a run waits for a cluster that answers nothing: an answer
/// that came in time still has to be polled. What is in flight then is unresolved. A run without a
/// broker is to end within 2 s of the timeout, and reading the log and closing a client with a full
/// queue take their part of that.
pub const GRACE: Duration = Duration::from_millis(600);

/// How often a waiting run looks at its limits.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(100);

/// How a run is paced and bounded.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Whether each pair waits for its time.
    pub waits: bool,
    /// Bound on the wall clock, for a run whose pairs are sent as fast as they can be.
    pub wall_limit: Option<Duration>,
    /// How long a record may wait for its delivery report.
    pub delivery_timeout: Duration,
}

/// What the loop sees at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) now: Instant,
    pub(super) signals: Received,
    pub(super) in_flight: u64,
    /// How long records have been in flight without an answer to any of them.
    pub(super) silent_for: Duration,
    pub(super) is_fatal: bool,
    pub(super) has_room: bool,
    /// What is to be sent next.
    pub(super) next: Option<Emission>,
}

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Send the next record.
    Send,
    /// Look again at this time, or as soon as something happens.
    Wait(Instant),
    /// Nothing more is sent: wait for answers until this time.
    Drain(Instant),
    /// It is over.
    End(Ending),
}

/// Where a run is between its start and its end.
#[derive(Debug)]
pub(super) struct Pacing {
    limits: Limits,
    start: Instant,
    /// Why nothing more is sent.
    sent: Option<Ending>,
    awake: Awake,
    /// How long answers have been waited for since then, without the time in which the process did not
    /// run: what came in it still lies in the socket.
    drained_for: Duration,
}

impl Pacing {
    pub(super) fn new(limits: Limits, start: Instant) -> Self {
        let (awake, drained_for) = (Awake::default(), Duration::ZERO);
        Self { limits, start, sent: None, awake, drained_for }
    }

    /// When a record is scheduled.
    pub(super) fn scheduled(&self, emission: &Emission) -> Instant {
        // An instant further away than this would overflow.
        const CENTURY: Duration = Duration::from_secs(100 * 31_536_000);
        self.start + emission.scheduled.min(CENTURY)
    }

    /// How late a record is at `now`; at full speed none is.
    pub(super) fn late_by(&self, emission: &Emission, now: Instant) -> Duration {
        if !self.limits.waits {
            return Duration::ZERO;
        }
        now.saturating_duration_since(self.scheduled(emission))
    }

    /// Whether records wait for their time.
    pub(super) fn waits(&self) -> bool {
        self.limits.waits
    }

    /// The end of a loop that was paced.
    pub(super) fn end(self, ending: Ending, lateness: Times, faults: FaultCounts) -> LoopEnd {
        let sent_all = self.sent == Some(Ending::Completed);
        let drained_for = self.drained_for;
        LoopEnd {
            ending,
            sent_all,
            lateness,
            faults,
            incidents: Vec::new(),
            latest_ms: None,
            drained_for,
        }
    }

    /// What to do next.
    pub(super) fn step(&mut self, seen: &Seen) -> Step {
        if self.sent.is_none() {
            match self.sending(seen) {
                Ok(step) => return step,
                Err(sent) => self.sent = Some(sent),
            }
        }
        self.draining(seen)
    }

    /// What to do while records remain; why none does.
    fn sending(&self, seen: &Seen) -> Result<Step, Ending> {
        let Some(next) = seen.next else { return Err(Ending::Completed) };
        // A signal between the two records of a pair lets the second follow; another does not.
        let stops =
            if next.begins_pair() { seen.signals.first.is_some() } else { seen.signals.again };
        if let Some(signal) = seen.signals.first.filter(|_| stops) {
            return Err(Ending::Signalled(signal));
        }
        if let Some(ending) = self.hopeless(seen) {
            return Ok(Step::End(ending));
        }
        let limit = self.limits.wall_limit.filter(|_| next.begins_pair());
        if limit.is_some_and(|limit| seen.now >= self.start + limit) {
            return Err(Ending::Completed);
        }
        let scheduled = self.scheduled(&next);
        if self.limits.waits && scheduled > seen.now {
            return Ok(Step::Wait(scheduled));
        }
        Ok(if seen.has_room { Step::Send } else { Step::Wait(seen.now + WATCH_EVERY) })
    }

    /// What to do once nothing more is sent: all records have their answer, a second signal came, or
    /// waiting makes no sense any more.
    fn draining(&mut self, seen: &Seen) -> Step {
        self.drained_for += self.awake.lap(seen.now.into_std());
        let sent = self.sent.unwrap_or(Ending::Completed);
        // What ended the sending is the reason, unless the whole plan was sent.
        let end = |ending| Step::End(if sent == Ending::Completed { ending } else { sent });
        if seen.in_flight == 0 {
            return end(sent);
        }
        if let Some(signal) = seen.signals.first.filter(|_| seen.signals.again) {
            return end(Ending::Signalled(signal));
        }
        if let Some(ending) = self.hopeless(seen) {
            return end(ending);
        }
        let limit = self.limits.delivery_timeout + GRACE;
        match limit.checked_sub(self.drained_for).filter(|left| !left.is_zero()) {
            Some(left) => Step::Drain(seen.now + left),
            None => end(Ending::Silence),
        }
    }

    /// Why waiting for answers makes no sense any more.
    fn hopeless(&self, seen: &Seen) -> Option<Ending> {
        if seen.is_fatal {
            return Some(Ending::Fatal);
        }
        (seen.silent_for > self.limits.delivery_timeout + GRACE).then_some(Ending::Silence)
    }
}

#[cfg(test)]
mod tests;
