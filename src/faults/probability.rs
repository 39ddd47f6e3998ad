//! A probability, kept exactly.

use std::fmt;
use std::str::FromStr;

/// Most digits of a number in a probability, and behind the point of a decimal.
const DIGITS: usize = 18;

/// A ratio of whole numbers from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probability {
    /// At most the denominator.
    numerator: u64,
    /// At least 1, at most 10^18.
    denominator: u64,
}

impl Probability {
    /// As a floating-point number, for estimates.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// The largest of the 2^64 numbers of a draw that is a hit, where any is: their share is the
    /// probability, within one in 2^64.
    pub(super) fn last_hit(self) -> Option<u64> {
        let hits = (u128::from(self.numerator) << 64).div_ceil(u128::from(self.denominator));
        let last = hits.checked_sub(1)?;
        Some(u64::try_from(last).unwrap_or(u64::MAX))
    }
}

/// A decimal, as in `0.01`, or a ratio, as in `1/200`. Error: why it is neither.
impl FromStr for Probability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (numerator, denominator) = match text.split_once('/') {
            Some((numerator, denominator)) => (number(numerator), number(denominator)),
            None => decimal(text),
        };
        match (numerator, denominator) {
            (Some(_), Some(0)) => Err(format!("{text:?} divides by 0")),
            (Some(numerator), Some(denominator)) if numerator <= denominator => {
                Ok(Self { numerator, denominator })
            }
            (Some(_), Some(_)) => Err(format!("{text:?} is more than 1")),
            _ => Err(format!("{text:?} is not a probability, as in 0.01 or 1/200")),
        }
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

fn number(text: &str) -> Option<u64> {
    let is_number = (1..=DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Numerator and denominator of a decimal.
fn decimal(text: &str) -> (Option<u64>, Option<u64>) {
    let Some((whole, fraction)) = text.split_once('.') else { return (number(text), Some(1)) };
    let Some(places) = number(fraction).and(u32::try_from(fraction.len()).ok()) else {
        return (None, None);
    };
    let denominator = 10_u64.pow(places);
    let numerator = number(whole).zip(number(fraction)).and_then(|(whole, fraction)| {
        // More than 1 need not be exact.
        whole.min(2).checked_mul(denominator)?.checked_add(fraction)
    });
    (numerator, Some(denominator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<(u64, u64), String> {
        text.parse().map(|Probability { numerator, denominator }| (numerator, denominator))
    }

    #[test]
    fn a_decimal_and_a_ratio_are_kept_exactly() {
        assert_eq!(of("0.01"), Ok((1, 100)));
        assert_eq!(of("1/200"), Ok((1, 200)));
        assert_eq!(of("1"), Ok((1, 1)));
        assert_eq!(of("0"), Ok((0, 1)));
        assert_eq!(of("1.000"), Ok((1000, 1000)));
        assert_eq!(of("0.123456789012345678"), Ok((123_456_789_012_345_678, 10_u64.pow(18))));
        for (text, problem) in [
            ("1.01", "\"1.01\" is more than 1"),
            ("3/2", "\"3/2\" is more than 1"),
            ("99999999999.5", "\"99999999999.5\" is more than 1"),
            ("1/0", "\"1/0\" divides by 0"),
            ("", "\"\" is not a probability, as in 0.01 or 1/200"),
            (".5", "\".5\" is not a probability, as in 0.01 or 1/200"),
            ("1e-3", "\"1e-3\" is not a probability, as in 0.01 or 1/200"),
            ("-0.1", "\"-0.1\" is not a probability, as in 0.01 or 1/200"),
            ("1%", "\"1%\" is not a probability, as in 0.01 or 1/200"),
        ] {
            assert_eq!(of(text), Err(problem.to_owned()));
        }
    }

    #[test]
    fn the_share_of_the_draws_that_hit_is_the_probability() {
        let last_hit = |text: &str| text.parse::<Probability>().unwrap().last_hit();
        assert_eq!(last_hit("0"), None);
        assert_eq!(last_hit("1"), Some(u64::MAX));
        assert_eq!(last_hit("1/2"), Some(u64::MAX / 2));
        assert_eq!(last_hit("0.25"), Some(u64::MAX / 4));
        // 2^64 / 3 is no whole number: one draw more.
        assert_eq!(last_hit("1/3"), Some(u64::MAX / 3));
        assert_eq!(last_hit("1/999999999999999999"), Some(18));
    }

    proptest! {
        #[test]
        fn any_text_is_a_probability_or_refused(text in "[0-9./e-]{0,40}") {
            if let Ok(p) = text.parse::<Probability>() {
                prop_assert!((0.0..=1.0).contains(&p.as_f64()), "{p}");
            }
        }
    }
}
