//! Latency of acknowledgements and lateness of pairs, as quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest time that is told apart, µs: a day. Longer ones count as this long.
const LONGEST_US: u64 = 86_400_000_000;

/// Times measured in microseconds, to three significant digits.
#[derive(Debug, Clone)]
pub struct Times(Option<Histogram<u32>>);

impl Default for Times {
    fn default() -> Self {
        // The bounds are constants that the histogram takes.
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).ok())
    }
}

/// Quantiles, ms. Absent where nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// Longest.
    pub max: f64,
}

impl Times {
    /// Adds a time.
    pub fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST_US));
        }
    }

    /// The quantiles, where anything was recorded.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        let histogram = self.0.as_ref().filter(|h| !h.is_empty())?;
        let ms = |us: u64| us as f64 / 1000.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Some(Quantiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: ms(histogram.max()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut times = Times::default();
        assert_eq!(times.quantiles(), None);
        for ms in 1..=1000 {
            times.record(Duration::from_millis(ms));
        }
        let read = times.quantiles().unwrap();
        for (read, meant) in
            [(read.p50, 500.0), (read.p90, 900.0), (read.p99, 990.0), (read.max, 1000.0)]
        {
            assert!((read / meant - 1.0).abs() < 0.002, "{read} for {meant}");
        }
    }

    #[test]
    fn a_time_beyond_the_longest_counts_as_the_longest() {
        let mut times = Times::default();
        times.record(Duration::MAX);
        assert!(times.quantiles().unwrap().max >= 86_400_000.0);
    }
}
