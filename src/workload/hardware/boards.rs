//! GPUs: limits, idle power and memory bandwidth.
//!
//! Limits and idle powers are readings of `nvidia-smi` and `rocm-smi` in public repositories, each
//! the middle of the range found. Bandwidths are from the makers' data sheets.

use crate::workload::seed::Row;

/// A GPU board.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Board {
    /// Name, if it was recognised.
    pub(super) name: Option<&'static str>,
    /// Power limit, W.
    pub(super) power_cap_w: f64,
    /// Idle, nothing loaded, W.
    pub(super) power_idle_w: f64,
    /// Idle, a model loaded, W.
    pub(super) power_loaded_idle_w: f64,
    /// Power while decoding for one request, and the increase per doubling of the batch, share of
    /// the limit.
    pub(super) decode_power: (f64, f64),
    /// Scatter of the power sensor, share.
    pub(super) power_scatter: f64,
    /// Memory bandwidth, GB/s, which bounds decoding.
    pub(super) bandwidth_gb_s: f64,
}

/// How a name is recognised: words it has, words it must not have, and the least memory in MiB.
type Words = (&'static [&'static str], &'static [&'static str], u64);

/// Names of other boards that share a word with one in the table.
const OTHERS: &[&str] = &["TI", "SUPER", "LAPTOP", "MOBILE", "D"];

/// Decode power of boards without a published one: assumed, within their busy readings.
const ASSUMED: (f64, f64) = (0.65, 0.05);

/// A100: 0.59 to 0.64 of the limit for Llama 2 70B on four, nearly flat (splitwise-sim, MIT).
const A100_DECODE: (f64, f64) = (0.59, 0.01);

/// Scatter of a sensor that averages over a second; NVML documents 5 % for its oldest parts.
/// Assumed.
const AVERAGED: f64 = 0.02;

/// Scatter of the A100's sensor, which is instantaneous (NVML documentation). Assumed.
const INSTANTANEOUS: f64 = 0.04;

const fn board(
    name: &'static str,
    [power_cap_w, power_idle_w, power_loaded_idle_w]: [f64; 3],
    decode_power: (f64, f64),
    power_scatter: f64,
    bandwidth_gb_s: f64,
) -> Board {
    Board {
        name: Some(name),
        power_cap_w,
        power_idle_w,
        power_loaded_idle_w,
        decode_power,
        power_scatter,
        bandwidth_gb_s,
    }
}

/// The known boards, the more specific name first. Loaded idle of the two RTX is assumed at a fifth
/// of the limit, as measured on A10G, H100 and B200; of the A100 it is the lower quartile of the
/// power of the Acme fleets (AcmeTrace, CC-BY-4.0).
#[rustfmt::skip]
const BOARDS: &[(Words, Board)] = &[
    ((&["3090"], &[], 0), board("RTX 3090", [350.0, 16.0, 70.0], ASSUMED, AVERAGED, 936.0)),
    ((&["4090"], &[], 0), board("RTX 4090", [450.0, 18.0, 90.0], ASSUMED, AVERAGED, 1008.0)),
    ((&["A10G"], &[], 0), board("A10G", [300.0, 16.0, 66.0], ASSUMED, AVERAGED, 600.0)),
    ((&["L4"], &[], 0), board("L4", [72.0, 13.0, 31.0], ASSUMED, AVERAGED, 300.0)),
    ((&["A100", "PCIE"], &[], 60_000),
        board("A100 80GB PCIe", [300.0, 46.0, 66.0], A100_DECODE, INSTANTANEOUS, 1935.0)),
    ((&["A100", "PCIE"], &[], 0),
        board("A100 40GB PCIe", [250.0, 32.0, 50.0], A100_DECODE, INSTANTANEOUS, 1555.0)),
    ((&["A100"], &[], 60_000),
        board("A100 80GB SXM", [400.0, 58.0, 66.0], A100_DECODE, INSTANTANEOUS, 2039.0)),
    ((&["A100"], &[], 0),
        board("A100 40GB SXM", [400.0, 51.0, 66.0], A100_DECODE, INSTANTANEOUS, 1555.0)),
    // ML.ENERGY v3: 393 + 35.0 log2(batch) W for Llama 3.1 8B on one H100.
    ((&["H100", "PCIE"], &["NVL"], 0),
        board("H100 PCIe", [350.0, 46.0, 79.0], (0.562, 0.050), AVERAGED, 2000.0)),
    ((&["H100"], &["NVL"], 0),
        board("H100 SXM", [700.0, 70.0, 142.0], (0.562, 0.050), AVERAGED, 3350.0)),
    ((&["H200", "NVL"], &[], 0),
        board("H200 NVL", [600.0, 69.0, 119.0], (0.562, 0.050), AVERAGED, 4800.0)),
    ((&["H200"], &[], 0),
        board("H200 SXM", [700.0, 75.0, 119.0], (0.562, 0.050), AVERAGED, 4800.0)),
    // ML.ENERGY v3: 449 to 691 W for Llama 3.1 8B on one B200, without a clear trend.
    ((&["B200"], &[], 0), board("B200", [1000.0, 140.0, 187.0], (0.45, 0.03), AVERAGED, 8000.0)),
    ((&["MI300X"], &[], 0), board("MI300X", [750.0, 140.0, 145.0], ASSUMED, AVERAGED, 5300.0)),
];

/// The names of the known boards.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BOARDS.iter().filter_map(|(_, board)| board.name)
}

impl Board {
    /// The board of a row; if its name is unknown, one derived from its values.
    pub(super) fn of(row: &Row) -> Self {
        let upper = row.name.to_ascii_uppercase();
        let words: Vec<&str> = upper
            .split(|c: char| !c.is_ascii_alphanumeric())
            .map(|word| word.strip_prefix("RTX").filter(|rest| !rest.is_empty()).unwrap_or(word))
            .collect();
        let has = |word: &&str| words.contains(word);
        let known = BOARDS.iter().find(|((all, none, least_mib), _)| {
            all.iter().all(has)
                && !none.iter().chain(OTHERS).any(has)
                && row.mem_total_mb >= *least_mib
        });
        known.map_or_else(|| Self::derived(row), |(_, board)| *board)
    }

    /// A board that has its row's power at its row's utilization. Assumed: idle with a model at a
    /// fifth of the limit, 0.8 of it when busy, and 4 GB/s of bandwidth per watt of the limit,
    /// the middle of the known boards.
    fn derived(row: &Row) -> Self {
        let busy = f64::from(row.utilization_percent) / 100.0;
        let power_cap_w = row.power_w / (0.2 * (1.0 - busy) + 0.8 * busy);
        Self {
            name: None,
            power_cap_w,
            power_idle_w: 0.08 * power_cap_w,
            power_loaded_idle_w: 0.2 * power_cap_w,
            decode_power: ASSUMED,
            power_scatter: AVERAGED,
            // A row without power gets the speed of the slowest board in the table.
            bandwidth_gb_s: (4.0 * power_cap_w).max(300.0),
        }
    }
}
