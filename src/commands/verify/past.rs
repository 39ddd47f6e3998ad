//! The run that is verified: what its report says, or else its settings and its name.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::Problem;
use crate::exit::Exit;
use crate::plan::Identity;
use crate::report::past::PastRun;
use crate::settings::{Inputs, Key, OF_THE_EVENTS, PastSettings, Settings};

/// What is known of a run that is over, beside its settings.
#[derive(Debug, Default)]
pub struct Past {
    /// What the report says.
    pub run: Option<PastRun>,
}

/// Reads the report that the options name, and makes its settings those of `inputs`.
///
/// # Errors
/// In words, with the exit code: the report is missing, or not valid.
pub fn recall(
    report: Option<&Path>,
    run: Option<&str>,
    inputs: &mut Inputs,
) -> Result<Past, (String, Exit)> {
    if let Some(run) = run {
        inputs.flags.push((Key::Setting("RUN_ID"), run.into()));
    }
    let Some(path) = report else { return Ok(Past { run: None }) };
    let read = fs::read(path);
    let json = read.map_err(|e| (format!("cannot read {}: {e}", path.display()), Exit::NoInput))?;
    let bad = |error| (format!("{}: {error}", path.display()), Exit::DataErr);
    let run = PastRun::parse(&json).map_err(bad)?;
    contradicts(&inputs.flags, &run, path)?;
    // What has no value for a reader is made here again: BATCH where DURATION_SEC ends the run.
    let settings = run.settings.iter().filter(|s| {
        !["RUN_ID", "RUN_SEED"].contains(&&*s.name) && !s.source.starts_with("no limit")
    });
    let mut values: Vec<_> =
        settings.map(|s| (s.name.clone(), s.value.clone(), s.is_chosen())).collect();
    values.push(("RUN_ID".into(), run.run_id.clone(), true));
    values.push(("RUN_SEED".into(), run.run_seed.to_string(), true));
    inputs.past = Some(PastSettings { path: path.into(), values });
    Ok(Past { run: Some(run) })
}

/// Settings of the events that do not decide what is in a record: another process may have its own.
const ITS_OWN: [&str; 4] = ["TOPIC_METRIC", "TOPIC_TOKEN", "PACE", "CLOSE_WINDOWS"];

/// Whether a flag says something else of the run than its report does: another run would be made of it.
fn contradicts(flags: &[(Key, OsString)], run: &PastRun, path: &Path) -> Result<(), Problem> {
    let is_of_a_run = |name| OF_THE_EVENTS.contains(&name) && !ITS_OWN.contains(&name);
    for (key, value) in flags.iter().filter(|(key, _)| is_of_a_run(key.name())) {
        let name = key.name();
        let setting = || run.settings.iter().find(|setting| setting.name == name);
        let was = match name {
            "RUN_ID" => run.run_id.clone(),
            "RUN_SEED" => run.run_seed.to_string(),
            _ => setting().map(|setting| setting.value.clone()).unwrap_or_default(),
        };
        if *value != *was {
            let flag = name.to_ascii_lowercase().replace('_', "-");
            let text = format!(
                "--{flag} {}: the run of {} had {name} {was:?}; leave the flag out",
                value.display(),
                path.display()
            );
            return Err((text, Exit::Usage));
        }
    }
    Ok(())
}

/// Who the run was.
///
/// # Errors
/// In words: without the seed nothing can be regenerated.
pub fn identity(settings: &Settings, past: &Past) -> Result<Identity, (String, Exit)> {
    let missing = |what: &str| {
        let text = format!("{what}; name the report of the run with --report FILE");
        (text, Exit::Usage)
    };
    if let Some(run) = &past.run {
        return Ok(Identity {
            run_id: run.run_id.clone(),
            run_seed: run.run_seed,
            started_at: run.started_at,
        });
    }
    let id = settings.run_id.clone();
    // A name that the program makes is `START-SEED`.
    let made = id.as_deref().and_then(|id| id.rsplit_once('-'));
    let seed = settings.run_seed.or_else(|| made?.1.parse().ok());
    let run_seed = seed.ok_or_else(|| missing("RUN_SEED is not set"))?;
    let started = made.and_then(|(start, _)| {
        let start = DateTime::strptime("%Y%m%dT%H%M%S%.fZ", start).ok()?;
        Offset::UTC.to_timestamp(start).ok()
    });
    let started_at = started.or(settings.event_start);
    let started_at = started_at.unwrap_or_else(Timestamp::now);
    let identity = Identity::new(settings, started_at, run_seed);
    match id.or(settings.event_start.map(|_| String::new())) {
        Some(_) => Ok(identity),
        None => Err(missing("neither --run nor EVENT_START is given")),
    }
}

impl Past {
    /// Whether there is anything of the run to look for.
    ///
    /// # Errors
    /// It sent nothing; its own outcome is said.
    pub(in crate::commands) fn sent_something(&self) -> Result<(), Problem> {
        let nothing = self.run.as_ref().and_then(PastRun::sent_nothing);
        nothing.map_or(Ok(()), |text| Err((text, Exit::NoInput)))
    }

    /// Whether the run had the seed whose rows have this SHA-256, as far as its report tells.
    ///
    /// # Errors
    /// It had another one, of which other records would be made.
    pub(super) fn had_seed(&self, digest: &str, path: &Path) -> Result<(), Problem> {
        let was = self.run.as_ref().and_then(|run| run.seed_sha256.as_deref());
        let Some(was) = was.filter(|was| *was != digest) else { return Ok(()) };
        let text = format!(
            "the run had a seed with the SHA-256 {was}, and the one here (GPU_SEED {}) has {digest}; name \
             the seed of the run with --gpu-seed FILE",
            path.display()
        );
        Err((text, Exit::DataErr))
    }
}
