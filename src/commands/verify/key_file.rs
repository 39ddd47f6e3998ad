//! `--answer-key`: what a run declares to have done on purpose.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::Path;

use serde::Deserialize;

use super::ndjson::{self, Lines};
use super::{Problem, misfit};
use crate::answer_key::check::{NAMED, Progress, compare};
use crate::audit::{Audit, KeyDifference, KeyFieldDifference, KeyRecord};
use crate::event::Kind;
use crate::exit::Exit;
use crate::faults::{Fault, FaultSet};
use crate::plan::Plan;
use crate::report::past::PastRun;
use crate::settings::Settings;
use crate::workload;
use crate::workload::seed::Seed;

/// A line of a key, as far as an audit needs it. Its JSON Schema is `answer_key.v1`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Run(Run),
    Gpu {},
    Record { event: String, seq: u64, faults: Vec<String>, sent: bool, copy: bool },
    Incident { incident: String },
    Total { name: String, records: BTreeMap<String, u64> },
    End { pairs: u64, lines: u64 },
}

/// Who the run of a key is.
#[derive(Debug, Deserialize)]
struct Run {
    run_id: String,
    run_seed: u64,
    workload_version: u32,
    seed_sha256: String,
    shard: String,
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

impl Run {
    /// Whether it is the run that is verified.
    fn check(&self, plan: &Plan, digest: &str) -> Result<(), String> {
        let Self { run_id, run_seed, workload_version, seed_sha256, shard, .. } = self;
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
struct Read {
    lines: u64,
    run: Option<Run>,
    has_ended: bool,
    /// How far the run came, as the key says.
    progress: Progress,
}

/// What is known of the run whose key it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) settings: &'a Settings,
    pub(super) seed: &'a Seed,
    pub(super) plan: &'a Plan,
    /// Its report, if there is one.
    pub(super) report: Option<&'a PastRun>,
}

/// Holds an answer key against the records that were read, and its lines against the plan's.
///
/// # Errors
/// The key cannot be read, is not whole, or is that of another run.
pub(super) fn check(path: &Path, audit: &mut Audit<'_>, known: Known<'_>) -> Result<(), Problem> {
    audit.begin_key();
    let name = path.display().to_string();
    let unread = |error: &io::Error| ndjson::unread(&name, error);
    let mut file = whole(path).map_err(|error| unread(&error))?;
    let mut read = Read::default();
    let digest = known.seed.sha256();
    Lines::of(BufReader::new(&file))
        .each(&name, |_, line| read.take(line, audit, (known.plan, &digest)))?;
    if !read.has_ended {
        let text = format!("{name}: the line that ends an answer key is missing");
        return Err((text, Exit::DataErr));
    }
    let mut progress = read.progress;
    if let Some(report) = known.report {
        progress.sent = report.generated();
    }
    file.rewind().map_err(|error| unread(&error))?;
    let lines = Lines::of(BufReader::new(file));
    let Known { settings, seed, plan, report } = known;
    let mut compared = compare(plan, settings, seed, (progress, report.is_some()), lines)
        .map_err(|error| unread(&error))?;
    let theirs = read.run.map(|run| run.settings).unwrap_or_default();
    let other = other_settings(settings, &theirs);
    if !other.is_empty() {
        compared.wrong += 1;
        let [found, plan] = ["the settings of the key", "those of the run"].map(str::to_owned);
        let (found, plan) = (Some(found), Some(plan));
        compared.first.insert(0, KeyDifference { line: 1, found, plan, fields: other });
        compared.first.truncate(NAMED);
    }
    audit.key_lines(compared);
    Ok(())
}

/// A file that can be read twice: what comes through a pipe is kept on the disk.
fn whole(path: &Path) -> io::Result<File> {
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let mut file = File::open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let mut kept = tempfile::tempfile()?;
    io::copy(&mut file, &mut kept)?;
    kept.rewind()?;
    Ok(kept)
}

/// The settings of the events that a key has otherwise than `own`, by what they mean.
fn other_settings(own: &Settings, theirs: &BTreeMap<String, String>) -> Vec<KeyFieldDifference> {
    let values = theirs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let theirs = match misfit::settings_of(values) {
        Ok(theirs) => theirs,
        Err(error) => {
            let (found, plan) = (error.to_string(), "settings that are valid".to_owned());
            return vec![KeyFieldDifference { field: "/settings".to_owned(), found, plan }];
        }
    };
    let differing = misfit::differing(own, &theirs).into_iter().map(|setting| {
        let field = format!("/settings/{}", setting.name);
        KeyFieldDifference { field, found: setting.theirs, plan: setting.own }
    });
    differing.collect()
}

impl Read {
    /// Takes a line.
    fn take(
        &mut self,
        line: &[u8],
        audit: &mut Audit<'_>,
        (plan, digest): (&Plan, &str),
    ) -> Result<(), String> {
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| format!("it is no line of an answer key: {error}"))?;
        self.lines += 1;
        if self.has_ended {
            return Err("it is behind the line that ends the key".to_owned());
        }
        if self.run.is_none() && !matches!(line, Line::Run(_)) {
            return Err("the key does not begin with the line of its run".to_owned());
        }
        match line {
            Line::Run(run) => {
                run.check(plan, digest)?;
                self.run.get_or_insert(run);
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
            Line::Gpu {} => {}
            Line::Total { name, records } => {
                let counts = Kind::BOTH
                    .map(|kind| records.get(kind.schema_name()).copied().unwrap_or_default());
                match name.as_str() {
                    "planned" => self.progress.planned = counts,
                    "sent" => self.progress.sent = counts,
                    _ => {}
                }
            }
            Line::End { pairs, lines } => {
                self.has_ended = true;
                self.progress.pairs = pairs;
                if lines != self.lines {
                    return Err(format!(
                        "the key says that it has {lines} lines, and this is line {}",
                        self.lines
                    ));
                }
            }
        }
        Ok(())
    }
}
