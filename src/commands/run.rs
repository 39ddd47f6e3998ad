//! `run`: one batch to Kafka.

use std::path::Path;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{complain, exit_of_seed, identity, seed};
use crate::exit::Exit;
use crate::host::egress::Guard;
use crate::host::log::{self, SUMMARY};
use crate::host::signals::Stop;
use crate::host::{files, reporter};
use crate::kafka::config;
use crate::plan::Identity;
use crate::report::{Facts, Report};
use crate::session::{Cluster, Session, deliver};
use crate::settings::Settings;
use crate::workload::seed::Seed;

/// Sends one batch, and says what became of it.
#[must_use]
pub fn run(settings: &Settings) -> Exit {
    let identity = match identity(settings) {
        Ok(identity) => identity,
        Err(exit) => return exit,
    };
    if let Some(path) = settings.report_path()
        && let Err(error) = files::check_writable(path)
    {
        let text = settings.refuse("REPORT_FILE", error.to_string()).to_string();
        complain(&text);
        reporter::last_words(&text, Exit::Config.errno());
        return Exit::Config;
    }
    let seed = match seed(settings) {
        Ok(seed) => seed,
        Err(error) => {
            let exit = exit_of_seed(&error);
            let report = Report::new(settings, unstarted(identity, exit, error.to_string()));
            return publish(settings, Session { report, exit, reporter: None, sink: None });
        }
    };
    let cluster = Cluster {
        config: config::client(settings),
        guard: Guard::of_process(settings),
        is_embedded: false,
    };
    match sent(settings, &seed, identity, &cluster) {
        Ok(session) => publish(settings, session),
        Err(exit) => exit,
    }
}

/// Carries a run out on this thread, stopped by the signals of this process.
pub(super) fn sent(
    settings: &Settings,
    seed: &Seed,
    identity: Identity,
    cluster: &Cluster,
) -> Result<Session, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let session = runtime.and_then(|runtime| {
        let session = runtime.block_on(async {
            let stop = Stop::listen()?;
            Ok(deliver(settings, seed, identity, cluster, stop).await)
        });
        // A question to the cluster that nobody waits for any more may still block.
        runtime.shutdown_background();
        session
    });
    session.map_err(|error| {
        complain(&format!("cannot start: {error}"));
        Exit::Software
    })
}

/// The facts of a run that ended before it began.
fn unstarted(identity: Identity, exit: Exit, reason: String) -> Facts {
    Facts {
        identity,
        planned_pairs: None,
        account: crate::kafka::ledger::Account::default(),
        lateness: crate::latency::Times::default(),
        exit,
        reason: Some(reason),
        ended_at: Timestamp::now(),
        elapsed_sec: 0.0,
    }
}

/// Tells everybody who listens what became of a run: report file, log, systemd.
pub(super) fn publish(settings: &Settings, session: Session) -> Exit {
    let Session { mut report, mut exit, reporter, sink } = session;
    if let Some(path) = &settings.report_file
        && let Err(error) = write_report(path, &report)
    {
        complain(&format!("cannot write the report to {}: {error}", path.display()));
        if matches!(exit, Exit::Success | Exit::Signalled(_)) {
            exit = Exit::IoErr;
            report.conclude(exit, Some("the report could not be written".into()));
        }
    }
    let summary = report.summary();
    summarize(&report, exit, summary.clone());
    log::finish();
    match reporter {
        Some(reporter) => reporter.finish(&summary, exit.errno()),
        None => reporter::last_words(&summary, exit.errno()),
    }
    drop(sink);
    exit
}

fn write_report(path: &Path, report: &Report) -> std::io::Result<()> {
    if path == Path::new("-") {
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        return out.write_all(report.json().as_bytes()).and_then(|()| out.flush());
    }
    files::write_atomically(path, report.json().as_bytes())
}

/// The last log line: the run in words, and its figures as fields.
fn summarize(report: &Report, exit: Exit, text: String) {
    let report = report.clone();
    let exit_code = exit.code();
    macro_rules! summary {
        ($level:ident) => {
            $level!(
                target: SUMMARY,
                run = report.run_id,
                seed = report.run_seed,
                outcome = report.outcome,
                planned = report.planned(),
                generated = report.sum(|t| t.generated),
                acknowledged = report.sum(|t| t.acknowledged),
                failed = report.sum(|t| t.failed),
                unresolved = report.sum(|t| t.unresolved),
                elapsed_sec = report.elapsed_sec,
                rate_per_sec = report.rate_per_sec,
                exit_code,
                "{text}"
            )
        };
    }
    log::say(move || match exit {
        Exit::Success => summary!(info),
        Exit::Signalled(_) => summary!(warn),
        _ => summary!(error),
    });
}
