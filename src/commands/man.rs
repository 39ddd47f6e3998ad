//! `man` and `completions`: generated from the command line's definition.

use std::io;

use clap::builder::PossibleValue;
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
        Ok(()) => print_alone(&String::from_utf8_lossy(&page)),
        // Writing to memory does not fail.
        Err(_) => Exit::Software,
    }
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
    let man = Man::new(cli::command())
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
        more.control("TP", []).text([bold(*line)]).text([roman(*what)]);
    }
    more.control("SH", ["SEE ALSO"])
        .text([roman("systemd.exec(5), systemctl(1), journalctl(1), kcat(1)")]);
    more.to_writer(page)
}

fn synopsis() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["SYNOPSIS"]);
    section.text([bold("vm4-producer"), roman(" ["), italic("COMMAND"), roman("] [OPTIONS]")]);
    section
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
            } else if arg.get_help_heading().is_none() {
                term.push(roman(format!(" [--{}]", arg.get_long().unwrap_or_default())));
            }
        }
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        section.control("TP", []).text(term).text([roman(about)]);
    }
    section
}
