//! When each pair is scheduled: a function of timing, run and `seq`, without drift by construction.

mod gaps;

use std::time::Duration;

use jiff::Timestamp;

use super::day::Clock;
use super::{Name, Shard};
use gaps::Gaps;

/// The law of the gaps between the starts of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Equal gaps.
    Fixed,
    /// Exponential gaps.
    Poisson,
    /// Gaps as bursty as the workload's own trace.
    Workload,
}

impl Law {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Fixed, Self::Poisson, Self::Workload];

    /// The law as it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Poisson => "poisson",
            Self::Workload => "workload",
        }
    }
}

/// What decides when the pairs of a run are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The law of the gaps.
    pub law: Law,
    /// Whose trace the gaps are taken from, if the law says so.
    pub workload: Name,
    /// Mean gap.
    pub mean: Duration,
    /// Pairs of the whole run.
    pub pairs: u64,
    /// No pair is due at this time after the start, or later.
    pub until: Option<Duration>,
    /// The event time at which a backfill starts.
    pub backfill_from: Option<Timestamp>,
    /// The part of the run that this process sends.
    pub shard: Shard,
}

/// A pair of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Index of the pair in the run, from 0.
    pub seq: u64,
    /// Time from the start of the run (or from `EVENT_START`) to the start of the pair.
    pub offset: Duration,
}

/// The pairs of this process, in the order of their times.
#[derive(Debug, Clone)]
pub struct Schedule {
    gaps: Gaps,
    mean: Duration,
    /// The shape of the day, if the run is a backfill.
    day: Option<Clock>,
    shard: Shard,
    pairs: u64,
    until: Option<Duration>,
    /// The next pair of the unsharded run.
    next: Due,
}

impl Schedule {
    /// The schedule of a run.
    #[must_use]
    pub fn new(timing: &Timing, run_seed: u64, run_id: &str) -> Self {
        // Only a backfill has a known start. The shards of a live run start at different times, and
        // need one schedule.
        let day = timing.backfill_from.filter(|_| timing.law == Law::Workload);
        Self {
            gaps: Gaps::new(timing, run_seed, run_id),
            mean: timing.mean,
            day: day.map(Clock::starting),
            shard: timing.shard,
            pairs: timing.pairs,
            until: timing.until,
            next: Due { seq: 0, offset: Duration::ZERO },
        }
    }

    /// How many pairs this process will send; `None` if that is known only at the end of the run.
    #[must_use]
    pub fn planned_pairs(&self) -> Option<u64> {
        let pairs = match (self.until, &self.gaps) {
            (None, _) => self.pairs,
            (Some(until), Gaps::Equal) if !self.mean.is_zero() => {
                let before = until.as_nanos().div_ceil(self.mean.as_nanos());
                u64::try_from(before).unwrap_or(u64::MAX).min(self.pairs)
            }
            (Some(_), _) => return None,
        };
        Some(self.shard.share_of(pairs))
    }

    /// Advances by one pair of the unsharded run.
    fn step(&mut self) {
        let Due { seq, offset } = self.next;
        let Some(relative) = self.gaps.next(seq) else {
            self.next = Due { seq: seq + 1, offset: times(self.mean, seq + 1) };
            return;
        };
        let gap = self.mean.as_secs_f64() * relative;
        let gap = self.day.as_mut().map_or(gap, |day| day.count(gap));
        let offset = offset.saturating_add(seconds(gap));
        self.next = Due { seq: seq + 1, offset };
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// `duration * n`, exact.
fn times(duration: Duration, n: u64) -> Duration {
    const BILLION: u128 = 1_000_000_000;
    let nanos = duration.as_nanos().saturating_mul(u128::from(n));
    let secs = u64::try_from(nanos / BILLION).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % BILLION).unwrap_or(0);
    Duration::new(secs, rest)
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        loop {
            let due = self.next;
            if due.seq >= self.pairs || self.until.is_some_and(|until| due.offset >= until) {
                return None;
            }
            self.step();
            if self.shard.place_of(due.seq).is_some() {
                return Some(due);
            }
        }
    }
}

#[cfg(test)]
mod tests;
