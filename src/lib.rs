//! Sends synthetic GPU-metric and LLM token-usage events to Kafka, and accounts for every record.
//!
//! Data flows one way: settings -> plan -> emissions -> records -> delivery reports -> counts ->
//! outcome -> report. What to send is a function of (settings, seed rows, run seed, `seq`), when to
//! send it of (settings, `seq`), and whether it went well of counts. Clock, signals, Kafka, files, the
//! journal and systemd's notify socket live at the edge, each in one small module.
//!
//! From `systemctl start` to the exit code:
//!
//! 1. [`cli`] and [`settings`] read the command line and every source of settings, and validate them.
//! 2. [`commands::run`] reads the seed and starts to listen to signals.
//! 3. [`batch`] asks whether the cluster is ready, and reports when all is over.
//! 4. [`plan`] renders each record: [`workload`] says what it holds and when, [`event`] writes it.
//! 5. [`send_loop`] sends each record at its time, and waits for the answers.
//! 6. [`kafka`] enqueues records in librdkafka, and hands its delivery reports to [`delivery`].
//! 7. [`delivery::Outcome`] is exit code and reason of these counts; [`report`] shows both.
//!
//! The other way round, [`audit`] holds what was read back against the plan, and [`expect`] says what a
//! correct consumer of it shows.
//!
//! Beside this path: [`event_time`] holds event times against the topics' limits, [`egress`] the
//! brokers against the unit's allow list, and [`host`] is log, notify socket, terminal and files.
//!
//! | term | meaning |
//! |---|---|
//! | pair | one `gpu.metrics.v1` and one `token.usage.v1` record of the same instant |
//! | batch | the pairs of one run |
//! | seq, index | number of a pair in the run; in this process, which may be one shard of it |
//! | scheduled | the time at which a record is to be sent; its lateness is counted from there |
//! | emission | one record that is to be sent, with its scheduled time |
//! | in flight | enqueued, and without a delivery report |
//! | acknowledged | the broker gave the record an offset |
//! | failed | ended with an error, or timed out |
//! | unresolved | ended with neither |
//! | in doubt | not acknowledged, and may be in the log: looked up there at the end |
//! | copy | a record that is in the log more than once |
//! | window | how many records may be in flight: as many as can be delivered in time |
//! | silent | no answer comes while records are in flight |
//! | outcome | exit code and reason of a run |
//! | allow list | the addresses that the systemd unit can reach |
//!
//! Invariants: `generated = acknowledged + failed + unresolved` for each topic, always. The bytes of
//! a pair do not depend on who asks, in which order, at what speed or in which shard. No secret can
//! be printed. Whatever listens to the run (journal, systemd, terminal) cannot stop it.

pub mod allow_list;
pub mod answer_key;
pub mod audit;
pub mod awake;
pub mod batch;
pub mod cli;
pub mod commands;
pub mod delivery;
pub mod egress;
pub mod event;
pub mod event_time;
pub mod exit;
pub mod expect;
pub mod faults;
pub mod histogram;
pub mod host;
pub mod kafka;
pub mod net;
pub mod plan;
pub mod report;
pub mod send_loop;
pub mod settings;
pub mod workload;

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;

use cli::{Action, Invocation};
use commands::unit::given;
use commands::verify::{Past, recall};
use egress::systemd_generator;
use exit::Exit;
use host::{apart, limits, log, signals};
use kafka::properties;
use settings::{Inputs, LoadError, LogFormat, Settings};

/// How long a usage error waits for whoever reads stderr.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the program for a command line, its name first, and this process's environment.
#[must_use]
pub fn main(args: impl Iterator<Item = OsString>) -> Exit {
    // Before anything else: a signal has its exit code from the first moment on.
    signals::end_at_once();
    signals::survive_file_size_limit();
    let mut args = args.peekable();
    if args.peek().is_some_and(|name| systemd_generator::is_name(name)) {
        return systemd_generator::main(args.skip(1));
    }
    let args = args.collect::<Vec<_>>();
    if given::is_asked(args.get(1).map(OsString::as_os_str)) {
        return given::say(args.get(2).map(OsString::as_os_str));
    }
    let Invocation { action, flags, style } = match cli::parse(args) {
        Ok(invocation) => invocation,
        Err(error) => return explain_usage(error),
    };
    host::terminal::set_style(style);
    let command_defaults =
        if matches!(action, Action::Demo(_)) { commands::demo::DEFAULTS } else { &[] };
    let environment = std::env::vars_os().collect();
    let now = jiff::Timestamp::now();
    let mut inputs = Inputs { flags, environment, command_defaults, now, ..Inputs::default() };
    let seen = if action.is_of_the_unit() { commands::unit::look(&mut inputs) } else { None };
    let (own, mut past) = (inputs.clone(), Past::default());
    let format = inputs.log_format();
    if let Some((report, run)) = action.asks_about() {
        match recall(report, run, &mut inputs) {
            Ok(found) => past = found,
            Err((problem, exit)) => {
                return with_log("info", format, || commands::refuse(&problem, exit));
            }
        }
    }
    let settings = || Settings::load(&inputs, properties::check);
    match action {
        Action::Doctor { tcp, all, json, .. } => {
            let shown = commands::doctor::Shown { tcp_only: tcp, all, json };
            // Errors are findings here; the log would say them twice.
            commands::doctor::doctor(settings().as_ref(), &inputs, &seen, shown)
        }
        Action::Egress { apply, .. } => with_settings(false, settings(), format, |s| {
            commands::egress::egress(s, &inputs, &seen, apply)
        }),
        Action::Run(_) => with_settings(true, settings(), format, commands::run::run),
        Action::Demo(_) => with_settings(true, settings(), format, commands::demo::demo),
        Action::Generate { values, seq, at, .. } => {
            let only = seq.map(|seq| (seq, at));
            with_settings(false, settings(), format, |s| {
                commands::generate::generate(s, values, only)
            })
        }
        Action::Expect { options, .. } => with_settings(false, settings(), format, |s| {
            commands::expect::expect(s, &options, &past)
        }),
        Action::Verify { options, .. } => with_settings(false, settings(), format, |s| {
            commands::verify::verify_all(s, &options, &past, &own)
        }),
        other => without_settings(other, format),
    }
}

/// The commands that read no settings.
fn without_settings(action: Action, format: LogFormat) -> Exit {
    match action {
        Action::Schema { name } => commands::print_alone(name.text()),
        Action::Completions { shell } => commands::man::completions(shell),
        Action::Man => commands::man::man(),
        Action::History { runs, json } => with_log("info", format, || {
            commands::history::history(runs.count, runs.unit.as_deref(), json)
        }),
        Action::Metrics { runs, output } => {
            let output = output.as_deref();
            with_log("info", format, || {
                commands::metrics::metrics(runs.count, runs.unit.as_deref(), output)
            })
        }
        Action::Seed { file, price } => {
            with_log("info", format, || commands::seed_file::seed_file(&file, price))
        }
        _ => Exit::Software,
    }
}

/// Starts the log and calls the command; says what is wrong with the settings instead.
///
/// The summary of a run says that too, so that the journal has an entry of every run.
fn with_settings(
    is_run: bool,
    settings: Result<Settings, LoadError>,
    format: LogFormat,
    command: impl FnOnce(&Settings) -> Exit,
) -> Exit {
    let filter = settings.as_ref().map_or("info", |settings| &settings.log_filter);
    let format = settings.as_ref().map_or(format, |settings| settings.log_format);
    with_log(filter, format, || match &settings {
        Ok(settings) => command(settings),
        Err(error) => {
            let exit = commands::exit_of(error);
            let refuse = if is_run { commands::give_up } else { commands::refuse };
            refuse(&limits::described(&error.to_string()), exit)
        }
    })
}

/// Starts the log, calls the command, and waits until the log is written.
fn with_log(filter: &str, format: LogFormat, command: impl FnOnce() -> Exit) -> Exit {
    if let Err(error) = log::start(filter, format == LogFormat::Json) {
        return without_log(&error);
    }
    let exit = command();
    log::finish();
    exit
}

/// Not even the log's thread could be started: says so from here, to whoever reads.
fn without_log(error: &io::Error) -> Exit {
    let text = limits::described(&format!("cannot start a thread: {error}"));
    let _nobody_reads = writeln!(io::stderr(), "ERROR {text}");
    Exit::OsErr
}

/// Help and version are a success, if they can be printed; everything else that clap says is a usage error.
fn explain_usage(error: clap::Error) -> Exit {
    if !error.use_stderr() {
        return commands::printed(error.print());
    }
    // A pipe that nobody reads must not keep the exit code back.
    let _unread = apart::briefly(LAST_WORDS, move || drop(error.print()));
    Exit::Usage
}
