//! A pair amid incidents.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::gpu::{Reading, restarting};
use super::incidents::{Gauge, Incident, Incidents, Route, Strain};
use super::load::window_of;
use super::slots::Last;
use super::{GpuId, Gpus, Known, Name, Pair, Workload};

/// What was computed for the incidents of earlier pairs. No answer depends on it.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// How many times as many requests a host's GPUs have, by host, in a stretch without changes.
    relief: Last<usize, Vec<Option<f64>>>,
    /// What stuck gauges show, by incident and GPU.
    stuck: BTreeMap<(usize, GpuNumber), Reading>,
}

/// Host and row.
type GpuNumber = (usize, usize);

/// Most stuck gauges whose values are kept.
const MOST_STUCK: usize = 1 << 14;

impl Workload {
    /// The same workload amid incidents, in a run whose first event is at `first`.
    #[must_use]
    pub fn amid(
        mut self,
        incidents: &[Incident],
        first: Timestamp,
        hosts: &[String],
        run: (u64, &str),
    ) -> Self {
        let Gpus { shares, indexes, .. } = &*self.gpus;
        let rows: Vec<_> = self.members.iter().map(|member| member.row.clone()).collect();
        let incidents = Incidents::new(incidents, first, (hosts, &rows), shares, run);
        let gpus =
            Gpus { shares: shares.clone(), indexes: indexes.clone(), incidents: Some(incidents) };
        self.gpus = gpus.into();
        self
    }

    /// The pair `seq` amid the incidents of `ms`, which happens at `at`.
    ///
    /// The two times are the same but in a live run: there the schedule says what happens to a pair,
    /// and the clock when it is read.
    #[must_use]
    pub fn pair_amid<'w>(
        &'w self,
        seq: u64,
        at: Timestamp,
        ms: impl FnOnce() -> i64,
        recent: &mut super::Recent<'w>,
    ) -> Pair<'w> {
        let Some(incidents) = &self.gpus.incidents else { return self.pair(seq, at, recent) };
        let (known, ms) = (recent.of(self), ms());
        let own = self.gpus.shares.of(seq);
        let Route { served, measured } = incidents.route(seq, own, ms);
        let server = served.unwrap_or(own);
        let relief = self.relief(incidents, server.0, ms, known);
        let strain = strain(incidents, server, ms, relief);
        let mut pair = self.served_by(server, (seq, at), strain.as_ref(), known);
        let sensor = measured.unwrap_or(own);
        pair.sensor = self.gpu_id(sensor);
        match incidents.gauge(sensor, ms, true) {
            Gauge::Live => {
                let strain = if sensor == server { strain } else { None };
                self.share_memory(sensor, strain.as_ref(), &mut pair.reading);
            }
            Gauge::Restarting(memory_share) => {
                pair.reading = Some(self.restarting(sensor, memory_share, window_of(at)));
            }
            Gauge::Stuck(incident) => {
                pair.reading = self.stuck(incidents, (incident, sensor), known);
            }
        }
        pair
    }

    /// The power limit of a row's GPU that is throttled to a share of what it draws, W.
    #[must_use]
    pub fn power_limit_w(&self, row: usize, share: f64) -> f64 {
        self.gpu(&self.members[row]).throttled_w(share)
    }

    fn gpu_id(&self, (host, row): GpuNumber) -> GpuId {
        GpuId { host, row, index: self.members[row].row.gpu_index }
    }

    /// How many times as many requests a host's GPUs have because others do not serve.
    fn relief(&self, incidents: &Incidents, host: usize, ms: i64, known: &mut Known<'_>) -> f64 {
        let hosts = known.amid.relief.get(incidents.stretch(ms), || vec![None; self.loads.len()]);
        *hosts[host].get_or_insert_with(|| incidents.relief(host, ms))
    }

    /// Puts the memory of a neighbour into a reading.
    fn share_memory(
        &self,
        (_, row): GpuNumber,
        strain: Option<&Strain>,
        reading: &mut Option<Reading>,
    ) {
        let (Some(strain), Some(reading)) = (strain, reading) else { return };
        let member = &self.members[row];
        reading.mem_used_mib = self.gpu(member).shared_memory_mib(&member.row, strain);
    }

    /// What the sensors show of a GPU that restarts.
    fn restarting(&self, (host, row): GpuNumber, memory_share: f64, second: i64) -> Reading {
        let member = &self.members[row];
        let mut rng = self.loads[host].seconds.at_in(row as u64, second);
        restarting((&member.row, &member.hardware), memory_share, &mut rng)
    }

    /// What a stuck gauge shows: the reading at the beginning of the incident.
    fn stuck(
        &self,
        incidents: &Incidents,
        (incident, gpu): (usize, GpuNumber),
        known: &mut Known<'_>,
    ) -> Option<Reading> {
        if self.name == Name::Uniform {
            return None;
        }
        if let Some(reading) = known.amid.stuck.get(&(incident, gpu)) {
            return Some(*reading);
        }
        let ms = incidents.began(incident);
        let second = window_of(Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN));
        let reading = match incidents.gauge(gpu, ms, false) {
            Gauge::Restarting(memory_share) => self.restarting(gpu, memory_share, second),
            Gauge::Live | Gauge::Stuck(_) => {
                // Another hour than that of the pair: its own drive must not be forgotten for it.
                let drive = std::mem::take(&mut known.drive);
                let (mut window, _) = self.window(self.gpu_id(gpu), second, known);
                known.drive = drive;
                let strain = strain(incidents, gpu, ms, incidents.relief(gpu.0, ms));
                let operating = self.gpu(&self.members[gpu.1]);
                let work = operating.work(&window, strain.as_ref());
                let mut reading = Some(operating.reading(work, &mut window));
                self.share_memory(gpu, strain.as_ref(), &mut reading);
                reading?
            }
        };
        let stuck = &mut known.amid.stuck;
        if stuck.len() >= MOST_STUCK {
            stuck.clear();
        }
        stuck.insert((incident, gpu), reading);
        Some(reading)
    }
}

/// The strain of a GPU that serves, with so many times as many requests; `None` if there is none.
fn strain(incidents: &Incidents, gpu: GpuNumber, ms: i64, relief: f64) -> Option<Strain> {
    let mut strain = incidents.strain(gpu, ms);
    strain.in_flight *= relief;
    (strain != Strain::NONE).then_some(strain)
}
