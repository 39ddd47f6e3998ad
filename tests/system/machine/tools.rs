//! Commands of the host, and what a host must offer for a machine to boot on it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::PATH;

/// Panics unless the process may make namespaces, mounts and network links.
pub fn require_root() {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
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

/// Where the hierarchy of cgroups is mounted that systemd and Docker require.
pub fn cgroups() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let unified = mounts.find(|fields| fields[2] == "cgroup2");
    PathBuf::from(unified.expect("the system tests need a host with cgroup2 mounted")[1])
}

/// Every process in a cgroup and in those below it.
pub fn processes(cgroup: &Path) -> Vec<u32> {
    let own = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<u32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    let below = fs::read_dir(cgroup).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        found.extend(processes(&entry.path()));
    }
    found
}
