//! What a request costs, in whole micro-USD: a sum depends on no order and no rounding of floating-point
//! numbers.
//!
//! A request is charged for the time that it runs on its GPU, at the GPU's rental price: what can be
//! computed from the two events of its pair alone. Requests that share a batch are each charged for all
//! of their time, so their sum is above the rent of a busy GPU, as the revenue of a server should be.

use super::seed::{Row, Seed};

/// Milliseconds of an hour.
const HOUR_MS: u128 = 3_600_000;

/// The price of the GPU of each row of a seed, micro-USD an hour.
#[must_use]
pub fn prices_micro_usd_per_hour(seed: &Seed) -> Vec<u64> {
    seed.rows.iter().map(price_micro_usd_per_hour).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn price_micro_usd_per_hour(row: &Row) -> u64 {
    let field = row.fields.iter().find(|field| field.key_json == "\"price_per_hour_usd\"");
    // The seed was refused if this is no number from 0 on.
    let usd: f64 = field.and_then(|field| field.value_json.parse().ok()).unwrap_or_default();
    (usd * 1e6).round() as u64
}

/// The cost of a request of `latency_ms` at a price, micro-USD; half of one is rounded up.
#[must_use]
pub fn cost_micro_usd(price_per_hour: u64, latency_ms: u32) -> u64 {
    let cost = (u128::from(price_per_hour) * u128::from(latency_ms) + HOUR_MS / 2) / HOUR_MS;
    u64::try_from(cost).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::seed;

    #[test]
    fn a_request_costs_its_share_of_the_hour_to_the_micro_usd() {
        let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
        let prices = prices_micro_usd_per_hour(&seed);
        assert_eq!(prices[0], 850_000, "0.85 USD");
        assert_eq!(cost_micro_usd(850_000, 3_600_000), 850_000);
        // 0.85 USD an hour are 0.2361 micro-USD a millisecond.
        assert_eq!(cost_micro_usd(850_000, 2), 0);
        assert_eq!(cost_micro_usd(850_000, 3), 1);
        assert_eq!(cost_micro_usd(1_800_000, 1), 1, "a half is rounded up");
        assert_eq!(cost_micro_usd(u64::MAX, u32::MAX), u64::MAX);
    }
}
