//! How long a request takes: its time in the queue, its time to first token, and a step per token.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::constants::Hardware;
use super::gpu::Work;
use super::math::whole;
use super::tokens::{Means, Tokens};

/// Spread of a request's latency above the formula. The 90 % quantile of the time per token is
/// 1.055 times its median at batch 8 (ML.ENERGY v3, Llama 3.1 8B on H100), as with `1 + 0.055
/// |normal|`.
const SPREAD: f64 = 0.055;

/// Latency of a request, ms: `queue + TTFT(prompt) + (completion - 1) * TPOT(batch)`, with noise.
///
/// The noise only slows a request down, so none beats its hardware. The queue is Little's law
/// beyond saturation: `L * TPOT * (in flight / batch_max - 1)` for completions of `L` tokens. This
/// reproduces NVIDIA's tables for NIM.
pub(super) fn live(
    hardware: &Hardware,
    work: Work,
    means: Means,
    tokens: Tokens,
    rng: &mut impl Rng,
) -> u32 {
    let tpot = hardware.tpot_ms(work.batch);
    let queue = means.completion * tpot * work.waiting / hardware.batch_max;
    let ttft = hardware.ttft_ms(f64::from(tokens.prompt));
    let steps = f64::from(tokens.completion.saturating_sub(1));
    let normal: f64 = StandardNormal.sample(rng);
    let slower = 1.0 + SPREAD * normal.abs();
    // Adds half a millisecond, so rounding makes no request faster.
    whole(queue + (ttft + steps * tpot) * slower + 0.5)
}

/// Latency of the `uniform` workload, ms.
pub(super) fn uniform(rng: &mut impl Rng) -> u32 {
    rng.random_range(100..=800)
}

#[cfg(test)]
mod tests;
