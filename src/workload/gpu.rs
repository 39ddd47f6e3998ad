//! What a GPU reports: utilization, memory and power, all from one latent load.
//!
//! The seed row is the operating point. The load at which the GPU becomes busy, and its power while
//! busy, are chosen so that the means over days are the row's utilization and power.

mod power;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::constants::Hardware;
use super::day;
use super::load::{Movement, Window};
use super::math::{exp, ln, log2, normal_excess, whole};
use super::seed::Row;
use super::tokens::Means;
use power::{Power, TOP_POWER_SHARE};

/// One reading of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Share of time busy, percent.
    pub utilization_percent: u8,
    /// Memory in use, MiB.
    pub mem_used_mib: u64,
    /// Board power, tenths of a watt.
    pub power_deciwatts: u64,
}

/// Power of a board that only processes prompts, share of its limit (splitwise-sim: 1.0 to 1.09 at
/// the peak, which the limiter reduces).
const PREFILL_POWER_SHARE: f64 = 0.98;

/// Sensor noise shrinks near the power limit, because the limiter holds a board there. At most 11.5
/// % of the readings exceed the limit (P(Z > 1.2)); in the Acme fleets 8 to 12.6 % do.
const SCATTERS_TO_LIMIT: f64 = 1.2;

/// How often a busy board is read in a spike, and the highest rise above its power. The highest
/// reading of the Acme fleets is 1.5 times the limit; the frequency is assumed.
const SPIKES: (f64, f64) = (0.01, 0.5);

/// Number of batch sizes whose phases are precomputed.
const PHASES: u16 = 257;

/// Number of points of the day over which means are taken.
const DAY_STEPS: u32 = 8;

/// What a GPU does in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Work {
    /// Share of the window with a kernel running.
    pub(super) busy: f64,
    /// Requests in the batch, including the one that just arrived.
    pub(super) batch: f64,
    /// Requests that wait for a place in the batch.
    pub(super) waiting: f64,
}

/// One GPU at its operating point.
#[derive(Debug, Clone)]
pub(super) struct Gpu {
    hardware: Hardware,
    movement: Movement,
    means: Means,
    mem_used_mib: u64,
    /// The load at which the GPU begins to be busy.
    threshold: f64,
    /// For each batch size from 0: the share of the busy time that goes into prompts, and the power
    /// while decoding as a share of the limit.
    phases: Vec<(f64, f64)>,
    power: Power,
    /// No reading is below this, W.
    least_w: f64,
}

impl Gpu {
    /// The GPU of a row.
    pub(super) fn new(row: &Row, hardware: Hardware, movement: Movement, means: Means) -> Self {
        let utilization = f64::from(row.utilization_percent) / 100.0;
        let mut gpu = Self {
            hardware,
            movement,
            means,
            mem_used_mib: row.mem_used_mb,
            threshold: threshold(utilization, movement),
            phases: Vec::new(),
            power: Power::default(),
            least_w: 0.9 * hardware.power_idle_w.min(row.power_w),
        };
        gpu.phases = (0..PHASES).map(|batch| gpu.phases_of(batch.into())).collect();
        let natural_w = gpu.mean_busy_power_w();
        gpu.power = Power::at(row.power_w, utilization, &hardware, natural_w);
        gpu
    }

    /// What the GPU does at a load.
    pub(super) fn work(&self, level: f64) -> Work {
        let above = level - self.threshold;
        // An idle GPU has the request that arrives, although the formula gives less than one.
        let in_flight = if above > 0.0 { self.movement.in_flight(above) } else { 1.0 };
        let most = self.hardware.batch_max;
        Work {
            busy: (above / self.movement.ramp).clamp(0.0, 1.0),
            batch: f64::from(whole(in_flight)).clamp(1.0, most),
            waiting: (in_flight - most).max(0.0),
        }
    }

    /// What the GPU's sensors read. Memory is the row's, because servers allocate it once and keep
    /// it.
    pub(super) fn reading(&self, work: Work, window: &mut Window) -> Reading {
        let rng = &mut window.rng;
        let cap = self.hardware.power_cap_w;
        let mut watts = self.power.idle_w;
        if work.busy > 0.0 {
            let (prefill, decode_share) = self.phases(work.batch);
            // Some windows have more prompts than others: 0.5 to 1.5 of the mean.
            let prefill = prefill + (rng.random::<f64>() - 0.5) * prefill.min(1.0 - prefill);
            let busy_w = self.power.busy_w(self.natural_busy_w(prefill, decode_share));
            watts += work.busy * (busy_w - self.power.idle_w);
        }
        if watts > 0.0 {
            let to_limit = (1.0 - watts / cap).max(0.0) / SCATTERS_TO_LIMIT;
            let normal: f64 = StandardNormal.sample(rng);
            watts *= 1.0 + normal * self.hardware.power_scatter.min(to_limit);
        }
        if rng.random::<f64>() < SPIKES.0 * work.busy {
            let height: f64 = rng.random();
            watts *= 1.0 + SPIKES.1 * height * height * height;
        }
        let watts = watts.clamp(self.least_w, (1.5 * cap).max(self.least_w));
        let percent = whole(work.busy * 100.0);
        Reading {
            utilization_percent: u8::try_from(percent).unwrap_or(100),
            mem_used_mib: self.mem_used_mib,
            power_deciwatts: whole(watts * 10.0).into(),
        }
    }

    /// Both phases of a batch: the share of the prompts is the sum of their times to first token,
    /// relative to that sum and the time of the completions.
    fn phases_of(&self, batch: f64) -> (f64, f64) {
        let prompts = batch * self.hardware.ttft_ms(self.means.prompt);
        let completions = self.means.completion * self.hardware.tpot_ms(batch);
        let prefill = if prompts > 0.0 { prompts / (prompts + completions) } else { 0.0 };
        let Hardware { decode_power_share, decode_power_share_per_doubling, .. } = self.hardware;
        let decode = decode_power_share + decode_power_share_per_doubling * log2(batch.max(1.0));
        (prefill, decode.min(TOP_POWER_SHARE))
    }

    /// The phases of a batch, from the table if it has them.
    fn phases(&self, batch: f64) -> (f64, f64) {
        let known = usize::try_from(whole(batch)).ok().and_then(|batch| self.phases.get(batch));
        known.copied().unwrap_or_else(|| self.phases_of(batch))
    }

    /// Power of the two phases, W, before the correction for the operating point.
    fn natural_busy_w(&self, prefill: f64, decode_share: f64) -> f64 {
        let share = prefill * PREFILL_POWER_SHARE + (1.0 - prefill) * decode_share;
        share.min(TOP_POWER_SHARE) * self.hardware.power_cap_w
    }

    /// Mean power over the busy time, W, before the correction for the operating point.
    fn mean_busy_power_w(&self) -> f64 {
        let (mut busy, mut watts) = (0.0, 0.0);
        for rate in day::rates(DAY_STEPS) {
            let shift = self.movement.shift(ln(rate));
            for step in -40..=40_i32 {
                let level = f64::from(step) / 8.0;
                let work = self.work(level + shift);
                let weight = exp(-0.5 * level * level) * work.busy;
                busy += weight;
                let (prefill, decode_share) = self.phases(work.batch);
                watts += weight * self.natural_busy_w(prefill, decode_share);
            }
        }
        if busy > 0.0 { watts / busy } else { self.natural_busy_w(0.0, self.phases(1.0).1) }
    }
}

/// The load above which a GPU is busy, for it to be busy for a share `utilization` of its time.
fn threshold(utilization: f64, movement: Movement) -> f64 {
    let busy = |threshold: f64| {
        let at = |rate| {
            let from = threshold - movement.shift(ln(rate));
            (normal_excess(from) - normal_excess(from + movement.ramp)) / movement.ramp
        };
        day::rates(DAY_STEPS).map(at).sum::<f64>() / f64::from(DAY_STEPS)
    };
    let (mut low, mut high) = (-5.0, 6.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if busy(middle) > utilization {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests;
