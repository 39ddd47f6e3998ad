//! Sets of kinds, and how often each was in force.

use std::fmt;

use super::Fault;
use crate::event::Kind;

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultSet(u16);

/// Bits of the kinds that change the value: all from the first of them on.
const VALUE: u16 = u16::MAX << Fault::Tombstone as u16;

impl FaultSet {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// Of a number with a bit for each kind, by its place in [`Fault::ALL`].
    pub(super) fn of_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this kind is one of them.
    #[must_use]
    pub fn has(self, fault: Fault) -> bool {
        self.0 & Self::from(fault).0 != 0
    }

    /// With this kind.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | Self::from(fault).0)
    }

    /// Without this kind.
    #[must_use]
    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !Self::from(fault).0)
    }

    /// The kinds at each record that is sent where these are in force: at the record, and at its copy.
    pub fn of_copies(self) -> impl Iterator<Item = Self> {
        let record = (!self.has(Fault::Drop)).then(|| self.without(Fault::Duplicate));
        let copy = self.has(Fault::Duplicate).then_some(self);
        record.into_iter().chain(copy)
    }

    /// The kinds, in their order.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.has(*fault))
    }

    /// The kind that changes the value.
    #[must_use]
    pub fn value_change(self) -> Option<Fault> {
        Self(self.0 & VALUE).iter().next()
    }

    /// Whether the record comes later than its pair is due.
    #[must_use]
    pub fn is_held(self) -> bool {
        self.has(Fault::Late) || self.has(Fault::OutOfOrder)
    }

    /// Whether the value is still one of its event, so that a consumer can read it.
    #[must_use]
    pub fn leaves_readable(self) -> bool {
        match self.value_change() {
            None => true,
            // It is there, and may be one that the schema does not allow.
            Some(change) => matches!(
                change,
                Fault::ExtraField | Fault::Sentinel | Fault::FailedRequest | Fault::Oversize
            ),
        }
    }

    /// What is in force where all of these hit one record: see [the module](super).
    pub(super) fn in_force(self) -> Self {
        if self.has(Fault::Drop) {
            return Fault::Drop.into();
        }
        let once = if self.has(Fault::Late) { self.without(Fault::OutOfOrder) } else { self };
        let rest = Self(once.0 & !VALUE);
        once.value_change().map_or(rest, |change| rest.with(change))
    }
}

impl From<Fault> for FaultSet {
    fn from(fault: Fault) -> Self {
        Self(1 << fault as u16)
    }
}

/// How many records of each topic each kind is in force at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultCounts([[u64; 16]; 2]);

impl FaultCounts {
    /// Counts a record.
    pub fn add(&mut self, kind: Kind, faults: FaultSet) {
        for fault in faults.iter() {
            self.0[kind as usize][fault as usize] += 1;
        }
    }

    /// Records of a topic at which a kind is in force.
    #[must_use]
    pub fn of(&self, kind: Kind, fault: Fault) -> u64 {
        self.0[kind as usize][fault as usize]
    }
}

/// The words, separated by commas: the value of the header `fault`.
impl fmt::Display for FaultSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            f.write_str(fault.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &str) -> FaultSet {
        let faults = words.split(',').filter_map(Fault::of_word);
        faults.fold(FaultSet::NONE, FaultSet::with)
    }

    #[test]
    fn every_kind_has_its_bit_and_its_word() {
        for (place, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place);
            assert_eq!(Fault::of_word(fault.word()), Some(fault));
        }
    }

    #[test]
    fn what_is_in_force_where_several_kinds_hit_one_record() {
        for (hit, in_force) in [
            ("", ""),
            ("drop,late,malformed,duplicate", "drop"),
            ("out-of-order,late", "late"),
            ("out-of-order,clock-skew,duplicate", "duplicate,out-of-order,clock-skew"),
            ("oversize,malformed,tombstone", "tombstone"),
            ("oversize,late,sentinel", "late,sentinel"),
        ] {
            assert_eq!(set(hit).in_force().to_string(), in_force, "{hit}");
        }
    }
}
