//! Decimal numbers in whole millionths: their sums do not depend on the order, and any consumer with
//! decimals comes to the same.

use std::fmt;

/// Decimals that are kept.
const PLACES: i32 = 6;

/// One in millionths.
const ONE: u128 = 1_000_000;

/// The most digits that fit, with room for a sum.
const MOST_DIGITS: i32 = 30;

/// A number of 0 or more, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(u128);

impl Millionths {
    /// A whole number.
    pub(super) const fn whole(number: u64) -> Self {
        Self(number as u128 * ONE)
    }

    /// A JSON number of 0 or more; half a millionth is rounded up. `None` for any other JSON, and for
    /// what is too large.
    pub(super) fn parse(json: &str) -> Option<Self> {
        let (number, exponent) = match json.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (json, 0),
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = [whole, decimals].concat();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        // How many decimals there are too few for millionths; below 0, too many.
        let decimals = i32::try_from(decimals.len()).ok()?.checked_sub(exponent)?;
        let shift = PLACES.checked_sub(decimals)?;
        let length = i32::try_from(digits.len()).ok()?.checked_add(shift)?;
        if digits.is_empty() || length < 0 {
            return Some(Self(0));
        }
        if length > MOST_DIGITS {
            return None;
        }
        let kept = usize::try_from(length).ok()?.min(digits.len());
        let number: u128 = if kept == 0 { 0 } else { digits[..kept].parse().ok()? };
        let number = number * 10_u128.pow(u32::try_from(shift.max(0)).ok()?);
        let is_rounded_up = digits.as_bytes().get(kept).is_some_and(|digit| *digit >= b'5');
        Some(Self(number + u128::from(is_rounded_up)))
    }

    /// The mean of `count` numbers of which this is the sum; half a millionth is rounded up.
    pub(super) fn mean(self, count: u64) -> Option<Self> {
        let count = u128::from(count);
        (2 * self.0 + count).checked_div(2 * count).map(Self)
    }
}

impl std::ops::AddAssign for Millionths {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

/// A decimal number without trailing zeros, but with at least one digit behind the point.
impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % ONE);
        let decimals = decimals.trim_end_matches('0');
        write!(f, "{}.{}", self.0 / ONE, if decimals.is_empty() { "0" } else { decimals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Option<String> {
        Millionths::parse(json).map(|number| number.to_string())
    }

    #[test]
    fn numbers_are_read_as_json_writes_them() {
        for (json, number) in [
            ("0", "0.0"),
            ("0.71", "0.71"),
            ("280.3", "280.3"),
            ("70", "70.0"),
            ("2.803e2", "280.3"),
            ("2803E-1", "280.3"),
            ("7e+1", "70.0"),
            ("0.0000005", "0.000001"),
            ("0.00000049", "0.0"),
            ("1e-400", "0.0"),
            ("0e99", "0.0"),
            ("140737488355328.0", "140737488355328.0"),
        ] {
            assert_eq!(read(json).as_deref(), Some(number), "{json}");
        }
        for json in ["1e400", "-1", "null", "\"12\"", "true", "{}", "[1]", "1e99999999999"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn a_mean_is_rounded_half_up_and_nothing_has_none() {
        let mean = |sum: u64, count| Millionths::whole(sum).mean(count).map(|m| m.to_string());
        assert_eq!(mean(2, 3).as_deref(), Some("0.666667"));
        assert_eq!(mean(1, 3).as_deref(), Some("0.333333"));
        assert_eq!(Millionths(1).mean(2), Some(Millionths(1)));
        assert_eq!(mean(0, 0), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(number in 0_u128..1_000_000_000_000_000_000_000) {
            prop_assert_eq!(Millionths::parse(&Millionths(number).to_string()), Some(Millionths(number)));
        }
    }
}
