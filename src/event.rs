//! The two events of a pair: what the model says of a GPU and of a request, before it is written.

pub mod json;

use jiff::Timestamp;

use crate::workload::{GpuId, Pair, Reading};

/// Which of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `gpu.metrics.v1`.
    Metric,
    /// `token.usage.v1`.
    Token,
}

impl Kind {
    /// Both, in the order of a pair's records.
    pub const BOTH: [Self; 2] = [Self::Metric, Self::Token];

    /// The name of the event's type: its schema, and the default of its topic.
    #[must_use]
    pub fn schema_name(self) -> &'static str {
        match self {
            Self::Metric => "gpu.metrics.v1",
            Self::Token => "token.usage.v1",
        }
    }

    /// The JSON Schema of the value.
    #[must_use]
    pub fn schema(self) -> &'static str {
        match self {
            Self::Metric => include_str!("../packaging/schemas/gpu.metrics.v1.schema.json"),
            Self::Token => include_str!("../packaging/schemas/token.usage.v1.schema.json"),
        }
    }
}

/// A `gpu.metrics.v1` event.
///
/// What is constant for a GPU (its name, its price, fields of the user's own) is in its seed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The GPU.
    pub gpu: GpuId,
    /// Event time, whole milliseconds.
    pub ts: Timestamp,
    /// What its sensors read; `None` if the event has the values of the seed row.
    pub reading: Option<Reading>,
}

impl From<&Pair<'_>> for Metric {
    fn from(pair: &Pair<'_>) -> Self {
        Self { gpu: pair.sensor, ts: pair.at, reading: pair.reading }
    }
}

/// A `token.usage.v1` event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage<'w> {
    /// The GPU that served the request.
    pub gpu: GpuId,
    /// Event time, whole milliseconds.
    pub ts: Timestamp,
    /// Name of the language model.
    pub model: &'w str,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the completion.
    pub completion_tokens: u32,
    /// Duration of the request, ms.
    pub latency_ms: u32,
}

impl<'w> From<&Pair<'w>> for Usage<'w> {
    fn from(pair: &Pair<'w>) -> Self {
        Self {
            gpu: pair.gpu,
            ts: pair.at,
            model: pair.model,
            prompt_tokens: pair.tokens.prompt,
            completion_tokens: pair.tokens.completion,
            latency_ms: pair.latency_ms,
        }
    }
}
