//! The env file means to the program what it means to systemd.

use super::{PROGRAM, machine, on_every_release};
use crate::machine::Release;

on_every_release! {
    every_value_of_an_env_file_is_the_one_that_systemd_reads,
}

/// What stands behind `RDKAFKA_CLIENT_RACK`: every corner of the syntax.
const VALUES: [&str; 24] = [
    "=plain",
    " = spaced  ",
    "=a b  c \t",
    "='single quoted '",
    "=\"double quoted \"",
    "=x'y'",
    "='x' y",
    "='x' \"y\"",
    "='x'  ",
    "=x\\\ny",
    "=x \\\n y",
    "=a\\b",
    "=\\'x",
    "=\\ ",
    "=\"a\\\"b\\\\c\\$d\\`e\"",
    "=\"a\\nb\"",
    "=\"a\\\nb\"",
    "='a\\\nb'",
    "='two\nlines'",
    "=x # not a comment",
    "=x ; not a comment",
    "=1=2",
    "='open",
    "=\u{e9}\u{1f600}",
];

fn every_value_of_an_env_file_is_the_one_that_systemd_reads(release: Release) {
    let machine = machine(release);
    for value in VALUES {
        let file = format!("# comment\n; comment\n\n\tRDKAFKA_CLIENT_RACK{value}");
        machine.put("/etc/torture.env", &file, 0o644);
        let printenv = "EnvironmentFile=/etc/torture.env";
        let run = ["systemd-run", "--quiet", "--wait", "--pipe", "-p", printenv];
        let print = ["printenv", "--null", "RDKAFKA_CLIENT_RACK"];
        let theirs = machine.run(&[&run[..], &print].concat()).success().stdout;
        let theirs = theirs.trim_end_matches('\0');
        let environment = "VM4_PRODUCER_ENV=/etc/torture.env";
        let ours = machine.run(&["env", environment, PROGRAM, "doctor"]).stdout;
        let expected = format!("  {theirs:?} (/etc/torture.env line 4)");
        let line = ours.lines().find(|line| line.trim_start().starts_with("RDKAFKA_CLIENT_RACK"));
        let line = line.unwrap_or_else(|| panic!("no value for {file:?} in {ours}"));
        assert!(line.ends_with(&expected), "{file:?}: systemd {theirs:?}, the program {line}");
    }
    eprintln!("{}: {} values are the same", machine.name(), VALUES.len());
}
