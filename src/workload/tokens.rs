//! How many tokens a request has.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::settings::WorkloadName;

/// Prompt and completion tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens of the completion.
    pub completion: u32,
}

/// A log-normal law cut to a range.
#[derive(Debug, Clone, Copy)]
struct Length {
    mu: f64,
    sigma: f64,
    min: f64,
    max: f64,
}

impl Length {
    fn draw(self, rng: &mut impl Rng) -> u32 {
        let normal: f64 = StandardNormal.sample(rng);
        let length = (self.mu + self.sigma * normal).exp().round().clamp(self.min, self.max);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "cut to a range"
        )]
        let length = length as u32;
        length
    }
}

/// Prompt and completion law of a workload: log-normal fits to public traces, cut to the trace's
/// range. chat and code: Azure LLM inference trace 2023 (CC-BY-4.0); reason: ServeGen deepseek-r1
/// (Apache-2.0); long: Mooncake FAST'25 conversation (Apache-2.0). See NOTICE.
fn lengths(workload: WorkloadName) -> Option<(Length, Length)> {
    let law = |mu, sigma, min, max| Length { mu, sigma, min, max };
    match workload {
        WorkloadName::Chat => {
            Some((law(6.633, 0.985, 1.0, 14_050.0), law(5.019, 0.859, 1.0, 1_000.0)))
        }
        WorkloadName::Code => {
            Some((law(6.999, 1.360, 1.0, 7_437.0), law(2.788, 0.847, 1.0, 1_899.0)))
        }
        WorkloadName::Reason => {
            Some((law(5.231, 1.837, 1.0, 34_000.0), law(6.774, 0.970, 1.0, 21_000.0)))
        }
        WorkloadName::Long => {
            Some((law(8.737, 1.199, 891.0, 126_000.0), law(5.336, 1.358, 1.0, 2_000.0)))
        }
        WorkloadName::Uniform => None,
    }
}

/// The tokens of one request.
pub(super) fn draw(workload: WorkloadName, rng: &mut impl Rng) -> Tokens {
    match lengths(workload) {
        Some((prompt, completion)) => {
            Tokens { prompt: prompt.draw(rng), completion: completion.draw(rng) }
        }
        None => {
            Tokens { prompt: rng.random_range(256..=2048), completion: rng.random_range(64..=512) }
        }
    }
}
