//! The faults of a run, as its settings name them.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Fault, Parameter, Probability};

/// One kind that is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultSetting {
    /// Which.
    pub fault: Fault,
    /// How likely it hits a record.
    pub probability: Probability,
    /// What it was told.
    pub parameter: Parameter,
}

/// The kinds that are switched on, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<FaultSetting>);

impl Faults {
    /// Adds a kind; `false` if it is there already.
    #[must_use]
    pub fn add(&mut self, setting: FaultSetting) -> bool {
        let is_new = self.get(setting.fault).is_none();
        if is_new {
            self.0.push(setting);
        }
        is_new
    }

    /// How a kind is set, if it is on.
    #[must_use]
    pub fn get(&self, fault: Fault) -> Option<&FaultSetting> {
        self.0.iter().find(|setting| setting.fault == fault)
    }

    /// Every kind that is on.
    pub fn iter(&self) -> impl Iterator<Item = &FaultSetting> {
        self.0.iter()
    }

    /// How far times are shifted, if any are.
    #[must_use]
    pub fn shift(&self) -> Option<SignedDuration> {
        match self.get(Fault::ClockSkew)?.parameter {
            Parameter::Shift(shift) => Some(shift),
            _ => None,
        }
    }

    /// Bytes of an oversize value, if there are any.
    #[must_use]
    pub fn oversize(&self) -> Option<usize> {
        match self.get(Fault::Oversize)?.parameter {
            Parameter::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// How long after its time a kind sends a record at the most.
    #[must_use]
    pub fn delay(&self, fault: Fault) -> Option<Duration> {
        match self.get(fault)?.parameter {
            Parameter::Time(delay) => Some(delay),
            _ => None,
        }
    }
}
