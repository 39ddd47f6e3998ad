//! Token lengths of public traces: quantiles of each side, and the classes of chat requests.
//!
//! The tables are parameters and contain no rows of any trace; attribution and licences are in
//! NOTICE. The quantiles and the mixture were computed from the raw data of the repositories named
//! here.

use super::{Class, Knots};

/// Probabilities of the quantiles below; the first and the last are minimum and maximum.
pub(super) const PROBABILITIES: Knots = [
    0.0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85,
    0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0,
];

/// Azure LLM inference trace 2023, conversation (CC-BY-4.0), 19,366 requests: prompt tokens.
pub(super) const CHAT_PROMPT: Knots = [
    2.0, 8.0, 29.0, 91.0, 181.0, 207.0, 372.0, 387.0, 396.0, 403.0, 703.0, 1020.0, 1071.0, 1130.0,
    1189.0, 1315.0, 1876.25, 2734.5, 4083.0, 4098.0, 4142.0, 4831.0, 6179.15, 14_050.0,
];

/// As above: completion tokens.
pub(super) const CHAT_COMPLETION: Knots = [
    7.0, 12.0, 16.0, 24.0, 41.0, 54.0, 67.0, 77.0, 85.0, 91.0, 103.0, 129.0, 177.0, 384.0, 395.0,
    400.0, 411.0, 424.0, 451.0, 540.0, 601.0, 643.17, 954.0, 1000.0,
];

/// The classes of [`CHAT_PROMPT`] and [`CHAT_COMPLETION`]: a six-component normal mixture of the
/// logarithms of both sides, fitted to the same trace.
///
/// One correlation coefficient is not enough: the rank correlation of the trace is 0.07, but its
/// mutual information is 0.70 nats.
pub(super) const CHAT_CLASSES: [Class; 6] = [
    Class {
        weight: 0.3004,
        ln_prompt: (6.9773, 0.0662),
        ln_completion: (6.0153, 0.0648),
        rho: 0.0092,
    },
    Class {
        weight: 0.2445,
        ln_prompt: (5.9895, 0.0432),
        ln_completion: (4.5390, 0.2513),
        rho: 0.3868,
    },
    Class {
        weight: 0.2327,
        ln_prompt: (7.3204, 0.4927),
        ln_completion: (4.8111, 0.7581),
        rho: -0.2493,
    },
    Class {
        weight: 0.0959,
        ln_prompt: (5.2917, 0.0882),
        ln_completion: (4.9838, 0.3876),
        rho: -0.2619,
    },
    Class {
        weight: 0.0748,
        ln_prompt: (8.3161, 0.0112),
        ln_completion: (4.0126, 0.4510),
        rho: 0.0381,
    },
    Class {
        weight: 0.0517,
        ln_prompt: (4.6427, 1.2083),
        ln_completion: (3.9578, 1.0704),
        rho: -0.5508,
    },
];

/// Azure LLM inference trace 2023, code (CC-BY-4.0), 8,819 requests: prompt tokens.
pub(super) const CODE_PROMPT: Knots = [
    3.0, 7.0, 17.0, 35.0, 75.0, 147.0, 232.0, 385.6, 578.0, 770.0, 1075.0, 1469.0, 1909.0, 2433.0,
    2744.5, 3192.4, 3920.2, 5187.6, 7303.3, 7436.0, 7436.0, 7436.0, 7437.0, 7437.0,
];

/// As above: completion tokens.
pub(super) const CODE_COMPLETION: Knots = [
    6.0, 6.0, 6.0, 6.0, 6.0, 7.0, 7.0, 8.0, 9.0, 9.0, 11.0, 13.0, 16.0, 20.0, 24.0, 29.0, 39.0,
    55.0, 90.0, 170.92, 251.46, 359.38, 825.27, 1899.0,
];

/// ServeGen, deepseek-r1 (Apache-2.0): prompt tokens. The trace has no minimum and maximum; here
/// they are 1 and the 99.9 % quantile rounded up.
pub(super) const REASON_PROMPT: Knots = [
    1.0, 5.0, 9.0, 10.0, 13.0, 18.0, 26.0, 29.0, 41.0, 57.0, 113.0, 208.0, 266.0, 406.0, 482.0,
    748.0, 1165.0, 2092.0, 6714.0, 16_479.0, 23_423.0, 28_228.0, 33_783.0, 34_000.0,
];

/// As above: completion tokens, including those of the reasoning.
pub(super) const REASON_COMPLETION: Knots = [
    1.0, 85.0, 141.0, 170.0, 225.0, 287.0, 341.0, 387.0, 427.0, 470.0, 582.0, 792.0, 1104.0,
    1367.0, 1499.0, 1680.0, 2196.0, 3432.0, 5701.0, 9338.0, 12_607.0, 15_737.0, 20_833.0, 21_000.0,
];

/// Mooncake, FAST'25 conversation (Apache-2.0), 12,031 requests: prompt tokens.
pub(super) const LONG_PROMPT: Knots = [
    891.0, 892.0, 894.0, 896.0, 901.0, 964.0, 1261.0, 1662.0, 2306.5, 3263.0, 4993.0, 6909.0,
    9570.0, 13_196.0, 15_367.0, 17_869.0, 21_464.0, 27_367.0, 39_550.5, 66_448.6, 85_400.4,
    100_810.25, 121_300.91, 126_195.0,
];

/// As above: completion tokens.
pub(super) const LONG_COMPLETION: Knots = [
    1.0, 1.0, 3.0, 3.0, 10.0, 24.0, 46.0, 100.0, 156.5, 213.0, 291.0, 350.0, 399.0, 447.0, 472.0,
    504.0, 543.0, 597.0, 698.0, 891.8, 1118.5, 1567.6, 2000.0, 2000.0,
];
