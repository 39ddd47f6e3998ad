//! `verify`: reads the records of a run back, and closes the account of them.

pub(super) mod cluster;
mod input;
mod look;

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::{complain, exit_of_output, refuse, seed, write};
use crate::audit::{Account, Audit, Expectation, Log, Look};
use crate::cli::VerifyOptions;
use crate::event::Kind;
use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::kafka::partitions;
use crate::plan::{Identity, Plan};
use crate::report::past::PastRun;
use crate::settings::{Inputs, Key, PastSettings, Settings};

/// Why a run cannot be verified.
type Problem = (String, Exit);

/// What the reading of a run came to.
struct Reading {
    logs: [Log; 2],
    /// Why it ended before the end.
    unread: Option<Problem>,
    /// What is not known of the topics.
    unknown: Option<String>,
}

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

/// Verifies a run, and prints the account.
#[must_use]
pub(crate) fn verify(settings: &Settings, options: &VerifyOptions, past: &Past) -> Exit {
    match audited(settings, options, past) {
        Ok((account, look, unread)) => conclude(&account, &*look, unread, options, past),
        Err((problem, exit)) => refuse(&problem, exit),
    }
}

type Audited = (Account, Box<dyn Look>, Option<Problem>);

fn audited(settings: &Settings, options: &VerifyOptions, past: &Past) -> Result<Audited, Problem> {
    let identity = identity(settings, past)?;
    let seed = seed(settings).map_err(|e| (e.to_string(), e.cause.exit()))?;
    let plan = Plan::new(settings, &seed, identity);
    let mut topics = Kind::BOTH.map(|kind| settings.topic(kind).to_owned());
    for (kind, name) in &options.topics {
        topics[usize::from(kind == "token")].clone_from(name);
    }
    let stop = Stop::listen()
        .map_err(|error| (format!("cannot listen to signals: {error}"), Exit::OsErr))?;
    let source = match &options.input {
        Some(path) => Source::Lines(input::Lines::open(path)?),
        None => Source::Logs(cluster::Cluster::open(settings, options, &topics)?),
    };
    let partitions = match &source {
        // A stage downstream may have a partitioner of its own.
        Source::Logs(cluster)
            if options.topics.is_empty() && partitions::follow_from_keys(settings) =>
        {
            cluster.partitions()
        }
        _ => [None, None],
    };
    let mut audit = Audit::new(match &past.run {
        Some(run) => expectation(run, &plan, partitions),
        None => Expectation {
            planned: plan.schedule.planned_pairs(),
            verdicts: None,
            ran_ms: None,
            partitions,
            plan: &plan,
        },
    });
    let reading = match source {
        Source::Lines(lines) => lines.read(&mut audit, &topics)?,
        Source::Logs(cluster) => cluster.read(&mut audit, options, &stop, past),
    };
    let look = look::of(settings, options, &plan);
    let mut account = audit.finish(reading.logs);
    if !account.closed {
        account.could_not_tell.extend(reading.unknown);
    }
    if let Some((problem, _)) = &reading.unread {
        account.closed = false;
        account
            .could_not_tell
            .push(format!("what is behind the place where reading ended: {problem}"));
    }
    Ok((account, look, reading.unread))
}

/// Where the records come from.
enum Source {
    Lines(input::Lines),
    Logs(cluster::Cluster),
}

/// What is expected of a run with a report.
pub(super) fn expectation<'p>(
    run: &PastRun,
    plan: &'p Plan,
    partitions: [Option<u32>; 2],
) -> Expectation<'p> {
    // Records are stamped at most this far ahead of the clock.
    const AHEAD_MS: i64 = 100;
    let ran = (run.started_at.as_millisecond(), run.ended_at.as_millisecond() + AHEAD_MS);
    Expectation {
        planned: plan.schedule.planned_pairs().or(run.planned().filter(|_| plan.is_clean())),
        verdicts: Some(run.verdicts()),
        ran_ms: plan.event_start().is_none().then_some(ran),
        partitions,
        plan,
    }
}

/// Prints the account; the exit code follows from it.
fn conclude(
    account: &Account,
    look: &dyn Look,
    unread: Option<Problem>,
    options: &VerifyOptions,
    past: &Past,
) -> Exit {
    let text = if options.json { json(account) } else { account.words(look) };
    if let Err(error) = write(&text) {
        return exit_of_output(&error);
    }
    if let Some((problem, exit)) = unread {
        complain(&problem);
        return exit;
    }
    let found: u64 = account.topics.iter().map(|topic| topic.found).sum();
    if found == 0 && !account.closed && past.run.is_none() {
        let seen = account.topics.iter().flat_map(|topic| topic.read.foreign.runs.keys());
        let seen: std::collections::BTreeSet<_> = seen.map(String::as_str).collect();
        let seen = seen.into_iter().collect::<Vec<_>>().join(", ");
        let seen = if seen.is_empty() { String::new() } else { format!("; runs there: {seen}") };
        complain(&format!("there is no record of run {}{seen}", account.run_id));
        return Exit::NoInput;
    }
    if account.closed { Exit::Success } else { Exit::IoErr }
}

fn json(account: &Account) -> String {
    // The account holds nothing that JSON cannot.
    let mut text = serde_json::to_string_pretty(account).unwrap_or_default();
    text.push('\n');
    text
}
