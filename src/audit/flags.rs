//! What a pipeline flagged: records and incidents, as a test of it tells.
//!
//! A record is told by its place in the log or by its pair. Either way it is the pair's record of that
//! topic that is flagged: which of a record and its copy is the duplicate is a matter of taste.

use std::collections::{BTreeMap, HashMap};

use super::record::Spot;
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};
use crate::workload::incidents::IncidentKind;

/// What was flagged.
#[derive(Debug, Default)]
pub struct Flags {
    /// Whether both events are in one topic.
    is_one: bool,
    /// By place.
    at: HashMap<Spot, Marks>,
    /// By pair.
    of: BTreeMap<(u64, Kind), Marks>,
    pub(super) alerts: Vec<Alert>,
    /// Lines about records of other runs or topics.
    pub(super) of_others: u64,
    /// Precision and recall that are demanded.
    pub(super) least: [Option<f64>; 2],
}

/// How a record was flagged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// As these kinds.
    pub(super) kinds: FaultSet,
    /// As something, without a kind.
    pub(super) unnamed: bool,
    /// The lines that do, and the kind that each names.
    pub(super) lines: Vec<(u64, Option<Fault>)>,
}

impl Marks {
    fn add(&mut self, line: u64, fault: Option<Fault>) {
        self.lines.push((line, fault));
        match fault {
            Some(fault) => self.kinds = self.kinds.with(fault),
            None => self.unnamed = true,
        }
    }

    fn join(&mut self, other: Self) {
        self.kinds = other.kinds.iter().fold(self.kinds, FaultSet::with);
        self.unnamed |= other.unnamed;
        self.lines.extend(other.lines);
    }
}

/// An incident that was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The line that says so.
    pub line: u64,
    /// What is said to have happened; `None` if the alert cannot know.
    pub kind: Option<IncidentKind>,
    /// To which host; `None` if that is not said.
    pub host: Option<String>,
    /// To which of its GPUs.
    pub gpu: Option<u32>,
    /// When it was noticed, ms since 1970, in event time.
    pub at_ms: i64,
}

impl Flags {
    /// None. Whether the places are of one topic for both events.
    #[must_use]
    pub fn of_places(is_one: bool) -> Self {
        Self { is_one, ..Self::default() }
    }

    /// Flags the record at a place.
    pub fn flag_at(
        &mut self,
        line: u64,
        (kind, topic): (Kind, u16),
        (partition, offset): (i32, i64),
        fault: Option<Fault>,
    ) {
        let place = self.of_topic((kind, topic, partition, offset));
        self.at.entry(place).or_default().add(line, fault);
    }

    /// A place, where one topic has both events by the name of the first.
    fn of_topic(&self, (kind, topic, partition, offset): Spot) -> Spot {
        (if self.is_one { Kind::Metric } else { kind }, topic, partition, offset)
    }

    /// Flags a pair's record.
    pub fn flag_pair(&mut self, line: u64, seq: u64, kind: Kind, fault: Option<Fault>) {
        self.of.entry((seq, kind)).or_default().add(line, fault);
    }

    /// Demands this much precision and recall of each kind.
    pub fn demand(&mut self, precision: Option<f64>, recall: Option<f64>) {
        self.least = [precision, recall];
    }

    /// Notes an incident that was noticed.
    pub fn alert(&mut self, alert: Alert) {
        self.alerts.push(alert);
    }

    /// Notes a line about another run.
    pub fn of_another(&mut self) {
        self.of_others += 1;
    }

    /// A record of the run is at this place: what is flagged there is its pair.
    pub(super) fn found_at(&mut self, place: Spot, seq: u64) {
        if let Some(marks) = self.at.remove(&self.of_topic(place)) {
            self.of.entry((seq, place.0)).or_default().join(marks);
        }
    }

    /// What is flagged at a place that has no record of the run is about another one.
    pub(super) fn is_of_another(&mut self, place: Spot) {
        self.of_others += u64::from(self.at.remove(&self.of_topic(place)).is_some());
    }

    /// How a pair's record was flagged.
    pub(super) fn of(&self, seq: u64, kind: Kind) -> Option<&Marks> {
        self.of.get(&(seq, kind))
    }

    /// Every record of the run that was flagged.
    pub(super) fn all(&self) -> impl Iterator<Item = ((u64, Kind), &Marks)> {
        self.of.iter().map(|(record, marks)| (*record, marks))
    }

    /// Records that were flagged at places where nothing was read.
    pub(super) fn nowhere(&self) -> u64 {
        self.at.len() as u64
    }
}
