//! The commands: thin edges on the same flow.

mod columns;
pub mod demo;
pub mod doctor;
pub mod egress;
pub mod expect;
pub mod generate;
pub mod history;
pub mod man;
pub mod metrics;
mod outputs;
pub mod run;
pub mod seed_file;
mod summary;
pub(crate) mod unit;
pub mod verify;

use std::io::{self, Write};

use jiff::Timestamp;
use rand::TryRng;
use tokio::runtime::Runtime;
use tracing::{debug, error, info, warn};

use crate::delivery::{Cause, NotStarted};
use crate::exit::Exit;
use crate::host::files::{self, SeedFileError};
use crate::host::limits::{self, Need};
use crate::host::reporter;
use crate::host::signals::Stop;
use crate::host::spool::Spool;
use crate::plan::{Identity, Plan};
use crate::settings::{LoadError, SettingError, Settings};
use crate::workload;
use crate::workload::seed::{Row, Seed};
use outputs::Outputs;

/// GPUs of a seed file that the log names.
const SHOWN: usize = 8;

/// The exit code of settings that cannot be used.
#[must_use]
pub fn exit_of(error: &LoadError) -> Exit {
    match error {
        LoadError::Settings(_) | LoadError::EnvFile { .. } => Exit::Config,
        LoadError::File { .. } if limits::is_exhausted(&error.to_string()).is_some() => Exit::OsErr,
        LoadError::File { .. } => Exit::NoInput,
        LoadError::Merge(_) => Exit::Software,
    }
}

/// Why a run cannot begin with this seed file.
fn cause_of_seed(error: &SeedFileError) -> Cause {
    match error {
        SeedFileError::Unreadable { .. } => Cause::SeedUnreadable,
        SeedFileError::Stopped { signal, .. } => Cause::Stopped(*signal),
        SeedFileError::Invalid { .. } => Cause::SeedInvalid,
    }
}

/// Says an error, one line an entry.
pub fn complain(error: &dyn std::fmt::Display) {
    for line in error.to_string().lines() {
        error!("{line}");
    }
}

/// Says why a run ends before it began, to the log, as its summary, and to systemd.
#[must_use]
pub fn give_up(problem: &str, exit: Exit) -> Exit {
    let text = summary::of_unstarted(problem, exit);
    reporter::last_words(&text, exit.errno());
    exit
}

/// Says why a command that is no run ends before it began.
#[must_use]
pub fn refuse(problem: &str, exit: Exit) -> Exit {
    complain(&problem);
    exit
}

/// Listens to the stop signals, where the system gives what is needed.
fn begin(need: Need) -> Result<Stop, Exit> {
    limits::check(need).map_err(|problem| give_up(&problem, Exit::OsErr))?;
    Stop::listen().map_err(|error| {
        let problem = format!("cannot listen to signals: {error}");
        give_up(&limits::described(&problem), Exit::OsErr)
    })
}

/// The runtime of a command.
fn runtime() -> Result<Runtime, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| give_up_start(&format!("cannot start: {error}")))
}

/// Says that the program failed to start something, for want of a limit or in itself.
fn give_up_start(problem: &str) -> Exit {
    let exhausted = limits::is_exhausted(problem).is_some();
    let exit = if exhausted { Exit::OsErr } else { Exit::Software };
    give_up(&limits::described(problem), exit)
}

/// The identity of a run that starts now.
fn identity(settings: &Settings) -> Result<Identity, Exit> {
    // Below 2^53, so that every JSON reader keeps it exactly.
    let random = rand::rngs::SysRng.try_next_u64().map(|seed| seed >> 11).map_err(|e| {
        give_up(&format!("the system gives no random numbers for RUN_SEED: {e}"), Exit::Software)
    })?;
    Ok(Identity::new(settings, Timestamp::now(), random))
}

/// The seed of a run; says where it came from and what is odd about it. A command that listens to
/// signals passes its `stop`.
fn seed(settings: &Settings, stop: Option<&Stop>) -> Result<Seed, NotStarted> {
    let (seed, source) = files::seed(settings, stop)
        .map_err(|error| NotStarted::new(cause_of_seed(&error), &error))?;
    let checked = settings.check_incident_gpus(&seed);
    checked.map_err(|error| NotStarted::new(Cause::Misconfigured, &error))?;
    for problem in &settings.repeated {
        warn!("{problem}");
    }
    let recognised = few(&seed.rows, settings);
    // What nobody chose, and is as it should be, is no news.
    if settings.is_set("GPU_SEED") || !seed.warnings.is_empty() {
        info!("seed file: {source}: {recognised}");
    } else {
        debug!("seed file: {source}: {recognised}");
    }
    for warning in &seed.warnings {
        warn!("seed file: {warning}");
    }
    Ok(seed)
}

/// The first GPUs in words, and how many there are beyond.
fn few(rows: &[Row], settings: &Settings) -> String {
    let shown = rows.iter().take(SHOWN).map(|row| workload::describe(row, settings.workload));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match rows.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Identity and seed of a run, for a command that has no report to write on failure.
fn prepared(settings: &Settings, stop: Option<&Stop>) -> Result<(Identity, Seed), Exit> {
    let identity = identity(settings)?;
    let seed = seed(settings, stop).map_err(|error| refuse(&error.reason, error.cause.exit()))?;
    Ok((identity.with_digest(settings, &seed), seed))
}

/// The file that takes the answer key, if one is wanted. What the settings name as files of a command
/// with these outputs is checked first. A signal to `stop` ends the wait for a disk that hangs.
fn answer_key(
    settings: &Settings,
    outputs: Outputs,
    stop: Option<&Stop>,
) -> Result<Option<Spool>, Exit> {
    let refused = |error: SettingError| give_up(&error.to_string(), Exit::Config);
    outputs::check(settings, outputs).map_err(refused)?;
    let create = |path| Spool::create(path, stop.cloned());
    let spool = settings.answer_key.as_deref().map(create).transpose();
    spool.map_err(|error| refused(settings.refuse("ANSWER_KEY", error.to_string())))
}

/// Warns of incidents that nobody will see: an alert that is tested with one would seem broken.
fn warn_of_idle_incidents(plan: &Plan) {
    for idle in plan.idle_incidents() {
        warn!("{idle}");
    }
}

/// Prints text for the user's own use.
#[must_use]
pub fn print(text: &str) -> Exit {
    write(text).map_or_else(|error| exit_of_output(&error), |()| Exit::Success)
}

/// Prints text where there is no log to complain to.
#[must_use]
pub fn print_alone(text: &str) -> Exit {
    printed(write(text))
}

/// The exit code of what was printed where there is no log.
#[must_use]
pub fn printed(result: io::Result<()>) -> Exit {
    let Err(error) = result.and_then(|()| io::stdout().flush()) else { return Exit::Success };
    let exit = of_output(&error);
    if exit != Exit::BrokenPipe {
        let _nobody_reads = writeln!(io::stderr(), "ERROR {}", not_printed(&error));
    }
    exit
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// The exit code of a failed write to stdout; a reader that went away is no error to talk about.
fn exit_of_output(error: &io::Error) -> Exit {
    let exit = of_output(error);
    if exit != Exit::BrokenPipe {
        complain(&not_printed(error));
    }
    exit
}

fn of_output(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe { Exit::BrokenPipe } else { Exit::IoErr }
}

fn not_printed(error: &io::Error) -> String {
    format!("cannot write to stdout: {error}")
}
