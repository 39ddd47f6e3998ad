//! The shape of a day: how much more is asked at noon than at night.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::math::{cos, ln, sin};

/// Seconds of a day.
const DAY_SEC: f64 = 86_400.0;

/// Rate at the peak over rate at the trough: hourly means of ServeGen's m-large over 14 days
/// (Apache-2.0, see NOTICE). The wave between the two is a cosine.
pub(super) const PEAK_TO_TROUGH: f64 = 1.45;

/// Hour of the peak, UTC. An assumption: the trace does not tell its time zone.
const PEAK_HOUR: f64 = 15.0;

/// Swing of the rate around its mean, 1.
const SWING: f64 = (PEAK_TO_TROUGH - 1.0) / (PEAK_TO_TROUGH + 1.0);

/// Angle of an instant, in ms since 1970, on the day's wave: 0 at the peak.
fn angle(ms: i64) -> f64 {
    let of_day = ms.rem_euclid(86_400_000);
    // A day in ms is exact as a float.
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    let hours = of_day as f64 / 3_600_000.0;
    (hours - PEAK_HOUR) / 24.0 * TAU
}

/// The logarithm of the rate in the minute of an instant, in ms since 1970; 0 at the mean.
pub(super) fn ln_rate(ms: i64) -> f64 {
    static OF_MINUTE: LazyLock<[f64; 1440]> = LazyLock::new(|| {
        let rate = |minute: i64| 1.0 + SWING * cos(angle(minute * 60_000));
        std::array::from_fn(|minute| ln(rate(i64::try_from(minute).unwrap_or_default())))
    });
    let minute = ms.div_euclid(60_000).rem_euclid(1440);
    OF_MINUTE[usize::try_from(minute).unwrap_or_default()]
}

/// The rate at each of `n` instants spread evenly over a day.
pub(super) fn rates(n: u32) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| 1.0 + SWING * cos(f64::from(i) / f64::from(n) * TAU))
}

/// A clock that runs with the day's rate: fast at the peak, slow at the trough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    angle: f64,
    sin_angle: f64,
}

impl Clock {
    /// The clock that starts at an instant.
    pub(super) fn starting(at: Timestamp) -> Self {
        let angle = angle(at.as_millisecond());
        Self { angle, sin_angle: sin(angle) }
    }

    /// Seconds after the start when this clock has counted `counted` seconds.
    ///
    /// `guess` is any earlier answer nearby. The count is the integral of the rate, which has a
    /// closed form; Newton's method turns it around.
    pub(super) fn seconds_at(self, counted: f64, guess: f64) -> f64 {
        let wave = SWING * DAY_SEC / TAU;
        let mut seconds = guess;
        for _ in 0..16 {
            let now = self.angle + seconds / DAY_SEC * TAU;
            let excess = seconds + wave * (sin(now) - self.sin_angle) - counted;
            let step = excess / (1.0 + SWING * cos(now));
            seconds -= step;
            // The error behind a step is below its square times 7e-6: less than a nanosecond.
            if step.abs() < 0.01 {
                break;
            }
        }
        seconds
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
    fn the_clock_counts_whole_days_exactly_and_never_runs_backwards() {
        let clock = Clock::starting("2026-01-01T07:30:00Z".parse().unwrap());
        for days in [1.0, 2.0, 365.0] {
            assert!((clock.seconds_at(days * DAY_SEC, 0.0) - days * DAY_SEC).abs() < 1e-4);
        }
        let mut before = 0.0;
        for counted in 1..2_000 {
            let seconds = clock.seconds_at(f64::from(counted) * 100.0, before);
            assert!(seconds > before);
            before = seconds;
        }
        // 07:30 is before the peak: the first hours of the count pass in less time than they say.
        assert!(clock.seconds_at(6.0 * 3600.0, 0.0) < 6.0 * 3600.0);
    }
}
