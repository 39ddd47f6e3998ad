//! The command line. Flags, completions and man page come from the settings' definitions.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::settings::{DEFINITIONS, PROPERTY_PREFIX};

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
    /// Setting name and value of each flag.
    pub flags: Vec<(String, OsString)>,
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
            .allow_hyphen_values(true)
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
    let matches = command().try_get_matches_from(spelled_out(args))?;
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

/// `--rdkafka-linger-ms=20` is `--rdkafka linger.ms=20`: every setting has a flag of its name.
fn spelled_out(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut spelled = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(rest) = arg.to_str().and_then(|a| a.strip_prefix("--rdkafka-")) else {
            spelled.push(arg);
            continue;
        };
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (rest, args.next()),
        };
        let mut pair = OsString::from(name.replace('-', "_"));
        if let Some(value) = value {
            pair.push("=");
            pair.push(value);
        }
        spelled.extend([OsString::from("--rdkafka"), pair]);
    }
    spelled
}

fn flags(matches: &ArgMatches) -> Result<Vec<(String, OsString)>, clap::Error> {
    let named = DEFINITIONS.iter().filter_map(|definition| {
        let value = matches.get_one::<OsString>(definition.name)?;
        Some((definition.name.to_owned(), value.clone()))
    });
    let mut flags: Vec<_> = named.collect();
    for pair in matches.get_many::<OsString>(PROPERTY_FLAG).into_iter().flatten() {
        let text = pair.to_string_lossy();
        let Some((property, value)) = text.split_once('=').filter(|(p, _)| !p.is_empty()) else {
            // The value may be a secret with its property forgotten: it is not repeated.
            let message = "--rdkafka expects PROPERTY=VALUE, as in linger.ms=20\n";
            return Err(command().error(clap::error::ErrorKind::ValueValidation, message));
        };
        let setting = property.to_ascii_uppercase().replace(['.', '-'], "_");
        flags.push((format!("{PROPERTY_PREFIX}{setting}"), value.into()));
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            [("BATCH".to_owned(), "-1".into()), ("SLEEP_SEC".to_owned(), "0".into())]
        );
    }

    #[test]
    fn every_spelling_of_a_librdkafka_property_is_the_same_setting() {
        for args in [
            &["-X", "linger.ms=20"][..],
            &["--rdkafka", "linger.ms=20"],
            &["--rdkafka-linger-ms", "20"],
            &["--rdkafka-linger-ms=20"],
            &["run", "-Xlinger.ms=20"],
        ] {
            assert_eq!(parsed(args).flags, [("RDKAFKA_LINGER_MS".to_owned(), "20".into())]);
        }
    }

    #[test]
    fn a_property_without_a_value_is_refused_and_not_repeated() {
        let error = parse(["vm4-producer", "-X", "hunter2"].map(OsString::from)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("--rdkafka expects PROPERTY=VALUE"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
