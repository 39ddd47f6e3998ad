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
use crate::host::journal::PastRun;

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
            "The exit code of the last run of the unit.",
            |run| Some(run.exit_code.into()),
        ),
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
    let success = runs.iter().rev().find(|run| run.exit_code == Exit::Success.code());
    Some((label(runs.last()?), success.map_or(0.0, |run| seconds(run))))
}

fn records(unit: &str, run: &PastRun) -> [(String, f64); 3] {
    let states = [
        ("acknowledged", run.acknowledged),
        ("failed", run.failed),
        ("unresolved", run.unresolved),
    ];
    states.map(|(state, count)| (format!("{unit},state=\"{state}\""), count as f64))
}

/// How many runs of a unit had each outcome, those that none had included.
fn outcomes(runs: &[&PastRun]) -> Vec<(String, f64)> {
    let words: BTreeSet<_> = DOCUMENTED.iter().map(|(exit, _)| delivery::word(*exit)).collect();
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
            exit_code,
            run: None,
            seed: None,
            planned: None,
            generated: 5,
            acknowledged: 3,
            failed: 2,
            unresolved: 0,
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
    fn without_runs_there_are_no_metrics() {
        assert_eq!(exposition(&[]), "");
    }
}
