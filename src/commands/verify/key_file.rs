//! `--answer-key`: what a run declares to have done on purpose.

use std::path::Path;

use serde::Deserialize;

use super::{Problem, ndjson};
use crate::audit::{Audit, KeyRecord};
use crate::event::Kind;
use crate::exit::Exit;
use crate::faults::{Fault, FaultSet};
use crate::plan::Plan;
use crate::workload;

/// A line of a key, as far as an audit needs it. Its JSON Schema is `answer_key.v1`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Run(Run),
    Gpu {},
    Record { event: String, seq: u64, faults: Vec<String>, sent: bool, copy: bool },
    Incident { incident: String },
    Total {},
    End { lines: u64 },
}

/// Who the run of a key is.
#[derive(Debug, Deserialize)]
struct Run {
    run_id: String,
    run_seed: u64,
    workload_version: u32,
    seed_sha256: String,
    shard: String,
}

impl Run {
    /// Whether it is the run that is verified.
    fn check(&self, plan: &Plan, digest: &str) -> Result<(), String> {
        let Self { run_id, run_seed, workload_version, seed_sha256, shard } = self;
        let (own, own_shard) = (&plan.identity, plan.shard());
        let is_own = (run_id, *run_seed) == (&own.run_id, own.run_seed);
        if !is_own || *shard != own_shard.to_string() {
            return Err(format!(
                "it is the answer key of run {run_id}, seed {run_seed}, shard {shard}, and run {}, seed \
                 {}, shard {own_shard} is verified",
                own.run_id, own.run_seed
            ));
        }
        if *workload_version != workload::VERSION {
            return Err(format!(
                "it was written with version {workload_version} of the workload model, and this program \
                 has version {}",
                workload::VERSION
            ));
        }
        if seed_sha256 != digest {
            return Err(format!(
                "the run had a seed with the SHA-256 {seed_sha256}, and that of the seed here is {digest}"
            ));
        }
        Ok(())
    }
}

/// What was read of a key so far.
#[derive(Debug, Default)]
struct Progress {
    lines: u64,
    has_run: bool,
    has_ended: bool,
}

/// Holds the records that were read against an answer key.
///
/// # Errors
/// The key cannot be read, is not whole, or is that of another run.
pub(super) fn check(
    path: &Path,
    audit: &mut Audit<'_>,
    plan: &Plan,
    seed_sha256: &str,
) -> Result<(), Problem> {
    audit.begin_key();
    let mut progress = Progress::default();
    ndjson::each(path, "line of an answer key", |line: Line| {
        progress.lines += 1;
        if progress.has_ended {
            return Err("it is behind the line that ends the key".to_owned());
        }
        if !progress.has_run && !matches!(line, Line::Run(_)) {
            return Err("the key does not begin with the line of its run".to_owned());
        }
        match line {
            Line::Run(run) => {
                progress.has_run = true;
                run.check(plan, seed_sha256)?;
            }
            Line::Record { event, seq, faults, sent: is_sent, copy: is_copy } => {
                let kind = Kind::BOTH.into_iter().find(|kind| kind.schema_name() == event);
                let kind = kind.ok_or_else(|| format!("there is no event {event:?}"))?;
                let kinds = faults.iter().map(|word| {
                    Fault::of_word(word).ok_or_else(|| format!("there is no fault {word:?}"))
                });
                let faults = kinds.collect::<Result<Vec<_>, _>>()?;
                let faults = faults.into_iter().fold(FaultSet::NONE, FaultSet::with);
                audit.key_record(&KeyRecord { kind, seq, is_copy, faults, is_sent });
            }
            Line::Incident { incident } => audit.key_incident(incident),
            Line::Gpu {} | Line::Total {} => {}
            Line::End { lines } => {
                progress.has_ended = true;
                if lines != progress.lines {
                    return Err(format!(
                        "the key says that it has {lines} lines, and this is line {}",
                        progress.lines
                    ));
                }
            }
        }
        Ok(())
    })?;
    if progress.has_ended {
        return Ok(());
    }
    let text = format!("{}: the line that ends an answer key is missing", path.display());
    Err((text, Exit::DataErr))
}
