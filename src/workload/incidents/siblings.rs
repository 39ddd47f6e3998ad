//! Who serves the requests of a GPU that cannot, and how much more they then have to do.

use rand::Rng;

use super::{IncidentKind, Incidents};

/// Where the two records of a pair come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::workload) struct Route {
    /// Host and row of the GPU that serves the request; `None` if none can.
    pub(in crate::workload) served: Option<(usize, usize)>,
    /// Host and row of the GPU whose metric is sent; `None` if none is.
    pub(in crate::workload) measured: Option<(usize, usize)>,
}

/// How often a sibling is drawn by the shares before the first one that can serve is taken.
const TRIES: u32 = 64;

impl Incidents {
    /// Where the records of the pair `seq` come from, which falls to `gpu` without incidents.
    ///
    /// The requests of a GPU that is lost or restarts go to the others of its host by their shares; if
    /// the host has none, to those of other hosts. The metric comes from the GPU that served, because
    /// it is read beside a request; but an exporter goes on to show a GPU that restarts.
    pub(in crate::workload) fn route(&self, seq: u64, gpu: (usize, usize), ms: i64) -> Route {
        let as_ever = Route { served: Some(gpu), measured: Some(gpu) };
        if !self.any_at(ms) {
            return as_ever;
        }
        let is = |kind| self.hitting(gpu, ms, |other| other == kind).next().is_some();
        let mut route = if is(IncidentKind::GpuLost) {
            let served = self.sibling(seq, gpu, ms);
            Route { served, measured: served }
        } else if is(IncidentKind::EccRestart) {
            Route { served: self.sibling(seq, gpu, ms), measured: Some(gpu) }
        } else {
            as_ever
        };
        route.measured = route.measured.filter(|(host, _)| !self.is_silent(*host, ms));
        route
    }

    /// Whether a GPU serves requests.
    fn serves(&self, gpu: (usize, usize), ms: i64) -> bool {
        self.hitting(gpu, ms, IncidentKind::takes_gpu).next().is_none()
    }

    /// Whether no GPU of a host serves.
    pub(super) fn is_down(&self, host: usize, ms: i64) -> bool {
        let whole = |planned: &super::Planned| {
            planned.incident.kind.takes_gpu()
                && planned.is_at(ms)
                && planned.reach.has_whole_host(host)
        };
        self.planned.iter().any(whole)
            || !(0..self.row_shares.len()).any(|row| self.serves((host, row), ms))
    }

    /// The GPU that serves pair `seq` instead of `gpu`.
    fn sibling(&self, seq: u64, (host, _): (usize, usize), ms: i64) -> Option<(usize, usize)> {
        let mut rng = self.choice.at(seq);
        if !self.is_down(host, ms) {
            return self.one_of(host, ms, &mut rng);
        }
        for _ in 0..TRIES {
            let gpu = self.shares.pick(&mut rng);
            if self.serves(gpu, ms) {
                return Some(gpu);
            }
        }
        let up = (0..self.host_shares.len()).find(|host| !self.is_down(*host, ms))?;
        self.one_of(up, ms, &mut rng)
    }

    /// A GPU of a host that serves.
    fn one_of(&self, host: usize, ms: i64, rng: &mut impl Rng) -> Option<(usize, usize)> {
        for _ in 0..TRIES {
            let gpu = (host, self.shares.pick_row(rng));
            if self.serves(gpu, ms) {
                return Some(gpu);
            }
        }
        let rows = 0..self.row_shares.len();
        rows.map(|row| (host, row)).find(|gpu| self.serves(*gpu, ms))
    }

    /// How many times as many requests a GPU of a host has because others do not serve.
    pub(in crate::workload) fn relief(&self, host: usize, ms: i64) -> f64 {
        if !self
            .planned
            .iter()
            .any(|planned| planned.incident.kind.takes_gpu() && planned.is_at(ms))
        {
            return 1.0;
        }
        let rows = self.row_shares.iter().enumerate();
        let serving = rows.filter(|(row, _)| self.serves((host, *row), ms));
        let of_host: f64 = serving.map(|(_, share)| share).sum();
        let hosts = self.host_shares.iter().enumerate();
        let up = hosts.filter(|(host, _)| !self.is_down(*host, ms));
        let of_run: f64 = up.map(|(_, share)| share).sum();
        // Neither is 0 for a GPU that serves, which alone asks.
        1.0 / (of_host * of_run).max(f64::MIN_POSITIVE)
    }
}
