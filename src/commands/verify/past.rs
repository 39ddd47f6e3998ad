//! The run that is verified: what its report says, or else its settings and its name.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use jiff::Timestamp;

use super::{Problem, misfit};
use crate::exit::Exit;
use crate::plan::{self, Identity, MadeId};
use crate::report::past::{self, PastRun};
use crate::settings::{Inputs, Key, OF_THE_EVENTS, PastSettings, Settings};
use crate::workload::seed::Seed;

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
    let json = read_report(path)
        .map_err(|e| (format!("cannot read {}: {e}", path.display()), Exit::NoInput))?;
    recall_report(path, &json, inputs)
}

/// The same of a report that was read from there.
///
/// # Errors
/// In words, with the exit code: the report is not valid.
pub(super) fn recall_report(
    path: &Path,
    json: &[u8],
    inputs: &mut Inputs,
) -> Result<Past, Problem> {
    let bad = |error| (format!("{}: {error}", path.display()), Exit::DataErr);
    let run = PastRun::parse(json).map_err(bad)?;
    contradicts(&inputs.flags, &run, path)?;
    let is_paced = inputs.flags.iter().any(|(key, _)| key.name() == "SLEEP_SEC");
    // What has no value for a reader is made here again: BATCH where DURATION_SEC ends the run.
    let settings = run.settings.iter().filter(|s| {
        let is_made_here = s.source.starts_with("no limit") || s.name == "RATE" && is_paced;
        !["RUN_ID", "RUN_SEED"].contains(&&*s.name) && !is_made_here
    });
    let mut values: Vec<_> =
        settings.map(|s| (s.name.clone(), s.value.clone(), s.is_chosen())).collect();
    values.push(("RUN_ID".into(), run.run_id.clone(), true));
    values.push(("RUN_SEED".into(), run.run_seed.to_string(), true));
    inputs.past = Some(PastSettings { path: path.into(), values });
    Ok(Past { run: Some(run) })
}

fn read_report(path: &Path) -> io::Result<Vec<u8>> {
    let mut json = Vec::new();
    fs::File::open(path)?.take(past::MAX_BYTES + 1).read_to_end(&mut json)?;
    if json.len() as u64 > past::MAX_BYTES {
        let problem = format!("larger than {} MiB, which no report is", past::MAX_BYTES >> 20);
        return Err(io::Error::other(problem));
    }
    Ok(json)
}

/// Settings of the events that do not decide what is in a record: another process may have its own.
const ITS_OWN: [&str; 4] = ["TOPIC_METRIC", "TOPIC_TOKEN", "PACE", "CLOSE_WINDOWS"];

/// Whether a flag says something else of the run than its report does: another run would be made of it.
fn contradicts(flags: &[(Key, OsString)], run: &PastRun, path: &Path) -> Result<(), Problem> {
    let is_of_a_run = |name| OF_THE_EVENTS.contains(&name) && !ITS_OWN.contains(&name);
    for (key, value) in flags.iter().filter(|(key, _)| is_of_a_run(key.name())) {
        let name = key.name();
        let was = match name {
            "RUN_ID" => run.run_id.clone(),
            "RUN_SEED" => run.run_seed.to_string(),
            _ => run.setting(name).unwrap_or_default().to_owned(),
        };
        // Either of the two says how long the gaps are.
        let gaps = ["RATE", "SLEEP_SEC"].map(|name| (name, run.setting(name).unwrap_or_default()));
        let was_all =
            if gaps.iter().any(|(of, _)| *of == name) { &gaps[..] } else { &[(name, &*was)] };
        let is_same =
            value.to_str().is_some_and(|value| misfit::mean_the_same((name, value), was_all));
        if !is_same {
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

/// Who the run was, whose records are made of these settings and this seed.
///
/// # Errors
/// In words: without the seed of the run nothing can be regenerated, and with the settings of another
/// run other records are.
pub fn identity(settings: &Settings, seed: &Seed, past: &Past) -> Result<Identity, Problem> {
    let missing = |what: &str| {
        let text = format!("{what}; name the report of the run with --report FILE");
        (text, Exit::Usage)
    };
    if let Some(run) = &past.run {
        past.has_settings(settings, seed)?;
        return Ok(Identity {
            run_id: run.run_id.clone(),
            run_seed: run.run_seed,
            started_at: run.started_at,
        });
    }
    settings.check_fixed_start().map_err(|error| (error.to_string(), Exit::Config))?;
    let id = settings.run_id.clone();
    let made = id.as_deref().and_then(MadeId::parse);
    let run_seed = settings.run_seed.or(made.map(|made| made.run_seed));
    let run_seed = run_seed.ok_or_else(|| missing("RUN_SEED is not set"))?;
    if let Some(made) = made.filter(|made| !made.fits(settings, seed, run_seed)) {
        return Err((misfit(&made, settings, seed, run_seed), Exit::DataErr));
    }
    let started_at = made.map(|made| made.start).or(settings.event_start);
    let started_at = started_at.unwrap_or_else(Timestamp::now);
    let identity = Identity::new(settings, started_at, run_seed).with_digest(settings, seed);
    match id.or(settings.event_start.map(|_| String::new())) {
        Some(_) => Ok(identity),
        None => Err(missing("neither --run nor EVENT_START is given")),
    }
}

/// Says that these settings are not those of a run whose name has a digest.
fn misfit(made: &MadeId<'_>, settings: &Settings, seed: &Seed, run_seed: u64) -> String {
    let own = plan::digest(settings, seed, run_seed);
    let digest = made.digest.unwrap_or_default();
    let mut text = format!(
        "the settings are not those of run {}: its name ends with {digest}, the digest of all that makes \
         its records, and these settings and this seed make {}",
        settings.run_id.as_deref().unwrap_or_default(),
        &own[..digest.len()],
    );
    if let Some(differing) = misfit::of_name(made, settings, seed, run_seed) {
        text.push_str(&format!("; {differing}"));
    }
    text.push_str("; give the settings of the run, or name its report with --report FILE");
    text
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

    /// Whether these settings and this seed make the records of the run, as its report tells.
    ///
    /// # Errors
    /// They make others.
    fn has_settings(&self, settings: &Settings, seed: &Seed) -> Result<(), Problem> {
        let Some(run) = &self.run else { return Ok(()) };
        self.had_seed(&seed.sha256(), &settings.gpu_seed)?;
        let own = plan::digest(settings, seed, run.run_seed);
        match &run.plan_sha256 {
            Some(was) if *was != own => {
                let text = format!(
                    "the settings are not those of run {}: its report has plan_sha256 {was}, and the \
                     settings of the report make {own} here; was the report changed, or written by \
                     another version?",
                    run.run_id
                );
                Err((text, Exit::DataErr))
            }
            _ => Ok(()),
        }
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
