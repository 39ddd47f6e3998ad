//! How long a request takes: time to first token, then one step a token, at the GPU's batch.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::hardware::Hardware;
use super::tokens::Tokens;

/// Spread of a request's latency around its law: standard deviation of the logarithm, as in the
/// fast mode of ServeGen's offline trace_d.
const LOG_SD: f64 = 0.13;

/// Latency of a request, ms: `TTFT(prompt) + (completion - 1) * TPOT(batch)`, with noise.
///
/// The noise only slows down, so that no request beats its hardware.
pub(super) fn live(hardware: Hardware, tokens: Tokens, batch: f64, rng: &mut impl Rng) -> u32 {
    let ttft = hardware.ttft_base_ms + hardware.ttft_per_token_ms * f64::from(tokens.prompt);
    let tpot = hardware.tpot_base_ms + hardware.tpot_per_batch_ms * batch;
    let steps = f64::from(tokens.completion.saturating_sub(1));
    let normal: f64 = StandardNormal.sample(rng);
    let slower = (LOG_SD * normal.abs()).exp();
    let ms = ((ttft + steps * tpot) * slower).ceil().min(f64::from(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to u32")]
    let ms = ms as u32;
    ms
}

/// Latency of the `uniform` workload, ms.
pub(super) fn uniform(rng: &mut impl Rng) -> u32 {
    rng.random_range(100..=800)
}
