//! When each pair is scheduled: a function of the settings and `seq`, without drift by
//! construction.

mod gaps;

use std::time::Duration;

use super::day::Clock;
use crate::settings::{ArrivalsName, Settings, Shard};
use gaps::Gaps;

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
    batch: u64,
    until: Option<Duration>,
    /// The next pair of the unsharded run.
    next: Due,
}

impl Schedule {
    /// The schedule of a run.
    #[must_use]
    pub fn new(settings: &Settings, run_seed: u64, run_id: &str) -> Self {
        // Only a backfill has a known start. The shards of a live run start at different times, and
        // need one schedule.
        let day = settings.event_start.filter(|_| settings.arrivals == ArrivalsName::Workload);
        Self {
            gaps: Gaps::new(settings, run_seed, run_id),
            mean: settings.sleep,
            day: day.map(Clock::starting),
            shard: settings.shard,
            batch: settings.batch,
            until: settings.duration,
            next: Due { seq: 0, offset: Duration::ZERO },
        }
    }

    /// How many pairs this process will send; `None` if that is known only at the end of the run.
    #[must_use]
    pub fn planned_pairs(&self) -> Option<u64> {
        let pairs = match (self.until, &self.gaps) {
            (None, _) => self.batch,
            (Some(until), Gaps::Equal) if !self.mean.is_zero() => {
                let before = until.as_nanos().div_ceil(self.mean.as_nanos());
                u64::try_from(before).unwrap_or(u64::MAX).min(self.batch)
            }
            (Some(_), _) => return None,
        };
        let Shard { index, count } = self.shard;
        let rest = u64::from(pairs % u64::from(count) > u64::from(index));
        Some(pairs / u64::from(count) + rest)
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
        let Shard { index, count } = self.shard;
        loop {
            let due = self.next;
            if due.seq >= self.batch || self.until.is_some_and(|until| due.offset >= until) {
                return None;
            }
            self.step();
            if due.seq % u64::from(count) == u64::from(index) {
                return Some(due);
            }
        }
    }
}

#[cfg(test)]
mod tests;
