//! The shape of a day: how much higher the rate is by day than by night.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::math::{cos, ln};

/// Seconds of a day.
const DAY_SEC: f64 = 86_400.0;

/// Rate at the peak over rate at the trough: hourly means of ServeGen's m-large over 14 days
/// (Apache-2.0, see NOTICE). Between the two the rate is a cosine.
pub(super) const PEAK_TO_TROUGH: f64 = 1.45;

/// Hour of the peak, UTC. Assumed, because the trace does not name its time zone.
const PEAK_HOUR: f64 = 15.0;

/// Amplitude of the rate around its mean, which is 1.
const SWING: f64 = (PEAK_TO_TROUGH - 1.0) / (PEAK_TO_TROUGH + 1.0);

/// The rate this many days after a peak.
fn rate(days: f64) -> f64 {
    1.0 + SWING * cos(days * TAU)
}

/// Minutes of a day.
const MINUTES: usize = 1440;

/// Seconds of a minute.
const MINUTE_SEC: f64 = 60.0;

/// The rate of each minute of a day; their mean is 1.
static RATES: LazyLock<[f64; MINUTES]> = LazyLock::new(|| {
    #[expect(clippy::cast_precision_loss, reason = "minutes of a day")]
    std::array::from_fn(|minute| rate((minute as f64 / 60.0 - PEAK_HOUR) / 24.0))
});

/// The minute of the day of an instant, in ms since 1970.
fn minute_of(ms: i64) -> usize {
    usize::try_from(ms.rem_euclid(86_400_000) / 60_000).unwrap_or_default()
}

/// The logarithm of the rate in the minute of an instant, in ms since 1970; 0 at the mean.
pub(super) fn ln_rate(ms: i64) -> f64 {
    static LOGARITHMS: LazyLock<[f64; MINUTES]> = LazyLock::new(|| RATES.map(ln));
    LOGARITHMS[minute_of(ms)]
}

/// The rate at each of `n` instants spread evenly over a day.
pub(super) fn rates(n: u32) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| rate(f64::from(i) / f64::from(n)))
}

/// A clock that runs at the day's rate: fast at the peak, slow at the trough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Minute of the day.
    minute: usize,
    /// The rest of it, in seconds of this clock.
    left: f64,
}

impl Clock {
    /// The clock that starts at an instant.
    pub(super) fn starting(at: Timestamp) -> Self {
        let ms = at.as_millisecond();
        let minute = minute_of(ms);
        #[expect(clippy::cast_precision_loss, reason = "a minute in ms")]
        let into_minute = ms.rem_euclid(60_000) as f64 / 1000.0;
        Self { minute, left: RATES[minute] * (MINUTE_SEC - into_minute) }
    }

    /// Advances this clock, and returns how many real seconds pass.
    pub(super) fn count(&mut self, seconds: f64) -> f64 {
        let (mut passed, mut ahead) = (0.0, seconds);
        if seconds >= DAY_SEC {
            // On this clock a day is as long as a real day, wherever it begins.
            ahead = seconds % DAY_SEC;
            passed = seconds - ahead;
        }
        while ahead >= self.left {
            ahead -= self.left;
            passed += self.left / RATES[self.minute];
            self.minute = (self.minute + 1) % MINUTES;
            self.left = RATES[self.minute] * MINUTE_SEC;
        }
        self.left -= ahead;
        passed + ahead / RATES[self.minute]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_peak_and_its_mean_is_one() {
        let at = |text: &str| ln_rate(text.parse::<Timestamp>().unwrap().as_millisecond());
        let ratio = at("2026-01-01T15:00:00Z") - at("2026-01-01T03:00:00Z");
        assert!((ratio.exp() - 1.45).abs() < 1e-9);
        assert!((rates(24).sum::<f64>() / 24.0 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_clock_counts_whole_days_exactly() {
        for days in [1.0, 2.0, 365.0] {
            let mut clock = Clock::starting("2026-01-01T07:30:12.345Z".parse().unwrap());
            assert!((clock.count(days * DAY_SEC) - days * DAY_SEC).abs() < 1e-6);
        }
        let mut clock = Clock::starting("2026-01-01T07:30:12.345Z".parse().unwrap());
        let by_steps: f64 = (0..864_000).map(|_| clock.count(0.1)).sum();
        assert!((by_steps - DAY_SEC).abs() < 1e-3, "{by_steps}");
    }

    #[test]
    fn the_clock_never_runs_backwards() {
        let mut clock = Clock::starting("2026-01-01T07:30:00Z".parse().unwrap());
        let mut passed = 0.0;
        for counted in 1..2_000 {
            let more = clock.count(100.0);
            assert!(more > 0.0);
            passed += more;
            // 07:30 is before the peak: the first hours of the count pass in less time than they
            // say.
            assert!(counted != 216 || passed < 6.0 * 3600.0);
        }
    }

    #[test]
    fn the_clock_is_fast_by_day_and_slow_by_night() {
        let passed = |from: &str| Clock::starting(from.parse().unwrap()).count(600.0);
        // The peak is 1.45 / 1.225 of the mean, the trough 1 / 1.225.
        assert!((passed("2026-01-01T14:55:00Z") - 600.0 * 1.225 / 1.45).abs() < 0.1);
        assert!((passed("2026-01-01T02:55:00Z") - 600.0 * 1.225).abs() < 0.1);
    }

    #[test]
    fn the_clock_ends_a_minute_where_the_next_begins() {
        let at_a_minute = "2026-01-01T07:30:00Z".parse().unwrap();
        let mut clock = Clock::starting(at_a_minute);
        let rate = RATES[minute_of(at_a_minute.as_millisecond())];
        assert!((clock.count(rate * MINUTE_SEC) - MINUTE_SEC).abs() < 1e-9);
        assert!((clock.count(0.0)).abs() < 1e-9);
    }
}
