//! Power at the operating point of a seed row.

use crate::workload::constants::Hardware;
use crate::workload::hardware::HIGHEST_MEAN_POWER_SHARE;

/// Highest power under a steady load, share of the limit: ML.ENERGY v3, B200 at large batches.
pub(super) const TOP_POWER_SHARE: f64 = 0.985;

/// Maps the natural power of the two phases to the power at the operating point.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Power {
    /// Power while idle, W.
    pub(super) idle_w: f64,
    /// Natural power of the fixed point, W.
    fixed_w: f64,
    /// Power at the fixed point, W.
    fixed_to_w: f64,
    slope: f64,
}

impl Power {
    /// The power of a GPU that is busy for a share `utilization` of its time and draws `mean_w` on
    /// average.
    ///
    /// If the model alone draws more, busy and idle power both shrink. If it draws less, busy power
    /// moves towards the limit; only if that is not enough does idle power rise.
    pub(super) fn at(mean_w: f64, utilization: f64, hardware: &Hardware, natural_w: f64) -> Self {
        let loaded = hardware.power_loaded_idle_w;
        let top = TOP_POWER_SHARE * hardware.power_cap_w;
        let natural_mean = (1.0 - utilization) * loaded + utilization * natural_w;
        let least = hardware.power_idle_w.min(mean_w);
        let mut idle_w = if utilization <= 0.0 {
            mean_w
        } else if mean_w < natural_mean {
            (loaded * mean_w / natural_mean).max(least).min(mean_w)
        } else {
            loaded
        };
        let mut busy_w = natural_w;
        if utilization > 0.0 {
            busy_w = (mean_w - (1.0 - utilization) * idle_w) / utilization;
            let highest = HIGHEST_MEAN_POWER_SHARE * hardware.power_cap_w;
            if busy_w > highest && utilization < 1.0 {
                busy_w = highest;
                idle_w = ((mean_w - utilization * busy_w) / (1.0 - utilization)).min(mean_w);
            }
        }
        if busy_w <= natural_w {
            // Natural idle maps to idle, and the natural mean to the wanted one.
            let slope = (busy_w - idle_w) / (natural_w - loaded);
            Self { idle_w, fixed_w: natural_w, fixed_to_w: busy_w, slope: finite(slope) }
        } else {
            let slope = (top - busy_w) / (top - natural_w);
            Self { idle_w, fixed_w: top, fixed_to_w: top, slope: finite(slope) }
        }
    }

    /// The power while busy, W.
    pub(super) fn busy_w(&self, natural_w: f64) -> f64 {
        self.fixed_to_w + (natural_w - self.fixed_w) * self.slope
    }
}

/// A slope between two points. If they coincide, any slope will do.
fn finite(slope: f64) -> f64 {
    if slope.is_finite() { slope.max(0.0) } else { 0.0 }
}
