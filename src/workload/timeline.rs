//! What moves the rate of the requests, and with it the load: the week, the day, the minutes and
//! the bursts.
//!
//! All of it is a function of the run seed and the absolute time. So the runs of a timer with one
//! seed continue one series, and arrivals and load agree. The minutes and the bursts are drawn
//! by the hour: an hour looks back to its own beginning and no further.

mod bursts;
mod clock;
mod week;

use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Name;
use super::math::{exp, mean_and_sd, normal_quantile};
use super::rng::Stream;
use super::slots::Last;
pub(super) use clock::Clock;
pub(super) use week::{DayKind, Week};

/// Seconds in an hour of the timeline.
const HOUR_SEC: usize = 3600;

/// Length of a block, s: the load is the same within one.
const BLOCK_SEC: usize = 5;

/// Number of blocks in an hour.
const BLOCKS: usize = HOUR_SEC / BLOCK_SEC;

/// Pairs per second of the Azure LLM inference trace 2023 (CC-BY-4.0): conversation, code. The
/// timelines of other workloads are played at the speed of conversation.
const CONVERSATION_PER_SEC: f64 = 5.53;
const CODE_PER_SEC: f64 = 2.57;

/// How the rate of conversation drifts: standard deviation and autocorrelation after a minute of
/// the logarithm of the rate per minute. Scaled to the mean of an hour, 0.85 leaves the 0.78 that
/// the trace has in its hour.
const DRIFT_LOG_SD: f64 = 0.22;
const DRIFT_AUTOCORRELATION: f64 = 0.85;

/// Pairs that are further apart than this follow the hours and the days alone, s.
const SPARSE_SEC: f64 = 600.0;

/// How fast the requests in flight follow the rate: time constant, s. Assumed: some seconds, as
/// long as a request.
const FOLLOWS_SEC: f64 = 8.0;

/// The timeline of a run.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    workload: Name,
    /// The hours and days. `None` for `uniform`.
    pub(super) week: Option<&'static Week>,
    /// Whether the pairs themselves come at this rate.
    pub(super) paces_pairs: bool,
    /// Seconds of the timeline in a second. At rates above the trace's it is played faster, so
    /// a minute of it has as many pairs as one of the trace, and runs of seconds keep their mean.
    speed: f64,
    mean_sec: f64,
    hours: Stream,
}

/// The rates of one hour of a timeline.
#[derive(Debug, Clone)]
struct Rates {
    hour: i64,
    /// Rate in each minute or, with bursts, in each second; the mean is 1.
    rates: Vec<f64>,
    /// Seconds that a rate holds for.
    step_sec: usize,
}

/// How the last hour of a timeline drives the load: a standard normal number over the pairs of the
/// hour, for each block.
pub(super) type Drive = Last<i64, Vec<f64>>;

impl Timeline {
    /// The timeline of a run whose pairs are `mean` apart on average, and come at its rate if it
    /// `paces_pairs`.
    pub(super) fn new(workload: Name, mean: Duration, paces_pairs: bool, run_seed: u64) -> Self {
        let mean_sec = mean.as_secs_f64();
        let per_sec = if workload == Name::Code { CODE_PER_SEC } else { CONVERSATION_PER_SEC };
        let speed = if mean_sec > 0.0 { 1.0 / (per_sec * mean_sec) } else { 1.0 };
        Self {
            workload,
            week: Week::of(workload),
            paces_pairs,
            speed: speed.max(1.0),
            mean_sec,
            hours: Stream::new(run_seed, "timeline", ""),
        }
    }

    /// Seconds of the timeline at an instant, in seconds since 1970.
    fn position(&self, second: f64) -> f64 {
        second * self.speed
    }

    /// The drive of the load in a second since 1970.
    pub(super) fn drive(&self, second: i64, recent: &mut Drive) -> f64 {
        let (hour, into) = place(self.position(second as f64));
        recent.get(hour, || drive(&self.rates(hour), self.paces_pairs))[into / BLOCK_SEC]
    }

    /// The rates of an hour.
    fn rates(&self, hour: i64) -> Rates {
        let mut rng = self.hours.at_in(0, hour);
        let (step_sec, mut rates) = if self.workload == Name::Code {
            (1, bursts::rates(&mut rng))
        } else {
            (HOUR_SEC / MINUTES, minutes(&mut rng))
        };
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        rates.iter_mut().for_each(|rate| *rate /= mean);
        Rates { hour, rates, step_sec }
    }

    /// The rates of an hour as the pairs follow them: minutes and bursts do not matter between pairs
    /// that are further apart.
    fn rates_of_pairs(&self, hour: i64) -> Rates {
        if self.mean_sec > SPARSE_SEC {
            const QUARTERS: usize = 4;
            return Rates { hour, rates: vec![1.0; QUARTERS], step_sec: HOUR_SEC / QUARTERS };
        }
        self.rates(hour)
    }
}

/// The hour of a position and the second within it.
fn place(position: f64) -> (i64, usize) {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970, times a speed")]
    let whole = position.floor() as i64;
    #[expect(clippy::cast_possible_wrap, reason = "3600")]
    let hour = HOUR_SEC as i64;
    (whole.div_euclid(hour), usize::try_from(whole.rem_euclid(hour)).unwrap_or_default())
}

/// Minutes in an hour.
const MINUTES: usize = 60;

/// The rate of each minute: an autoregressive path, scaled to its spread, because that was measured
/// around the mean of the trace's hour.
fn minutes(rng: &mut impl Rng) -> Vec<f64> {
    let mut path = [0.0; MINUTES];
    let mut value: f64 = StandardNormal.sample(rng);
    for place in &mut path {
        *place = value;
        let normal: f64 = StandardNormal.sample(rng);
        value = DRIFT_AUTOCORRELATION * value
            + (1.0 - DRIFT_AUTOCORRELATION * DRIFT_AUTOCORRELATION).sqrt() * normal;
    }
    let (mean, sd) = mean_and_sd(&path);
    path.map(|x| exp(DRIFT_LOG_SD * (x - mean) / sd)).to_vec()
}

/// The drive of the load: the rank, among the pairs of the hour, of the requests in flight, as a
/// standard normal number. The requests in flight follow the rate; what they were before the hour
/// is taken from its end.
fn drive(rates: &Rates, paces_pairs: bool) -> Vec<f64> {
    let second = |at: usize| rates.rates[at / rates.step_sec];
    let block = |block: usize| {
        let seconds = block * BLOCK_SEC..(block + 1) * BLOCK_SEC;
        seconds.map(second).sum::<f64>() / BLOCK_SEC as f64
    };
    let rates: Vec<f64> = (0..BLOCKS).map(block).collect();
    let keeps = exp(-(BLOCK_SEC as f64) / FOLLOWS_SEC);
    let mut in_flight = 1.0;
    for rate in &rates[BLOCKS - BLOCKS / 10..] {
        in_flight = keeps * in_flight + (1.0 - keeps) * rate;
    }
    let mut order: Vec<(f64, usize)> = Vec::with_capacity(BLOCKS);
    for (i, rate) in rates.iter().enumerate() {
        in_flight = keeps * in_flight + (1.0 - keeps) * rate;
        order.push((in_flight, i));
    }
    order.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let weight = |i: usize| if paces_pairs { rates[i] } else { 1.0 };
    let total: f64 = (0..BLOCKS).map(weight).sum();
    let mut drive = vec![0.0; BLOCKS];
    let mut below = 0.0;
    for (_, i) in order {
        let half = weight(i) / 2.0;
        below += half;
        drive[i] = normal_quantile(below / total);
        below += half;
    }
    // Few blocks with many pairs each leave a little of the variance out.
    let over = |of: &dyn Fn(f64) -> f64| -> f64 {
        drive.iter().enumerate().map(|(i, x)| weight(i) * of(*x)).sum::<f64>() / total
    };
    let mean = over(&|x| x);
    let sd = over(&|x| (x - mean) * (x - mean)).sqrt();
    drive.iter().map(|x| (x - mean) / sd).collect()
}

#[cfg(test)]
mod tests;
