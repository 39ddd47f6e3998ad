//! What a message carries to its delivery report, in one number: which record it is, and how late it
//! was.

use std::time::Duration;

use crate::event::Kind;

/// A message's number must hold all of it.
const _: () = assert!(usize::BITS == 64, "a pointer has 64 bits");

/// Bits of the index: `BATCH` ends below 2^40.
const INDEX_BITS: u32 = 40;

/// Bits of the lateness: a floating-point number, µs, exact to one in 130,000.
const MANTISSA_BITS: u32 = 17;
const EXPONENT_BITS: u32 = 5;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opaque {
    /// Which of the two events.
    pub(super) kind: Kind,
    /// Position among the pairs of this process.
    pub(super) index: u64,
    /// From the scheduled time to the enqueue.
    pub(super) late_by: Duration,
    /// Whether its headers go back to the pool.
    pub(super) pooled: bool,
}

impl Opaque {
    /// As a number.
    pub(super) fn pack(self) -> usize {
        let us = u64::try_from(self.late_by.as_micros()).unwrap_or(u64::MAX);
        let exponent = (u64::BITS - us.leading_zeros()).saturating_sub(MANTISSA_BITS);
        let most = (1 << EXPONENT_BITS) - 1;
        let late = if exponent > most {
            u64::from(most) << MANTISSA_BITS | ((1 << MANTISSA_BITS) - 1)
        } else {
            u64::from(exponent) << MANTISSA_BITS | us >> exponent
        };
        let kind = u64::from(self.kind == Kind::BOTH[1]);
        let head = (kind << 1 | u64::from(self.pooled)) << (MANTISSA_BITS + EXPONENT_BITS) | late;
        let packed = head << INDEX_BITS | self.index & ((1 << INDEX_BITS) - 1);
        usize::try_from(packed).unwrap_or_default()
    }

    /// From the number.
    pub(super) fn unpack(number: usize) -> Self {
        let packed = number as u64;
        let take = |from: u32, bits: u32| packed >> from & ((1 << bits) - 1);
        let mantissa = take(INDEX_BITS, MANTISSA_BITS);
        let exponent = take(INDEX_BITS + MANTISSA_BITS, EXPONENT_BITS);
        let flags = INDEX_BITS + MANTISSA_BITS + EXPONENT_BITS;
        Self {
            kind: Kind::BOTH[usize::from(take(flags + 1, 1) == 1)],
            index: take(0, INDEX_BITS),
            late_by: Duration::from_micros(mantissa << exponent),
            pooled: take(flags, 1) == 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_message_carries_its_record_and_how_late_it_was(
            second: bool, pooled: bool, index in 0..1_000_000_000_000_u64, us in 0..100_000_000_000_u64
        ) {
            let late_by = Duration::from_micros(us);
            let kind = Kind::BOTH[usize::from(second)];
            let opaque = Opaque { kind, index, late_by, pooled };
            let back = Opaque::unpack(opaque.pack());
            let off = late_by - back.late_by;
            prop_assert!(off.as_micros() <= u128::from(us / 65_536), "{off:?} of {late_by:?}");
            prop_assert_eq!(Opaque { late_by, ..back }, opaque);
        }
    }

    #[test]
    fn a_lateness_beyond_all_bounds_stays_the_longest() {
        let late_by = Duration::from_secs(u64::MAX);
        let opaque = Opaque { kind: Kind::Metric, index: 7, late_by, pooled: false };
        let back = Opaque::unpack(opaque.pack());
        assert_eq!(back.index, 7);
        assert!(back.late_by > Duration::from_secs(86_400 * 365));
    }
}
