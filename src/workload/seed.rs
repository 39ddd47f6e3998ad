//! The seed file: a JSON array of GPUs. Each row is an operating point.
//!
//! Unknown fields pass through byte by byte, in the row's order. So do known ones, unless a
//! workload replaces them by a live value. Every error names line, row and field.

mod json;
mod row;
mod snapshot;

use std::fmt;

use sha2::{Digest, Sha256};

pub(crate) use json::RawFields;
pub use snapshot::{NVIDIA_SMI, ROCM_SMI, Snapshot};

/// The seed file that is compiled in, for runs without one.
pub const BUILT_IN: &str = include_str!("../../gpu_seed.json");

/// Size limit of a seed file, bytes. At about 200 bytes a row that is 20,000 GPUs.
pub const MAX_BYTES: u64 = 4 << 20;

/// The fields that every row has, in the order of the documentation, and what they are.
pub const REQUIRED: [(&str, &str); 7] = [
    (
        "gpu_index",
        "index of the GPU in its host, 0 or more; the key has it, so rows that share one are one GPU",
    ),
    ("name", "the board, as nvidia-smi has it: \"NVIDIA L4\""),
    ("utilization", "mean share of the time in which it works, 0 to 1"),
    ("mem_used_mb", "memory in use, MiB, whole; the language model is one that fits in it"),
    ("mem_total_mb", "memory, MiB, whole"),
    ("power_w", "mean power, W"),
    ("price_per_hour_usd", "price of an hour, USD"),
];

/// Fields that the program adds to every event, which a row therefore cannot have.
const ADDED: [&str; 2] = ["ts", "host"];

/// Which live value replaces a row's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The field stays as in the row.
    Constant,
    /// `utilization`.
    Utilization,
    /// `mem_used_mb`.
    MemUsed,
    /// `power_w`.
    Power,
}

/// One field of a row, as it is written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key as JSON, quotes included.
    pub key_json: String,
    /// The value as JSON.
    pub value_json: String,
    /// The live value that can replace it.
    pub slot: Slot,
}

/// One GPU of the seed file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Index of the GPU on its host.
    pub gpu_index: u32,
    /// GPU model name.
    pub name: String,
    /// Operating point: share of time busy, percent.
    pub utilization_percent: u8,
    /// Operating point: memory in use, MiB.
    pub mem_used_mb: u64,
    /// Memory of the board, MiB.
    pub mem_total_mb: u64,
    /// Operating point: board power, W.
    pub power_w: f64,
    /// The language model, if the row names one.
    pub model: Option<String>,
    /// Constants of [`super::Hardware`] that the row sets, by name.
    pub constants: Vec<(&'static str, f64)>,
    /// Every field in the row's order.
    pub fields: Vec<Field>,
}

/// A valid seed file.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed {
    /// The GPUs, at least one.
    pub rows: Vec<Row>,
    /// Warnings about values that are accepted but probably not meant.
    pub warnings: Vec<String>,
}

impl Seed {
    /// SHA-256 of the rows, in hexadecimal digits: white space between fields makes no difference.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for row in &self.rows {
            for Field { key_json, value_json, .. } in &row.fields {
                hash.update(format!("{key_json}:{value_json},"));
            }
            hash.update("\n");
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Why a seed file is not valid, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedError {
    /// Line in the file, from 1.
    pub line: usize,
    /// Row, from 1.
    pub row: Option<usize>,
    /// Field of the row.
    pub field: Option<String>,
    /// The problem, and what was expected.
    pub problem: String,
}

impl std::error::Error for SeedError {}

impl fmt::Display for SeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", field {field}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What a seed says that has no prices.
const NO_PRICE: &str = "it has no prices, so price_per_hour_usd and all costs are 0; `vm4-producer seed \
    FILE` prints it as JSON in which a price can be written";

/// The text of a seed file.
///
/// # Errors
/// It is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, SeedError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let line = line_at(&bytes[..e.valid_up_to()]);
        let is_utf_16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let problem = if is_utf_16 { "it is UTF-16; expected UTF-8" } else { "not valid UTF-8" };
        SeedError { line, row: None, field: None, problem: problem.into() }
    })
}

/// Reads and validates a seed file: a JSON array of GPUs, or what nvidia-smi or rocm-smi prints.
///
/// # Errors
/// [`SeedError`] with the line, row and field of the first problem.
pub fn parse(bytes: &[u8]) -> Result<Seed, SeedError> {
    let text = text(bytes)?;
    if let Some(snapshot) = Snapshot::read(text) {
        let snapshot = snapshot?;
        if let Some(gap) = snapshot.gaps().next() {
            return Err(gap);
        }
        let mut seed = parse_json(&snapshot.json(&0.into()))?;
        seed.warnings.push(NO_PRICE.to_owned());
        return Ok(seed);
    }
    parse_json(text)
}

fn parse_json(text: &str) -> Result<Seed, SeedError> {
    let whole =
        |problem: &str| SeedError { line: 1, row: None, field: None, problem: problem.into() };
    if text.starts_with('\u{feff}') {
        return Err(whole("starts with a byte order mark; expected JSON without one"));
    }
    match text.trim_start().chars().next() {
        None => return Err(whole("the file is empty; expected a JSON array of GPU rows")),
        Some('[') => {}
        Some(c) => {
            let problem = format!(
                "starts with {c:?}; expected a JSON array of GPU rows, \"[\", or the CSV of {NVIDIA_SMI}"
            );
            return Err(whole(&problem));
        }
    }
    let raw = json::read_rows(text)?;
    let rows = raw.iter().enumerate().map(|(i, raw)| row::read(text, i + 1, raw));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err(whole("the array is empty; expected at least one GPU row"));
    }
    let warnings = shared_indexes(&rows);
    Ok(Seed { rows, warnings })
}

fn line_at(before: &[u8]) -> usize {
    1 + before.iter().filter(|b| **b == b'\n').count()
}

fn shared_indexes(rows: &[Row]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(first) = rows[..i].iter().position(|r| r.gpu_index == row.gpu_index) {
            warnings.push(format!(
                "rows {} ({}) and {} ({}) share gpu_index {}: consumers see them as one GPU",
                first + 1,
                rows[first].name,
                i + 1,
                row.name,
                row.gpu_index
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
