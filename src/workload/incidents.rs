//! Incidents: intervals of event time in which something happens to some GPUs, to a host, or to the
//! arrivals. They show in both topics as they would in the field.
//!
//! What an incident does is a function of the settings, the run seed, the GPU, the pair's `seq` and
//! the event time. Outside its interval, and on the GPUs that it does not reach, every record is what
//! it is without it; only a surge moves the pairs behind it, because more of them came.
//!
//! Incidents may overlap:
//!
//! 1. A GPU that is lost is silent, whatever else happens to it; one that restarts is not throttled.
//! 2. Of several throttles the lowest limit counts. Neighbours take their shares one after the other,
//!    and the factors of surges multiply.
//! 3. A stuck gauge shows what it showed first, also through a restart.
//! 4. A silent exporter sends nothing, whatever it would read.

mod kind;
mod pattern;
mod reach;
mod siblings;
mod strain;
mod surges;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use kind::{IncidentKind, Parameter, Symptom};
pub use pattern::GpuPattern;
pub use reach::Reach;
pub(super) use siblings::Route;
pub(super) use strain::{Gauge, Strain};
pub use surges::Surges;

use super::rng::Stream;
use super::seed::Row;
use super::traffic_share::TrafficShare;

/// When an incident begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// So long after the first event.
    After(Duration),
    /// At this event time.
    At(Timestamp),
}

/// One incident, as it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// What happens.
    pub kind: IncidentKind,
    /// How much of it: what [`IncidentKind::parameter`] says; 0 for a kind that has none.
    pub parameter: f64,
    /// When it begins.
    pub start: Start,
    /// How long it lasts, whole milliseconds.
    pub length: Duration,
    /// Which GPUs it is about.
    pub gpus: GpuPattern,
    /// The text that asks for it.
    pub text: String,
}

/// An incident of a run: its interval, and the GPUs that its pattern means.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What was asked for.
    pub incident: Incident,
    /// First millisecond of it, since 1970.
    pub from_ms: i64,
    /// First millisecond after it, since 1970.
    pub to_ms: i64,
    /// The GPUs that it is about.
    pub reach: Reach,
}

impl Planned {
    /// Whether it is going on.
    #[must_use]
    pub fn is_at(&self, ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&ms)
    }

    fn hits(&self, (host, row): (usize, usize), ms: i64) -> bool {
        self.is_at(ms) && self.reach.has(host, row)
    }
}

/// The incidents of a run.
#[derive(Debug, Clone)]
pub struct Incidents {
    planned: Vec<Planned>,
    /// Every beginning and end, ascending: between two of them nothing changes.
    borders: Vec<i64>,
    /// How the pairs are shared out, and the share of each host and row.
    shares: TrafficShare,
    host_shares: Vec<f64>,
    row_shares: Vec<f64>,
    /// Chooses among siblings.
    choice: Stream,
}

impl Incidents {
    /// The incidents of a run whose first event is at `first`, on these hosts with these GPUs, which
    /// have these shares of the pairs.
    pub(super) fn new(
        incidents: &[Incident],
        first: Timestamp,
        (hosts, rows): (&[String], &[Row]),
        shares: &TrafficShare,
        (run_seed, run_id): (u64, &str),
    ) -> Self {
        let planned = |incident: &Incident| {
            let start = match incident.start {
                Start::At(at) => at,
                Start::After(offset) => later(first, offset),
            };
            Planned {
                from_ms: start.as_millisecond(),
                to_ms: later(start, incident.length).as_millisecond(),
                reach: Reach::new(&incident.gpus, hosts, rows),
                incident: incident.clone(),
            }
        };
        let planned: Vec<_> = incidents.iter().map(planned).collect();
        let mut borders: Vec<_> =
            planned.iter().flat_map(|planned| [planned.from_ms, planned.to_ms]).collect();
        borders.sort_unstable();
        borders.dedup();
        Self {
            planned,
            borders,
            host_shares: shares.of_hosts(),
            row_shares: shares.of_rows(),
            shares: shares.clone(),
            choice: Stream::new(run_seed, "siblings", run_id),
        }
    }

    /// The incidents, in the order in which they are asked for.
    #[must_use]
    pub fn planned(&self) -> &[Planned] {
        &self.planned
    }

    /// Whether records may be missing that a run without incidents has: metrics, or usages.
    #[must_use]
    pub fn leave_out(&self, metrics: bool) -> bool {
        let silent = |planned: &Planned| planned.incident.kind == IncidentKind::ExporterSilent;
        let all_down = |ms: &i64| (0..self.host_shares.len()).all(|host| self.is_down(host, *ms));
        metrics && self.planned.iter().any(silent) || self.borders.iter().any(all_down)
    }

    /// The number of the stretch of time without a change that a moment is in.
    pub(super) fn stretch(&self, ms: i64) -> usize {
        self.borders.partition_point(|border| *border <= ms)
    }

    /// Whether any incident is going on.
    fn any_at(&self, ms: i64) -> bool {
        !matches!(self.stretch(ms), 0) && self.borders.last().is_some_and(|last| ms < *last)
    }

    /// The incidents of these kinds that hit a GPU at a moment.
    fn hitting(
        &self,
        gpu: (usize, usize),
        ms: i64,
        is: impl Fn(IncidentKind) -> bool,
    ) -> impl Iterator<Item = (usize, &Planned)> {
        let all = self.planned.iter().enumerate();
        all.filter(move |(_, planned)| is(planned.incident.kind) && planned.hits(gpu, ms))
    }

    /// Whether the metrics of a host are not sent.
    fn is_silent(&self, host: usize, ms: i64) -> bool {
        // Which row does not matter: the pattern is about the whole host.
        let silent = |planned: &Planned| {
            planned.incident.kind == IncidentKind::ExporterSilent
                && planned.is_at(ms)
                && planned.reach.has_host(host)
        };
        self.planned.iter().any(silent)
    }

    /// The event time at which an incident begins, ms.
    pub(super) fn began(&self, incident: usize) -> i64 {
        self.planned[incident].from_ms
    }

    /// The surges, as the schedule needs them.
    pub(super) fn surges(&self, start: Timestamp) -> Option<Surges> {
        Surges::new(&self.planned, start)
    }
}

/// `at + length`; at the end of time it stays there.
pub(crate) fn later(at: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    at.saturating_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
