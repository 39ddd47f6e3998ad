//! The mathematical functions of the model. `libm` gives the same bits on every platform and libc.

use std::sync::LazyLock;

pub(super) use libm::{exp, log as ln, log2};

/// The probability that a standard normal number is at most `x`.
pub(super) fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The mean of `max(Z - x, 0)` for a standard normal `Z`.
pub(super) fn normal_excess(x: f64) -> f64 {
    let density = exp(-0.5 * x * x) / (2.0 * std::f64::consts::PI).sqrt();
    density - x * normal_cdf(-x)
}

/// The standard normal number of a rank between 0 and 1, to three digits, cut at ±4.
pub(super) fn normal_quantile(rank: f64) -> f64 {
    const STEPS: u16 = 1024;
    const STEP: f64 = 8.0 / STEPS as f64;
    static RANKS: LazyLock<Vec<f64>> = LazyLock::new(|| {
        (0..=STEPS).map(|step| normal_cdf(f64::from(step) * STEP - 4.0)).collect()
    });
    let above = RANKS.partition_point(|known| *known < rank).clamp(1, STEPS.into());
    let (low, high) = (RANKS[above - 1], RANKS[above]);
    let share = ((rank - low) / (high - low)).clamp(0.0, 1.0);
    let steps = (above - 1) as f64 + share;
    steps * STEP - 4.0
}

/// Mean and standard deviation of values.
pub(super) fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let over = |sum: f64| sum / values.len() as f64;
    let mean = over(values.iter().sum());
    let variance = over(values.iter().map(|x| (x - mean) * (x - mean)).sum());
    (mean, variance.sqrt())
}

/// The number at a share of the way between two independent standard normal ones, scaled to unit
/// variance at every point.
pub(super) fn between_normals(from: f64, to: f64, share: f64) -> f64 {
    let (near, far) = (1.0 - share, share);
    (near * from + far * to) / (near * near + far * far).sqrt()
}

/// The nearest whole number, clamped to 0 and `u32::MAX`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to the range")]
pub(super) fn whole(x: f64) -> u32 {
    // The cast truncates and clamps. `f64::round` is a function call on processors before SSE 4.1.
    (x + 0.5) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_of_the_normal_law_undoes_its_distribution() {
        for x in [-3.5, -1.96, -0.3, 0.0, 1.0, 2.5758] {
            let back = normal_quantile(normal_cdf(x));
            assert!((back - x).abs() < 1e-3, "{back} for {x}");
        }
        assert!((normal_quantile(0.975) - 1.959_96).abs() < 1e-3);
        assert!(
            (normal_quantile(0.0) + 4.0).abs() < 1e-9 && (normal_quantile(1.0) - 4.0).abs() < 1e-9
        );
    }
}
