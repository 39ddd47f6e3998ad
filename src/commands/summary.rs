//! The last log line of a run: what became of it in words, and its figures as fields.

use tracing::{error, info, warn};

use super::complain;
use crate::delivery;
use crate::exit::Exit;
use crate::host::log::SUMMARY;
use crate::report::Report;

/// What the fields say. A run that ended before it began has no name yet.
#[derive(Default)]
struct Figures<'a> {
    run: Option<&'a str>,
    seed: Option<u64>,
    outcome: &'a str,
    planned: Option<u64>,
    generated: u64,
    acknowledged: u64,
    failed: u64,
    unresolved: u64,
    elapsed_sec: Option<f64>,
    rate_per_sec: Option<f64>,
}

/// Says how a run ended.
pub(super) fn of_report(report: &Report, exit: Exit, text: &str) {
    let figures = Figures {
        run: Some(&report.run_id),
        seed: Some(report.run_seed),
        outcome: report.outcome,
        planned: report.planned(),
        generated: report.sum(|t| t.generated),
        acknowledged: report.sum(|t| t.acknowledged),
        failed: report.sum(|t| t.failed),
        unresolved: report.sum(|t| t.unresolved),
        elapsed_sec: Some(report.elapsed_sec),
        rate_per_sec: Some(report.rate_per_sec),
    };
    say(&figures, exit, text);
}

/// Says why a run ended before it had a report, and returns that in words. Of several problems, a line
/// each, the first is in the summary, and all are in lines before it.
pub(super) fn of_unstarted(problems: &str, exit: Exit) -> String {
    let mut lines = problems.lines();
    let first = lines.next().unwrap_or_default();
    let more = match lines.count() {
        0 => String::new(),
        count => {
            complain(&problems);
            format!(" (and {count} more above)")
        }
    };
    let text = format!("nothing was sent: {first}{more}; exit {exit}");
    // The env file lacks the right to be read, not the seed.
    let outcome = match exit {
        Exit::NoInput => delivery::word(Exit::Config),
        exit => delivery::word(exit),
    };
    say(&Figures { outcome, ..Figures::default() }, exit, &text);
    text
}

fn say(figures: &Figures<'_>, exit: Exit, text: &str) {
    let exit_code = exit.code();
    macro_rules! summary {
        ($level:ident) => {
            $level!(
                target: SUMMARY,
                run = figures.run,
                seed = figures.seed,
                outcome = figures.outcome,
                planned = figures.planned,
                generated = figures.generated,
                acknowledged = figures.acknowledged,
                failed = figures.failed,
                unresolved = figures.unresolved,
                elapsed_sec = figures.elapsed_sec,
                rate_per_sec = figures.rate_per_sec,
                exit_code,
                "{text}"
            )
        };
    }
    match exit {
        Exit::Success => summary!(info),
        Exit::Signalled(_) => summary!(warn),
        _ => summary!(error),
    }
}
