//! Commands of the host, and what a host must offer for a machine to boot on it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a condition is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(10);

/// A PATH that has the system administrator's commands, which the caller's may lack.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Panics with the package to install when `tool` is missing.
pub fn require(tool: &str, package: &str) {
    let found = PATH.split(':').any(|dir| Path::new(dir).join(tool).exists());
    assert!(found, "the system tests need {tool}: apt-get install {package}");
}

/// Panics unless the process may make namespaces, mounts and network links.
pub fn require_root() {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let uid = status.lines().find(|line| line.starts_with("Uid:")).expect("a process has a user");
    let effective = uid.split_whitespace().nth(2).expect("the effective user is the second");
    assert_eq!(effective, "0", "the system tests boot systemd, and need to run as root");
}

/// Runs a command of the host to its end: its standard output, or what it complained about.
pub fn host<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Whether `reached` became true before the limit.
pub fn poll(limit: Duration, mut reached: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !reached() {
        if Instant::now() >= end {
            return false;
        }
        sleep(POLL);
    }
    true
}
