//! When each pair is scheduled: a function of timing, run and `seq`, without drift by construction.

mod gaps;
mod gpus;
mod spacing;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::incidents::Surges;
use super::timeline::{Clock, Timeline};
use super::{Name, Shard};
use gaps::Gaps;
pub use gpus::Gpus;
pub use spacing::{Gpu, Spacing};

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

    /// All, as they are written.
    pub const WORDS: [&'static str; 3] = {
        let [a, b, c] = Self::ALL;
        [a.word(), b.word(), c.word()]
    };

    /// The law as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
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
    /// The time at which the run starts: `EVENT_START`, or else now.
    pub start: Timestamp,
    /// The part of the run that this process sends.
    pub shard: Shard,
}

impl Timing {
    /// What moves the rate of the requests and the load.
    pub(super) fn timeline(&self, run_seed: u64) -> Timeline {
        Timeline::new(self.workload, self.mean, self.law == Law::Workload, run_seed)
    }
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
    /// Runs at the rate of the workload, if the law is its own.
    clock: Option<Box<Clock>>,
    gpus: Arc<Gpus>,
    /// Keeps pairs of one GPU apart, if there is room.
    spacing: Option<Spacing>,
    /// The start of the run, ms since 1970, and how far it is into that millisecond, ns.
    start_ms: i64,
    into_ms_ns: u64,
    surges: Option<Surges>,
    /// How many times as many pairs as usual can be kept apart.
    room: f64,
    shard: Shard,
    pairs: u64,
    until: Option<Duration>,
    /// The next pair of the unsharded run, before it is kept apart from others.
    next: Due,
}

impl Schedule {
    /// The schedule of a run.
    #[must_use]
    pub fn new(timing: &Timing, gpus: Arc<Gpus>, run_seed: u64, run_id: &str) -> Self {
        let surges = gpus.incidents.as_ref().and_then(|incidents| incidents.surges(timing.start));
        let clocked = timing.law == Law::Workload && !timing.mean.is_zero();
        let clock = || {
            let clock = Clock::starting(timing.timeline(run_seed), timing.start.as_millisecond());
            Box::new(clock.amid(surges.as_ref()))
        };
        // Equal gaps of a millisecond or more need nothing.
        let apart = timing.law == Law::Fixed && timing.mean >= MILLISECOND && surges.is_none();
        let spaced = !apart && gpus.have_room(timing.mean);
        Self {
            gaps: Gaps::new(timing, run_seed, run_id),
            mean: timing.mean,
            clock: clocked.then(clock),
            spacing: spaced.then(Spacing::default),
            start_ms: timing.start.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(0),
            into_ms_ns: timing.start.as_nanosecond().rem_euclid(1_000_000).try_into().unwrap_or(0),
            room: gpus.room(timing.mean),
            surges,
            shard: timing.shard,
            pairs: timing.pairs,
            until: timing.until,
            gpus,
            next: Due { seq: 0, offset: Duration::ZERO },
        }
    }

    /// How many pairs this process will send; `None` if that is known only at the end of the run.
    #[must_use]
    pub fn planned_pairs(&self) -> Option<u64> {
        let pairs = match (self.until, &self.gaps) {
            (None, _) => self.pairs,
            (Some(_), _) if self.surges.is_some() => return None,
            (Some(until), Gaps::Equal) if !self.mean.is_zero() => {
                let before = until.as_nanos().div_ceil(self.mean.as_nanos());
                u64::try_from(before).unwrap_or(u64::MAX).min(self.pairs)
            }
            (Some(_), _) => return None,
        };
        Some(self.shard.share_of(pairs))
    }

    /// The same by following the schedule where nothing shorter tells; `None` where the clock ends the
    /// run. That takes a second for some ten million pairs.
    #[must_use]
    pub fn count_pairs(&self) -> Option<u64> {
        let by_the_clock = self.until.is_some() && self.mean.is_zero();
        let follow = || (!by_the_clock).then(|| self.clone().count() as u64);
        self.planned_pairs().or_else(follow)
    }

    /// Whether a formula tells when each pair is due: [`Self::even_offset`].
    #[must_use]
    pub fn is_even(&self) -> bool {
        let is_equal = matches!(self.gaps, Gaps::Equal) && self.surges.is_none();
        (is_equal || self.mean.is_zero()) && self.spacing.is_none() && self.clock.is_none()
    }

    /// When the pair at a place of the shard is due, where a formula tells; `None` behind the end.
    #[must_use]
    pub fn even_offset(&self, place: u64) -> Option<Duration> {
        let count = u64::from(self.shard.count);
        let seq = place.checked_mul(count)?.checked_add(u64::from(self.shard.index))?;
        let due = self.moved(Due { seq, offset: times(self.mean, seq) });
        let is_within = seq < self.pairs && self.until.is_none_or(|until| due.offset < until);
        is_within.then_some(due.offset)
    }

    /// Places of the shard at most.
    #[must_use]
    pub fn most_pairs(&self) -> u64 {
        self.shard.share_of(self.pairs)
    }

    /// The part of the run that this process sends.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Advances by one pair of the unsharded run.
    fn step(&mut self) {
        let Due { seq, offset } = self.next;
        let Some(relative) = self.gaps.after(seq) else {
            self.next = Due { seq: seq + 1, offset: times(self.mean, seq + 1) };
            return;
        };
        let gap = self.mean.as_secs_f64() * relative;
        let gap = self.clock.as_mut().map_or(gap, |clock| clock.count(gap));
        let offset = offset.saturating_add(seconds(gap));
        self.next = Due { seq: seq + 1, offset };
    }

    /// The pair at the time that surges leave it. A clock has counted them already.
    fn moved(&self, due: Due) -> Due {
        let Some(surges) = self.surges.as_ref().filter(|_| self.clock.is_none()) else {
            return due;
        };
        // 584 years are enough; beyond them nothing is moved.
        let Ok(usual_ns) = u64::try_from(due.offset.as_nanos()) else { return due };
        Due { offset: Duration::from_nanos(surges.moved(usual_ns)), ..due }
    }

    /// The pair in a millisecond in which its GPU has no other.
    fn spaced(&mut self, due: Due) -> Due {
        const MS: u64 = 1_000_000;
        let Some(spacing) = &mut self.spacing else { return due };
        // 584 years are enough; beyond them pairs are not kept apart.
        let Ok(offset_ns) = u64::try_from(due.offset.as_nanos()) else { return due };
        let wanted = (self.into_ms_ns + offset_ns) / MS;
        let crowded = |surges: &Surges| surges.factor(offset_ns) > self.room;
        let ms = if self.surges.as_ref().is_some_and(crowded) {
            spacing.after(wanted.cast_signed())
        } else {
            spacing.take(wanted.cast_signed(), |ms| self.gpus.of(due.seq, || self.start_ms + ms))
        };
        let ms = ms.cast_unsigned();
        if ms == wanted {
            return due;
        }
        Due { offset: Duration::from_nanos(ms * MS - self.into_ms_ns), ..due }
    }
}

/// What keeps two pairs of a key apart: `ts` has milliseconds.
const MILLISECOND: Duration = Duration::from_millis(1);

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
            let due = self.moved(self.next);
            if due.seq >= self.pairs || self.until.is_some_and(|until| due.offset >= until) {
                return None;
            }
            self.step();
            let due = self.spaced(due);
            if self.shard.place_of(due.seq).is_some() {
                return Some(due);
            }
        }
    }
}

#[cfg(test)]
mod tests;
