//! A GPU amid incidents: throttled, with a neighbour, with more requests, or on its way back.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Gpu, OperatingPoint, Reading, TOP_POWER_SHARE, Work};
use crate::workload::constants::Hardware;
use crate::workload::incidents::Strain;
use crate::workload::load::Window;
use crate::workload::math::{ln, whole};
use crate::workload::seed::Row;

/// How many times as long a request takes at a power limit that is this share of what the board would
/// draw. Measured on an RTX 3090 of 350 W that decodes one request at a time, at limits from 125 to
/// 350 W: 20, 42, 64, 83, 91, 97, 99, 101 and 103 tokens a second (jankyai.droidgram.com, "Power
/// limiting RTX 3090 GPU to increase power efficiency").
const SLOWDOWN: [(f64, f64); 9] = [
    (0.357, 5.15),
    (0.429, 2.45),
    (0.5, 1.61),
    (0.571, 1.24),
    (0.643, 1.13),
    (0.714, 1.06),
    (0.8, 1.04),
    (0.857, 1.02),
    (1.0, 1.0),
];

impl Gpu {
    /// What the GPU does in a window, under a strain if there is one.
    pub(in crate::workload) fn work(&self, window: &Window, strain: Option<&Strain>) -> Work {
        match strain {
            None => self.work_above(window.level - self.points[window.day.index()].onset),
            Some(strain) => self.strained(window, strain),
        }
    }

    /// What the GPU does in a window under a strain.
    ///
    /// Requests that take longer are in flight for longer (Little's law), so a slow GPU is also a
    /// busier one with a larger batch.
    fn strained(&self, window: &Window, strain: &Strain) -> Work {
        let point = &self.points[window.day.index()];
        let more = |times: f64| self.movement.shift(ln(times));
        let above = window.level - point.onset + more(strain.in_flight);
        let cap_w = self.throttled_w(strain.power_share);
        let batch = self.work_above(above).batch;
        let wants_w = self.decoding_w(point, batch).max(f64::MIN_POSITIVE);
        let slowdown = slowdown(TOP_POWER_SHARE * cap_w / wants_w) / (1.0 - strain.neighbour);
        let work = self.work_above(above + more(slowdown));
        Work {
            busy: 1.0 - (1.0 - work.busy) * (1.0 - strain.neighbour),
            slowdown,
            power_cap_w: cap_w,
            ..work
        }
    }

    /// The power limit of a GPU that is throttled to a share of what it draws when it decodes one
    /// request, W: a share of the board's own limit would not reach a GPU that stays below it. It is no
    /// less than what the GPU draws with a model loaded, and 1 is the board's own.
    pub(in crate::workload) fn throttled_w(&self, share: f64) -> f64 {
        let board_w = self.hardware.power_cap_w;
        if share >= 1.0 {
            return board_w;
        }
        // The weekday's, so that the limit does not change at midnight.
        let draws_w = self.decoding_w(&self.points[0], 1.0);
        (share * draws_w).max(self.hardware.power_loaded_idle_w).min(board_w)
    }

    /// What the GPU draws while it decodes a batch and is not throttled, W.
    fn decoding_w(&self, point: &OperatingPoint, batch: f64) -> f64 {
        let board_w = self.hardware.power_cap_w;
        let natural_w = self.phases(batch).decode_share * board_w;
        point.busy_w(natural_w).min(TOP_POWER_SHARE * board_w)
    }

    /// Memory of the GPU with a neighbour on it: it takes its share of what is free. Assumed.
    pub(in crate::workload) fn shared_memory_mib(&self, row: &Row, strain: &Strain) -> u64 {
        let free = row.mem_total_mb.saturating_sub(row.mem_used_mb);
        row.mem_used_mb + part(free, strain.neighbour)
    }
}

/// The slowdown at a share of the power that the board would draw.
fn slowdown(share: f64) -> f64 {
    let above = SLOWDOWN.partition_point(|(known, _)| *known < share);
    let Some(high) = SLOWDOWN.get(above) else { return 1.0 };
    let Some(low) = above.checked_sub(1).map(|below| SLOWDOWN[below]) else { return high.1 };
    low.1 + (high.1 - low.1) * (share - low.0) / (high.0 - low.0)
}

/// What the sensors of a GPU show that restarts: nothing runs, its memory is freed, and then taken
/// again by this share while the model is loaded.
pub(in crate::workload) fn restarting(
    (row, hardware): (&Row, &Hardware),
    memory_share: f64,
    rng: &mut impl Rng,
) -> Reading {
    let idle_w =
        if memory_share > 0.0 { hardware.power_loaded_idle_w } else { hardware.power_idle_w };
    let normal: f64 = StandardNormal.sample(rng);
    let watts = idle_w.min(row.power_w) * (1.0 + hardware.power_scatter * normal.clamp(-2.0, 2.0));
    Reading {
        utilization_percent: 0,
        mem_used_mib: part(row.mem_used_mb, memory_share),
        power_deciwatts: whole(watts.max(0.0) * 10.0).into(),
    }
}

/// A share of an amount of memory, MiB.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the amount")]
fn part(mib: u64, share: f64) -> u64 {
    (mib as f64 * share) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowdown_is_the_measured_one_and_no_board_gets_faster() {
        for (share, times) in [(0.5, 1.61), (0.4645, 2.03), (1.0, 1.0), (3.0, 1.0), (0.1, 5.15)] {
            assert!((slowdown(share) - times).abs() < 1e-9, "{share}: {}", slowdown(share));
        }
        let all: Vec<_> = (0..200).map(|i| slowdown(f64::from(i) / 100.0)).collect();
        assert!(all.is_sorted_by(|one, other| one >= other));
    }
}
