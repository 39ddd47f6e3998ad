//! `verify`: reads the records of a run back, and closes the account of them.

pub(super) mod cluster;
mod detected_file;
mod input;
mod key_file;
mod look;
mod ndjson;
mod past;

pub use past::{Past, identity, recall};

use super::{complain, exit_of_output, refuse, seed, write};
use crate::audit::{Account, Audit, Closure, Expectation, InputAccount, Log, Look};
use crate::cli::VerifyOptions;
use crate::event::Kind;
use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::kafka::{partitions, properties};
use crate::plan::Plan;
use crate::report::past::PastRun;
use crate::settings::{Inputs, Origin, Settings};

/// Why a run cannot be verified.
type Problem = (String, Exit);

/// What the reading of a run came to.
struct Reading {
    logs: [Log; 2],
    /// Id of the cluster, if it was one.
    cluster_id: Option<String>,
    /// Why it ended before the end.
    unread: Option<Problem>,
    /// What is not known of the topics.
    unknown: Option<String>,
    /// What is to be said of the lines, where they are read.
    input: Option<InputAccount>,
}

/// Verifies a run, and prints the account.
#[must_use]
pub(crate) fn verify(settings: &Settings, options: &VerifyOptions, past: &Past) -> Exit {
    match audited(settings, options, past) {
        Ok((account, look, unread)) => conclude(&account, &*look, unread, options, past),
        Err((problem, exit)) => refuse(&problem, exit),
    }
}

/// Verifies the runs of the reports behind the first one, each by itself, after the first came to
/// `exit`; the first exit code that is none of success. A signal ends it.
#[must_use]
pub(crate) fn verify_others(mut exit: Exit, inputs: &Inputs, options: &VerifyOptions) -> Exit {
    for report in options.report.iter().skip(1) {
        if matches!(exit, Exit::Signalled(_)) {
            break;
        }
        let mut inputs = inputs.clone();
        let own = match recall(Some(report), None, &mut inputs) {
            Err((problem, exit)) => refuse(&problem, exit),
            Ok(past) => match Settings::load(&inputs, properties::check) {
                Ok(settings) => verify(&settings, options, &past),
                Err(error) => refuse(&error.to_string(), super::exit_of(&error)),
            },
        };
        exit = if exit == Exit::Success { own } else { exit };
    }
    exit
}

type Audited = (Account, Box<dyn Look>, Option<Problem>);

fn audited(settings: &Settings, options: &VerifyOptions, past: &Past) -> Result<Audited, Problem> {
    past.sent_something()?;
    let seed = seed(settings, None).map_err(|e| (e.to_string(), e.cause.exit()))?;
    let identity = identity(settings, &seed, past)?;
    let plan = Plan::new(settings, &seed, identity);
    let mut topics = Kind::BOTH.map(|kind| settings.topic(kind).to_owned());
    for (kind, name) in &options.topics {
        topics[usize::from(kind == "token")].clone_from(name);
    }
    let stop = Stop::listen_briefly()
        .map_err(|error| (format!("cannot listen to signals: {error}"), Exit::OsErr))?;
    let source = match &options.input {
        Some(path) => {
            let again = options.report.len() > 1;
            Source::Lines(Box::new(input::Lines::open(path, again, &seed, &options.columns)?))
        }
        None => Source::Logs(Box::new(cluster::Cluster::open(settings, options, &topics, past)?)),
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
    let expected = match &past.run {
        Some(run) => expectation(run, &plan, partitions),
        None => Expectation {
            planned: plan.schedule.count_pairs(),
            verdicts: None,
            ran_ms: None,
            deduplicated: false,
            partitions,
            plan: &plan,
        },
    };
    let mut audit = Audit::new(Expectation { deduplicated: options.deduplicated, ..expected });
    if let Some(path) = &options.detected {
        let mut flags = detected_file::read(path, &plan, &topics)?;
        let least = [options.min_precision, options.min_recall];
        let [precision, recall] = least.map(|least| least.map(|share| share.0));
        flags.demand(precision, recall);
        audit.watch(flags);
    }
    let reading = match source {
        Source::Lines(lines) => lines.read(&mut audit, &plan.identity.run_id, &topics)?,
        Source::Logs(cluster) => cluster.read(&mut audit, options, &stop, past),
    };
    // Another ANSWER_KEY than that of the command line is where the next run writes its own.
    let is_flag = |key: &crate::settings::Resolved| matches!(key.origin, Origin::Flag(_));
    if let (Some(path), true) =
        (&settings.answer_key, settings.resolved("ANSWER_KEY").is_some_and(is_flag))
    {
        let known =
            key_file::Known { settings, seed: &seed, plan: &plan, report: past.run.as_ref() };
        key_file::check(path, &mut audit, known)?;
    }
    let look = look::of(settings, options, &plan);
    let (account, unread) = finished(audit, reading, past);
    Ok((account, look, unread))
}

/// The account of what was read, and why reading ended early.
fn finished(audit: Audit<'_>, reading: Reading, past: &Past) -> (Account, Option<Problem>) {
    let Reading { logs, cluster_id, unread, unknown, input } = reading;
    let mut account = audit.finish(logs);
    account.cluster_id = cluster_id;
    account.take_input(input);
    let not_generated = account.topics.iter().map(|topic| topic.not_generated).sum();
    account.stopped = past.run.as_ref().is_some_and(|run| run.was_stopped(not_generated));
    if !account.closed {
        account.could_not_tell.extend(unknown);
    }
    if let Some((problem, exit)) = &unread {
        let what = format!("what is behind the place where reading ended: {problem}");
        account.ended_early(&what, matches!(exit, Exit::Signalled(_)));
    }
    (account, unread)
}

/// Where the records come from.
enum Source {
    Lines(Box<input::Lines>),
    Logs(Box<cluster::Cluster>),
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
        planned: plan.schedule.count_pairs().or(run.planned().filter(|_| plan.is_clean())),
        verdicts: Some(run.verdicts()),
        ran_ms: plan.event_start().is_none().then_some(ran),
        deduplicated: false,
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
    let found: u64 = account.topics.iter().map(|topic| topic.found).sum();
    if let Some((problem, exit)) = unread {
        complain(&problem);
        // What is proved wrong stays so, whatever the rest would have shown.
        let is_proved = account.verdict == Closure::NotClosed && exit == Exit::Unavailable;
        return if is_proved { Exit::IoErr } else { exit };
    }
    if found == 0 && !account.closed && past.run.is_none() {
        let seen = account.topics.iter().flat_map(|topic| topic.read.foreign.runs.keys());
        let seen: std::collections::BTreeSet<_> = seen.map(String::as_str).collect();
        let seen = seen.into_iter().collect::<Vec<_>>().join(", ");
        let seen = if seen.is_empty() { String::new() } else { format!("; runs there: {seen}") };
        complain(&format!("there is no record of run {}{seen}", account.run_id));
        return Exit::NoInput;
    }
    let below = account.detected.iter().flat_map(|detected| &detected.below);
    let below: Vec<_> = below.map(String::as_str).collect();
    if !below.is_empty() {
        complain(&below.join("\n"));
    }
    match account.verdict {
        Closure::Closed if below.is_empty() => Exit::Success,
        Closure::Closed | Closure::NotClosed => Exit::IoErr,
        Closure::Undecided => Exit::Unavailable,
    }
}

fn json(account: &Account) -> String {
    // The account holds nothing that JSON cannot.
    let mut text = serde_json::to_string_pretty(account).unwrap_or_default();
    text.push('\n');
    text
}
