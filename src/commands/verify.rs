//! `verify`: reads the records of a run back, and closes the account of them.

pub(super) mod cluster;
mod detected_file;
mod input;
mod key_file;
mod look;
mod misfit;
mod ndjson;
mod past;

use past::recall_report;
pub use past::{Past, identity, recall};

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{complain, exit_of_output, refuse, seed, write};
use crate::audit::{Account, Audit, ChangeAccount, Closure, Expectation, InputAccount, Log, Look};
use crate::batch::run_topic;
use crate::cli::VerifyOptions;
use crate::event::Kind;
use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::kafka::{config, partitions, properties};
use crate::plan::{MadeId, Plan};
use crate::report::past::PastRun;
use crate::settings::{Inputs, Origin, Settings};
use crate::workload::seed::Seed;

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
fn verify(settings: &Settings, options: &VerifyOptions, past: &Past) -> Exit {
    match audited(settings, options, past) {
        Ok((account, look, unread)) => conclude(&account, &*look, unread, options, past),
        Err((problem, exit)) => refuse(&problem, exit),
    }
}

/// The exit code of several runs: where one of them is proved wrong, that; else the first that is none of
/// success.
fn joined(so_far: Exit, own: Exit) -> Exit {
    match (so_far, own) {
        (Exit::Success, _) | (_, Exit::IoErr) => own,
        _ => so_far,
    }
}

/// Verifies the runs of the reports behind the first one, each by itself, after the first came to
/// `exit`; the exit code is that of all of them. A signal ends it.
fn verify_others(mut exit: Exit, inputs: &Inputs, options: &VerifyOptions) -> Exit {
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
        exit = joined(exit, own);
    }
    exit
}

/// Verifies the run that is asked for, or each of several; the exit code is that of all of them.
#[must_use]
pub(crate) fn verify_all(
    settings: &Settings,
    options: &VerifyOptions,
    past: &Past,
    inputs: &Inputs,
) -> Exit {
    match &options.described {
        Some(run) => verify_described(settings, run, inputs, options),
        None => verify_others(verify(settings, options, past), inputs, options),
    }
}

/// Verifies each shard of a run that describes itself in `RUN_TOPIC`; the exit code is that of all of them.
fn verify_described(
    settings: &Settings,
    run: &str,
    inputs: &Inputs,
    options: &VerifyOptions,
) -> Exit {
    /// Silent shards that are named.
    const NAMED: usize = 5;
    let (topic, reports) = match described(settings, run, options) {
        Ok(described) => described,
        Err((problem, exit)) => return refuse(&problem, exit),
    };
    let shards = reports.keys().filter_map(|shard| shard.split_once('/')?.1.parse::<usize>().ok());
    let shards = shards.max().unwrap_or_default();
    let mut exit = Exit::Success;
    for (shard, json) in &reports {
        let mut inputs = inputs.clone();
        let place = PathBuf::from(format!("{run}/{shard} in topic {topic}"));
        let own = match recall_report(&place, json, &mut inputs) {
            Err((problem, exit)) => refuse(&problem, exit),
            Ok(past) => match Settings::load(&inputs, properties::check) {
                Ok(settings) => verify(&settings, options, &past),
                Err(error) => refuse(&error.to_string(), super::exit_of(&error)),
            },
        };
        exit = joined(exit, own);
        if matches!(own, Exit::Signalled(_)) {
            return own;
        }
    }
    let silent = (0..shards).map(|shard| format!("{shard}/{shards}"));
    let named: Vec<_> = silent.filter(|s| !reports.contains_key(s)).take(NAMED).collect();
    if !named.is_empty() {
        let described = reports.keys().filter(|shard| shard.ends_with(&format!("/{shards}")));
        let (count, named) = (shards.saturating_sub(described.count()), named.join(", "));
        let more =
            if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
        let text = format!(
            "{count} of {shards} shards of run {run} have said nothing in topic {topic}: {named}{more}"
        );
        exit = joined(exit, refuse(&text, Exit::Unavailable));
    }
    exit
}

/// What `RUN_TOPIC` has of a run, by shard.
fn described(
    settings: &Settings,
    run: &str,
    options: &VerifyOptions,
) -> Result<(String, BTreeMap<String, Vec<u8>>), Problem> {
    let topic = settings.run_topic.clone().ok_or_else(|| {
        let text = format!(
            "there is no file {run}, and to verify a run of this id RUN_TOPIC must be set: name the topic \
             in which runs describe themselves with --run-topic NAME, or the report of the run"
        );
        let is_file = run.ends_with(".json");
        (text, if is_file { Exit::NoInput } else { Exit::Usage })
    })?;
    let stop = Stop::listen_briefly()
        .map_err(|error| (format!("cannot listen to signals: {error}"), Exit::OsErr))?;
    let stopped = || stop.received().count() > 0;
    let read = run_topic::read(&config::client(settings), &topic, run, options.timeout, stopped);
    let found = read.map_err(|unread| match stop.received().first {
        Some(signal) => (unread.to_string(), Exit::Signalled(signal)),
        None => cluster::problem(&unread),
    })?;
    if found.reports.is_empty() {
        let others = match found.others.is_empty() {
            true => String::new(),
            false => format!("; the last runs there: {}", found.others.join(", ")),
        };
        return Err((format!("there is no run {run} in topic {topic}{others}"), Exit::NoInput));
    }
    Ok((topic, found.reports))
}

/// Adds the first setting that a run had otherwise, where `RUN_TOPIC` describes it.
fn explained(problem: Problem, settings: &Settings, options: &VerifyOptions) -> Problem {
    let Some(run) = settings.run_id.as_deref().filter(|_| problem.1 == Exit::DataErr) else {
        return problem;
    };
    let Ok((topic, reports)) = described(settings, run, options) else { return problem };
    let reports = reports.values().filter_map(|json| PastRun::parse(json).ok());
    let first = reports.into_iter().find_map(|run| {
        let values = run.settings.iter().map(|setting| (&*setting.name, &*setting.value));
        let differing = misfit::differing(settings, &misfit::settings_of(values).ok()?);
        differing.into_iter().find(|differing| !differing.name.starts_with("TOPIC_"))
    });
    match first {
        Some(first) => (format!("{}; as topic {topic} tells, {first}", problem.0), problem.1),
        None => problem,
    }
}

/// Why there is no record of a run where other runs are, if their names tell: the settings are not those of
/// the run, whose name the program makes of them.
fn is_another(
    account: &Account,
    settings: &Settings,
    seed: &Seed,
    run_seed: u64,
) -> Option<Problem> {
    if settings.run_id.is_some() || account.topics.iter().any(|topic| topic.found > 0) {
        return None;
    }
    let start = settings.event_start?;
    let runs = account.topics.iter().flat_map(|topic| topic.read.foreign.runs.keys());
    let made =
        runs.filter_map(|id| Some((id, MadeId::parse(id).filter(|made| made.start == start)?)));
    // One with this seed is likelier than another.
    let (id, made) = made.min_by_key(|(_, made)| made.run_seed != run_seed)?;
    let differing = misfit::of_name(&made, settings, seed, run_seed);
    let differing = differing.map(|differing| format!(": {differing}")).unwrap_or_default();
    let text = format!(
        "there is no record of run {}, and the settings are not those of run {id}, which is there and \
         has the same start{differing}; give its settings, or name its report with --report FILE",
        account.run_id
    );
    Some((text, Exit::DataErr))
}

type Audited = (Account, Box<dyn Look>, Option<Problem>);

fn audited(settings: &Settings, options: &VerifyOptions, past: &Past) -> Result<Audited, Problem> {
    past.sent_something()?;
    let seed = seed(settings, None).map_err(|e| (e.to_string(), e.cause.exit()))?;
    let identity = identity(settings, &seed, past);
    let identity = identity.map_err(|problem| explained(problem, settings, options))?;
    let plan = Plan::new(settings, &seed, identity);
    let topics = Topics::of(settings, options);
    let stop = Stop::listen_briefly()
        .map_err(|error| (format!("cannot listen to signals: {error}"), Exit::OsErr))?;
    let source = match &options.input {
        Some(path) => {
            let again = options.report.len() > 1;
            Source::Lines(Box::new(input::Lines::open(path, again, &seed, &options.columns)?))
        }
        None => Source::Logs(Box::new(cluster::Cluster::open(
            settings,
            options,
            &topics,
            (&plan, past),
        )?)),
    };
    // A stage downstream may have a partitioner of its own.
    let are_known = options.topics.is_empty() && partitions::follow_from_keys(settings);
    let partitions = match &source {
        Source::Logs(cluster) if are_known => cluster.partitions(),
        Source::Lines(_) if are_known => {
            past.run.as_ref().map_or([None, None], PastRun::partition_counts)
        }
        Source::Lines(_) | Source::Logs(_) => [None, None],
    };
    let expected = match &past.run {
        Some(run) => expectation(run, &plan, partitions),
        None => of_settings(&plan, partitions),
    };
    let mut audit = Audit::new(Expectation { deduplicated: options.deduplicated, ..expected });
    tell_of_run(&mut audit, past, &source);
    if let Some(path) = &options.detected {
        let mut flags = detected_file::read(path, &plan, &topics)?;
        let least = [options.min_precision, options.min_recall];
        let [precision, recall] = least.map(|least| least.map(|share| share.0));
        flags.demand(precision, recall);
        audit.watch(flags);
    }
    audit.ignore(options.ignore);
    let reading = match source {
        Source::Lines(lines) => lines.read(&mut audit, &plan.identity.run_id, &topics.firsts())?,
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
    let (account, mut unread) = finished(audit, reading, past);
    if past.run.is_none() && unread.is_none() {
        unread = is_another(&account, settings, &seed, plan.identity.run_seed);
    }
    Ok((account, look, unread))
}

/// What the settings alone say of a run, where no report does.
fn of_settings(plan: &Plan, partitions: [Option<u32>; 2]) -> Expectation<'_> {
    Expectation {
        planned: plan.schedule.count_pairs(),
        verdicts: None,
        ran_ms: None,
        lateness_ms: None,
        deduplicated: false,
        partitions,
        plan,
    }
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

/// Tells the audit what the report has of the times, and whether the run still went on.
fn tell_of_run(audit: &mut Audit<'_>, past: &Past, source: &Source<'_>) {
    let Some(run) = &past.run else { return };
    let is_own = matches!(source, Source::Logs(cluster) if cluster.is_own());
    audit.compare_times(run.times(), is_own);
    if run.is_running() {
        audit.goes_on();
    }
}

/// The topics that have each event: several where a stage spreads them.
pub(super) struct Topics([Vec<String>; 2]);

impl Topics {
    /// Those of the settings, unless the options name others.
    fn of(settings: &Settings, options: &VerifyOptions) -> Self {
        Self(Kind::BOTH.map(|kind| {
            let is_token = kind == Kind::Token;
            let named = options.topics.iter().filter(|(of, _)| (of == "token") == is_token);
            let mut names: Vec<String> = Vec::new();
            for (_, name) in named {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            if names.is_empty() { vec![settings.topic(kind).to_owned()] } else { names }
        }))
    }

    /// Those of an event.
    pub(super) fn of_event(&self, kind: Kind) -> &[String] {
        &self.0[kind as usize]
    }

    /// All of them, each once.
    pub(super) fn all(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for name in self.0.iter().flatten() {
            if !all.contains(&name.as_str()) {
                all.push(name);
            }
        }
        all
    }

    /// The first of each event.
    fn firsts(&self) -> [String; 2] {
        self.0.each_ref().map(|names| names.first().cloned().unwrap_or_default())
    }

    /// Whether one topic has both events.
    pub(super) fn is_one(&self) -> bool {
        self.0[0] == self.0[1]
    }

    /// The number of a topic among those of an event.
    pub(super) fn number(&self, kind: Kind, name: &str) -> Option<u16> {
        let number = self.of_event(kind).iter().position(|own| own == name);
        number.and_then(|number| u16::try_from(number).ok())
    }

    /// The first event that a topic has, and its number there.
    pub(super) fn find(&self, name: &str) -> Option<(Kind, u16)> {
        Kind::BOTH.into_iter().find_map(|kind| Some((kind, self.number(kind, name)?)))
    }
}

/// Where the records come from.
enum Source<'t> {
    Lines(Box<input::Lines>),
    Logs(Box<cluster::Cluster<'t>>),
}

/// What is expected of a run with a report.
pub(super) fn expectation<'p>(
    run: &PastRun,
    plan: &'p Plan,
    partitions: [Option<u32>; 2],
) -> Expectation<'p> {
    // Records are stamped at most this far ahead of the clock.
    const AHEAD_MS: i64 = 100;
    let ended = run.ended_at.as_millisecond() + AHEAD_MS;
    let ended = if run.is_running() { i64::MAX } else { ended };
    let ran = (run.started_at.as_millisecond(), ended);
    Expectation {
        planned: plan.schedule.count_pairs().or(run.planned().filter(|_| plan.is_clean())),
        verdicts: (!run.is_running()).then(|| run.verdicts()),
        ran_ms: plan.event_start().is_none().then_some(ran),
        lateness_ms: run.most_late_ms(),
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
    if let Some(problem) = other_settings(account).filter(|_| past.run.is_none()) {
        complain(&problem);
        return Exit::DataErr;
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

/// Says that the settings are hardly those of the run, where nothing proves them and one value differs in
/// most records of both topics. A stage may have changed them all: the report of the run would tell.
fn other_settings(account: &Account) -> Option<String> {
    /// Fewer records say nothing.
    const FEWEST: u64 = 8;
    if MadeId::parse(&account.run_id).is_some_and(|made| made.digest.is_some()) {
        return None;
    }
    let mut found = Vec::new();
    for topic in &account.topics {
        let is_value =
            |c: &&ChangeAccount| c.part == "value" && c.change == "value" && c.at != "/ts";
        let most = topic.changes.iter().filter(is_value).max_by_key(|change| change.records)?;
        if topic.found < FEWEST || most.records * 2 <= topic.found {
            return None;
        }
        found
            .push(format!("{} in {} of {} in {}", most.at, most.records, topic.found, topic.topic));
    }
    Some(format!(
        "the settings are not those of run {}, or a stage changed nearly every value: {} differ; nothing \
         proves the settings, as the name of the run has no digest of them: name its report with \
         --report FILE",
        account.run_id,
        found.join(", ")
    ))
}

fn json(account: &Account) -> String {
    // The account holds nothing that JSON cannot.
    let mut text = serde_json::to_string_pretty(account).unwrap_or_default();
    text.push('\n');
    text
}
