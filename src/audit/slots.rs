//! A pair's record and the copy that a fault makes of it: which of either were read, and where.

use roaring::RoaringTreemap;

use super::places::Places;
use super::seen::Seen;
use crate::faults::{Fault, FaultSet};

/// Which of two records with the same pair and topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The pair's own.
    Original,
    /// The one that the fault `duplicate` makes.
    Copy,
}

impl Slot {
    /// That of a record with these faults.
    pub(super) fn of(faults: FaultSet) -> Self {
        if faults.has(Fault::Duplicate) { Self::Copy } else { Self::Original }
    }

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Original => Self::Copy,
            Self::Copy => Self::Original,
        }
    }
}

/// The records of one slot.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) seen: Seen,
    /// Where the latest first copies were.
    pub(super) places: Places,
    /// Records with faults that a stage altered, by place.
    pub(super) altered: RoaringTreemap,
}
