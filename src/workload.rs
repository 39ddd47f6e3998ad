//! What to send: a pure function of settings, seed rows, run seed and `seq`. No clock, no I/O.

mod amid;
pub mod arrivals;
mod constants;
mod cost;
mod gpu;
mod hardware;
pub mod incidents;
mod latency;
mod load;
mod math;
mod name;
mod pair;
mod recent;
mod rng;
pub mod seed;
mod shard;
mod slots;
mod timeline;
mod tokens;
mod traffic_share;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;

pub use constants::Hardware;
pub use cost::{cost_micro_usd, prices_micro_usd_per_hour};
pub use gpu::Reading;
pub use hardware::{describe, doubts, known_gpus};
pub use name::Name;
pub use pair::{GpuId, Pair};
pub use recent::Recent;
pub(crate) use rng::Stream;
pub use shard::Shard;
pub use tokens::{Tokens, trace_quantiles};

use arrivals::{Gpus, Timing};
use gpu::Gpu;
use incidents::Strain;
use load::{Load, Minute, Movement, Shifts, Window, day_means, minute_of, window_of};
use math::ln;
use recent::{Known, Second};
use seed::{Row, Seed};
use timeline::{DayKind, Timeline};
use tokens::Requests;
use traffic_share::TrafficShare;

/// Version of the workload model. Another one gives other bytes for the same seed.
pub const VERSION: u32 = 4;

/// Language model of the `uniform` workload, as in the script that this program replaces.
const UNIFORM_MODEL: &str = "llama-3-70b";

/// One row of the seed with its model and constants.
#[derive(Debug)]
struct Member {
    row: Row,
    model: String,
    hardware: Hardware,
    /// Found when the first pair needs it: a seed can have thousands of rows.
    gpu: OnceLock<Gpu>,
}

/// The model behind the events of a run.
#[derive(Debug)]
pub struct Workload {
    name: Name,
    members: Vec<Member>,
    timeline: Timeline,
    movement: Movement,
    /// How the load differs among the pairs of a day, by its kind.
    shifts: [Shifts; 2],
    /// The load of each host's GPUs.
    loads: Vec<Load>,
    gpus: Arc<Gpus>,
    requests: Requests,
    latency: Stream,
}

impl Workload {
    /// The workload of a run on `hosts`, each of which has the seed's GPUs.
    #[must_use]
    pub fn new(
        timing: &Timing,
        seed: &Seed,
        hosts: &[String],
        run_seed: u64,
        run_id: &str,
    ) -> Self {
        let name = timing.workload;
        let requests = Requests::new(name, run_seed, run_id, timing.mean);
        let means = requests.means();
        let member = |row: &Row| {
            let known = hardware::of(row, means.prompt + means.completion);
            let own = (name != Name::Uniform).then_some(known.model);
            Member {
                // A row's own model wins in every workload.
                model: row.model.clone().or(own).unwrap_or_else(|| UNIFORM_MODEL.to_owned()),
                hardware: known.hardware,
                gpu: OnceLock::new(),
                row: row.clone(),
            }
        };
        let (timeline, movement) = (timing.timeline(run_seed), Movement::of(name));
        let shares = TrafficShare::new(name, (hosts.len(), seed.rows.len()), run_seed, run_id);
        let host_shifts = host_shifts(&shares.of_hosts(), movement);
        let day_means = day_means(&timeline);
        let load = |(host, (_, shift)): (&String, &(f64, f64))| {
            Load::new(movement, day_means, run_seed, (host, *shift))
        };
        let shifts = |kind| Shifts::new(&timeline, movement, (kind, day_means), &host_shifts);
        let indexes = seed.rows.iter().map(|row| row.gpu_index).collect();
        Self {
            name,
            members: seed.rows.iter().map(member).collect(),
            shifts: DayKind::BOTH.map(shifts),
            loads: hosts.iter().zip(&host_shifts).map(load).collect(),
            gpus: Arc::new(Gpus { shares, indexes, incidents: None }),
            timeline,
            movement,
            requests,
            latency: Stream::new(run_seed, "latency", run_id),
        }
    }

    /// The GPUs of the run.
    #[must_use]
    pub fn gpus(&self) -> &Arc<Gpus> {
        &self.gpus
    }

    /// The name of the language model that the GPUs of a row of the seed serve.
    #[must_use]
    pub fn model_of(&self, row: usize) -> &str {
        &self.members[row].model
    }

    /// The constants of a row of the seed.
    #[cfg(test)]
    fn hardware(&self, row: usize) -> &Hardware {
        &self.members[row].hardware
    }

    /// The pair `seq`, which happens at `at`.
    #[must_use]
    pub fn pair<'w>(&'w self, seq: u64, at: Timestamp, recent: &mut Recent<'w>) -> Pair<'w> {
        let known = recent.of(self);
        self.served_by(self.gpus.shares.of(seq), (seq, at), None, known)
    }

    /// The pair `seq`, which a GPU serves under a strain.
    #[inline]
    fn served_by(
        &self,
        (host, row): (usize, usize),
        (seq, at): (u64, Timestamp),
        strain: Option<&Strain>,
        known: &mut Known<'_>,
    ) -> Pair<'_> {
        let member = &self.members[row];
        let Member { model, hardware, .. } = member;
        let gpu = GpuId { host, row, index: member.row.gpu_index };
        let tokens = self.requests.of(seq, at, &mut known.tokens);
        let mut rng = self.latency.at(seq);
        let (reading, batch, latency_ms) = if self.name == Name::Uniform {
            (None, 1, latency::uniform(&mut rng))
        } else {
            let second = window_of(at);
            let Second { work, reading, latency } = match strain {
                None => self.second(gpu, second, known),
                Some(_) => self.strained(gpu, second, strain, known),
            };
            let means = self.requests.means();
            let latency_ms = latency::live(hardware, work, means, tokens, (latency, &mut rng));
            (Some(reading), math::whole(work.batch), latency_ms)
        };
        Pair { seq, at, gpu, sensor: gpu, reading, model, batch, tokens, latency_ms }
    }

    /// What a GPU does in a second without a strain.
    fn second(&self, gpu: GpuId, second: i64, known: &mut Known<'_>) -> Second {
        let number = gpu.host * self.members.len() + gpu.row;
        let key = (number, second);
        known.seconds.find(number, key).unwrap_or_else(|| {
            let made = self.strained(gpu, second, None, known);
            known.seconds.keep(number, key, made)
        })
    }

    /// What a GPU does in a second under a strain.
    fn strained(
        &self,
        gpu: GpuId,
        second: i64,
        strain: Option<&Strain>,
        known: &mut Known<'_>,
    ) -> Second {
        let (mut window, minute) = self.window(gpu, second, known);
        let operating = self.gpu(&self.members[gpu.row]);
        let work = operating.work(&window, strain);
        let reading = operating.reading(work, &mut window);
        Second { work, reading, latency: minute.latency }
    }

    /// The load of a GPU in a window, and what is drawn for its minute.
    #[inline]
    fn window(&self, gpu: GpuId, second: i64, known: &mut Known<'_>) -> (Window, Minute) {
        let minute = self.minute(gpu, second, known);
        let drive = self.timeline.drive(second, &mut known.drive);
        let timeline = (&self.timeline, drive);
        (self.loads[gpu.host].at(timeline, gpu.row as u64, second, &minute), minute)
    }

    /// What is drawn for a GPU and the minute of a second.
    fn minute(&self, gpu: GpuId, second: i64, known: &mut Known<'_>) -> Minute {
        let number = gpu.host * self.members.len() + gpu.row;
        known.minutes.get(number, (number, minute_of(second)), || {
            self.loads[gpu.host].minute(gpu.row as u64, second)
        })
    }

    fn gpu<'w>(&'w self, member: &'w Member) -> &'w Gpu {
        let Member { row, hardware, gpu, .. } = member;
        let means = self.requests.means();
        gpu.get_or_init(|| Gpu::new(row, *hardware, self.movement, means, &self.shifts))
    }
}

/// The constants of a row of the seed in a workload.
#[must_use]
pub fn hardware_of(row: &Row, workload: Name) -> Hardware {
    let means = Requests::new(workload, 0, "", Duration::ZERO).means();
    hardware::of(row, means.prompt + means.completion).hardware
}

/// Share of each host, and how far it shifts the load there; the mean over pairs is 0.
fn host_shifts(shares: &[f64], movement: Movement) -> Vec<(f64, f64)> {
    let mean: f64 = shares.iter().map(|share| share * ln(*share)).sum();
    shares.iter().map(|share| (*share, movement.shift(ln(*share) - mean))).collect()
}

#[cfg(test)]
mod tests;
