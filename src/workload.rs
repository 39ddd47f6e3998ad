//! What to send: a pure function of settings, seed rows, run seed and `seq`. No clock, no I/O.

pub mod arrivals;
mod constants;
mod day;
mod gpu;
mod hardware;
mod latency;
mod load;
mod math;
mod name;
mod rng;
pub mod seed;
mod shard;
mod slots;
mod tokens;
mod traffic_share;

use jiff::Timestamp;

pub use constants::Hardware;
pub use gpu::Reading;
pub use hardware::{describe, known_gpus};
pub use name::Name;
pub use shard::Shard;
pub use tokens::{Tokens, trace_quantiles};

use gpu::{Gpu, Work};
use load::{Draws, Load, Movement, window_of};
use rng::Stream;
use seed::Seed;
use slots::Slots;
use tokens::Requests;
use traffic_share::TrafficShare;

/// Language model of the `uniform` workload, as in the script that this program replaces.
const UNIFORM_MODEL: &str = "llama-3-70b";

/// One row of the seed with its model and constants.
#[derive(Debug)]
struct Member {
    index: u32,
    model: String,
    hardware: Hardware,
    gpu: Gpu,
}

/// Which GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuId {
    /// Which host of HOSTNAME, from 0.
    pub host: usize,
    /// Which row of the seed, from 0.
    pub row: usize,
    /// The index on its host that the row gives it.
    pub index: u32,
}

/// One pair: what the model says of a request and of the GPU that served it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair<'w> {
    /// Index of the pair in the run, from 0.
    pub seq: u64,
    /// Event time, whole milliseconds.
    pub at: Timestamp,
    /// The GPU.
    pub gpu: GpuId,
    /// The GPU's live values; `None` keeps the row's values.
    pub reading: Option<Reading>,
    /// Name of the language model.
    pub model: &'w str,
    /// Requests in the GPU's batch, this one included. Not part of the events.
    pub batch: u32,
    /// Tokens of the request.
    pub tokens: Tokens,
    /// Duration of the request, ms.
    pub latency_ms: u32,
}

/// What a workload computed for the pairs before, so that it need not compute it again.
///
/// A caller keeps one and hands it in with every call. Results never depend on what is in it: each
/// value is there under all that it is computed from.
#[derive(Debug, Default)]
pub struct Recent<'w>(Option<Known<'w>>);

#[derive(Debug)]
struct Known<'w> {
    /// Whose values these are. As long as it is borrowed, no other workload has its address.
    of: &'w Workload,
    /// What each GPU did in the last window that was asked for.
    windows: Slots<(usize, i64), (Work, Reading)>,
    draws: Draws,
}

impl<'w> Recent<'w> {
    /// What is known of this workload; another's is forgotten.
    fn of(&mut self, workload: &'w Workload) -> &mut Known<'w> {
        if !self.0.as_ref().is_some_and(|known| std::ptr::eq(known.of, workload)) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| {
            let gpus = workload.loads.len() * workload.members.len();
            Known { of: workload, windows: Slots::new(gpus), draws: Draws::of(gpus) }
        })
    }
}

/// The model behind the events of a run.
#[derive(Debug)]
pub struct Workload {
    name: Name,
    members: Vec<Member>,
    /// The load of each host's GPUs.
    loads: Vec<Load>,
    host_share: TrafficShare,
    row_share: TrafficShare,
    requests: &'static Requests,
    /// Draws the GPU of a pair.
    choice: Stream,
    tokens: Stream,
    latency: Stream,
}

impl Workload {
    /// The workload of a run on `hosts`, each of which has the seed's GPUs.
    #[must_use]
    pub fn new(name: Name, seed: &Seed, hosts: &[String], run_seed: u64, run_id: &str) -> Self {
        let requests = Requests::of(name);
        let (means, movement) = (requests.means, Movement::of(name));
        let member = |row: &seed::Row| {
            let known = hardware::of(row, means.prompt + means.completion);
            let own = (name != Name::Uniform).then_some(known.model);
            Member {
                index: row.gpu_index,
                // A row's own model wins in every workload.
                model: row.model.clone().or(own).unwrap_or_else(|| UNIFORM_MODEL.to_owned()),
                hardware: known.hardware,
                gpu: Gpu::new(row, known.hardware, movement, means),
            }
        };
        let (host_share, row_share) = if name == Name::Uniform {
            (TrafficShare::Even(hosts.len()), TrafficShare::Even(seed.rows.len()))
        } else {
            let share = |members, name| TrafficShare::skewed(members, run_seed, name);
            (share(hosts.len(), "hosts"), share(seed.rows.len(), "rows"))
        };
        let rows = seed.rows.len();
        let load = |(i, host): (usize, &String)| Load::new(name, run_seed, host, i * rows);
        Self {
            name,
            members: seed.rows.iter().map(member).collect(),
            loads: hosts.iter().enumerate().map(load).collect(),
            host_share,
            row_share,
            requests,
            choice: Stream::new(run_seed, "mix", run_id),
            tokens: Stream::new(run_seed, "tokens", run_id),
            latency: Stream::new(run_seed, "latency", run_id),
        }
    }

    /// The language model of a row of the seed.
    #[must_use]
    pub fn model(&self, row: usize) -> &str {
        &self.members[row].model
    }

    /// The constants of a row of the seed.
    #[must_use]
    pub fn hardware(&self, row: usize) -> &Hardware {
        &self.members[row].hardware
    }

    /// The pair `seq`, which happens at `at`.
    #[must_use]
    pub fn pair<'w>(&'w self, seq: u64, at: Timestamp, recent: &mut Recent<'w>) -> Pair<'w> {
        let mut rng = self.choice.at(seq);
        let (host, row) = (self.host_share.pick(&mut rng), self.row_share.pick(&mut rng));
        let Member { index, model, hardware, .. } = &self.members[row];
        let gpu = GpuId { host, row, index: *index };
        let tokens = self.requests.draw(&mut self.tokens.at(seq));
        let mut rng = self.latency.at(seq);
        let (reading, batch, latency_ms) = if self.name == Name::Uniform {
            (None, 1, latency::uniform(&mut rng))
        } else {
            let (work, reading) = self.window(gpu, at, recent.of(self));
            let means = self.requests.means;
            let latency_ms = latency::live(hardware, work, means, tokens, &mut rng);
            (Some(reading), math::whole(work.batch), latency_ms)
        };
        Pair { seq, at, gpu, reading, model, batch, tokens, latency_ms }
    }

    /// What a GPU does and reports in the window of an instant.
    fn window(&self, gpu: GpuId, at: Timestamp, known: &mut Known<'_>) -> (Work, Reading) {
        let Known { windows, draws, .. } = known;
        let (number, second) = (gpu.host * self.members.len() + gpu.row, window_of(at));
        windows.get(number, (number, second), || {
            let mut window = self.loads[gpu.host].at(gpu.row, second, draws);
            let gpu = &self.members[gpu.row].gpu;
            let work = gpu.work(window.level);
            (work, gpu.reading(work, &mut window))
        })
    }
}

#[cfg(test)]
mod tests;
