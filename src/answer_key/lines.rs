//! The lines of an answer key.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::plan::{Identity, IncidentLine};
use crate::settings::Settings;
use crate::workload;
use crate::workload::seed::Seed;

/// Who the run is.
#[derive(Debug, Serialize)]
pub(super) struct RunLine {
    #[serde(rename = "type")]
    line: &'static str,
    version: &'static str,
    run_id: String,
    run_seed: u64,
    workload_version: u32,
    seed_sha256: String,
    shard: String,
    started_at: String,
    settings: BTreeMap<String, String>,
}

impl RunLine {
    pub(super) fn of(identity: &Identity, settings: &Settings, seed: &Seed) -> Self {
        let listing = settings.listing().filter(|setting| !setting.value.is_empty());
        Self {
            line: "run",
            version: env!("CARGO_PKG_VERSION"),
            run_id: identity.run_id.clone(),
            run_seed: identity.run_seed,
            workload_version: workload::VERSION,
            seed_sha256: seed.sha256(),
            shard: settings.shard.to_string(),
            started_at: format!("{:.3}", identity.started_at),
            settings: listing.map(|setting| (setting.name, setting.value.to_owned())).collect(),
        }
    }
}

/// What a GPU costs.
#[derive(Debug, Serialize)]
pub(super) struct GpuLine<'a> {
    #[serde(rename = "type")]
    line: &'static str,
    key: &'a str,
    #[serde(flatten)]
    row: GpuRow<'a>,
    /// The other rows of the seed with its index: each of its requests has the price of one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shared_with: Vec<GpuRow<'a>>,
}

/// A row of the seed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct GpuRow<'a> {
    pub(super) name: &'a str,
    pub(super) price_micro_usd_per_hour: u64,
}

impl<'a> GpuLine<'a> {
    /// The lines of these GPUs: a key and its row. Those of one key are one GPU.
    pub(super) fn all(gpus: impl Iterator<Item = (&'a str, GpuRow<'a>)>) -> Vec<Self> {
        let (mut lines, mut known) = (Vec::<Self>::new(), HashMap::new());
        for (key, row) in gpus {
            let place = *known.entry(key).or_insert(lines.len());
            match lines.get_mut(place) {
                Some(line) => line.shared_with.push(row),
                None => lines.push(Self { line: "gpu", key, row, shared_with: Vec::new() }),
            }
        }
        lines
    }
}

/// A record that differs from a clean run's.
#[derive(Debug, Serialize)]
pub(super) struct RecordLine {
    #[serde(rename = "type")]
    pub(super) line: &'static str,
    pub(super) topic: String,
    pub(super) event: &'static str,
    pub(super) seq: u64,
    pub(super) key: Option<String>,
    pub(super) timestamp: i64,
    pub(super) faults: Vec<&'static str>,
    pub(super) sent: bool,
    pub(super) copy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) copy_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) late_by_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) held_pairs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shift_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) form: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<UsageLine>,
}

/// The tokens and the cost of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct UsageLine {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) cost_micro_usd: u64,
}

/// An interval of event time in which something was wrong on purpose, and what should be seen of it.
#[derive(Debug, Serialize)]
pub(super) struct IncidentEntry {
    #[serde(rename = "type")]
    line: &'static str,
    #[serde(flatten)]
    incident: IncidentLine,
}

impl From<IncidentLine> for IncidentEntry {
    fn from(incident: IncidentLine) -> Self {
        Self { line: "incident", incident }
    }
}

/// The last line: a key without it is not whole.
#[derive(Debug, Serialize)]
pub(super) struct EndLine {
    #[serde(rename = "type")]
    line: &'static str,
    pairs: u64,
    lines: u64,
}

impl EndLine {
    pub(super) fn new(pairs: u64, lines: u64) -> Self {
        Self { line: "end", pairs, lines }
    }
}
