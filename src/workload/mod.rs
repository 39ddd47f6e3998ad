//! What to send: a pure function of settings, seed rows, run seed and `seq`. No clock, no I/O.

pub mod arrivals;
mod gpu;
mod hardware;
mod latency;
mod rng;
pub mod seed;
mod tokens;

use jiff::Timestamp;
use rand::RngExt;

pub use gpu::Reading;
pub use tokens::Tokens;

use crate::settings::WorkloadName;
use hardware::Hardware;
use rng::Stream;
use seed::{Row, Seed};

/// Model of the token events of the live workloads: it fits every GPU of [`hardware`].
const LIVE_MODEL: &str = "llama-3-8b";

/// Model of the token events of the `uniform` workload, as in the script that the program replaces.
const UNIFORM_MODEL: &str = "llama-3-70b";

/// One GPU and what the workload knows of it.
#[derive(Debug)]
struct Gpu {
    row: Row,
    hardware: Hardware,
    load: gpu::Load,
}

/// One pair before it is written out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair<'w> {
    /// Index of the pair in the run, from 0.
    pub seq: u64,
    /// Event time, whole milliseconds.
    pub at: Timestamp,
    /// Which row of the seed, from 0.
    pub gpu: usize,
    /// The GPU's live values; `None` leaves the row's values in place.
    pub reading: Option<Reading>,
    /// Name of the language model.
    pub model: &'w str,
    /// Tokens of the request.
    pub tokens: Tokens,
    /// Duration of the request, ms.
    pub latency_ms: u32,
}

/// The model behind the events of a run.
#[derive(Debug)]
pub struct Workload {
    name: WorkloadName,
    gpus: Vec<Gpu>,
    mix: Stream,
    tokens: Stream,
    latency: Stream,
}

impl Workload {
    /// The workload of a run on `host`.
    #[must_use]
    pub fn new(name: WorkloadName, seed: &Seed, host: &str, run_seed: u64, run_id: &str) -> Self {
        let gpus = seed.rows.iter().enumerate().map(|(i, row)| Gpu {
            row: row.clone(),
            hardware: hardware::of(&row.name),
            load: gpu::Load::new(run_seed, &format!("{host}/{}/{i}", row.gpu_index)),
        });
        Self {
            name,
            gpus: gpus.collect(),
            mix: Stream::new(run_seed, "mix", run_id),
            tokens: Stream::new(run_seed, "tokens", run_id),
            latency: Stream::new(run_seed, "latency", run_id),
        }
    }

    /// The pair `seq`, which happens at `at`.
    #[must_use]
    pub fn pair(&self, seq: u64, at: Timestamp) -> Pair<'static> {
        let gpu_index = self.mix.at(seq).random_range(0..self.gpus.len());
        let tokens = tokens::draw(self.name, &mut self.tokens.at(seq));
        let mut rng = self.latency.at(seq);
        let (reading, model, latency_ms) = if self.name == WorkloadName::Uniform {
            (None, UNIFORM_MODEL, latency::uniform(&mut rng))
        } else {
            let Gpu { row, hardware, load } = &self.gpus[gpu_index];
            let load = load.at(at);
            let latency_ms = latency::live(*hardware, tokens, gpu::batch(load), &mut rng);
            (Some(gpu::live(row, load)), LIVE_MODEL, latency_ms)
        };
        Pair { seq, at, gpu: gpu_index, reading, model, tokens, latency_ms }
    }
}

#[cfg(test)]
mod tests;
