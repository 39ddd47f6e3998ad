//! Tips that clap has none for: other capitals, and what other programs call a flag.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command;
use crate::settings::{DEFINITIONS, Definition, suggest};

/// Flags of kcat and its like, and ours.
const OTHER_FLAGS: &[(&str, &str)] = &[("-n", "--batch"), ("-c", "--batch")];

/// What other programs call the topic, of which there are two here.
const TOPIC_FLAGS: [&str; 2] = ["-t", "--topic"];

/// The same error, with a tip where there is one.
pub(super) fn with_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::MissingRequiredArgument {
        if let Some(values) = values(&error) {
            let tip = format!("the values are {values}").into();
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        }
        return error;
    }
    let (of, kind) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        ErrorKind::InvalidSubcommand => {
            (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand)
        }
        _ => return error,
    };
    let Some(ContextValue::String(typed)) = error.get(of).cloned() else { return error };
    let typed = typed.as_str();
    if kind == ContextKind::SuggestedArg {
        // clap offers what is far, and names that help does not show.
        let offered = error.remove(kind);
        let usage = error.get(ContextKind::Usage).map(ToString::to_string);
        // Otherwise it is that of the flag that clap offers.
        if usage.is_some_and(|usage| !usage.contains("[OPTIONS]")) {
            let usage = command().render_usage();
            error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
        }
        if TOPIC_FLAGS.contains(&typed) {
            let both = ["--topic-metric", "--topic-token"].map(str::to_owned);
            error.insert(kind, ContextValue::Strings(both.to_vec()));
        } else if let Some(flag) = flag(typed).or_else(|| near(typed, offered?)) {
            error.insert(kind, ContextValue::String(flag));
        }
    } else if let Some(name) = subcommand(typed).filter(|_| error.get(kind).is_none()) {
        error.insert(kind, ContextValue::Strings(vec![name]));
    }
    error
}

/// The values of a positional argument that is missing, where there is a list of them.
fn values(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let command = command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_positionals);
    let is_missing = |argument: &&clap::Arg| {
        let name = argument.get_value_names().and_then(|names| names.first());
        name.is_some_and(|name| missing.iter().any(|missing| missing == &format!("<{name}>")))
    };
    let values = arguments.filter(is_missing).find_map(|argument| {
        let values = argument.get_possible_values();
        (!values.is_empty())
            .then(|| values.iter().map(|v| v.get_name().to_owned()).collect::<Vec<_>>())
    });
    Some(values?.join(", "))
}

/// What clap offers for a flag, by the name that help shows, where it is near.
fn near(typed: &str, offered: ContextValue) -> Option<String> {
    let ContextValue::String(offered) = offered else { return None };
    let typed = typed.split('=').next().unwrap_or_default();
    let (typed, name) = (typed.trim_start_matches('-'), offered.trim_start_matches('-'));
    if !suggest::is_near(typed, name) {
        return None;
    }
    let of = |setting: &&Definition| suggest::other_flags(setting.name).any(|other| other == name);
    let shown = DEFINITIONS.iter().find(of).map(|setting| format!("--{}", setting.flag()));
    Some(shown.unwrap_or(offered))
}

/// The flag that was meant.
fn flag(typed: &str) -> Option<String> {
    let typed = typed.split('=').next().unwrap_or_default();
    if let Some((_, ours)) = OTHER_FLAGS.iter().find(|(other, _)| *other == typed) {
        return Some((*ours).to_owned());
    }
    let folded = typed.strip_prefix("--")?.to_ascii_lowercase().replace('_', "-");
    let command = command();
    let mut flags = command.get_arguments().filter_map(clap::Arg::get_long);
    flags.find(|flag| *flag == folded).map(|flag| format!("--{flag}"))
}

/// The command that was meant.
fn subcommand(typed: &str) -> Option<String> {
    let command = command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    suggest::word(typed, names).map(str::to_owned)
}
