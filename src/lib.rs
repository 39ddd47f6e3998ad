//! Sends synthetic GPU-metric and LLM token-usage events to Kafka, and accounts for every record.
//!
//! Data flows one way: settings -> plan -> pairs -> records -> acknowledgements -> books -> report
//! -> exit code. What to send is a function of (settings, seed rows, run seed, `seq`), when to send
//! it of (settings, `seq`), and whether it went well of counts. Clock, signals, Kafka, files, the
//! journal and systemd's notify socket live at the edge, each in one small module.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | every setting once: sources, precedence, validation |
//! | [`workload`] | what a pair holds and when it is due: pure functions of a seed |
//! | [`event`] | the two wire types, byte by byte |
//! | [`plan`] | a run as a function of `seq` |
//! | [`run`] | the loop: wait, generate, queue, drain |
//! | [`kafka`] | librdkafka: producer, acknowledgements, questions, embedded broker |
//! | [`books`], [`verdict`], [`report`] | what became of every record, the exit code of it, and its views |
//! | [`session`] | one run against a cluster, from settings to report |
//! | [`host`] | signals, journal, notify socket, terminal, files |
//! | [`egress`] | which addresses the systemd unit may reach |
//! | [`commands`], [`cli`] | the edges on the same flow |
//!
//! Invariants: `generated = acknowledged + failed + unresolved` for each topic, always. The bytes of
//! a pair do not depend on who asks, in which order, at what speed or in which shard. No secret can
//! be printed. Whatever listens to the run (journal, systemd, terminal) cannot stop it.

pub mod awake;
pub mod books;
pub mod cli;
pub mod commands;
pub mod egress;
pub mod event;
pub mod event_time;
pub mod exit;
pub mod host;
pub mod kafka;
pub mod latency;
pub mod plan;
pub mod report;
pub mod run;
pub mod session;
pub mod settings;
pub mod verdict;
pub mod workload;

use std::ffi::OsString;

use cli::{Action, Invocation};
use commands::generator;
use exit::Exit;
use host::{log, reporter};
use settings::{Inputs, LoadError, Settings};

/// Runs the program for a command line, its name first, and this process's environment.
#[must_use]
pub fn main(args: impl Iterator<Item = OsString>) -> Exit {
    let mut args = args.peekable();
    if args.peek().is_some_and(|name| generator::is_name(name)) {
        return generator::main(args.skip(1));
    }
    let Invocation { action, flags } = match cli::parse(args) {
        Ok(invocation) => invocation,
        Err(error) => return explain_usage(&error),
    };
    let command_defaults = if action == Action::Demo { commands::demo::DEFAULTS } else { &[] };
    let environment = std::env::vars_os().collect();
    let inputs = Inputs { flags, environment, command_defaults, default_env_file: None };
    let settings = || Settings::load(&inputs).and_then(Settings::with_shared_run);
    if matches!(action, Action::Doctor { .. } | Action::Egress { .. } | Action::Generate { .. }) {
        commands::init::end_on_signal();
    }
    match action {
        Action::Schema { name } => commands::print(schema(&name)),
        Action::Completions { shell } => commands::man::completions(shell),
        Action::Man => commands::man::man(),
        Action::Doctor { tcp_only } => {
            // Errors are findings here; the log would say them twice.
            commands::doctor::doctor(settings().as_ref(), &inputs, tcp_only)
        }
        Action::Egress { apply } => {
            with_settings(settings(), |s| commands::egress::egress(s, &inputs, apply))
        }
        Action::Run => with_settings(settings(), commands::run::run),
        Action::Demo => with_settings(settings(), commands::demo::demo),
        Action::Generate { values_only } => {
            with_settings(settings(), |s| commands::generate::generate(s, values_only))
        }
    }
}

/// Starts the log and calls the command; says what is wrong with the settings instead.
fn with_settings(
    settings: Result<Settings, LoadError>,
    command: impl FnOnce(&Settings) -> Exit,
) -> Exit {
    let exit = match &settings {
        Ok(settings) => {
            log::start(&settings.log_filter);
            command(settings)
        }
        Err(error) => {
            log::start("info");
            commands::complain(error);
            let exit = commands::exit_of(error);
            reporter::last_words(&error.to_string(), exit.errno());
            exit
        }
    };
    log::finish();
    exit
}

/// Help and version are a success; everything else that clap says is a usage error.
fn explain_usage(error: &clap::Error) -> Exit {
    // With stderr closed there is nobody to tell.
    let _closed = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}

fn schema(name: &str) -> &'static str {
    use event::Kind;
    let event = Kind::BOTH.iter().find(|kind| kind.schema_name() == name);
    event.map_or(report::SCHEMA, |kind| kind.schema())
}
