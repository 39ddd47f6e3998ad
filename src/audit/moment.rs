//! A time as databases print it, with the precision to which it is written.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Nanoseconds of a millisecond.
pub(super) const MS: i128 = 1_000_000;

/// Nanoseconds of a second.
const SECOND: i128 = 1_000 * MS;

/// The nearest time that a calendar has, ms since 1970: a record may claim any, and sums with others must
/// have room.
pub(super) fn within_calendar(ms: i64) -> i64 {
    ms.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond())
}

/// A moment in time as a text or a number tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since 1970.
    ns: i128,
    /// The unit of its last digit, nanoseconds.
    precision_ns: i128,
}

impl Moment {
    /// The moment that a text tells: RFC 3339 in any zone, the same with a space for the `T`, UTC where
    /// there is no zone, or a number.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')) {
            let is_number = !text.get(1..)?.contains(['-', '+']);
            return if is_number { Self::of_number(text) } else { None };
        }
        // A day alone is no moment.
        let (_, clock) = text.split_once(['T', 't', ' '])?;
        let digits = clock
            .split_once(['.', ','])
            .map_or(0, |(_, fraction)| fraction.bytes().take_while(u8::is_ascii_digit).count());
        let precision_ns = 10_i128.checked_pow(9_u32.checked_sub(u32::try_from(digits).ok()?)?)?;
        let utc = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT"));
        let at = match utc {
            Some(civil) => utc_of(civil)?,
            None => match text.parse::<Timestamp>() {
                Ok(at) => at,
                // `2026-01-05 09:00:00 +01:00` is written by some.
                Err(_) => match text.rsplit_once(' ').filter(|(_, zone)| zone.contains(['+', '-']))
                {
                    Some((civil, zone)) if civil.contains(' ') => {
                        format!("{civil}{zone}").parse().ok()?
                    }
                    _ => utc_of(text)?,
                },
            },
        };
        Some(Self { ns: at.as_nanosecond(), precision_ns })
    }

    /// The moment that a number tells: seconds, milliseconds, microseconds or nanoseconds since 1970,
    /// whichever is nearest to our time.
    #[must_use]
    pub fn of_number(text: &str) -> Option<Self> {
        let plain;
        let text = if text.contains(['e', 'E']) {
            let number: f64 = text.parse().ok().filter(|n: &f64| n.abs() < 1e20)?;
            plain = format!("{number}");
            &plain
        } else {
            text
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let units: i128 = whole.parse().ok()?;
        let fraction = fraction.get(..9).unwrap_or(fraction);
        // Seconds to the year 5138, milliseconds to the same, and so on.
        let unit_ns = match units.unsigned_abs() {
            0..100_000_000_000 => SECOND,
            100_000_000_000..100_000_000_000_000 => MS,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            100_000_000_000_000_000..100_000_000_000_000_000_000 => 1,
            _ => return None,
        };
        let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        let part = if fraction.is_empty() { 0 } else { fraction.parse::<i128>().ok()? };
        let part = part * unit_ns / scale;
        let part = if whole.starts_with('-') { -part } else { part };
        Some(Self { ns: units * unit_ns + part, precision_ns: (unit_ns / scale).max(1) })
    }

    /// Milliseconds since 1970, rounded down.
    #[must_use]
    pub fn ms(&self) -> i64 {
        let ms = self.ns.div_euclid(MS).clamp(i64::MIN.into(), i64::MAX.into());
        within_calendar(i64::try_from(ms).unwrap_or_default())
    }

    /// The unit of its last digit, nanoseconds.
    #[must_use]
    pub fn precision_ns(&self) -> i128 {
        self.precision_ns
    }

    /// Whether it is that time, as far as a column of this precision can hold it: rounded down, or to
    /// the nearest, as databases do.
    pub(super) fn is(&self, other: &Self, precision_ns: i128) -> bool {
        let precision_ns = precision_ns.max(1);
        if precision_ns <= MS {
            return self.ns == other.ns;
        }
        let down = other.ns - other.ns.rem_euclid(precision_ns);
        let rest = other.ns - down;
        self.ns == down || (2 * rest >= precision_ns && self.ns == down + precision_ns)
    }
}

fn utc_of(civil: &str) -> Option<Timestamp> {
    let civil: DateTime = civil.trim_end().parse().ok()?;
    Offset::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<(i64, i128)> {
        Moment::of_text(text).map(|moment| (moment.ms(), moment.precision_ns))
    }

    #[test]
    fn the_usual_forms_of_a_time_are_read_with_their_precision() {
        let at = 1_767_603_600_354;
        for text in [
            "2026-01-05T09:00:00.354Z",
            "2026-01-05t09:00:00.354z",
            "2026-01-05 09:00:00.354",
            "2026-01-05 09:00:00.354 UTC",
            "2026-01-05 09:00:00.354+00",
            "2026-01-05 10:00:00.354+01",
            "2026-01-05 14:30:00.354+0530",
            "2026-01-05T04:00:00.354-05:00",
            "2026-01-05 10:00:00.354 +01:00",
            "1767603600354",
            "1767603600.354",
        ] {
            assert_eq!(ms(text), Some((at, MS)), "{text}");
        }
        assert_eq!(ms("2026-01-05 09:00:00.354000"), Some((at, 1_000)));
        assert_eq!(ms("1767603600354000"), Some((at, 1_000)));
        assert_eq!(ms("1767603600354000000"), Some((at, 1)));
        assert_eq!(ms("1767603600"), Some((1_767_603_600_000, SECOND)));
        assert_eq!(ms("2026-01-05 09:00:00"), Some((1_767_603_600_000, SECOND)));
        assert_eq!(ms("2026-01-05 09:00:00.35"), Some((1_767_603_600_350, 10 * MS)));
        assert_eq!(Moment::of_number("1.767603600354e12").unwrap().ms(), at);
        for none in ["", "-", "second", "2026-01-05", "12:00", "2026-13-05 09:00:00", "1-2", "."] {
            assert_eq!(ms(none), None, "{none}");
        }
    }

    #[test]
    fn a_coarser_time_is_compared_as_far_as_it_goes() {
        let sent = Moment::of_text("2026-01-05T09:00:00.754Z").unwrap();
        let is = |text: &str, precision| Moment::of_text(text).unwrap().is(&sent, precision);
        assert!(is("2026-01-05 09:00:00", SECOND));
        assert!(is("2026-01-05 09:00:01", SECOND), "rounded to the nearest");
        assert!(!is("2026-01-05 09:00:02", SECOND));
        assert!(!is("2026-01-05 09:00:00", MS), "of a column that has milliseconds");
        assert!(is("2026-01-05 09:00:00.754000", 1_000));
        assert!(!is("2026-01-05 09:00:00.754001", 1_000));
    }
}
