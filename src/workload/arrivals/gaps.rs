//! The gaps between pairs at a steady rate, as multiples of the mean.

use rand::Rng;
use rand_distr::{Distribution, Exp1, Gamma};

use super::{Law, Timing};
use crate::workload::Name;
use crate::workload::math::exp;
use crate::workload::rng::Stream;

/// The law of the gaps.
#[derive(Debug, Clone)]
pub(super) enum Gaps {
    /// All equal.
    Equal,
    /// Exponential, as from independent users.
    Exponential(Stream),
    /// Gamma gaps: requests come in clusters.
    Clusters(Stream, SmallGamma),
}

/// Gamma shapes of the gaps in the Azure LLM inference trace 2023 (CC-BY-4.0). Conversation: 0.871,
/// and 0.90 without the drift of the rate. Code, within a burst: 0.353 with the wander of the rate,
/// which leaves 0.4.
const CHAT_SHAPE: f64 = 0.90;
const CODE_SHAPE: f64 = 0.40;

impl Gaps {
    /// The gaps of a run.
    pub(super) fn new(timing: &Timing, run_seed: u64, run_id: &str) -> Self {
        let stream = Stream::new(run_seed, "arrivals", run_id);
        let shape = match (timing.law, timing.workload) {
            (Law::Fixed, _) => return Self::Equal,
            (Law::Workload, Name::Chat) => CHAT_SHAPE,
            (Law::Workload, Name::Code) => CODE_SHAPE,
            // The other traces publish no arrivals, and uniform has no trace.
            _ => return Self::Exponential(stream),
        };
        let clusters = |gamma| Self::Clusters(stream, gamma);
        SmallGamma::new(shape).map_or(Self::Exponential(stream), clusters)
    }

    /// The gap after pair `seq`, as a multiple of the mean; `None` if all gaps are equal.
    pub(super) fn after(&self, seq: u64) -> Option<f64> {
        match self {
            Self::Equal => None,
            Self::Exponential(stream) => Some(Exp1.sample(&mut stream.at(seq))),
            Self::Clusters(stream, gamma) => Some(gamma.sample(&mut stream.at(seq))),
        }
    }
}

/// A gamma distribution with a shape below 1 and the mean 1.
///
/// It is made from one with a shape above 1: `G(a) = G(a + 1) * U^(1/a)`, and `-ln U` is
/// exponential. `Gamma` would do the same with the platform's power function, which is slower and
/// differs in its last bits between platforms.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmallGamma {
    above: Gamma<f64>,
    shape: f64,
}

impl SmallGamma {
    fn new(shape: f64) -> Option<Self> {
        Some(Self { above: Gamma::new(shape + 1.0, 1.0 / shape).ok()?, shape })
    }

    fn sample(&self, rng: &mut impl Rng) -> f64 {
        let exponential: f64 = Exp1.sample(rng);
        self.above.sample(rng) * exp(-exponential / self.shape)
    }
}
