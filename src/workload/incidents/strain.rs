//! What incidents do to a GPU that serves, and to its sensors.

use super::{IncidentKind, Incidents, Planned};

/// What the incidents of a moment do to a GPU that serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::workload) struct Strain {
    /// Power limit, share of what the GPU draws when it decodes; 1 is the board's own.
    pub(in crate::workload) power_share: f64,
    /// Share of the GPU's time that a neighbour takes.
    pub(in crate::workload) neighbour: f64,
    /// How many times as many requests are in flight.
    pub(in crate::workload) in_flight: f64,
}

impl Strain {
    /// No strain at all.
    pub(in crate::workload) const NONE: Self =
        Self { power_share: 1.0, neighbour: 0.0, in_flight: 1.0 };
}

/// What a GPU's sensors show at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::workload) enum Gauge {
    /// What they read.
    Live,
    /// A GPU that restarts: this share of its memory is taken again.
    Restarting(f64),
    /// What they read when this incident began.
    Stuck(usize),
}

/// How much of a restart the server takes to load its model again, at the end. Assumed.
const LOADING: f64 = 1.0 / 3.0;

impl Incidents {
    /// What happens to a GPU that serves, apart from what its siblings leave it.
    pub(in crate::workload) fn strain(&self, gpu: (usize, usize), ms: i64) -> Strain {
        let mut strain = Strain::NONE;
        for (_, planned) in self.hitting(gpu, ms, |_| true) {
            let parameter = planned.incident.parameter;
            match planned.incident.kind {
                IncidentKind::Throttle => strain.power_share = strain.power_share.min(parameter),
                IncidentKind::NoisyNeighbour => {
                    strain.neighbour = 1.0 - (1.0 - strain.neighbour) * (1.0 - parameter);
                }
                IncidentKind::Surge => strain.in_flight *= parameter,
                _ => {}
            }
        }
        strain
    }

    /// What the sensors of a GPU show. `frozen` is whether a stuck one counts.
    pub(in crate::workload) fn gauge(&self, gpu: (usize, usize), ms: i64, frozen: bool) -> Gauge {
        let stuck = self.hitting(gpu, ms, |kind| frozen && kind == IncidentKind::StuckGauge);
        if let Some((first, _)) = stuck.min_by_key(|(_, planned)| planned.from_ms) {
            return Gauge::Stuck(first);
        }
        let restarts = self.hitting(gpu, ms, |kind| kind == IncidentKind::EccRestart);
        let back = |planned: &Planned| {
            let length = (planned.to_ms - planned.from_ms) as f64 * LOADING;
            (1.0 - (planned.to_ms - ms) as f64 / length).max(0.0)
        };
        let least = restarts.map(|(_, planned)| back(planned)).reduce(f64::min);
        least.map_or(Gauge::Live, Gauge::Restarting)
    }
}
