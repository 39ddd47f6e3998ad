//! One flag a setting, and one for librdkafka's properties.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use super::help;
use crate::settings::{DEFINITIONS, Definition, Key, suggest};

/// Key and value of the flags of one command.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct SettingFlags(pub(super) Vec<(Key, OsString)>);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let name = command.get_name().to_owned();
        let hidden = |arg: Arg| {
            let is_unused = help::is_unused(&name, arg.get_id().as_str());
            arg.hide(is_unused)
        };
        let command =
            command.after_help(help::after_short_help(&name)).after_long_help(help::SETTINGS);
        command.args(DEFINITIONS.iter().map(setting).map(hidden)).arg(hidden(property_flag()))
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
            let wrong = |message: &str| clap::Error::raw(ErrorKind::ValueValidation, message);
            let expected = "--rdkafka expects PROPERTY=VALUE, as in linger.ms=20";
            let (key, value) = property(pair).ok_or_else(|| wrong(expected))?;
            if flags.iter().any(|(set, _)| same_property(set, &key)) {
                let twice = format!("--rdkafka sets {} more than once", key.name());
                return Err(wrong(&twice));
            }
            flags.push((key, value));
        }
        Ok(Self(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn setting(definition: &Definition) -> Arg {
    let help = match definition.default {
        Some(default) => format!("{} [default: {default}]", definition.help),
        None => definition.help.to_owned(),
    };
    let other_names: Vec<_> = suggest::other_flags(definition.name).collect();
    let arg = Arg::new(definition.name)
        .long(definition.flag())
        .aliases(other_names)
        .value_name(definition.name)
        .help(help)
        .help_heading(help::heading(definition.name))
        .hide_short_help(true)
        .hide_possible_values(true)
        // `--batch -1` is for the settings to refuse; the next flag is never taken for a value.
        .allow_negative_numbers(true)
        .value_hint(hint(definition.name))
        .value_parser(AnyText(definition.words));
    match definition.name {
        "KAFKA_BOOTSTRAP" => arg.short_alias('b'),
        _ => arg,
    }
}

/// What a shell completes where there is no list of words.
fn hint(setting: &str) -> ValueHint {
    match setting {
        "GPU_SEED" | "REPORT_FILE" | "ANSWER_KEY" => ValueHint::FilePath,
        "KAFKA_BOOTSTRAP" | "HOSTNAME" => ValueHint::Hostname,
        _ => ValueHint::Other,
    }
}

/// Takes any value: the settings check it, and name flag and value. Shells offer these words.
#[derive(Debug, Clone, Copy)]
struct AnyText(&'static [&'static str]);

impl TypedValueParser for AnyText {
    type Value = OsString;

    fn parse_ref(
        &self,
        _: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = self.0.iter().map(|word| PossibleValue::new(*word));
        (!self.0.is_empty()).then(|| Box::new(words) as Box<dyn Iterator<Item = PossibleValue>>)
    }
}

/// Identifier and long name of the flag for librdkafka properties.
const PROPERTY_FLAG: &str = "rdkafka";

fn property_flag() -> Arg {
    Arg::new(PROPERTY_FLAG)
        .short('X')
        .long(PROPERTY_FLAG)
        .value_name("PROPERTY=VALUE")
        .help("A librdkafka property, as in -X linger.ms=20 (RDKAFKA_LINGER_MS=20); repeatable")
        .help_heading(help::heading("KAFKA_BOOTSTRAP"))
        .hide_short_help(true)
        .action(ArgAction::Append)
        .value_hint(ValueHint::Other)
        .value_parser(AnyText(&[]))
}

/// Splits `linger.ms=20`. The value may be any bytes; whoever reads it says what is wrong with them.
fn property(pair: &OsStr) -> Option<(Key, OsString)> {
    let bytes = pair.as_bytes();
    let at = bytes.iter().position(|b| *b == b'=').filter(|at| *at > 0)?;
    let name = std::str::from_utf8(&bytes[..at]).ok()?;
    Some((Key::Property(name.to_owned()), OsStr::from_bytes(&bytes[at + 1..]).to_owned()))
}

fn same_property(a: &Key, b: &Key) -> bool {
    let folded = |key: &Key| key.name().to_ascii_lowercase().replace(['_', '-'], ".");
    matches!((a, b), (Key::Property(_), Key::Property(_)) if folded(a) == folded(b))
}
