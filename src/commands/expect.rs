//! `expect`: what a correct consumer shows for a run, from its settings alone.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use tracing::{info, warn};

use super::verify::{Past, identity};
use super::{exit_of_output, refuse, seed, warn_of_idle_incidents};
use crate::cli::ExpectOptions;
use crate::exit::Exit;
use crate::expect::{Format, Question, Windows};
use crate::kafka::partitions;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::workload::prices_micro_usd_per_hour;

/// Prints the windows of a run.
#[must_use]
pub(crate) fn expect(settings: &Settings, options: &ExpectOptions, past: &Past) -> Exit {
    let (plan, question) = match asked(settings, options, past) {
        Ok(asked) => asked,
        Err((problem, exit)) => return refuse(&problem, exit),
    };
    warn_of_idle_incidents(&plan);
    let Question { partitions: [metrics, usages], .. } = question;
    info!(
        "run {}, RUN_SEED {}: late is by the stream time of each of {metrics} and {usages} partitions",
        plan.identity.run_id, plan.identity.run_seed
    );
    match print(&plan, question, options.format.into()) {
        Ok(()) => Exit::Success,
        Err(error) => exit_of_output(&error),
    }
}

/// The plan of the run, and what is asked of it.
fn asked(
    settings: &Settings,
    options: &ExpectOptions,
    past: &Past,
) -> Result<(Plan, Question), (String, Exit)> {
    past.sent_something()?;
    let unusable = |setting, because: &str| {
        Err((settings.refuse(setting, because.to_owned()).to_string(), Exit::Config))
    };
    if settings.event_start.is_none() {
        return unusable(
            "EVENT_START",
            "expect needs it, or --report FILE: without it, events carry wall-clock times",
        );
    }
    if settings.wall_limit().is_some() && past.run.is_none() {
        return unusable(
            "DURATION_SEC",
            "with SLEEP_SEC=0 it is the clock that ends the run, so the number of its pairs is only in \
             its report (--report FILE)",
        );
    }
    let reported = past.run.as_ref().map_or([None; 2], |run| run.partition_counts());
    let partitions = reported.map(|count| options.partitions.or(count).unwrap_or(1));
    if partitions.iter().any(|count| *count > 1) && !partitions::follow_from_keys(settings) {
        return unusable(
            "RECORD_KEY",
            "the partition of a record does not follow from its key, and late records are told by the \
             stream time of their partition; --partitions 1 takes each topic for one stream",
        );
    }
    let seed = seed(settings, None).map_err(|error| (error.reason, error.cause.exit()))?;
    let identity = identity(settings, &seed, past)?;
    if let Some(missing) = past.run.as_ref().map(|run| run.not_acknowledged()).filter(|n| *n > 0) {
        warn!(
            "{missing} records were not acknowledged; they count here, and may not be in the topics"
        );
    }
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let question = Question {
        window_ms: ms(options.window),
        lateness_ms: ms(options.allowed_lateness),
        by: options.by,
        partitions,
        prices: prices_micro_usd_per_hour(&seed),
        sent: past.run.as_ref().filter(|run| !run.is_running()).map(|run| run.generated()),
    };
    Ok((Plan::new(settings, &seed, identity), question))
}

fn print(plan: &Plan, question: Question, format: Format) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    format.write_head(&mut out)?;
    for row in Windows::new(plan, question) {
        row.write(format, &mut out)?;
    }
    out.flush()
}
