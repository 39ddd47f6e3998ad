//! The command line. Flags, completions and man page come from the settings' definitions.

mod flags;
mod help;
mod options;
mod tips;
mod verbosity;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::answer_key;
use crate::audit;
use crate::event::Kind;
use crate::expect;
use crate::host::terminal::Style;
use crate::report;
use crate::settings::Key;
pub(crate) use flags::SettingFlags;
pub(crate) use help::EXAMPLES;
pub(crate) use options::{ExpectOptions, VerifyOptions};
use verbosity::Verbosity;

const ABOUT: &str = "Sends synthetic GPU and LLM token events to Kafka, and accounts for each";

const LONG_ABOUT: &str = "Sends synthetic GPU-metric and LLM token-usage events to Kafka, and \
    accounts for every record. The last log line of a run is a summary, and the exit code follows \
    from it.\n\n\
    A run sends one batch and exits. A batch consists of pairs: one gpu.metrics.v1 and one \
    token.usage.v1 record each.";

#[derive(Debug, Parser)]
#[command(name = "vm4-producer", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(disable_version_flag = true, disable_help_flag = true)]
#[command(after_long_help = help::after_long_help())]
struct CommandLine {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    flags: SettingFlags,
    #[command(flatten)]
    verbosity: Verbosity,
    // Both its own, as a screen has no row for them.
    /// Print help (see a summary with '-h')
    #[arg(short = 'h', long, action = ArgAction::Help, global = true, hide_short_help = true)]
    help: Option<bool>,
    /// Print version
    #[arg(short = 'V', long, action = ArgAction::Version, hide_short_help = true)]
    version: Option<bool>,
}

/// What the user wants. The comments are the help.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(crate) enum Action {
    /// Send one batch to Kafka and exit (the default)
    Run(SettingFlags),
    /// Send a batch to a broker inside the process and show it
    ///
    /// The default is 5 pairs without pauses. They are read back with a consumer.
    Demo(SettingFlags),
    /// Print the events as NDJSON, without Kafka
    Generate {
        /// Print only the values
        #[arg(long)]
        values: bool,
        /// Print only the two records of this pair
        #[arg(long, value_name = "SEQ")]
        seq: Option<u64>,
        /// The time of that pair, RFC 3339, where it is not that of the settings
        #[arg(long, value_name = "TIME", requires = "seq")]
        at: Option<jiff::Timestamp>,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Check settings, seed file, network, brokers and topics
    Doctor {
        /// Only connect to the bootstrap servers
        #[arg(long)]
        tcp: bool,
        /// Show every setting, not only those that are set
        #[arg(long)]
        all: bool,
        /// Print the findings and all settings as one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Print a seed file from what nvidia-smi or rocm-smi prints
    ///
    /// `nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total,power.draw
    /// --format=csv`, or `rocm-smi --showproductname --showuse --showmeminfo vram --showpower --json`.
    /// What they do not know is null, to be filled in.
    Seed {
        /// A file with what was printed; - is stdin
        #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        /// The price of an hour of one GPU
        #[arg(long, value_name = "USD", value_parser = options::price)]
        price: Option<f64>,
    },
    /// Print the EGRESS_ALLOW= line that the systemd unit needs
    Egress {
        /// Write the line into the env file and reload systemd (as root)
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Print what a correct consumer shows for a run, window by window
    Expect {
        #[command(flatten)]
        options: ExpectOptions,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Read the records of a run back, and say of each what became of it
    Verify {
        #[command(flatten)]
        options: VerifyOptions,
        #[command(flatten)]
        flags: SettingFlags,
    },
    /// Show the last runs of the systemd units, from the journal
    History {
        #[command(flatten)]
        runs: PastRuns,
        /// Print each run as a JSON object on a line
        #[arg(long)]
        json: bool,
    },
    /// Print the last runs of the systemd units as Prometheus metrics
    Metrics {
        #[command(flatten)]
        runs: PastRuns,
        /// Replace this file atomically, as for node_exporter's textfile collector
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the JSON Schema of an event or of what a command writes
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
            | Self::Expect { flags: SettingFlags(flags), .. }
            | Self::Verify { flags: SettingFlags(flags), .. }
            | Self::Doctor { flags: SettingFlags(flags), .. }
            | Self::Egress { flags: SettingFlags(flags), .. } => flags,
            Self::Seed { .. }
            | Self::History { .. }
            | Self::Metrics { .. }
            | Self::Schema { .. }
            | Self::Completions { .. }
            | Self::Man => &[],
        }
    }

    /// Whether the command is about the systemd unit, or does for root what the unit does.
    pub(crate) fn is_of_the_unit(&self) -> bool {
        match self {
            Self::Doctor { tcp, .. } => !tcp,
            Self::Egress { .. } => true,
            Self::Verify { options, .. } => options.input.is_none(),
            _ => false,
        }
    }

    /// The report, and the id, of the past run that it is about.
    pub(crate) fn asks_about(&self) -> Option<(Option<&Path>, Option<&str>)> {
        match self {
            Self::Expect { options, .. } => Some((options.report(), None)),
            Self::Verify { options, .. } => {
                let report = options.report.first().map(PathBuf::as_path);
                Some((report, options.run.as_deref()))
            }
            _ => None,
        }
    }
}

/// Which past runs are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct PastRuns {
    /// How many, counted from the last: a minutely timer has 1440 a day
    #[arg(short = 'n', long = "lines", value_name = "RUNS", default_value_t = 1440)]
    pub(crate) count: u32,
    /// Only those of this unit, as in vm4-producer@site-a
    #[arg(short, long, value_hint = clap::ValueHint::Other)]
    pub(crate) unit: Option<String>,
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
    #[value(name = "answer_key.v1")]
    AnswerKey,
    #[value(name = "verify.v1")]
    Verify,
    #[value(name = "expect.v1")]
    Expect,
    #[value(name = "detected.v1")]
    Detected,
}

impl Schema {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Metric => Kind::Metric.schema(),
            Self::Token => Kind::Token.schema(),
            Self::Report => report::SCHEMA,
            Self::AnswerKey => answer_key::SCHEMA,
            Self::Verify => audit::SCHEMA,
            Self::Expect => expect::SCHEMA,
            Self::Detected => audit::DETECTED_SCHEMA,
        }
    }
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Invocation {
    /// What to do.
    pub(crate) action: Action,
    /// Key and value of each flag before and behind the command.
    pub(crate) flags: Vec<(Key, OsString)>,
    /// How the terminal is used.
    pub(crate) style: Style,
}

/// Parses a command line, the program's name first. What clap has to say is an error, also `--help`.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let parsed = CommandLine::try_parse_from(joined(args)).map_err(tips::with_tip)?;
    let CommandLine { action, flags: SettingFlags(mut flags), verbosity, help: _, version: _ } =
        parsed;
    let mut action = action.unwrap_or(Action::Run(SettingFlags::default()));
    if let Action::Verify { options, .. } = &mut action {
        let sorted = options.sort_names();
        sorted.map_err(|problem| command().error(ErrorKind::ArgumentConflict, problem))?;
    }
    flags.extend_from_slice(action.flags());
    flags.extend(verbosity.settings(&flags));
    Ok(Invocation { action, flags, style: verbosity.style() })
}

/// Joins `--event-start` and a value as in `-1h`, which clap would take for a flag.
fn joined(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const FLAG: &str = "--event-start";
    let is_distance = |arg: &OsString| {
        arg.to_str()
            .and_then(|text| text.strip_prefix('-'))
            .is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut joined: Vec<OsString> = Vec::new();
    for arg in args {
        match joined.last_mut().filter(|last| *last == FLAG && is_distance(&arg)) {
            Some(flag) => {
                flag.push("=");
                flag.push(&arg);
            }
            None => joined.push(arg),
        }
    }
    joined
}

/// The definition of the command line.
pub(crate) fn command() -> Command {
    CommandLine::command()
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
        let flags = Vec::new();
        assert_eq!(parsed(&[]), Invocation { action: run, flags, style: Style::default() });
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
    fn a_start_before_now_is_the_value_of_its_flag() {
        for args in [&["--event-start", "-1h"][..], &["run", "--event-start=-1h"]] {
            assert_eq!(parsed(args).flags, [(Key::Setting("EVENT_START"), "-1h".into())]);
        }
        for args in [["--event-start", "-q"], ["--event-start", "--batch=1"], ["--batch", "-1h"]] {
            let args = ["vm4-producer"].iter().chain(&args).map(OsString::from);
            assert!(parse(args).is_err());
        }
    }

    #[test]
    fn a_property_has_one_value() {
        let args = ["vm4-producer", "-X", "linger.ms=5", "-X", "linger_ms=6"];
        let error = parse(args.map(OsString::from)).unwrap_err().to_string();
        assert!(error.contains("--rdkafka sets linger_ms more than once"), "{error}");
    }

    #[test]
    fn the_broker_has_the_names_that_other_programs_give_it() {
        for flag in ["-b", "--bootstrap-server", "--bootstrap-servers", "--brokers"] {
            let flags = [(Key::Setting("KAFKA_BOOTSTRAP"), "kafka".into())];
            assert_eq!(parsed(&["doctor", flag, "kafka"]).flags, flags, "{flag}");
        }
    }

    #[test]
    fn quiet_and_verbose_are_short_for_settings_and_give_way_to_them() {
        let setting = |name, value: &str| (Key::Setting(name), OsString::from(value));
        let quiet = "warn,vm4_producer::summary=info";
        assert_eq!(parsed(&["run", "-q"]).flags, [setting("RUST_LOG", quiet)]);
        assert!(!parsed(&["-q"]).style.bar);
        let contexts = Key::Property("debug".into());
        assert_eq!(
            parsed(&["-v", "doctor"]).flags,
            [setting("RUST_LOG", "debug"), (contexts.clone(), "broker,security,metadata".into())]
        );
        let flags = parsed(&["-v", "--rust-log", "trace"]).flags;
        assert_eq!(flags[0], setting("RUST_LOG", "trace"));
        assert_eq!(flags.len(), 2);
        let flags = parsed(&["-vv"]).flags;
        assert_eq!(flags[0], setting("RUST_LOG", "trace"));
        assert_eq!(parsed(&["-v", "-v"]).flags, flags);
        let error = parse(["vm4-producer", "-q", "-v"].map(OsString::from)).unwrap_err();
        assert!(error.to_string().contains("cannot be used with"), "{error}");
    }

    #[test]
    fn a_mistyped_flag_or_command_gets_a_tip() {
        for (args, tip) in [
            (&["--SLEEP_SEC", "1"][..], "a similar argument exists: '--sleep-sec'"),
            (&["--sleep_sec=1"], "a similar argument exists: '--sleep-sec'"),
            (&["run", "--Batch", "1"], "a similar argument exists: '--batch'"),
            (&["-n", "5"], "a similar argument exists: '--batch'"),
            (&["-t", "gpu"], "some similar arguments exist: '--topic-metric', '--topic-token'"),
            (
                &["--topic", "gpu"],
                "some similar arguments exist: '--topic-metric', '--topic-token'",
            ),
            (&["--cuont", "5"], "a similar argument exists: '--batch'"),
            (
                &["schema"],
                "the values are gpu.metrics.v1, token.usage.v1, report.v1, answer_key.v1, verify.v1",
            ),
            (&["completions"], "the values are bash, elvish, fish, powershell, zsh"),
            (&["--bacth", "1"], "a similar argument exists: '--batch'"),
            (&["genrate"], "a similar subcommand exists: 'generate'"),
            (&["help", "genrate"], "a similar subcommand exists: 'generate'"),
            (&["Doctor"], "a similar subcommand exists: 'doctor'"),
        ] {
            let args = ["vm4-producer"].iter().chain(args).map(OsString::from);
            let error = parse(args).unwrap_err().to_string();
            assert!(error.contains(&format!("tip: {tip}")), "{error}");
        }
        for far in ["--frobnicate", "--output", "--partitions", "--json", "--format"] {
            let error = parse(["vm4-producer", far].map(OsString::from)).unwrap_err();
            assert!(!error.to_string().contains("tip"), "{error}");
            assert!(
                error.to_string().contains("Usage: vm4-producer [OPTIONS] [COMMAND]"),
                "{error}"
            );
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
