//! `history`: the past runs, one line each.

use std::fmt::Write as _;

use tracing::warn;

use super::columns::{self, Side};
use super::{complain, print};
use crate::exit::Exit;
use crate::host::journal::{self, PastRun, words};

/// The outcome of a run of which nothing is to be said.
const DELIVERED: &str = "delivered";

/// Columns of a unit's name; the names are the user's own and may be long.
const UNIT_WIDTH: usize = 12;

/// The last `count` runs of one unit, or of all; `None` if there is no journal to ask.
pub(super) fn past_runs(count: u32, unit: Option<&str>) -> Option<Vec<PastRun>> {
    let (runs, said) = journal::past_runs(count, unit).map_err(|error| complain(&error)).ok()?;
    // That this user may not see all entries, say.
    said.lines().filter(|line| !line.is_empty()).for_each(|line| warn!("{line}"));
    Some(runs)
}

/// Prints the last `count` runs, oldest first: as a table, or each as a JSON object on a line.
#[must_use]
pub fn history(count: u32, unit: Option<&str>, as_json: bool) -> Exit {
    let Some(runs) = past_runs(count, unit) else { return Exit::Unavailable };
    if as_json {
        let lines = runs.iter().filter_map(|run| serde_json::to_string(run).ok());
        return print(&lines.map(|line| line + "\n").collect::<String>());
    }
    if runs.is_empty() {
        warn!("the journal has no run; only what systemd started is in it");
    }
    print(&table(&runs))
}

/// The runs as a table, and below it why the last one failed that did.
fn table(runs: &[PastRun]) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let head = ["ended (UTC)", "unit", "outcome", "exit", "records", "took"].map(str::to_owned);
    let rows: Vec<_> = [head].into_iter().chain(runs.iter().map(row)).collect();
    let [left, right] = [Side::Left, Side::Right];
    let sides = [left, left, left, right, right, right];
    let mut text: String = columns::lines(sides, &rows).map(|line| line + "\n").collect();
    if let Some(run) = runs.iter().rev().find(|run| run.outcome != DELIVERED) {
        let unit = shown_unit(&run.unit);
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "\n{} {unit}: {}", time(run), run.summary);
    }
    text
}

fn row(run: &PastRun) -> [String; 6] {
    let planned = run.planned.map(|planned| format!("/{}", short(planned))).unwrap_or_default();
    let acknowledged = match run.acknowledged {
        Some(count) => short(count),
        None if run.outcome == words::NOT_STARTED => "0".to_owned(),
        None => "?".to_owned(),
    };
    let exit_code = run.exit_code.map(|code| code.to_string());
    [
        time(run),
        shown_unit(&run.unit),
        run.outcome.clone(),
        run.signal.clone().or(exit_code).unwrap_or_default(),
        format!("{acknowledged}{planned}"),
        run.elapsed_sec.map(duration).unwrap_or_default(),
    ]
}

fn time(run: &PastRun) -> String {
    run.ended_at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The unit in a column: an instance of this package by its profile, others by their name, those of a
/// user's own manager behind the user's number.
fn shown_unit(unit: &str) -> String {
    if let Some((manager, own)) = unit.split_once(".service/") {
        let uid = manager.strip_prefix("user@").unwrap_or(manager);
        return short_unit(&format!("{uid}/{}", own.strip_suffix(".service").unwrap_or(own)));
    }
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    short_unit(name.strip_prefix("vm4-producer").filter(|p| p.starts_with('@')).unwrap_or(name))
}

fn short_unit(name: &str) -> String {
    if name.chars().count() <= UNIT_WIDTH {
        return name.to_owned();
    }
    name.chars().take(UNIT_WIDTH - 1).chain(['~']).collect()
}

/// A count, exact as long as it has seven digits.
fn short(count: u64) -> String {
    const UNITS: [(u64, &str); 3] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M")];
    match UNITS.iter().find(|(unit, _)| count >= 10_000_000 && count >= *unit) {
        Some((unit, letter)) => format!("{:.1}{letter}", count as f64 / *unit as f64),
        None => count.to_string(),
    }
}

/// Seconds, in the units in which a person would say them.
fn duration(seconds: f64) -> String {
    if seconds < 99.95 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds / 60.0).round();
    if minutes < 60.0 {
        format!("{minutes:.0} min")
    } else if minutes < 1440.0 {
        format!("{:.0} h {:02.0}", (minutes / 60.0).floor(), minutes % 60.0)
    } else {
        format!("{:.1} d", minutes / 1440.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(unit: &str, outcome: &str, exit_code: u8) -> PastRun {
        PastRun {
            ended_at: "2026-11-27T07:00:10.5Z".parse().unwrap(),
            unit: unit.to_owned(),
            outcome: outcome.to_owned(),
            exit_code: Some(exit_code),
            signal: None,
            result: None,
            invocation: None,
            run: None,
            seed: None,
            planned: Some(40),
            generated: Some(40),
            acknowledged: Some(40),
            failed: Some(0),
            unresolved: Some(0),
            elapsed_sec: Some(9.503),
            rate_per_sec: None,
            summary: "40 of 40".to_owned(),
        }
    }

    #[test]
    fn a_table_has_a_line_a_run_and_the_reason_of_the_last_failure() {
        let failed = PastRun {
            planned: None,
            acknowledged: Some(0),
            elapsed_sec: None,
            summary: "nothing was sent: BATCH".to_owned(),
            ..run("vm4-producer@site-a.service", "misconfigured", 78)
        };
        let runs = [failed, run("vm4-producer.service", "delivered", 0)];
        assert_eq!(
            table(&runs),
            "ended (UTC)          unit          outcome        exit  records   took\n\
             2026-11-27 07:00:10  @site-a       misconfigured    78        0       \n\
             2026-11-27 07:00:10  vm4-producer  delivered         0    40/40  9.5 s\n\
             \n\
             2026-11-27 07:00:10 @site-a: nothing was sent: BATCH\n"
        );
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn a_run_without_a_summary_has_the_signal_and_what_is_known() {
        let killed = PastRun {
            exit_code: None,
            signal: Some("KILL".to_owned()),
            planned: None,
            acknowledged: None,
            ..run("user@1000.service/load.service", "killed", 0)
        };
        let none =
            PastRun { acknowledged: None, planned: None, ..run("a.service", "not-started", 226) };
        let text = table(&[killed, none]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "2026-11-27 07:00:10  1000/load  killed       KILL        ?  9.5 s");
        assert_eq!(lines[2], "2026-11-27 07:00:10  a          not-started   226        0  9.5 s");
    }

    #[test]
    fn the_widest_values_fit_a_terminal() {
        let widest = PastRun {
            planned: Some(9_999_999),
            acknowledged: Some(9_999_999),
            elapsed_sec: Some(31_535_999.0),
            ..run(&format!("vm4-producer@{}.service", "x".repeat(128)), "misconfigured", 143)
        };
        for line in table(&[widest.clone(), widest]).lines().take(2) {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
    }

    #[test]
    fn counts_and_durations_are_short() {
        let counts = [40, 9_999_999, 10_000_000, 345_678_901, 2_000_000_000_000].map(short);
        assert_eq!(counts, ["40", "9999999", "10.0M", "345.7M", "2.0T"]);
        let durations = [0.0, 9.503, 99.94, 99.95, 3_599.0, 7_380.0, 90_000.0, 31_536_000.0];
        assert_eq!(
            durations.map(duration),
            ["0.0 s", "9.5 s", "99.9 s", "2 min", "1 h 00", "2 h 03", "1.0 d", "365.0 d"]
        );
    }
}
