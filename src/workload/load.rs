//! The latent load of a GPU: one number per second, from which all of its event values follow.
//!
//! It is a function of the run seed, the host, the row and the absolute event time, not of the run.
//! So the runs of a timer with one RUN_SEED continue one series. At every instant it is a standard
//! normal number (plus the shape of the day), so the values that follow from it have known means.

use jiff::Timestamp;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::Name;
use super::day;
use super::math::exp;
use super::rng::Stream;
use super::slots::Slots;

/// Window of a sensor, ms. NVML averages over at most one second.
const WINDOW_MS: i64 = 1000;

/// Period of the slow layer, ms. Noise between knots this far apart has an autocorrelation of 0.78
/// after one minute, as has the request rate of the Azure conversation trace.
const MINUTES_MS: i64 = 240_000;

/// Standard deviation of the logarithm of the slow layer: per-minute request rate of the same
/// trace.
const MINUTES_LOG_SD: f64 = 0.22;

/// Weight of the previous window in the fast layer: autocorrelation 0.48 after one second. Assumed;
/// a simulation of one H100 under the Azure traces gives 0.3 to 0.55 for the power of chat.
const ECHO: f64 = 0.75;

/// How the load of a workload moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Movement {
    /// Standard deviation of the logarithm of the requests in flight. Assumed.
    pub(super) log_sd: f64,
    /// Distance of the load from "idle all the time" to "busy all the time" within one window, in
    /// standard deviations. Assumed. With a shorter ramp, utilization is more often 0 or 1.
    pub(super) ramp: f64,
    /// Share of the variance in bursts, and the distance of their knots in ms. Assumed for reason
    /// and long, whose requests last longer than a second; for code it is similar to the trace's
    /// bursts (16.7 s on, 43.2 s off).
    bursts: Option<(f64, i64)>,
}

impl Movement {
    /// The movement of a workload.
    pub(super) fn of(workload: Name) -> Self {
        match workload {
            Name::Code => Self { log_sd: 0.8, ramp: 0.3, bursts: Some((0.88, 20_000)) },
            Name::Reason | Name::Long => {
                Self { log_sd: 0.6, ramp: 0.8, bursts: Some((0.6, 15_000)) }
            }
            Name::Chat | Name::Uniform => Self { log_sd: 0.6, ramp: 1.2, bursts: None },
        }
    }

    /// How far the load rises with the logarithm of the request rate.
    pub(super) fn shift(&self, ln_rate: f64) -> f64 {
        ln_rate / self.log_sd
    }

    /// Requests in flight if the load is `above` the point at which the GPU has just one.
    pub(super) fn in_flight(&self, above: f64) -> f64 {
        exp(self.log_sd * above)
    }
}

/// The load of one window.
#[derive(Debug)]
pub(super) struct Window {
    /// The load, in standard deviations from its mean over days.
    pub(super) level: f64,
    /// Generator for the other random values of this window.
    pub(super) rng: Pcg64Mcg,
}

/// The window of an instant, in seconds since 1970. All readings within it are the same.
pub(super) fn window_of(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(WINDOW_MS)
}

/// The draws that the load of each GPU lay between when it was last asked for: those of its last even
/// and last odd index.
#[derive(Debug)]
pub(super) struct Draws {
    seconds: Slots<(usize, i64), f64>,
    bursts: Slots<(usize, i64), f64>,
    minutes: Slots<(usize, i64), f64>,
}

impl Draws {
    /// Room for the draws of so many GPUs.
    pub(super) fn of(gpus: usize) -> Self {
        let slots = || Slots::new(gpus.saturating_mul(2));
        Self { seconds: slots(), bursts: slots(), minutes: slots() }
    }
}

/// Standard normal numbers, one for each GPU of a host and point in time.
#[derive(Debug)]
struct Layer {
    stream: Stream,
    /// The number of the host's first GPU among all.
    first: usize,
}

impl Layer {
    /// The number of a GPU at an index.
    fn normal(&self, row: usize, index: i64, known: &mut Slots<(usize, i64), f64>) -> f64 {
        let gpu = self.first + row;
        known.get(slot(gpu, index), (gpu, index), || self.draw(row, index).0)
    }

    /// The same, and the generator after it.
    fn normal_and_more(
        &self,
        row: usize,
        index: i64,
        known: &mut Slots<(usize, i64), f64>,
    ) -> (f64, Pcg64Mcg) {
        let (normal, rng) = self.draw(row, index);
        let gpu = self.first + row;
        (known.get(slot(gpu, index), (gpu, index), || normal), rng)
    }

    fn draw(&self, row: usize, index: i64) -> (f64, Pcg64Mcg) {
        let mut rng = self.stream.at_in(row as u64, index);
        (StandardNormal.sample(&mut rng), rng)
    }

    /// Interpolates between normal draws at multiples of the period, scaled so that every point has
    /// unit variance.
    fn smooth(
        &self,
        row: usize,
        ms: i64,
        period_ms: i64,
        known: &mut Slots<(usize, i64), f64>,
    ) -> f64 {
        let knot = ms.div_euclid(period_ms);
        let share = ms.rem_euclid(period_ms) as f64 / period_ms as f64;
        let (from, to) = (self.normal(row, knot, known), self.normal(row, knot + 1, known));
        let (near, far) = (1.0 - share, share);
        (near * from + far * to) / (near * near + far * far).sqrt()
    }
}

/// The slot of a draw: neighbours are asked for together.
fn slot(gpu: usize, index: i64) -> usize {
    2 * gpu + usize::from(index & 1 != 0)
}

/// The load of the GPUs of one host.
#[derive(Debug)]
pub(super) struct Load {
    movement: Movement,
    seconds: Layer,
    bursts: Layer,
    minutes: Layer,
}

impl Load {
    /// The load of the GPUs of `host`, the `first` of which has this number among all.
    pub(super) fn new(workload: Name, run_seed: u64, host: &str, first: usize) -> Self {
        let layer = |name| Layer { stream: Stream::new(run_seed, name, host), first };
        Self {
            movement: Movement::of(workload),
            seconds: layer("load-seconds"),
            bursts: layer("load-bursts"),
            minutes: layer("load-minutes"),
        }
    }

    /// The load of the host's GPU `row` in a window, as [`window_of`] counts them.
    pub(super) fn at(&self, row: usize, second: i64, known: &mut Draws) -> Window {
        let ms = second * WINDOW_MS;
        let (now, rng) = self.seconds.normal_and_more(row, second, &mut known.seconds);
        let echo = ECHO * self.seconds.normal(row, second - 1, &mut known.seconds);
        let fast = (now + echo) / (1.0 + ECHO * ECHO).sqrt();
        let slow = self.minutes.smooth(row, ms, MINUTES_MS, &mut known.minutes);

        let slow_weight = MINUTES_LOG_SD / self.movement.log_sd;
        let mut rest = 1.0 - slow_weight * slow_weight;
        let mut level = slow_weight * slow + self.movement.shift(day::ln_rate(ms));
        if let Some((share, period_ms)) = self.movement.bursts {
            level += share.sqrt() * self.bursts.smooth(row, ms, period_ms, &mut known.bursts);
            rest -= share;
        }
        Window { level: level + rest.sqrt() * fast, rng }
    }
}
