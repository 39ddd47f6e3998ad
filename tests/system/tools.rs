//! Runs the programs that the system tests need, and bounds them in time.
//!
//! A missing program is the likeliest reason for these tests to fail on a new
//! machine, so it is looked for first and named together with the Debian
//! package that brings it.

use std::env;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Each program that is not on every machine, and the package it is in.
const PACKAGES: [(&str, &str); 4] =
    [("java", "default-jre-headless"), ("openssl", "openssl"), ("mvn", "maven"), ("kcat", "kcat")];

/// Panics with the name of the package to install if `tool` is not there.
pub fn require(tool: &str) {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|dir| dir.join(tool).is_file()) {
        return;
    }
    let package =
        PACKAGES.iter().find(|(name, _)| *name == tool).map_or(tool, |(_, package)| package);
    panic!(
        "the system tests need `{tool}`, which is not on the PATH: \
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

/// Calls `check` until it returns something or `limit` has passed.
pub fn poll<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
