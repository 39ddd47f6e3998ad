//! The latent load of a GPU: one number per second, from which all of its readings follow.
//!
//! It is a function of the run seed, the host, the row and the absolute event time. The
//! [`Timeline`] that paces the pairs also drives the load: minutes and bursts with many requests,
//! and hosts that get many, are busy. Over the pairs of any hour the load is a standard normal
//! number, plus the shape of the day and the share of the host, so the means over pairs of what
//! follows from it are known.

use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::Name;
use super::math::between_normals;
use super::rng::Stream;
use super::timeline::{DayKind, Timeline};

/// Window of a sensor, ms. NVML averages over at most one second.
const WINDOW_MS: i64 = 1000;

/// Distance of the knots of a GPU's own slow layer, s. Noise between knots this far apart has an
/// autocorrelation of 0.78 after one minute, as has the request rate of the Azure conversation
/// trace.
const OWN_SEC: i64 = 240;

/// Distance of the knots of the layer of long requests, s. The requests in flight stay for as long
/// as they take: their autocorrelation is at least E[(L - t)+] / E[L] after t, which for reason is
/// 0.53, 0.26 and 0.11 after 10, 30 and 60 s.
const LONG_REQUESTS_SEC: i64 = 60;

/// Weight of the previous window in the fast layer: autocorrelation 0.48 after one second. Assumed;
/// a simulation of one H100 under the Azure traces gives 0.3 to 0.55 for the power of chat.
const ECHO: f64 = 0.75;

/// How the load of a workload moves. All are assumed, but for what their comments say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Movement {
    /// Standard deviation of the logarithm of the requests in flight. With it, the batch of a GPU
    /// that is busy for most of its time reaches from 1 to some dozens.
    pub(super) log_sd: f64,
    /// Distance of the load from "idle but for the request that ends" to "busy all the time" within
    /// one window, in standard deviations.
    pub(super) ramp: f64,
    /// Weight of what the timeline drives, all GPUs alike.
    common: f64,
    /// Weight of the GPU's own minutes.
    own: f64,
    /// Weight of the layer of long requests.
    long_requests: f64,
}

impl Movement {
    /// The movement of a workload.
    pub(super) fn of(workload: Name) -> Self {
        match workload {
            Name::Code => {
                Self { log_sd: 1.2, ramp: 0.8, common: 0.65, own: 0.2, long_requests: 0.0 }
            }
            Name::Reason | Name::Long | Name::Agent => {
                Self { log_sd: 1.0, ramp: 0.8, common: 0.75, own: 0.2, long_requests: 0.55 }
            }
            Name::Chat | Name::Uniform => {
                Self { log_sd: 1.2, ramp: 1.2, common: 0.4, own: 0.25, long_requests: 0.0 }
            }
        }
    }

    /// How far the load rises with the logarithm of the request rate.
    pub(super) fn shift(&self, ln_rate: f64) -> f64 {
        ln_rate / self.log_sd
    }
}

/// The load of one window.
#[derive(Debug)]
pub(super) struct Window {
    /// The load, in standard deviations from its mean over pairs.
    pub(super) level: f64,
    /// The kind of day, which has its own operating point.
    pub(super) day: DayKind,
    /// Generator for the other random values of this window.
    pub(super) rng: Pcg64Mcg,
}

/// The window of an instant, in seconds since 1970. All readings within it are the same.
pub(super) fn window_of(at: jiff::Timestamp) -> i64 {
    at.as_millisecond().div_euclid(WINDOW_MS)
}

/// Two normal draws, at the neighbouring multiples of a period that a second lies between.
#[derive(Debug, Clone, Copy, Default)]
struct Knots(f64, f64);

impl Knots {
    fn around(stream: Stream, row: u64, second: i64, period_sec: i64) -> Self {
        let knot = second.div_euclid(period_sec);
        let normal = |knot| StandardNormal.sample(&mut stream.at_in(row, knot));
        Self(normal(knot), normal(knot + 1))
    }

    fn at(self, second: i64, period_sec: i64) -> f64 {
        let share = second.rem_euclid(period_sec) as f64 / period_sec as f64;
        between_normals(self.0, self.1, share)
    }
}

/// What is drawn once for a GPU and minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Minute {
    own: Knots,
    long_requests: Knots,
    /// What the latencies have in common: a standard normal number.
    pub(super) latency: f64,
}

/// The minute of a second, which lies between two knots of every layer.
pub(super) fn minute_of(second: i64) -> i64 {
    second.div_euclid(60)
}

/// The load of the GPUs of one host.
#[derive(Debug)]
pub(super) struct Load {
    movement: Movement,
    /// Weight of the fast layer: what the others leave of the variance.
    rest: f64,
    /// Share of the host, as a shift.
    host_shift: f64,
    /// [`day_means`] of the run.
    day_means: [f64; 2],
    pub(super) seconds: Stream,
    own: Stream,
    long_requests: Stream,
    latency: Stream,
}

impl Load {
    /// The load of the GPUs of `host`, whose share of the pairs shifts it by `host_shift`.
    pub(super) fn new(
        movement: Movement,
        day_means: [f64; 2],
        run_seed: u64,
        (host, host_shift): (&str, f64),
    ) -> Self {
        let stream = |name| Stream::new(run_seed, name, host);
        let Movement { common, own, long_requests, .. } = movement;
        let rest = 1.0 - common * common - own * own - long_requests * long_requests;
        Self {
            rest: rest.sqrt(),
            movement,
            host_shift,
            day_means,
            seconds: stream("load-seconds"),
            own: stream("load-minutes"),
            long_requests: stream("load-long-requests"),
            latency: stream("latency-minutes"),
        }
    }

    /// What is drawn for the host's GPU `row` and the minute of a second.
    pub(super) fn minute(&self, row: u64, second: i64) -> Minute {
        let long_requests = if self.movement.long_requests > 0.0 {
            Knots::around(self.long_requests, row, second, LONG_REQUESTS_SEC)
        } else {
            Knots::default()
        };
        Minute {
            own: Knots::around(self.own, row, second, OWN_SEC),
            long_requests,
            latency: StandardNormal.sample(&mut self.latency.at_in(row, minute_of(second))),
        }
    }

    /// The load of the host's GPU `row` in a window, as [`window_of`] counts them. `drive` is the
    /// timeline's.
    pub(super) fn at(
        &self,
        (timeline, drive): (&Timeline, f64),
        row: u64,
        second: i64,
        minute: &Minute,
    ) -> Window {
        let Movement { common, own, long_requests, .. } = self.movement;
        let mut rng = self.seconds.at_in(row, second);
        let now: f64 = StandardNormal.sample(&mut rng);
        let before: f64 = StandardNormal.sample(&mut self.seconds.at_in(row, second - 1));
        let fast = (now + ECHO * before) / (1.0 + ECHO * ECHO).sqrt();
        let level = common * drive
            + own * minute.own.at(second, OWN_SEC)
            + long_requests * minute.long_requests.at(second, LONG_REQUESTS_SEC)
            + self.rest * fast
            + self.host_shift;
        let day = DayKind::of(second);
        let of_day = timeline.week.map_or(0.0, |week| {
            self.movement.shift(week.ln_shape(second) - self.day_means[day.index()])
        });
        Window { level: level + of_day, day, rng }
    }
}

/// Weight of a quarter of the day among the pairs, and the logarithm of its rate.
fn quarters(timeline: &Timeline, kind: DayKind) -> Vec<(f64, f64)> {
    let of = |week: &super::timeline::Week| {
        let quarters = week.quarters(kind);
        quarters.map(|(rate, ln)| (if timeline.paces_pairs { rate } else { 1.0 }, ln)).collect()
    };
    timeline.week.map_or_else(|| vec![(1.0, 0.0)], of)
}

/// Mean over pairs of the logarithm of the shape of the day, by kind of day.
pub(super) fn day_means(timeline: &Timeline) -> [f64; 2] {
    DayKind::BOTH.map(|kind| {
        let quarters = quarters(timeline, kind);
        let weights: f64 = quarters.iter().map(|(weight, _)| weight).sum();
        quarters.iter().map(|(weight, ln)| weight * ln).sum::<f64>() / weights
    })
}

/// How the mean of the load differs among the pairs of a day: shifts and their weights.
#[derive(Debug, Clone)]
pub(super) struct Shifts(pub(super) Vec<(f64, f64)>);

impl Shifts {
    /// Distance of two shifts that are told apart.
    const GRID: f64 = 0.0625;

    /// The shifts of a day of `kind` on hosts of these shares and shifts.
    pub(super) fn new(
        timeline: &Timeline,
        movement: Movement,
        (kind, day_means): (DayKind, [f64; 2]),
        hosts: &[(f64, f64)],
    ) -> Self {
        let mean = day_means[kind.index()];
        let mut weights = std::collections::BTreeMap::<i32, f64>::new();
        for (weight, ln) in quarters(timeline, kind) {
            for (share, host_shift) in hosts {
                let place = (movement.shift(ln - mean) + host_shift) / Self::GRID;
                #[expect(clippy::cast_possible_truncation, reason = "some dozens")]
                let below = place.floor() as i32;
                let above = place - place.floor();
                *weights.entry(below).or_default() += weight * share * (1.0 - above);
                *weights.entry(below + 1).or_default() += weight * share * above;
            }
        }
        let total: f64 = weights.values().sum();
        Self(weights.into_iter().map(|(at, w)| (f64::from(at) * Self::GRID, w / total)).collect())
    }
}
