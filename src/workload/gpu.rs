//! What a GPU reports: utilization, memory and power, all from one load.
//!
//! The load is a function of seed and absolute event time, so that the runs of a timer with one
//! RUN_SEED continue one series instead of jumping.

use jiff::Timestamp;
use rand::RngExt;

use super::rng::Stream;
use super::seed::Row;

/// One reading of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Share of time busy, percent.
    pub utilization_percent: u8,
    /// Memory in use, MiB.
    pub mem_used_mb: u64,
    /// Board power, tenths of a watt.
    pub power_deciwatts: u64,
}

/// Requests a GPU works on at once when its load is full.
const BATCH_AT_FULL_LOAD: f64 = 16.0;

/// Power follows the load this far around the operating point.
const POWER_SWING: f64 = 0.3;

/// The latent load of one GPU over time.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Period in ms, weight and stream of each layer of noise; the weights add up to 1.
    layers: [(i64, f64, Stream); 3],
}

impl Load {
    /// The load of a GPU, told apart by `scope`.
    #[must_use]
    pub(super) fn new(run_seed: u64, scope: &str) -> Self {
        let layer =
            |name, period_ms, weight| (period_ms, weight, Stream::new(run_seed, name, scope));
        let layers = [
            layer("load-minutes", 60_000, 0.5),
            layer("load-tens", 10_000, 0.3),
            layer("load-seconds", 1_000, 0.2),
        ];
        Self { layers }
    }

    /// The load at an instant, 0 to 1, around 0.5.
    #[must_use]
    pub(super) fn at(&self, at: Timestamp) -> f64 {
        let ms = at.as_millisecond();
        self.layers.iter().map(|(period, weight, stream)| weight * noise(stream, ms, *period)).sum()
    }
}

/// Draws at multiples of the period, and a smooth way between them.
fn noise(stream: &Stream, ms: i64, period_ms: i64) -> f64 {
    let knot = ms.div_euclid(period_ms);
    let draw = |knot: i64| stream.at(knot.cast_unsigned()).random::<f64>();
    // Less than a minute in ms: exact as a float.
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    let share = ms.rem_euclid(period_ms) as f64 / period_ms as f64;
    let smooth = share * share * (3.0 - 2.0 * share);
    let (from, to) = (draw(knot), draw(knot + 1));
    from + (to - from) * smooth
}

/// Requests in the batch at a load.
#[must_use]
pub(super) fn batch(load: f64) -> f64 {
    (load * BATCH_AT_FULL_LOAD).round().max(1.0)
}

/// What a GPU reports at a load: the seed row's values are the operating point.
///
/// Memory stays as it is in the row: servers allocate it once and keep it.
#[must_use]
pub(super) fn live(row: &Row, load: f64) -> Reading {
    let swing = 2.0 * load - 1.0;
    let operating = f64::from(row.utilization_percent);
    let percent = operating + swing * operating.min(100.0 - operating);
    let deciwatts = row.power_w * (1.0 + POWER_SWING * swing) * 10.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are 0 or more"
    )]
    Reading {
        utilization_percent: percent.round().clamp(0.0, 100.0) as u8,
        mem_used_mb: row.mem_used_mb,
        power_deciwatts: deciwatts.round().max(0.0) as u64,
    }
}
