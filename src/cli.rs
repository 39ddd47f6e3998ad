//! The command line. Flags, completions and man page come from the settings' definitions.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::builder::OsStringValueParser;
use clap::error::ErrorKind;
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand,
    ValueEnum,
};
use clap_complete::Shell;

use crate::event::Kind;
use crate::report;
use crate::settings::{DEFINITIONS, Key};

const ABOUT: &str = "Sends synthetic GPU-metric and LLM token-usage events to Kafka, \
    and accounts for every record";

const LONG_ABOUT: &str = "Sends synthetic GPU-metric and LLM token-usage events to Kafka, and \
    accounts for every record. The last log line of a run is a summary, and the exit code follows \
    from it.\n\n\
    A run sends one batch and exits. A batch consists of pairs: one gpu.metrics.v1 and one \
    token.usage.v1 record each.";

const AFTER_HELP: &str = "Every setting is also an environment variable and a line in \
    /etc/vm4-producer.env (SLEEP_SEC is --sleep-sec). A flag beats the environment, which beats \
    the file. `vm4-producer doctor` shows each value in force and where it came from.";

#[derive(Debug, Parser)]
#[command(name = "vm4-producer", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_help = AFTER_HELP)]
struct CommandLine {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    flags: SettingFlags,
}

/// What the user wants. The comments are the help.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Action {
    /// Send one batch to Kafka and exit (the default)
    Run(SettingFlags),
    /// Send a batch (by default 5 pairs without pauses) to a broker inside the process, read it back and show it
    Demo(SettingFlags),
    /// Print the events as NDJSON at full speed, without Kafka
    Generate {
        /// Print only the values
        #[arg(long)]
        values: bool,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Check settings, seed file, network, brokers and topics; show every setting
    Doctor {
        /// Only connect to the bootstrap servers
        #[arg(long)]
        tcp: bool,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Print the EGRESS_ALLOW= line that this cluster needs for the systemd unit
    Egress {
        /// Write the line into the env file and reload systemd (as root)
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Print the JSON Schema of an event or of the report
    Schema {
        #[arg(value_name = "TOPIC")]
        name: Schema,
    },
    /// Print a shell's completion script
    Completions { shell: Shell },
    /// Print the man page, in roff
    Man,
}

impl Action {
    fn flags(&self) -> &[(Key, OsString)] {
        match self {
            Self::Run(SettingFlags(flags))
            | Self::Demo(SettingFlags(flags))
            | Self::Generate { flags: SettingFlags(flags), .. }
            | Self::Doctor { flags: SettingFlags(flags), .. }
            | Self::Egress { flags: SettingFlags(flags), .. } => flags,
            Self::Schema { .. } | Self::Completions { .. } | Self::Man => &[],
        }
    }
}

/// A JSON Schema that `schema` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Schema {
    #[value(name = "gpu.metrics.v1")]
    Metric,
    #[value(name = "token.usage.v1")]
    Token,
    #[value(name = "report.v1")]
    Report,
}

impl Schema {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Metric => Kind::Metric.schema(),
            Self::Token => Kind::Token.schema(),
            Self::Report => report::SCHEMA,
        }
    }
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// What to do.
    pub(crate) action: Action,
    /// Key and value of each flag before and behind the command.
    pub(crate) flags: Vec<(Key, OsString)>,
}

/// Parses a command line, the program's name first. What clap has to say is an error, also `--help`.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let CommandLine { action, flags: SettingFlags(mut flags) } = CommandLine::try_parse_from(args)?;
    let action = action.unwrap_or(Action::Run(SettingFlags::default()));
    flags.extend_from_slice(action.flags());
    Ok(Invocation { action, flags })
}

/// The definition of the command line.
pub(crate) fn command() -> Command {
    CommandLine::command()
}

/// One flag a setting, and one for librdkafka's properties.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct SettingFlags(Vec<(Key, OsString)>);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.args(setting_flags()).arg(property_flag())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let settings = DEFINITIONS.iter().filter_map(|definition| {
            let value = matches.get_one::<OsString>(definition.name)?;
            Some((Key::Setting(definition.name), value.clone()))
        });
        let mut flags: Vec<_> = settings.collect();
        for pair in matches.get_many::<OsString>(PROPERTY_FLAG).into_iter().flatten() {
            // The value may be a secret with its property forgotten: it is not repeated.
            let message = "--rdkafka expects PROPERTY=VALUE, as in linger.ms=20\n";
            let wrong = || clap::Error::raw(ErrorKind::ValueValidation, message);
            flags.push(property(pair).ok_or_else(wrong)?);
        }
        Ok(Self(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn setting_flags() -> impl Iterator<Item = Arg> {
    DEFINITIONS.iter().map(|definition| {
        let default = match definition.default {
            Some(default) => format!("{} [default: {default}]", definition.help),
            None => definition.help.to_owned(),
        };
        // Values are kept as they are: the settings check them, and name flag and value.
        Arg::new(definition.name)
            .long(definition.flag())
            .value_name(definition.name)
            .help(default)
            .help_heading("Settings")
            // `--batch -1` is for the settings to refuse; the next flag is never taken for a value.
            .allow_negative_numbers(true)
            .value_parser(OsStringValueParser::new())
    })
}

/// Identifier and long name of the flag for librdkafka properties.
const PROPERTY_FLAG: &str = "rdkafka";

fn property_flag() -> Arg {
    Arg::new(PROPERTY_FLAG)
        .short('X')
        .long(PROPERTY_FLAG)
        .value_name("PROPERTY=VALUE")
        .help("A librdkafka property, as in -X linger.ms=20 (RDKAFKA_LINGER_MS=20); repeatable")
        .help_heading("Settings")
        .action(ArgAction::Append)
        .value_parser(OsStringValueParser::new())
}

/// Splits `linger.ms=20`. The value may be any bytes; whoever reads it says what is wrong with them.
fn property(pair: &OsStr) -> Option<(Key, OsString)> {
    let bytes = pair.as_bytes();
    let at = bytes.iter().position(|b| *b == b'=').filter(|at| *at > 0)?;
    let name = std::str::from_utf8(&bytes[..at]).ok()?;
    Some((Key::Property(name.to_owned()), OsStr::from_bytes(&bytes[at + 1..]).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn parsed(args: &[&str]) -> Invocation {
        let args = ["vm4-producer"].iter().chain(args).map(OsString::from);
        parse(args).unwrap()
    }

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn no_command_is_a_run() {
        let run = Action::Run(SettingFlags::default());
        assert_eq!(parsed(&[]), Invocation { action: run, flags: Vec::new() });
    }

    #[test]
    fn settings_are_flags_before_and_after_the_command() {
        let read = parsed(&["--batch", "-1", "generate", "--sleep-sec=0", "--values"]);
        assert!(matches!(read.action, Action::Generate { values: true, .. }), "{read:?}");
        assert_eq!(
            read.flags,
            [(Key::Setting("BATCH"), "-1".into()), (Key::Setting("SLEEP_SEC"), "0".into())]
        );
    }

    #[test]
    fn every_spelling_of_a_librdkafka_property_is_the_same() {
        for args in [
            &["-X", "linger.ms=20"][..],
            &["--rdkafka", "linger.ms=20"],
            &["--rdkafka=linger.ms=20"],
            &["run", "-Xlinger.ms=20"],
        ] {
            let flags = [(Key::Property("linger.ms".into()), "20".into())];
            assert_eq!(parsed(args).flags, flags);
        }
    }

    #[test]
    fn the_value_of_a_property_is_any_bytes() {
        let pair = OsString::from_vec(b"client.id=a=\xff".to_vec());
        let read = parse(["vm4-producer".into(), "-X".into(), pair]).unwrap();
        let value = OsString::from_vec(b"a=\xff".to_vec());
        assert_eq!(read.flags, [(Key::Property("client.id".into()), value)]);
    }

    #[test]
    fn a_flag_does_not_take_the_next_flag_for_its_value() {
        for args in [
            &["--report-file", "--rdkafka-x", "y"][..],
            &["--report-file", "--batch=1"],
            &["--hostname", "-X", "linger.ms=1"],
            &["doctor", "--rdkafka-debug", "--tcp"],
            &["doctor", "-X", "--tcp"],
        ] {
            let args = ["vm4-producer"].iter().chain(args).map(OsString::from);
            let error = parse(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.use_stderr(), "{error}");
        }
    }

    #[test]
    fn a_value_that_looks_like_a_flag_stays_as_it_is() {
        let flags = parsed(&["--report-file=--rdkafka-x=y", "--batch", "1"]).flags;
        assert_eq!(flags[0], (Key::Setting("BATCH"), "1".into()));
        assert_eq!(flags[1], (Key::Setting("REPORT_FILE"), "--rdkafka-x=y".into()));
    }

    #[test]
    fn a_property_without_a_value_is_refused_and_not_repeated() {
        let error = parse(["vm4-producer", "-X", "hunter2"].map(OsString::from)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("--rdkafka expects PROPERTY=VALUE"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
