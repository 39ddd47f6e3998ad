//! Talks to systemd through systemctl(1).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The service that runs with this profile.
#[must_use]
pub fn service(profile: Option<&str>) -> String {
    let instance = profile.map(|name| format!("@{name}")).unwrap_or_default();
    format!("vm4-producer{instance}.service")
}

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

/// The version of systemd, as in 257.
#[must_use]
pub fn version() -> Option<u32> {
    output(&["--version"]).ok()?.split_whitespace().nth(1)?.parse().ok()
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

/// The variables in an `Environment` property, by name.
#[must_use]
pub fn variables(environment: &str) -> BTreeMap<String, String> {
    let pairs = words(environment).into_iter();
    pairs.filter_map(|word| word.split_once("=").map(|(n, v)| (n.into(), v.into()))).collect()
}

/// The words of a property, which systemctl quotes as a shell does where they have spaces.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_with(String::new);
            }
            ' ' if !quoted => words.extend(word.take()),
            '\\' if quoted => word.get_or_insert_with(String::new).extend(characters.next()),
            other => word.get_or_insert_with(String::new).push(other),
        }
    }
    words.extend(word);
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_systemctl_shows_them() {
        let shown = r#"LIST=10.0.0.1,::1 EMPTY= "TEXT=two words \"and\" \$quotes" LAST=1=2"#;
        let variables = variables(shown);
        let pairs: Vec<_> = variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("EMPTY", ""),
                ("LAST", "1=2"),
                ("LIST", "10.0.0.1,::1"),
                ("TEXT", "two words \"and\" $quotes"),
            ]
        );
    }
}
