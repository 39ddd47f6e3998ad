//! A record, ready to send.

use crate::event::Kind;
use crate::faults::{Change, FaultSet};
use crate::workload::Pair;

/// Name and value of a record header.
pub type Header<'a> = (&'static str, &'a str);

/// The headers of a record, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    all: [Header<'a>; 4],
    count: usize,
}

impl<'a> Headers<'a> {
    /// No header.
    #[must_use]
    pub fn none() -> Self {
        Self { all: [("", ""); 4], count: 0 }
    }

    /// Two headers.
    #[must_use]
    pub(crate) fn of_two([a, b]: [Header<'a>; 2]) -> Self {
        Self { all: [a, b, ("", ""), ("", "")], count: 2 }
    }

    /// What every record has, and `fault` behind it.
    #[must_use]
    pub fn new(always: [Header<'a>; 3], fault: Option<&'a str>) -> Self {
        let [a, b, c] = always;
        let count = if fault.is_some() { 4 } else { 3 };
        Self { all: [a, b, c, (FAULT, fault.unwrap_or_default())], count }
    }
}

/// Name of the header of a record that a fault touched.
pub const FAULT: &str = "fault";

/// One record, ready to send. It borrows the plan and the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Which of the two events.
    pub kind: Kind,
    /// Topic.
    pub topic: &'a str,
    /// Key, unless left out.
    pub key: Option<&'a str>,
    /// Index of the pair in the run.
    pub seq: u64,
    /// How many records of its topic this process sends before it.
    pub place: u64,
    /// Record timestamp, ms since 1970.
    pub timestamp_ms: i64,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The faults in force.
    pub faults: FaultSet,
    /// What they did to the value.
    pub change: Option<&'a Change>,
    /// What the model says of the pair, before any fault.
    pub pair: Option<&'a Pair<'a>>,
    pub(crate) headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// A record of nothing.
    pub(crate) fn nothing(kind: Kind, topic: &'a str) -> Self {
        Self {
            kind,
            topic,
            key: None,
            seq: 0,
            place: 0,
            timestamp_ms: 0,
            value: None,
            faults: FaultSet::NONE,
            change: None,
            pair: None,
            headers: Headers::none(),
        }
    }

    /// The headers in their order; none if they are left out.
    #[must_use]
    pub fn headers(&self) -> &[Header<'a>] {
        &self.headers.all[..self.headers.count]
    }
}
