//! `run`: one batch to Kafka.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{error, warn};

use super::outputs::Outputs;
use super::{answer_key, begin, give_up, identity, runtime, seed, summary};
use crate::batch::{self, Client, Cluster, run_topic};
use crate::delivery::{Cause, NotStarted, RunEnd};
use crate::egress::EgressPolicy;
use crate::egress::filter::{self, Filter};
use crate::exit::Exit;
use crate::host::apart::{Apart, Waited};
use crate::host::limits::Need;
use crate::host::log;
use crate::host::signals::Stop;
use crate::host::spool::Spool;
use crate::host::{files, reporter, sandbox, terminal};
use crate::kafka::config;
use crate::plan::{self, Identity, MadeId};
use crate::report::{Report, Run};
use crate::settings::Settings;
use crate::workload::seed::Seed;

/// How long a report may take before systemd is asked for the time.
const QUIETLY: Duration = Duration::from_secs(1);

/// How long a report may still take once a signal has ended the wait for it.
const GRACE: Duration = Duration::from_millis(500);

/// Sends one batch, and says how that ended.
#[must_use]
pub fn run(settings: &Settings) -> Exit {
    let stop = match begin(Need::of_run(settings.kafka_bootstrap.servers().len())) {
        Ok(stop) => stop,
        Err(exit) => return exit,
    };
    let identity = match identity(settings) {
        Ok(identity) => identity,
        Err(exit) => return exit,
    };
    let client = match answer_key(settings, Outputs { prints: false, reports: true }, Some(&stop)) {
        Ok(spool) => Client::with_key(spool),
        Err(exit) => return exit,
    };
    if let Some(problem) = settings.unreadable_location() {
        return give_up(&problem, Exit::NoInput);
    }
    if terminal::is_watched() && !settings.is_set("KAFKA_BOOTSTRAP") {
        let default = &settings.kafka_bootstrap;
        warn!("no broker is set, so this goes to {default}; -b HOST:PORT names one");
    }
    for odd in settings.without_effect() {
        warn!("{}; {}", odd.problem, odd.remedy);
    }
    let outputs = [("REPORT_FILE", &settings.report_file), ("ANSWER_KEY", &settings.answer_key)];
    for problem in sandbox::problems(outputs.map(|(name, path)| (name, path.as_deref()))) {
        warn!("{problem}");
    }
    let seed = match seed(settings, Some(&stop)) {
        Ok(seed) => seed,
        Err(error) => {
            let report = Report::new(settings, without_seed(identity, error));
            return publish(settings, &report, Client::default(), &stop, None);
        }
    };
    if let Err(error) = MadeId::check(settings, &seed, settings.run_seed) {
        let error = NotStarted::new(Cause::Misconfigured, &error);
        let report = Report::new(settings, without_seed(identity, error));
        return publish(settings, &report, Client::default(), &stop, None);
    }
    let identity = identity.with_digest(settings, &seed);
    let begins = Run {
        seed_sha256: Some(seed.sha256()),
        plan_sha256: Some(plan::digest(settings, &seed, identity.run_seed)),
        ..Run::unsent(identity.clone(), RunEnd::NothingPlanned)
    };
    write_running(settings, &Report::running(settings, begins));
    let egress = EgressPolicy::of_process(settings);
    if egress.as_ref().is_some_and(|policy| policy.filter() == Filter::Absent) {
        warn!("{}", filter::ABSENT);
    }
    let cluster = Cluster { config: config::client(settings), egress, is_embedded: false };
    match sent(settings, &seed, identity, &cluster, &stop, client) {
        Ok((report, client)) => publish(settings, &report, client, &stop, None),
        Err(exit) => exit,
    }
}

/// Carries a run out on this thread.
pub(super) fn sent(
    settings: &Settings,
    seed: &Seed,
    identity: Identity,
    cluster: &Cluster,
    stop: &Stop,
    client: Client,
) -> Result<(Report, Client), Exit> {
    let runtime = runtime()?;
    let begins = |report: &Report| write_running(settings, report);
    let sent = batch::send(settings, seed, identity, cluster, stop.clone(), client, &begins);
    let sent = runtime.block_on(sent);
    // A question to the cluster that nobody waits for any more may still block.
    runtime.shutdown_background();
    Ok(sent)
}

/// Writes a report that says that the run goes on, so that a run that is killed leaves one. A FIFO and
/// stdout get that of its end alone.
fn write_running(settings: &Settings, report: &Report) {
    let Some(path) = settings.report_file.as_ref().filter(|path| files::is_replaced(path)) else {
        return;
    };
    if let Err(error) = files::write_report(path, report.json().as_bytes()) {
        warn!("REPORT_FILE: {}: {error}; if the run is killed it leaves no report", path.display());
    }
}

/// A run that ended before it began.
fn without_seed(identity: Identity, error: NotStarted) -> Run {
    Run::unsent(identity, RunEnd::NotStarted(error))
}

/// What went wrong after a run, and the exit code if the run itself went well.
pub(super) type Problem = (String, Exit);

/// The exit code of the process: that of the run, if it says what is missing.
fn exit_with(run: Exit, problem: Option<&Problem>) -> Exit {
    match (run, problem) {
        (Exit::Success | Exit::Signalled(_) | Exit::BrokenPipe, Some((_, exit))) => *exit,
        _ => run,
    }
}

/// Tells everybody who listens how a run ended: answer key, log, systemd, report file. `unprinted` is
/// what kept a command from printing it.
///
/// The answer key comes first, so that summary and report know whether it could be written. The report
/// comes last: whoever is to take it may not be there.
pub(super) fn publish(
    settings: &Settings,
    report: &Report,
    mut client: Client,
    stop: &Stop,
    unprinted: Option<Problem>,
) -> Exit {
    let seen = stop.received().count();
    let mut key = client.take_key();
    let mut problems: Vec<_> = unprinted.into_iter().collect();
    let is_read = settings.report_file.as_deref().is_some_and(files::is_stream);
    // One reader may take report and key in any order, so that neither can wait for the other.
    let are_both_read =
        is_read && key.as_ref().is_some_and(|k| k.as_ref().is_ok_and(Spool::is_stream));
    if !are_both_read {
        problems.extend(unwritten(settings, None, key.take(), stop, seen));
    }
    let mut exit =
        problems.iter().fold(report.exit(), |exit, problem| exit_with(exit, Some(problem)));
    let texts: Vec<_> = problems.iter().map(|(text, _)| text.as_str()).collect();
    let problem = (!texts.is_empty()).then(|| texts.join("; "));
    let summary = report.summary(exit, problem.as_deref());
    let report = report.clone().with(exit, problem);
    summary::of_report(&report, exit, &summary);
    log::finish();
    client.tell(&summary, exit.errno());
    let not_described = undescribed(settings, &report, client.is_announced(), stop);
    let unwritten = unwritten(settings, Some(&report), key, stop, seen);
    for problem in unwritten.into_iter().chain(not_described) {
        exit = exit_with(exit, Some(&problem));
        let text = format!("{}; exit {exit}", problem.0);
        match exit {
            Exit::Signalled(_) | Exit::BrokenPipe => warn!("{text}"),
            _ => error!("{text}"),
        }
        log::finish();
        reporter::last_words(&text, exit.errno());
    }
    client.close();
    exit
}

/// Has the run say in `RUN_TOPIC` how it ended, if it said there that it began; returns what went wrong.
fn undescribed(
    settings: &Settings,
    report: &Report,
    is_announced: bool,
    stop: &Stop,
) -> Option<Problem> {
    let topic = settings.run_topic.clone().filter(|_| is_announced)?;
    let (record, within) = (run_topic::record(topic, report), settings.delivery_timeout);
    let is_cancelled = || stop.received().again;
    let sent = run_topic::send(&config::client(settings), record, within, &is_cancelled);
    Some((format!("RUN_TOPIC: {}", sent.err()?), Exit::IoErr))
}

/// Writes the report file and puts the answer key at its place, those of them that are given; returns
/// what went wrong. Both at the same time: whoever reads one of them to its end before the other may do
/// so in any order.
fn unwritten(
    settings: &Settings,
    report: Option<&Report>,
    key: Option<io::Result<Spool>>,
    stop: &Stop,
    seen: u32,
) -> Vec<Problem> {
    let [to_report, to_key] = [&settings.report_file, &settings.answer_key];
    let is_stdout = |path: &Option<PathBuf>| path.as_deref().is_some_and(files::is_stdout);
    let has_stdout = is_stdout(to_report) || is_stdout(to_key) && key.is_some();
    if !has_stdout {
        files::release_stdout();
    }
    let report = report.zip(to_report.clone()).map(|(report, path)| {
        let json = report.json();
        (
            Apart::start(move || files::write_report(&path, json.as_bytes())),
            "REPORT_FILE: no report",
        )
    });
    let key = key.map(|key| {
        (Apart::start(move || key.and_then(Spool::publish)), "ANSWER_KEY: no answer key")
    });
    let outputs = [(report, to_report), (key, to_key)];
    let problems = outputs.into_iter().filter_map(|(writing, path)| {
        let (writing, what) = writing?;
        let problem = taken(writing, settings.delivery_timeout, stop, seen).err()?;
        let path = path.as_deref().unwrap_or(Path::new("-"));
        Some((format!("{what} in {}: {problem}", path.display()), Exit::IoErr))
    });
    problems.collect()
}

/// Waits until an output is written and taken, but not for ever.
fn taken(
    writing: io::Result<Apart<io::Result<()>>>,
    within: Duration,
    stop: &Stop,
    seen: u32,
) -> Result<(), String> {
    let mut writing = writing.map_err(|error| format!("cannot start a thread: {error}"))?;
    let mut wait =
        |seen, within| writing.wait(stop, seen, Some(within)).map_err(|error| error.to_string());
    let quietly = within.min(QUIETLY);
    let mut waited = wait(seen, quietly)?;
    if matches!(waited, Waited::Late) {
        reporter::ask_for_time("waiting for somebody to take the report", within);
        waited = wait(seen, within - quietly)?;
    }
    let mut problem = format!("nobody took it within {} s", within.as_secs_f64());
    if let Waited::Signal(signal) = waited {
        problem = format!("{} ended the wait", signal.name());
        // A file that is being written is there in a moment.
        waited = wait(u32::MAX, GRACE)?;
    }
    match waited {
        Waited::Done(written) => written.map_err(|error| error.to_string()),
        Waited::Signal(_) | Waited::Late => Err(problem),
    }
}
