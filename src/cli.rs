//! The command line. Flags, completions and man page come from the settings' definitions.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::settings::{DEFINITIONS, Key};

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// One batch to Kafka.
    Run,
    /// The same against the embedded broker.
    Demo,
    /// The events on stdout.
    Generate {
        /// Values alone.
        values_only: bool,
    },
    /// Checks.
    Doctor {
        /// Only the TCP reach of the bootstrap servers.
        tcp_only: bool,
    },
    /// The egress allow list that the cluster needs.
    Egress {
        /// Write it into the env file, and have systemd read it.
        apply: bool,
    },
    /// A JSON Schema.
    Schema {
        /// Its name.
        name: String,
    },
    /// A completion script.
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
    /// The man page.
    Man,
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// Key and value of each flag.
    pub flags: Vec<(Key, OsString)>,
}

const ABOUT: &str = "Sends synthetic GPU-metric and LLM token-usage events to Kafka, \
    and accounts for every record";

const LONG_ABOUT: &str = "Sends synthetic GPU-metric and LLM token-usage events to Kafka, and \
    accounts for every record: the exit code and the summary say what became of each.\n\n\
    One run sends one batch and exits. One iteration of the batch is one pair: one gpu.metrics.v1 \
    record and one token.usage.v1 record.";

const AFTER_HELP: &str = "Every setting is also an environment variable and a line in \
    /etc/vm4-producer.env (SLEEP_SEC is --sleep-sec). A flag beats the environment, that beats the \
    file. `vm4-producer doctor` shows each value in force and where it came from.";

/// The JSON Schemas that `schema` prints.
pub const SCHEMAS: [&str; 3] = ["gpu.metrics.v1", "token.usage.v1", "report.v1"];

/// The definition of the command line.
#[must_use]
pub fn command() -> Command {
    let with_settings = |command: Command| command.args(setting_flags()).arg(property_flag());
    let values = Arg::new("values").long("values").action(ArgAction::SetTrue);
    let apply = Arg::new("apply").long("apply").action(ArgAction::SetTrue);
    let tcp = Arg::new("tcp").long("tcp").action(ArgAction::SetTrue);
    let root = Command::new("vm4-producer")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .after_help(AFTER_HELP)
        .subcommand(with_settings(
            Command::new("run").about("Send one batch to Kafka, then exit (the default)"),
        ))
        .subcommand(with_settings(Command::new("demo").about(
            "The same run against a broker embedded in the process, read back and shown; \
             BATCH is 5 there, without waiting",
        )))
        .subcommand(with_settings(
            Command::new("generate")
                .about("Print the events as NDJSON, at full speed; no Kafka")
                .arg(values.help("Print the values alone")),
        ))
        .subcommand(with_settings(
            Command::new("doctor")
                .about("Check settings, seed file, network, brokers and topics; show every setting")
                .arg(tcp.help("Check only the TCP reach of the bootstrap servers")),
        ))
        .subcommand(with_settings(
            Command::new("egress")
                .about("Print the EGRESS_ALLOW= line that this cluster needs for the systemd unit")
                .arg(apply.help("Put the line into the env file and reload systemd; as root")),
        ))
        .subcommand(
            Command::new("schema")
                .about("Print the JSON Schema of an event or of the report")
                .arg(Arg::new("name").value_name("TOPIC").required(true).value_parser(SCHEMAS)),
        )
        .subcommand(
            Command::new("completions").about("Print a shell's completion script").arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .required(true)
                    .value_parser(clap::value_parser!(clap_complete::Shell)),
            ),
        )
        .subcommand(Command::new("man").about("Print the man page, in roff"));
    with_settings(root)
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

/// Parses a command line, the program's name first.
///
/// # Errors
/// What clap has to say, which includes `--help` and `--version`.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    let mut flags = flags(&matches)?;
    let action = match matches.subcommand() {
        None => Action::Run,
        Some((name, sub)) => {
            if !matches!(name, "schema" | "completions" | "man") {
                flags.extend(self::flags(sub)?);
            }
            action(name, sub)
        }
    };
    Ok(Invocation { action, flags })
}

fn action(name: &str, matches: &ArgMatches) -> Action {
    match name {
        "demo" => Action::Demo,
        "generate" => Action::Generate { values_only: matches.get_flag("values") },
        "doctor" => Action::Doctor { tcp_only: matches.get_flag("tcp") },
        "egress" => Action::Egress { apply: matches.get_flag("apply") },
        "schema" => {
            Action::Schema { name: matches.get_one::<String>("name").cloned().unwrap_or_default() }
        }
        "completions" => {
            let shell = matches.get_one("shell").copied();
            Action::Completions { shell: shell.unwrap_or(clap_complete::Shell::Bash) }
        }
        "man" => Action::Man,
        _ => Action::Run,
    }
}

fn flags(matches: &ArgMatches) -> Result<Vec<(Key, OsString)>, clap::Error> {
    let settings = DEFINITIONS.iter().filter_map(|definition| {
        let value = matches.get_one::<OsString>(definition.name)?;
        Some((Key::Setting(definition.name), value.clone()))
    });
    let mut flags: Vec<_> = settings.collect();
    for pair in matches.get_many::<OsString>(PROPERTY_FLAG).into_iter().flatten() {
        flags.push(property(pair).ok_or_else(|| {
            // The value may be a secret with its property forgotten: it is not repeated.
            let message = "--rdkafka expects PROPERTY=VALUE, as in linger.ms=20\n";
            command().error(clap::error::ErrorKind::ValueValidation, message)
        })?);
    }
    Ok(flags)
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
        assert_eq!(parsed(&[]), Invocation { action: Action::Run, flags: Vec::new() });
    }

    #[test]
    fn settings_are_flags_before_and_after_the_command() {
        let read = parsed(&["--batch", "-1", "generate", "--sleep-sec=0", "--values"]);
        assert_eq!(read.action, Action::Generate { values_only: true });
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
