//! `-q`, `-v` and `--color`.

use std::ffi::OsString;

use clap::{ArgAction, Args, ValueEnum};

use crate::host::log::SUMMARY;
use crate::host::terminal::{Color, Style};
use crate::settings::Key;

/// What `-v` has librdkafka tell.
const CLIENT_CONTEXTS: &str = "broker,security,metadata";

/// How much is said, and how it looks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Args)]
pub(crate) struct Verbosity {
    /// Log only warnings, errors and the summary, and show no progress bar
    #[arg(short, long, global = true, conflicts_with = "verbose", hide_short_help = true)]
    #[arg(help_heading = "Output")]
    quiet: bool,
    /// Log debug lines too, those of librdkafka about brokers included; -vv all that there is
    #[arg(short, long, global = true, hide_short_help = true, help_heading = "Output")]
    #[arg(action = ArgAction::Count)]
    verbose: u8,
    /// When to use colors; auto: on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true
    )]
    #[arg(help_heading = "Output", value_enum)]
    color: When,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    #[default]
    Auto,
    Always,
    Never,
}

impl Verbosity {
    /// The settings that `-q` and `-v` are short for, where the command line does not have them itself.
    pub(super) fn settings(self, flags: &[(Key, OsString)]) -> Vec<(Key, OsString)> {
        let filter = (Key::Setting("RUST_LOG"), format!("warn,{SUMMARY}=info").into());
        let level = if self.verbose > 1 { "trace" } else { "debug" };
        let debug = (Key::Setting("RUST_LOG"), level.into());
        let contexts = (Key::Property("debug".into()), CLIENT_CONTEXTS.into());
        let short_for = match (self.quiet, self.verbose) {
            (true, _) => vec![filter],
            (_, 1..) => vec![debug, contexts],
            _ => Vec::new(),
        };
        let is_free = |(key, _): &(Key, OsString)| flags.iter().all(|(set, _)| set != key);
        short_for.into_iter().filter(is_free).collect()
    }

    /// How the terminal is used.
    pub(super) fn style(self) -> Style {
        let color = match self.color {
            When::Auto => Color::Auto,
            When::Always => Color::Always,
            When::Never => Color::Never,
        };
        Style { color, bar: !self.quiet }
    }
}
