//! Runs the programs that the system tests need, and bounds them in time.
//!
//! A missing program is the likeliest reason for these tests to fail on a new
//! machine, so it is looked for first and named together with the Debian
//! package that brings it.

use std::env;
use std::process::{Command, Output};
use std::time::Duration;

pub use crate::common::poll;

/// Each program that is not on every machine, and the package it is in where that has another name.
const PACKAGES: [(&str, &str); 8] = [
    ("dnsmasq", "dnsmasq-base"),
    ("go", "golang-go"),
    ("ip", "iproute2"),
    ("java", "default-jre-headless"),
    ("mvn", "maven"),
    ("nsenter", "util-linux"),
    ("python3", "python3-venv"),
    ("systemd-nspawn", "systemd-container"),
];

/// A PATH that has the system administrator's commands, which the caller's may lack.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Panics with the name of the package to install if `tool` is not there.
pub fn require(tool: &str) {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = env::split_paths(&path).chain(env::split_paths(PATH));
    if directories.any(|directory| directory.join(tool).is_file()) {
        return;
    }
    let package =
        PACKAGES.iter().find(|(name, _)| *name == tool).map_or(tool, |(_, package)| package);
    panic!(
        "the system tests need `{tool}`, which is not there: \
         install it with `apt-get install {package}`"
    );
}

/// A command that runs `tool` and is killed after `limit`, so that a hanging
/// program fails one test instead of stopping the whole run.
///
/// It exits with status 124 (or 137) when the limit was reached.
pub fn bounded(limit: Duration, tool: &str) -> Command {
    require(tool);
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=5"]).arg(limit.as_secs().to_string()).arg(tool);
    command
}

/// Runs a command to its end, and panics with what it printed unless it succeeded.
#[track_caller]
pub fn success(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    output
}

/// Whether `condition` came true before `limit` had passed.
pub fn comes_true(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    poll(limit, || condition().then_some(())).is_some()
}
