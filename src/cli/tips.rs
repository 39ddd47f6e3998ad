//! Tips that clap has none for: other capitals, and what other programs call a flag.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command;
use crate::settings::suggest;

/// Flags of kcat and its like, and ours.
const OTHER_FLAGS: &[(&str, &str)] = &[
    ("-n", "--batch"),
    ("-c", "--batch"),
    ("-t", "--topic-metric"),
    ("--topic", "--topic-metric"),
    ("--json", "--report-file"),
];

/// The same error, with a tip where there is one.
pub(super) fn with_tip(mut error: clap::Error) -> clap::Error {
    let (of, kind) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        ErrorKind::InvalidSubcommand => {
            (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand)
        }
        _ => return error,
    };
    let Some(ContextValue::String(typed)) = error.get(of) else { return error };
    if error.get(kind).is_some() {
        return error;
    }
    if kind == ContextKind::SuggestedArg {
        if let Some(flag) = flag(typed) {
            error.insert(kind, ContextValue::String(flag));
        }
    } else if let Some(name) = subcommand(typed) {
        error.insert(kind, ContextValue::Strings(vec![name]));
    }
    error
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
