//! What a GPU reports: utilization, memory and power, all from one latent load.
//!
//! A pair exists because a request ran in the second that ends at its `ts`, so a reading is never
//! 0. The seed row is the operating point: its utilization and power are the means over the pairs of
//! whole days, because pairs are all that a consumer sees.

mod operating_point;
mod strained;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::constants::Hardware;
use super::load::{Movement, Shifts, Window};
use super::math::{exp, log2, normal_quantile, whole};
use super::seed::Row;
use super::timeline::DayKind;
use super::tokens::Means;
use operating_point::OperatingPoint;
pub(super) use strained::restarting;

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

/// Highest power under a steady load, share of the limit: ML.ENERGY v3, B200 at large batches.
const TOP_POWER_SHARE: f64 = 0.985;

/// Most of a busy second that goes into prompts. Assumed.
const MOST_PREFILL: f64 = 0.95;

/// Standard deviation of the logarithm of the time of a second's prompts. Assumed.
const PREFILL_LOG_SD: f64 = 0.5;

/// Sensor noise shrinks near the power limit, because the limiter holds a board there. At most 11.5
/// % of the readings exceed the limit (P(Z > 1.2)); in the Acme fleets 8 to 12.6 % do.
const SCATTERS_TO_LIMIT: f64 = 1.2;

/// How often a busy board is read in a spike, and the highest rise above its power. The highest
/// reading of the Acme fleets is 1.5 times the limit; the frequency is assumed.
const SPIKES: (f64, f64) = (0.01, 0.5);

/// Number of batch sizes whose phases are precomputed.
const PHASES: u16 = 257;

/// What a GPU does in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Work {
    /// Share of the time beside the request that ends for which a kernel runs.
    pub(super) busy: f64,
    /// Requests in the batch, including the one that ends.
    pub(super) batch: f64,
    /// Requests that wait for a place in the batch.
    pub(super) waiting: f64,
    /// How many times as long everything takes.
    pub(super) slowdown: f64,
    /// Power limit, W.
    power_cap_w: f64,
}

/// What is left to chance in a window.
#[derive(Debug, Clone, Copy)]
struct Chance {
    /// How much of the window the request that ends fills, as a rank: as the utilization's sensor
    /// sees it, and as the power's, whose window is another.
    fills: [f64; 2],
    /// Rank of the number of prompts in the window.
    prompts: f64,
    /// Standard normal number of the time that the prompts take.
    prefill: f64,
}

/// A batch size: prompts that come in a second, and the power while decoding as a share of the
/// limit.
#[derive(Debug, Clone, Copy)]
struct Phases {
    prompts_per_sec: f64,
    /// How likely none comes.
    none: f64,
    decode_share: f64,
}

/// One GPU at its operating point.
#[derive(Debug, Clone)]
pub(super) struct Gpu {
    hardware: Hardware,
    movement: Movement,
    means: Means,
    mem_used_mib: u64,
    /// Half of the row's utilization: what the request that ends fills on average.
    fills: f64,
    /// Mean time to first token, s.
    ttft_sec: f64,
    /// For each batch size from 0.
    phases: Vec<Phases>,
    /// By kind of day.
    points: [OperatingPoint; 2],
    /// No reading is below this, W.
    least_w: f64,
}

impl Gpu {
    /// The GPU of a row, where `shifts` are those of each kind of day.
    pub(super) fn new(
        row: &Row,
        hardware: Hardware,
        movement: Movement,
        means: Means,
        shifts: &[Shifts; 2],
    ) -> Self {
        let utilization = f64::from(row.utilization_percent) / 100.0;
        let mut gpu = Self {
            hardware,
            movement,
            means,
            mem_used_mib: row.mem_used_mb,
            fills: utilization / 2.0,
            ttft_sec: hardware.ttft_ms(means.uncached) / 1000.0,
            phases: Vec::new(),
            points: [OperatingPoint::default(); 2],
            least_w: 0.9 * hardware.power_idle_w.min(row.power_w),
        };
        gpu.phases = (0..PHASES).map(|batch| gpu.phases_of(batch.into())).collect();
        gpu.points = DayKind::BOTH.map(|kind| {
            OperatingPoint::find(&gpu, utilization, row.power_w, &shifts[kind.index()])
        });
        gpu
    }

    /// What the GPU does at a load that is `above` the onset of other work.
    fn work_above(&self, above: f64) -> Work {
        let in_flight = if above > 0.0 { exp(self.movement.log_sd * above) } else { 1.0 };
        let most = self.hardware.batch_max;
        Work {
            busy: (above / self.movement.ramp).clamp(0.0, 1.0),
            batch: f64::from(whole(in_flight)).clamp(1.0, most),
            waiting: (in_flight - most).max(0.0),
            slowdown: 1.0,
            power_cap_w: self.hardware.power_cap_w,
        }
    }

    /// What the GPU's sensors read. Memory is the row's, because servers allocate it once and keep
    /// it.
    pub(super) fn reading(&self, work: Work, window: &mut Window) -> Reading {
        let rng = &mut window.rng;
        let chance = Chance {
            fills: [rng.random(), rng.random()],
            prompts: rng.random(),
            prefill: StandardNormal.sample(rng),
        };
        let point = &self.points[window.day.index()];
        let cap = work.power_cap_w;
        let mut watts = point.watts(
            self.natural_w(work, &chance),
            self.utilization(work, chance.fills[1]),
            TOP_POWER_SHARE * cap,
        );
        if watts > 0.0 {
            let to_limit = (1.0 - watts / cap).max(0.0) / SCATTERS_TO_LIMIT;
            let normal: f64 = StandardNormal.sample(rng);
            watts *= 1.0 + normal * self.hardware.power_scatter.min(to_limit);
        }
        if rng.random::<f64>() < SPIKES.0 {
            let height: f64 = rng.random();
            watts *= 1.0 + SPIKES.1 * height * height * height;
        }
        let watts = watts.clamp(self.least_w, (1.5 * cap).max(self.least_w));
        let percent = whole(self.utilization(work, chance.fills[0]) * 100.0).max(1);
        Reading {
            utilization_percent: u8::try_from(percent).unwrap_or(100),
            mem_used_mib: self.mem_used_mib,
            power_deciwatts: whole(watts * 10.0).into(),
        }
    }

    /// Share of a sensor's window in which a kernel runs: for the request that ends, and in the rest
    /// for others.
    fn utilization(&self, work: Work, fills: f64) -> f64 {
        let own = self.fills * (0.5 + fills);
        own + (1.0 - own) * work.busy
    }

    /// Power of a window in which a kernel runs all the time, W, before the correction for the
    /// operating point.
    fn natural_w(&self, work: Work, chance: &Chance) -> f64 {
        let Phases { prompts_per_sec, none, decode_share } = self.phases(work.batch);
        let prompts = poisson(prompts_per_sec, none, chance.prompts);
        let mut prefill = 0.0;
        if prompts > 0.0 {
            let spread = exp(PREFILL_LOG_SD * chance.prefill);
            prefill = (prompts * self.ttft_sec * spread).min(MOST_PREFILL);
        }
        let share = prefill * PREFILL_POWER_SHARE + (1.0 - prefill) * decode_share;
        share * self.hardware.power_cap_w
    }

    /// The phases of a batch: each request brings one prompt in the time that it takes.
    fn phases_of(&self, batch: f64) -> Phases {
        let Hardware { decode_power_share, decode_power_share_per_doubling, .. } = self.hardware;
        let decode = decode_power_share + decode_power_share_per_doubling * log2(batch.max(1.0));
        let request_ms =
            1000.0 * self.ttft_sec + self.means.completion * self.hardware.tpot_ms(batch);
        let prompts_per_sec = if request_ms > 0.0 { 1000.0 * batch / request_ms } else { 0.0 };
        Phases {
            prompts_per_sec,
            none: exp(-prompts_per_sec),
            decode_share: decode.min(TOP_POWER_SHARE),
        }
    }

    /// The phases of a batch, from the table if it has them.
    fn phases(&self, batch: f64) -> Phases {
        let known = usize::try_from(whole(batch)).ok().and_then(|batch| self.phases.get(batch));
        known.copied().unwrap_or_else(|| self.phases_of(batch))
    }
}

/// The Poisson number of a mean, the probability of 0, and a rank; beyond a dozen, where it no longer
/// matters, the normal law's.
fn poisson(mean: f64, none: f64, rank: f64) -> f64 {
    if mean > 12.0 {
        return (mean + mean.sqrt() * normal_quantile(rank)).max(0.0);
    }
    let (mut number, mut share) = (0.0, none);
    let mut at_most = share;
    while at_most < rank && number < 64.0 {
        number += 1.0;
        share *= mean / number;
        at_most += share;
    }
    number
}

#[cfg(test)]
mod tests;
