//! What to send: a pure function of settings, seed rows, run seed and `seq`. No clock, no I/O.

pub mod arrivals;
mod day;
mod gpu;
mod hardware;
mod latency;
mod load;
mod math;
mod memo;
mod name;
mod rng;
pub mod seed;
mod shard;
mod tokens;
mod traffic_share;

use jiff::Timestamp;

pub use gpu::Reading;
pub use hardware::{Hardware, describe, known_gpus};
pub use name::Name;
pub use shard::Shard;
pub use tokens::{Tokens, trace_quantiles};

use gpu::{Gpu, Work};
use load::{Load, Movement, window_of};
use memo::Memo;
use rng::Stream;
use seed::Seed;
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

/// The model behind the events of a run.
#[derive(Debug)]
pub struct Workload {
    name: Name,
    members: Vec<Member>,
    /// The load of each host's GPUs.
    loads: Vec<Load>,
    /// What each GPU did in the last requested window.
    windows: Memo<(usize, i64), (Work, Reading)>,
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
        let size = (hosts.len(), seed.rows.len());
        Self {
            name,
            members: seed.rows.iter().map(member).collect(),
            loads: hosts.iter().map(|host| Load::new(name, run_seed, host, size)).collect(),
            windows: Memo::new(size.0 * size.1, 1),
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
    pub fn pair(&self, seq: u64, at: Timestamp) -> Pair<'_> {
        let mut rng = self.choice.at(seq);
        let (host, row) = (self.host_share.pick(&mut rng), self.row_share.pick(&mut rng));
        let Member { index, model, hardware, .. } = &self.members[row];
        let gpu = GpuId { host, row, index: *index };
        let tokens = self.requests.draw(&mut self.tokens.at(seq));
        let mut rng = self.latency.at(seq);
        let (reading, batch, latency_ms) = if self.name == Name::Uniform {
            (None, 1, latency::uniform(&mut rng))
        } else {
            let (work, reading) = self.window(host, row, at);
            let means = self.requests.means;
            let latency_ms = latency::live(hardware, work, means, tokens, &mut rng);
            (Some(reading), math::whole(work.batch), latency_ms)
        };
        Pair { seq, at, gpu, reading, model, batch, tokens, latency_ms }
    }

    /// What a GPU does and reports in the window of an instant.
    fn window(&self, host: usize, row: usize, at: Timestamp) -> (Work, Reading) {
        let (gpu, second) = (host * self.members.len() + row, window_of(at));
        self.windows.get(gpu as u64, (gpu, second), || {
            let gpu = &self.members[row].gpu;
            let mut window = self.loads[host].at(row as u64, second);
            let work = gpu.work(window.level);
            (work, gpu.reading(work, &mut window))
        })
    }
}

#[cfg(test)]
mod tests;
