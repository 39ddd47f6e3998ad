//! `metrics`: the past runs as Prometheus metrics, for node_exporter's textfile collector.
//!
//! All are gauges: the journal forgets, so nothing that is counted in it only grows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::history::past_runs;
use super::{print, refuse};
use crate::delivery;
use crate::exit::{DOCUMENTED, Exit};
use crate::host::files;
use crate::host::journal::{PastRun, words};

/// Prints the metrics of the last `count` runs, or replaces a file by them atomically.
#[must_use]
pub fn metrics(count: u32, unit: Option<&str>, output: Option<&Path>) -> Exit {
    let Some(runs) = past_runs(count, unit) else { return Exit::Unavailable };
    let text = exposition(&runs);
    let Some(path) = output else { return print(&text) };
    match files::write_report(path, text.as_bytes()) {
        Ok(()) => Exit::Success,
        Err(error) => refuse(&format!("cannot write {}: {error}", path.display()), Exit::IoErr),
    }
}

/// A metric and its values, each with its labels.
struct Gauge {
    name: &'static str,
    help: &'static str,
    values: Vec<(String, f64)>,
}

/// The text format of Prometheus.
fn exposition(runs: &[PastRun]) -> String {
    let mut text = String::new();
    for Gauge { name, help, values } in gauges(runs).iter().filter(|g| !g.values.is_empty()) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let _infallible = writeln!(text, "{name}{{{labels}}} {value}");
        }
    }
    text
}

fn gauges(runs: &[PastRun]) -> Vec<Gauge> {
    let mut by_unit: BTreeMap<&str, Vec<&PastRun>> = BTreeMap::new();
    for run in runs {
        by_unit.entry(&run.unit).or_default().push(run);
    }
    // They are in the order of time.
    let last: Vec<_> =
        by_unit.values().filter_map(|runs| runs.last().map(|run| (label(run), *run))).collect();
    let of_last = |name, help, value: fn(&PastRun) -> Option<f64>| Gauge {
        name,
        help,
        values: last.iter().filter_map(|(unit, run)| Some((unit.clone(), value(run)?))).collect(),
    };
    vec![
        of_last(
            "vm4_producer_last_run_timestamp_seconds",
            "When the last run of the unit ended.",
            |run| Some(seconds(run)),
        ),
        Gauge {
            name: "vm4_producer_last_success_timestamp_seconds",
            help: "When the last run of the unit ended that delivered every record; 0 if none did.",
            values: by_unit.values().filter_map(|runs| last_success(runs)).collect(),
        },
        of_last(
            "vm4_producer_last_run_exit_code",
            "The exit code of the last run of the unit; 128 and the signal's number if one ended it, -1 if \
             it has none.",
            |run| Some(exit_code(run)),
        ),
        of_last(
            "vm4_producer_last_run_success",
            "1 if systemd takes the last run of the unit for a success; 0 if it failed, was killed, or \
             could not be started.",
            |run| Some(if run.is_success() { 1.0 } else { 0.0 }),
        ),
        Gauge {
            name: "vm4_producer_last_run_result",
            help: "1 for the word that systemd has for the result of the last run of the unit.",
            values: last.iter().filter_map(|(unit, run)| result(unit, run)).collect(),
        },
        of_last(
            "vm4_producer_last_run_duration_seconds",
            "How long the last run of the unit took.",
            |run| run.elapsed_sec,
        ),
        of_last(
            "vm4_producer_last_run_planned_records",
            "Records that the last run of the unit was to send.",
            |run| run.planned.map(|planned| planned as f64),
        ),
        Gauge {
            name: "vm4_producer_last_run_records",
            help: "Records of the last run of the unit, by what became of them.",
            values: last.iter().flat_map(|(unit, run)| records(unit, run)).collect(),
        },
        Gauge {
            name: "vm4_producer_recent_runs",
            help: "Runs of the unit among those that were looked at, by outcome.",
            values: by_unit.values().flat_map(|runs| outcomes(runs)).collect(),
        },
    ]
}

fn label(run: &PastRun) -> String {
    format!("unit=\"{}\"", escaped(&run.unit))
}

/// A label's value as the text format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(run: &PastRun) -> f64 {
    run.ended_at.as_microsecond() as f64 / 1e6
}

fn last_success(runs: &[&PastRun]) -> Option<(String, f64)> {
    let delivered = delivery::word(Exit::Success);
    let success = runs.iter().rev().find(|run| run.outcome == delivered);
    Some((label(runs.last()?), success.map_or(0.0, |run| seconds(run))))
}

/// The exit code as a shell has it.
fn exit_code(run: &PastRun) -> f64 {
    match (run.exit_code, &run.signal) {
        (_, Some(signal)) => number_of(signal).map_or(-1.0, |number| f64::from(128 + number)),
        (Some(code), None) => code.into(),
        (None, None) => -1.0,
    }
}

/// The number of a signal that can end a process, as Linux has it on most machines.
fn number_of(signal: &str) -> Option<u8> {
    const NUMBERS: [(&str, u8); 14] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("SEGV", 11),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("SYS", 31),
    ];
    NUMBERS.iter().find(|(name, _)| *name == signal).map(|(_, number)| *number)
}

fn result(unit: &str, run: &PastRun) -> Option<(String, f64)> {
    let result = run.result.as_ref()?;
    Some((format!("{unit},result=\"{}\"", escaped(result)), 1.0))
}

/// What became of the records; nothing where nobody has said it.
fn records(unit: &str, run: &PastRun) -> Vec<(String, f64)> {
    let states = [
        ("acknowledged", run.acknowledged),
        ("failed", run.failed),
        ("unresolved", run.unresolved),
    ];
    let known = states.into_iter().filter_map(|(state, count)| Some((state, count?)));
    known.map(|(state, count)| (format!("{unit},state=\"{state}\""), count as f64)).collect()
}

/// How many runs of a unit had each outcome, those that none had included.
fn outcomes(runs: &[&PastRun]) -> Vec<(String, f64)> {
    let of_exits = DOCUMENTED.iter().map(|(exit, _)| delivery::word(*exit));
    let words: BTreeSet<_> = of_exits.chain(words::ALL).collect();
    let unit = runs.last().map(|run| label(run)).unwrap_or_default();
    let counts = words.into_iter().map(|word| {
        let count = runs.iter().filter(|run| run.outcome == word).count();
        (format!("{unit},outcome=\"{word}\""), count as f64)
    });
    counts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(unit: &str, second: i64, outcome: &str, exit_code: u8) -> PastRun {
        PastRun {
            ended_at: jiff::Timestamp::from_microsecond(second * 1_000_000 + 500_000).unwrap(),
            unit: unit.to_owned(),
            outcome: outcome.to_owned(),
            exit_code: Some(exit_code),
            signal: None,
            result: None,
            invocation: None,
            run: None,
            seed: None,
            planned: None,
            generated: Some(5),
            acknowledged: Some(3),
            failed: Some(2),
            unresolved: Some(0),
            elapsed_sec: Some(1.25),
            rate_per_sec: None,
            summary: String::new(),
        }
    }

    #[test]
    fn the_last_run_and_the_last_success_of_each_unit_are_told() {
        let runs = [
            run("a", 1, "delivered", 0),
            run("b\"", 2, "denied", 77),
            run("a", 3, "incomplete", 74),
        ];
        let text = exposition(&runs);
        for line in [
            "# TYPE vm4_producer_last_run_timestamp_seconds gauge",
            "vm4_producer_last_run_timestamp_seconds{unit=\"a\"} 3.5",
            "vm4_producer_last_success_timestamp_seconds{unit=\"a\"} 1.5",
            "vm4_producer_last_success_timestamp_seconds{unit=\"b\\\"\"} 0",
            "vm4_producer_last_run_exit_code{unit=\"a\"} 74",
            "vm4_producer_last_run_duration_seconds{unit=\"a\"} 1.25",
            "vm4_producer_last_run_records{unit=\"a\",state=\"failed\"} 2",
            "vm4_producer_recent_runs{unit=\"a\",outcome=\"delivered\"} 1",
            "vm4_producer_recent_runs{unit=\"a\",outcome=\"denied\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        // A bound that no run has is no line, and no help for it.
        assert!(!text.contains("planned"), "{text}");
    }

    #[test]
    fn a_killed_run_is_the_last_run_and_no_success() {
        let killed = PastRun {
            exit_code: None,
            signal: Some("KILL".to_owned()),
            result: Some("oom-kill".to_owned()),
            generated: None,
            acknowledged: None,
            failed: None,
            unresolved: None,
            ..run("a", 3, "oom-killed", 0)
        };
        let text = exposition(&[run("a", 1, "delivered", 0), killed]);
        for line in [
            "vm4_producer_last_run_timestamp_seconds{unit=\"a\"} 3.5",
            "vm4_producer_last_success_timestamp_seconds{unit=\"a\"} 1.5",
            "vm4_producer_last_run_exit_code{unit=\"a\"} 137",
            "vm4_producer_last_run_success{unit=\"a\"} 0",
            "vm4_producer_last_run_result{unit=\"a\",result=\"oom-kill\"} 1",
            "vm4_producer_recent_runs{unit=\"a\",outcome=\"oom-killed\"} 1",
            "vm4_producer_recent_runs{unit=\"a\",outcome=\"killed\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        // Nobody knows them.
        assert!(!text.contains("last_run_records"), "{text}");
        let none = PastRun { exit_code: None, ..run("a", 4, "not-started", 0) };
        let text = exposition(&[none]);
        assert!(text.contains("vm4_producer_last_run_exit_code{unit=\"a\"} -1\n"), "{text}");
    }

    #[test]
    fn without_runs_there_are_no_metrics() {
        assert_eq!(exposition(&[]), "");
    }
}
