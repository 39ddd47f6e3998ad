//! The operating point of a seed row: at which load other work begins, and how the natural power is
//! corrected, for the means over pairs to be the row's.

use super::{Chance, Gpu, SPIKES, TOP_POWER_SHARE};
use crate::workload::load::Shifts;
use crate::workload::math::{normal_excess, normal_quantile};

/// Share of the power of a busy board that it draws when only the request that ends runs. Assumed:
/// with it the built-in rows draw 329 W (RTX 3090) and 280 W (A100) when busy, as published readings
/// of busy boards do.
const LEAST_SHARE: f64 = 0.5;

/// Number of windows over which a mean power is taken.
const WINDOWS: u32 = 1024;

/// Where a GPU works on one kind of day.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OperatingPoint {
    /// The load at which work beside the request that ends begins.
    pub(super) onset: f64,
    /// Correction of the natural power.
    factor: f64,
    /// Share of its power at utilization 0.
    least_share: f64,
}

impl OperatingPoint {
    /// The operating point at which a GPU has these means over the pairs of a day.
    pub(super) fn find(gpu: &Gpu, utilization: f64, power_w: f64, shifts: &Shifts) -> Self {
        // E[q + (1 - q) g] for independent q, whose mean is half of the utilization, and g.
        let busy = (utilization - gpu.fills) / (1.0 - gpu.fills);
        let mut point = Self {
            onset: onset(busy, gpu.movement.ramp, shifts),
            factor: 1.0,
            least_share: LEAST_SHARE,
        };
        let top_w = TOP_POWER_SHARE * gpu.hardware.power_cap_w;
        let before_spikes = power_w / (1.0 + SPIKES.0 * SPIKES.1 / 4.0);
        // A row that draws more than this at its utilization never draws as little as half.
        let most = 0.98 * top_w;
        if before_spikes > most * (LEAST_SHARE + (1.0 - LEAST_SHARE) * utilization) {
            let least = (before_spikes / most - utilization) / (1.0 - utilization);
            point.least_share = if least.is_finite() { least.clamp(LEAST_SHARE, 1.0) } else { 1.0 };
        }
        point.factor = point.factor_for((before_spikes, top_w), &gpu.windows(point.onset, shifts));
        point
    }

    /// The power, W, of a natural power and the utilization of the same window, where a busy board
    /// draws at most `top_w`.
    pub(super) fn watts(&self, natural_w: f64, utilization: f64, top_w: f64) -> f64 {
        let busy_w = self.busy_w(natural_w).min(top_w);
        busy_w * (self.least_share + (1.0 - self.least_share) * utilization)
    }

    /// The power, W, that a board would draw in a window in which a kernel runs all the time.
    pub(super) fn busy_w(&self, natural_w: f64) -> f64 {
        self.factor * natural_w
    }

    /// The factor that leads to a mean power over windows, each with its natural power and its
    /// utilization.
    fn factor_for(mut self, (power_w, top_w): (f64, f64), windows: &[(f64, f64)]) -> f64 {
        let (mut low, mut high) = (0.0, 16.0);
        for _ in 0..40 {
            self.factor = f64::midpoint(low, high);
            let sum: f64 = windows.iter().map(|(natural, u)| self.watts(*natural, *u, top_w)).sum();
            if sum > power_w * f64::from(WINDOWS) {
                high = self.factor;
            } else {
                low = self.factor;
            }
        }
        low
    }
}

impl Gpu {
    /// Natural power and utilization of windows that stand for those of a day's pairs.
    fn windows(&self, onset: f64, shifts: &Shifts) -> Vec<(f64, f64)> {
        let mut shift = shifts.ranks();
        let window = |i: u32| {
            let [level, fills, prompts, prefill] = spread(i);
            let shift = shift((f64::from(i) + 0.5) / f64::from(WINDOWS));
            let work = self.work_above(normal_quantile(level) + shift - onset);
            let prefill = normal_quantile(prefill);
            let natural_w = self.natural_w(work, &Chance { fills: [fills; 2], prompts, prefill });
            (natural_w, self.utilization(work, fills))
        };
        (0..WINDOWS).map(window).collect()
    }
}

impl Shifts {
    /// The shift at each rank; calls come in the order of the ranks.
    fn ranks(&self) -> impl FnMut(f64) -> f64 {
        let mut shifts = self.0.iter();
        let (mut at, mut below) = (0.0, 0.0);
        move |rank| {
            while below < rank {
                let Some((shift, weight)) = shifts.next() else { break };
                (at, below) = (*shift, below + weight);
            }
            at
        }
    }
}

/// Point `i` of a sequence that fills four dimensions evenly: multiples of the powers of the inverse
/// of the root of x^5 = x + 1.
fn spread(i: u32) -> [f64; 4] {
    const INVERSE: f64 = 1.0 / 1.167_303_978_261_418_7;
    let mut step = 1.0;
    std::array::from_fn(|_| {
        step *= INVERSE;
        (0.5 + f64::from(i + 1) * step).fract()
    })
}

/// The onset at which a GPU is busy with other work for a share `busy` of the pairs' windows.
fn onset(busy: f64, ramp: f64, shifts: &Shifts) -> f64 {
    let at = |onset: f64| -> f64 {
        let share = |(shift, weight): &(f64, f64)| {
            let from = onset - shift;
            weight * (normal_excess(from) - normal_excess(from + ramp)) / ramp
        };
        shifts.0.iter().map(share).sum()
    };
    let (mut low, mut high) = (-8.0, 9.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if at(middle) > busy {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
