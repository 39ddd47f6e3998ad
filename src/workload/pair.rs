//! What the model says of one request and of the GPU that served it.

use jiff::Timestamp;

use super::gpu::Reading;
use super::tokens::Tokens;

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
    /// The GPU that served the request.
    pub gpu: GpuId,
    /// The GPU of the reading: the same, but where an incident has taken the requests of a GPU whose
    /// sensors are still read.
    pub sensor: GpuId,
    /// The live values of `sensor`; `None` keeps the row's values.
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
