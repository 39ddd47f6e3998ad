//! The mathematical functions of the model. `libm` gives the same bits on every platform and libc.

pub(super) use libm::{cos, exp, log as ln, log2};

/// The probability that a standard normal number is at most `x`.
pub(super) fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The mean of `max(Z - x, 0)` for a standard normal `Z`.
pub(super) fn normal_excess(x: f64) -> f64 {
    let density = exp(-0.5 * x * x) / (2.0 * std::f64::consts::PI).sqrt();
    density - x * normal_cdf(-x)
}

/// The nearest whole number, clamped to 0 and `u32::MAX`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to the range")]
pub(super) fn whole(x: f64) -> u32 {
    // The cast truncates and clamps. `f64::round` is a function call on processors before SSE 4.1.
    (x + 0.5) as u32
}
