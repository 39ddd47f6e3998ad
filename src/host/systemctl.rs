//! Talks to systemd through systemctl(1).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether systemd is this system's process 1: sd_booted(3).
#[must_use]
pub fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Makes systemd reload its units and run the generators.
///
/// # Errors
/// The error output of systemctl.
pub fn daemon_reload() -> Result<(), String> {
    output(&["daemon-reload"]).map(drop)
}

/// Properties of a unit, as `systemctl show` prints them.
///
/// # Errors
/// The error output of systemctl.
pub fn show(unit: &str, properties: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let text = output(&["show", "--property", &properties.join(","), "--", unit])?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn output(args: &[&str]) -> Result<String, String> {
    let named = |problem: String| format!("systemctl {}: {problem}", args.join(" "));
    let output = Command::new("systemctl")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| named(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(named(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
