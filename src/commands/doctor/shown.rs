//! What `doctor` prints: settings, a line a check, the verdict; or all of it as JSON.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use super::{Finding, Found};
use crate::exit::Exit;
use crate::host::terminal;
use crate::settings::Settings;

/// What is to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// Only the reach of the bootstrap servers is checked.
    pub tcp_only: bool,
    /// Settings that have their default are shown, too.
    pub all: bool,
    /// It is printed as JSON.
    pub json: bool,
}

/// Escape sequences of the words in front of a check.
const COLORS: &[(&str, &str)] =
    &[("ok", "\x1b[32m"), ("warn", "\x1b[33m"), ("FAIL", "\x1b[1;31m"), ("skip", "\x1b[2m")];

/// Where the text of a check begins, and goes on in a second row.
const INDENT: usize = 6;

/// The exit code of the first check that failed: the one that a run would end with.
pub(super) fn exit(findings: &[Finding]) -> Exit {
    let failed = findings.iter().find_map(|finding| match finding.result {
        Found::Bad(_, _, exit) => Some(exit),
        _ => None,
    });
    failed.unwrap_or(Exit::Success)
}

/// The whole output.
pub(super) fn text(findings: &[Finding], settings: Option<&Settings>, shown: Shown) -> String {
    if shown.json {
        return json(findings, settings);
    }
    let mut text = settings.map(|settings| listing(settings, shown.all)).unwrap_or_default();
    let has_colors = terminal::has_colors(&io::stdout());
    for finding in findings {
        text.push_str(&line(finding, has_colors));
    }
    if !shown.tcp_only {
        text.push_str(&verdict(findings));
    }
    text
}

fn line(Finding { name, result }: &Finding, has_colors: bool) -> String {
    let word = result.word();
    let color = COLORS.iter().find(|(of, _)| has_colors && *of == word).map(|(_, color)| *color);
    let (on, off) = color.map_or(("", ""), |color| (color, "\x1b[0m"));
    let (found, remedy, _) = result.parts();
    let remedy = remedy.map(|remedy| format!("; remedy: {remedy}")).unwrap_or_default();
    let line = format!("{word:<4}  {name}: {found}{remedy}");
    let line = terminal::wrapped(&line, INDENT);
    format!("{on}{word:<4}{off}{}\n", line.get(4..).unwrap_or_default())
}

/// The last line: what is to be remembered of all the others.
fn verdict(findings: &[Finding]) -> String {
    let count = |word| findings.iter().filter(|finding| finding.result.word() == word).count();
    let (all, failed) = (findings.len(), count("FAIL"));
    let mut text = match failed {
        0 => format!("\nnone of {all} checks failed"),
        failed => format!("\n{failed} of {all} checks failed"),
    };
    for (word, what) in [("warn", "warned"), ("skip", "skipped")] {
        match count(word) {
            0 => {}
            n => text.push_str(&format!(", {n} {what}")),
        }
    }
    format!("{text}; exit {}\n", exit(findings))
}

/// The settings in force, by default those that somebody has set.
fn listing(settings: &Settings, all: bool) -> String {
    let shown: Vec<_> = settings.listing().filter(|setting| all || setting.is_set).collect();
    let width = shown.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
    let mut text = match (all, shown.len()) {
        (true, _) => "settings in force:\n".to_owned(),
        (false, 0) => "no setting is set (--all shows the defaults)\n".to_owned(),
        (false, _) => "settings that are set (--all shows the defaults, too):\n".to_owned(),
    };
    for setting in shown {
        // Writing to a String cannot fail.
        let _infallible =
            writeln!(text, "  {:width$}  {:?} ({})", setting.name, setting.value, setting.source);
    }
    text.push('\n');
    text
}

fn json(findings: &[Finding], settings: Option<&Settings>) -> String {
    let exit = exit(findings);
    let checks = findings.iter().map(|Finding { name, result }| {
        let (found, remedy, code) = result.parts();
        let result = result.word().to_ascii_lowercase();
        let exit_code = code.map(Exit::code);
        json!({"name": name, "result": result, "found": found, "remedy": remedy, "exit_code": exit_code})
    });
    let checks: Vec<Value> = checks.collect();
    let settings = settings.into_iter().flat_map(Settings::listing);
    let settings = settings.map(|setting| {
        json!({"name": setting.name, "value": setting.value, "source": setting.source, "is_set": setting.is_set})
    });
    let settings: Vec<Value> = settings.collect();
    let whole = json!({
        "exit_code": exit.code(),
        "exit_name": exit.name(),
        "checks": checks,
        "settings": settings,
    });
    format!("{whole:#}\n")
}
