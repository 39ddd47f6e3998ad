//! When each pair is due: a function of the settings and `seq`, drift-free by construction.

use std::time::Duration;

use rand_distr::{Distribution, Exp1, Gamma};

use super::rng::Stream;
use crate::settings::{ArrivalsName, Settings, Shard, WorkloadName};

/// A pair of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Index of the pair in the run, from 0.
    pub seq: u64,
    /// Time from the start of the run (or from `EVENT_START`) to the start of the pair.
    pub offset: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Gaps {
    Equal,
    Exponential,
    /// Gaps relative to their mean.
    Gamma(Gamma<f64>),
}

/// The pairs of this process in the order of their time.
#[derive(Debug, Clone)]
pub struct Schedule {
    gaps: Gaps,
    mean: Duration,
    stream: Stream,
    shard: Shard,
    batch: u64,
    until: Option<Duration>,
    /// The pair that comes next in the unsharded run.
    next: Due,
}

/// Shape of the gamma law of the gaps, from the traces' own gaps: 1 is Poisson, less is burstier.
///
/// chat 0.90 and code 0.231 are maximum-likelihood fits to the Azure LLM inference trace 2023
/// (conversation, code; CC-BY-4.0). For the others no gaps are published: Poisson.
fn gamma_shape(workload: WorkloadName) -> f64 {
    match workload {
        WorkloadName::Chat => 0.90,
        WorkloadName::Code => 0.231,
        WorkloadName::Reason | WorkloadName::Long | WorkloadName::Uniform => 1.0,
    }
}

impl Schedule {
    /// The schedule of a run.
    #[must_use]
    pub fn new(settings: &Settings, run_seed: u64, run_id: &str) -> Self {
        let shape = gamma_shape(settings.workload);
        let gaps = match settings.arrivals {
            ArrivalsName::Fixed => Gaps::Equal,
            ArrivalsName::Poisson => Gaps::Exponential,
            // The shape is one of the constants above, so this law exists.
            ArrivalsName::Workload => {
                Gamma::new(shape, 1.0 / shape).map_or(Gaps::Exponential, Gaps::Gamma)
            }
        };
        Self {
            gaps,
            mean: settings.sleep,
            stream: Stream::new(run_seed, "arrivals", run_id),
            shard: settings.shard,
            batch: settings.batch,
            until: settings.duration,
            next: Due { seq: 0, offset: Duration::ZERO },
        }
    }

    /// How many pairs this process will send; `None` where only the run itself can tell.
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

    fn gap(&self, seq: u64) -> Duration {
        let relative = match &self.gaps {
            Gaps::Equal => return self.mean,
            Gaps::Exponential => Exp1.sample(&mut self.stream.at(seq)),
            Gaps::Gamma(gamma) => gamma.sample(&mut self.stream.at(seq)),
        };
        Duration::try_from_secs_f64(self.mean.as_secs_f64() * relative).unwrap_or(Duration::MAX)
    }

    /// Moves on by one pair of the unsharded run.
    fn step(&mut self) {
        let Due { seq, offset } = self.next;
        let offset = match self.gaps {
            Gaps::Equal => times(self.mean, seq + 1),
            _ => offset.saturating_add(self.gap(seq)),
        };
        self.next = Due { seq: seq + 1, offset };
    }
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
