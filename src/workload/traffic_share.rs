//! Which GPU a pair comes from: some hosts and some GPUs get more requests than others.

use rand::RngExt;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand_distr::StandardNormal;

use super::Name;
use super::math::exp;
use super::rng::Stream;

/// Spread of the shares: standard deviation of their logarithms. Assumed.
const LOG_SD: f64 = 0.5;

/// How the pairs are shared out among members.
#[derive(Debug, Clone)]
enum Share {
    /// All members equally often.
    Even(usize),
    /// By shares.
    Skewed(WeightedIndex<f64>),
}

impl Share {
    /// The shares of `members`, which follow from the run's seed and the name of the choice. So
    /// the runs of a timer with one seed have the same favourites.
    fn skewed(members: usize, run_seed: u64, name: &str) -> Self {
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
    fn pick(&self, rng: &mut impl rand::Rng) -> usize {
        match self {
            Self::Even(1) => 0,
            Self::Even(members) => rng.random_range(0..*members),
            Self::Skewed(shares) => shares.sample(rng),
        }
    }

    /// The share of each member.
    fn of_each(&self) -> Vec<f64> {
        match self {
            Self::Even(members) => vec![1.0 / *members as f64; *members],
            Self::Skewed(shares) => {
                shares.weights().map(|weight| weight / shares.total_weight()).collect()
            }
        }
    }
}

/// How the pairs of a run are shared out among its GPUs.
#[derive(Debug, Clone)]
pub struct TrafficShare {
    hosts: Share,
    rows: Share,
    choice: Stream,
}

impl TrafficShare {
    /// The shares of a run on so many hosts with so many GPUs each.
    #[must_use]
    pub fn new(workload: Name, (hosts, rows): (usize, usize), run_seed: u64, run_id: &str) -> Self {
        let share = |members, name| match workload {
            Name::Uniform => Share::Even(members),
            _ => Share::skewed(members, run_seed, name),
        };
        Self {
            hosts: share(hosts, "hosts"),
            rows: share(rows, "rows"),
            choice: Stream::new(run_seed, "gpu", run_id),
        }
    }

    /// Host and row of a pair, each from 0.
    #[must_use]
    pub fn of(&self, seq: u64) -> (usize, usize) {
        self.pick(&mut self.choice.at(seq))
    }

    /// Draws a host and a row.
    pub(super) fn pick(&self, rng: &mut impl rand::Rng) -> (usize, usize) {
        (self.hosts.pick(rng), self.rows.pick(rng))
    }

    /// Draws a row.
    pub(super) fn pick_row(&self, rng: &mut impl rand::Rng) -> usize {
        self.rows.pick(rng)
    }

    /// The share of each host.
    pub(super) fn of_hosts(&self) -> Vec<f64> {
        self.hosts.of_each()
    }

    /// The share of each row.
    pub(super) fn of_rows(&self) -> Vec<f64> {
        self.rows.of_each()
    }

    /// How likely two pairs come from the same GPU.
    pub(super) fn of_two_on_one(&self) -> f64 {
        let meets = |share: &Share| share.of_each().iter().map(|p| p * p).sum::<f64>();
        meets(&self.hosts) * meets(&self.rows)
    }
}
