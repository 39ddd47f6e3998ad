//! How long a request takes: its time in the queue, its time to first token, and a step per token.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::constants::Hardware;
use super::gpu::Work;
use super::math::{exp, whole};
use super::tokens::{Means, Tokens};

/// How much longer than the formula a request takes in the median, and the standard deviation of the
/// logarithm of that. A latency then has a log-sd of about 0.15 given its tokens and its batch; with
/// the batch, less than the 0.22 to 0.26 of 39,270 real calls (kv-cache-tester, Apache-2.0).
const LONGER: f64 = 0.15;
const LONGER_LOG_SD: f64 = 0.8;

/// Share of its variance that the requests of a GPU's minute have in common. Assumed.
const COMMON: f64 = 0.5;

/// How many requests are held up, and by how much at the least and at the most. Assumed.
const HELD_UP: (f64, f64, f64) = (0.01, 2.0, 3.0);

/// Latency of a request, ms: `queue + TTFT(uncached prompt) + (completion - 1) * TPOT(batch)`, with noise.
/// `minute` is the standard normal number of the GPU's minute. What slows the GPU down slows all of it.
///
/// The noise only slows a request down, so none beats its hardware. The queue is Little's
/// law beyond saturation: `L * TPOT * (in flight / batch_max - 1)` for completions of `L` tokens.
/// This reproduces NVIDIA's tables for NIM.
pub(super) fn live(
    hardware: &Hardware,
    work: Work,
    means: Means,
    tokens: Tokens,
    (minute, rng): (f64, &mut impl Rng),
) -> u32 {
    let tpot = hardware.tpot_ms(work.batch) * work.slowdown;
    let queue = means.completion * tpot * work.waiting / hardware.batch_max;
    let ttft = hardware.ttft_ms(f64::from(tokens.uncached)) * work.slowdown;
    let steps = f64::from(tokens.completion.saturating_sub(1));
    let own: f64 = StandardNormal.sample(rng);
    let normal = COMMON.sqrt() * minute + (1.0 - COMMON).sqrt() * own;
    let mut factor = 1.0 + LONGER * exp(LONGER_LOG_SD * normal);
    let (share, from, to) = HELD_UP;
    let held_up: f64 = rng.random();
    if held_up < share {
        factor *= from + (to - from) * held_up / share;
    }
    // Adds half a millisecond, so rounding makes no request faster.
    whole(queue + (ttft + steps * tpot) * factor + 0.5)
}

/// Latency of the `uniform` workload, ms.
pub(super) fn uniform(rng: &mut impl Rng) -> u32 {
    rng.random_range(100..=800)
}

#[cfg(test)]
mod tests;
