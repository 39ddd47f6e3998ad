//! `man` and `completions`: generated from the command line's definition.

use std::io;

use clap::builder::PossibleValue;
use clap::{Arg, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::print_alone;
use crate::cli;
use crate::exit::{DOCUMENTED, Exit};
use crate::settings::{DEFAULT_ENV_FILE, ENV_FILE_VARIABLE};
use crate::workload::seed::REQUIRED;

const NAME: &str = "vm4-producer";

/// The changelog of the package, the newest version first.
const CHANGELOG: &str = include_str!("../../packaging/debian/changelog");

/// The day of this version: that of the newest entry of the package's changelog; empty if it has none.
fn released() -> String {
    let signature = CHANGELOG.lines().find(|line| line.starts_with(" -- "));
    let date = signature.and_then(|line| line.rsplit_once(">  "));
    let date = date.and_then(|(_, date)| jiff::fmt::rfc2822::parse(date.trim()).ok());
    date.map(|date| date.date().to_string()).unwrap_or_default()
}

/// What the program reads and the unit is made of.
const FILES: &[(&str, &str)] = &[
    (DEFAULT_ENV_FILE, "settings, in the syntax of EnvironmentFile= of systemd.exec(5)"),
    ("/etc/vm4-producer/NAME.env", "settings of PROFILE=NAME, which override the main file"),
    (
        "/data/gpu_seed.json",
        "the seed file; without one, the unit has /usr/share/vm4-producer/gpu_seed.json there",
    ),
    (
        "/etc/credstore/vm4-producer.PROPERTY",
        "a secret of the unit, as in vm4-producer.sasl.password; for a profile \
         vm4-producer@NAME.PROPERTY",
    ),
    (
        "/run/systemd/generator/vm4-producer.service.d/50-egress.conf",
        "the unit's egress allow list, generated at boot and at systemctl daemon-reload from the \
         addresses in KAFKA_BOOTSTRAP and EGRESS_ALLOW",
    ),
];

/// The units of the package.
const UNITS: &[(&str, &str)] = &[
    (
        "vm4-producer.service",
        "one batch; systemctl start returns when every record is accounted for",
    ),
    ("vm4-producer.timer", "a batch every minute, once enabled"),
    ("vm4-producer@NAME.service, vm4-producer@NAME.timer", "the same with the profile NAME"),
];

/// Prints the man page, in roff.
#[must_use]
pub fn man() -> Exit {
    let mut page = Vec::new();
    match write_page(&mut page) {
        Ok(()) => print_alone(&wrapped(&String::from_utf8_lossy(&page))),
        // Writing to memory does not fail.
        Err(_) => Exit::Software,
    }
}

/// Columns of a line of the page's source: man pages have short lines, as mandoc wants them.
const COLUMNS: usize = 80;

/// The page with its text in short lines, which roff joins again. A term stays on its line.
fn wrapped(page: &str) -> String {
    let mut text = String::new();
    let mut before = "";
    for line in page.lines() {
        let is_fixed = line.len() <= COLUMNS || line.starts_with(['.', '\'']) || before == ".TP";
        before = line;
        if is_fixed {
            text.push_str(line);
            text.push('\n');
            continue;
        }
        let mut column = 0;
        for word in line.split(' ') {
            // Such a line would be a request.
            let is_request = word.starts_with(['.', '\'']);
            if column > 0 && column + 1 + word.len() > COLUMNS && !is_request && !word.is_empty() {
                text.push('\n');
                column = 0;
            } else if column > 0 {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += word.len();
        }
        text.push('\n');
    }
    text
}

/// Prints the completion script of a shell.
#[must_use]
pub fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), NAME, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        // clap_complete 4.6 splits the hyphen of the name differently in the arms of its last `case`,
        // so none of them is ever reached (clap-rs/clap#6421).
        Shell::Bash => script = script.replace("vm4__subcmd__producer", "vm4__producer"),
        Shell::Fish => script = corrected_fish(&script),
        _ => {}
    }
    print_alone(&script)
}

/// clap_complete 4.6 has fish offer nothing behind `help`, as that is a command that was seen, nor behind
/// a flag in front of the command that still lacks its value, as that cannot be parsed.
fn corrected_fish(script: &str) -> String {
    let parse = "argparse -s (__fish_vm4_producer_global_optspecs) -- $cmd";
    let mut corrected = String::new();
    for line in script.lines() {
        let is_help = line.contains("using_subcommand help; and not __fish_seen_subcommand_from");
        let line = if is_help { line.replacen(" help\" -f", "\" -f", 1) } else { line.to_owned() };
        corrected.push_str(&line);
        corrected.push('\n');
        if line.trim_start().starts_with(parse) {
            corrected.push_str(&format!(
                "    or begin\n        set -e cmd[-1]\n        {parse} 2>/dev/null\n    end\n"
            ));
        }
    }
    corrected + &fish_arguments()
}

/// The values of arguments without a flag, which clap_complete leaves out for fish.
fn fish_arguments() -> String {
    let mut lines = String::new();
    for command in cli::command().get_subcommands() {
        for argument in command.get_positionals() {
            let values = argument.get_possible_values();
            let values: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
            let (name, values) = (command.get_name(), values.join(" "));
            lines.push_str(&format!(
                "complete -c {NAME} -n \"__fish_seen_subcommand_from {name}\" -f -a \"{values}\"\n"
            ));
        }
    }
    lines
}

/// Terms, each with what it is.
fn list(page: &mut Roff, items: &[(&str, &str)]) {
    for (term, what) in items {
        page.control("TP", []).text([roman(*term)]).text([roman(*what)]);
    }
}

fn write_page(page: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(described())
        .title("VM4-PRODUCER")
        .date(released())
        .manual("User Commands")
        .source(concat!("vm4-producer ", env!("CARGO_PKG_VERSION")));
    man.render_title(page)?;
    man.render_name_section(page)?;
    synopsis().to_writer(page)?;
    man.render_description_section(page)?;
    commands().to_writer(page)?;
    man.render_options_section(page)?;
    let mut more = Roff::new();
    more.control("SH", ["EXIT STATUS"]);
    for (exit, when) in DOCUMENTED {
        more.control("TP", []).text([roman(exit.to_string())]).text([roman(*when)]);
    }
    more.control("SH", ["FILES"]);
    list(&mut more, FILES);
    more.control("SH", ["SEED FILE"]);
    more.text([roman(
        "A JSON array with an object for each GPU. A row can also have model, the language model that it \
         serves, and constants of its GPU; other fields pass through unchanged.",
    )]);
    list(&mut more, &REQUIRED);
    more.control("SH", ["UNITS"]);
    list(&mut more, UNITS);
    more.control("PP", []);
    more.text([roman(
        "systemctl edit UNIT changes a unit by a drop-in. Settings belong into the env files, not into an \
         Environment= there, which the generator, egress and doctor do not see. \
         /usr/share/doc/vm4-producer/docs/systemd.md has rhythms, alerts and secrets, and the directory \
         examples beside it has units to copy.",
    )]);
    more.control("SH", ["ENVIRONMENT"]);
    more.text([roman(format!(
        "Every setting above is an environment variable, and RDKAFKA_* sets any librdkafka property. \
         {ENV_FILE_VARIABLE} names another settings file. A file in $CREDENTIALS_DIRECTORY that \
         is named after a librdkafka property sets that property."
    ))]);
    more.control("SH", ["EXAMPLES"]);
    for (line, what) in cli::EXAMPLES {
        // The other way round, a term could not be wrapped.
        more.control("TP", []).text([roman(*what)]).text([bold(*line)]);
    }
    more.control("SH", ["SEE ALSO"])
        .text([roman("systemd.exec(5), systemctl(1), journalctl(1), kcat(1)")]);
    more.to_writer(page)
}

/// The command line with everything that the page is to say of it: clap_mangen leaves out the text of what
/// `-h` does not show, and short names that are aliases.
fn described() -> Command {
    cli::command().mut_args(|arg| {
        let short = arg.get_all_short_aliases().unwrap_or_default();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default() + &values(&arg);
        let hides = arg.get_action().takes_values();
        let arg = arg.hide_short_help(false).hide_possible_values(hides).help(help);
        match (arg.get_short(), short.first()) {
            (None, Some(alias)) => arg.short(*alias),
            _ => arg,
        }
    })
}

fn synopsis() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["SYNOPSIS"]);
    section.text([bold("vm4-producer"), roman(" ["), italic("COMMAND"), roman("] [OPTIONS]")]);
    section
}

/// Whether an argument is of its command alone, not a setting.
fn is_own(arg: &Arg) -> bool {
    arg.get_help_heading().is_none() && !arg.is_global_set() && !arg.is_hide_set()
}

/// The words that an argument takes, where they are not in its text.
fn values(arg: &Arg) -> String {
    if arg.is_hide_possible_values_set() || !arg.get_action().takes_values() {
        return String::new();
    }
    let values = arg.get_possible_values();
    let values: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
    if values.is_empty() { String::new() } else { format!(" [{}]", values.join(", ")) }
}

/// An option or an operand of a command, and what it is.
fn describe(section: &mut Roff, arg: &Arg) {
    let value = arg.get_value_names().and_then(|names| names.first());
    let value = value.filter(|_| arg.get_action().takes_values());
    let short = arg.get_short().map(|short| bold(format!("-{short}")));
    let long = arg.get_long().map(|long| bold(format!("--{long}")));
    let mut term: Vec<_> = short.into_iter().collect();
    if !term.is_empty() && long.is_some() {
        term.push(roman(", "));
    }
    term.extend(long);
    if let Some(value) = value {
        let gap = if term.is_empty() { "" } else { " " };
        term.extend([roman(gap), italic(value.as_str())]);
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default() + &values(arg);
    let default: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    let default = match default.join(",") {
        text if text.is_empty() || arg.is_hide_default_value_set() => String::new(),
        text => format!(" [default: {text}]"),
    };
    section.control("TP", []).text(term).text([roman(help + &default)]);
}

/// The commands, each with the options that only it has. One page describes them all.
fn commands() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["COMMANDS"]);
    for command in cli::command().get_subcommands() {
        let mut term = vec![bold(command.get_name())];
        for arg in command.get_arguments() {
            if arg.is_positional() {
                term.push(italic(format!(" {}", arg.get_value_names().map_or("", |n| &n[0]))));
            }
        }
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        section.control("TP", []).text(term).text([roman(about)]);
        let own: Vec<_> = command.get_arguments().filter(|arg| is_own(arg)).collect();
        if !own.is_empty() {
            section.control("RS", []);
            own.into_iter().for_each(|arg| describe(&mut section, arg));
            section.control("RE", []);
        }
    }
    section
}
