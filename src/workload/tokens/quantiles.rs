//! Lengths by rank.

use serde::Deserialize;

use super::at_least_one;
use crate::workload::math::{exp, ln};

/// Knots nearer than this are joined by a straight line, which is at most 0.12 % off the log-linear
/// one, and needs no exponential function.
const NEAR: f64 = 1.1;

/// Equally spaced quantiles of a length, the first the minimum, the last the maximum.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Vec<f64>")]
pub(super) struct Quantiles {
    /// The length at each knot.
    tokens: Vec<f64>,
    /// Its logarithm.
    ln: Box<[f64]>,
    /// Number of intervals between the knots.
    intervals: f64,
}

impl From<Vec<f64>> for Quantiles {
    fn from(tokens: Vec<f64>) -> Self {
        let intervals = tokens.len().saturating_sub(1) as f64;
        Self { ln: tokens.iter().copied().map(ln).collect(), tokens, intervals }
    }
}

impl Quantiles {
    /// The length at a rank from 0 to 1, log-linear between the knots.
    pub(super) fn at(&self, rank: f64) -> f64 {
        let place = rank * self.intervals;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of the table")]
        let low = (place as usize).min(self.ln.len() - 2);
        let share = place - low as f64;
        let (from, to) = (self.tokens[low], self.tokens[low + 1]);
        if to <= NEAR * from {
            return from + (to - from) * share;
        }
        let (from, to) = (self.ln[low], self.ln[low + 1]);
        exp(from + (to - from) * share)
    }

    /// The length at a rank, in whole tokens.
    pub(super) fn tokens(&self, rank: f64) -> u32 {
        at_least_one(self.at(rank))
    }

    /// The share of the lengths below `tokens`.
    pub(super) fn rank(&self, tokens: f64) -> f64 {
        let length = ln(tokens);
        let above = self.ln.partition_point(|knot| *knot < length);
        if above == 0 || above == self.ln.len() {
            return if above == 0 { 0.0 } else { 1.0 };
        }
        let (from, to) = (self.ln[above - 1], self.ln[above]);
        ((above - 1) as f64 + (length - from) / (to - from)) / self.intervals
    }

    /// Rank and length of each knot.
    pub(super) fn knots(&self) -> impl Iterator<Item = (f64, f64)> {
        let rank = |i: usize| i as f64 / self.intervals;
        self.tokens.iter().enumerate().map(move |(i, tokens)| (rank(i), *tokens))
    }

    /// Mean length.
    pub(super) fn mean(&self) -> f64 {
        let mean = |pair: &[f64]| match pair {
            // the mean of a log-linear interval
            [from, to] if to > from => (exp(*to) - exp(*from)) / (to - from),
            _ => exp(pair[0]),
        };
        self.ln.windows(2).map(mean).sum::<f64>() / self.intervals
    }
}

/// Prompt and completion lengths of a trace.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sides {
    pub(super) prompt: Quantiles,
    pub(super) completion: Quantiles,
}
