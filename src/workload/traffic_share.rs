//! Which GPU a pair comes from: some hosts and some GPUs get more requests than others.

use rand::RngExt;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand_distr::StandardNormal;

use super::math::exp;
use super::rng::Stream;

/// Spread of the shares: standard deviation of their logarithms. Assumed.
const LOG_SD: f64 = 0.5;

/// How the pairs are shared out among members.
#[derive(Debug, Clone)]
pub(super) enum TrafficShare {
    /// All members equally often.
    Even(usize),
    /// By shares.
    Skewed(WeightedIndex<f64>),
}

impl TrafficShare {
    /// The shares of `members`, which follow from the run's seed and the name of the choice. So
    /// the runs of a timer with one seed have the same favourites.
    pub(super) fn skewed(members: usize, run_seed: u64, name: &str) -> Self {
        if members == 1 {
            return Self::Even(1);
        }
        let shares = Stream::new(run_seed, "shares", name);
        let weight = |member: usize| {
            let normal: f64 = StandardNormal.sample(&mut shares.at(member as u64));
            exp(LOG_SD * normal)
        };
        WeightedIndex::new((0..members).map(weight)).map_or(Self::Even(members), Self::Skewed)
    }

    /// Draws a member.
    pub(super) fn pick(&self, rng: &mut impl rand::Rng) -> usize {
        match self {
            Self::Even(1) => 0,
            Self::Even(members) => rng.random_range(0..*members),
            Self::Skewed(shares) => shares.sample(rng),
        }
    }
}
