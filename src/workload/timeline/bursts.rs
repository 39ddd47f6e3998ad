//! The bursts of code completion, second by second: people type, and then they read.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::HOUR_SEC;
use crate::workload::math::{between_normals, exp};

/// Code of the Azure LLM inference trace 2023 (CC-BY-4.0), split into bursts at gaps of more than
/// five seconds: mean length of a burst and of the silence after it, s. An hour has 60 of them (58
/// in the trace).
const BURST_SEC: f64 = 16.7;
const SILENCE_SEC: f64 = 43.2;
const BURSTS: usize = 60;

/// Standard deviation of the logarithm of a burst's rate. With it, the counts by minute have the
/// index of dispersion of the trace (164).
const BURST_LOG_SD: f64 = 0.2;

/// How the rate wanders within a burst: standard deviation of its logarithm, and seconds between
/// knots. With it, the counts by second have the index of dispersion of the trace (13).
const WANDER_LOG_SD: f64 = 0.7;
const WANDER_SEC: usize = 5;

/// The rate in each second of an hour, before it is scaled to a mean.
pub(super) fn rates(rng: &mut impl Rng) -> Vec<f64> {
    let mut rates = vec![0.0; HOUR_SEC];
    let share = BURST_SEC / (BURST_SEC + SILENCE_SEC);
    let hour = HOUR_SEC as f64;
    let silences = lengths(rng, hour * (1.0 - share));
    let bursts = lengths(rng, hour * share);
    // Somewhere in a burst or a silence, or else every hour would begin with a silence.
    let mut at = rng.random::<f64>() * hour;
    for (silence, burst) in silences.into_iter().zip(bursts) {
        at += silence;
        let normal: f64 = StandardNormal.sample(rng);
        add(&mut rates, at, burst, exp(BURST_LOG_SD * normal));
        at += burst;
    }
    wander(&mut rates, rng);
    rates
}

/// Exponential lengths whose sum is `total`.
fn lengths(rng: &mut impl Rng, total: f64) -> [f64; BURSTS] {
    let mut lengths = [0.0; BURSTS];
    for length in &mut lengths {
        *length = Exp1.sample(rng);
    }
    let sum: f64 = lengths.iter().sum();
    lengths.map(|length: f64| length / sum * total)
}

/// Adds a burst to the seconds that it covers, the last of which can be in the next round.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of two hours")]
fn add(rates: &mut [f64], from: f64, length: f64, rate: f64) {
    let (mut at, end) = (from, from + length);
    while at < end {
        let second = at as usize;
        let next = (f64::from(second as u32) + 1.0).min(end);
        rates[second % HOUR_SEC] += rate * (next - at);
        at = next.max(at + 1e-9);
    }
}

/// Lets the rate wander.
fn wander(rates: &mut [f64], rng: &mut impl Rng) {
    let mut from: f64 = StandardNormal.sample(rng);
    for block in rates.chunks_mut(WANDER_SEC) {
        let to: f64 = StandardNormal.sample(rng);
        let mut share = 0.0;
        for rate in block {
            if *rate > 0.0 {
                *rate *= exp(WANDER_LOG_SD * between_normals(from, to, share));
            }
            let step = 1.0 / WANDER_SEC as f64;
            share += step;
        }
        from = to;
    }
}
