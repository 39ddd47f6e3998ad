//! The past runs, from the journal, where each has left its summary.

use std::io;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::log::{SUMMARY_MESSAGE_ID, UNIT_FIELD};

/// What a summary has, beside the fields that journalctl always shows.
const FIELDS: &str = "MESSAGE,_SYSTEMD_UNIT,VM4_UNIT,VM4_RUN,VM4_SEED,VM4_OUTCOME,VM4_PLANNED,VM4_GENERATED,\
    VM4_ACKNOWLEDGED,VM4_FAILED,VM4_UNRESOLVED,VM4_ELAPSED_SEC,VM4_RATE_PER_SEC,VM4_EXIT_CODE";

/// Above any number of seconds that a run takes, and of records that it sends in one.
const MOST: f64 = 1e12;

/// A run that has ended, as its summary in the journal has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PastRun {
    /// When it ended.
    #[serde(serialize_with = "as_text")]
    pub ended_at: Timestamp,
    /// The systemd unit that it was a process of.
    pub unit: String,
    /// How it went, in a word.
    pub outcome: String,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Its name; `None` if it ended before it had one.
    pub run: Option<String>,
    /// `RUN_SEED`.
    pub seed: Option<u64>,
    /// Records that it was to send; `None` if there was no bound.
    pub planned: Option<u64>,
    /// Records generated.
    pub generated: u64,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Records failed.
    pub failed: u64,
    /// Records without an answer.
    pub unresolved: u64,
    /// From start to end, seconds.
    pub elapsed_sec: Option<f64>,
    /// Acknowledged records a second.
    pub rate_per_sec: Option<f64>,
    /// The summary in words.
    pub summary: String,
}

fn as_text<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

/// Why there are no past runs to show.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// journalctl cannot be started.
    #[error("cannot ask the journal: journalctl: {0}")]
    NoJournalctl(#[from] io::Error),
    /// journalctl failed.
    #[error("cannot ask the journal: {0}")]
    Refused(String),
}

/// The last runs, of one unit or of all, oldest first; and what there is to say of them, as that this
/// user may not see all entries, or that some could not be read.
///
/// # Errors
/// There is no journal here, or it cannot be read.
pub fn past_runs(last: u32, unit: Option<&str>) -> Result<(Vec<PastRun>, String), JournalError> {
    let mut journalctl = Command::new("journalctl");
    journalctl.args(["--no-pager", "--output=json", &format!("--output-fields={FIELDS}")]);
    let of_summaries = format!("MESSAGE_ID={SUMMARY_MESSAGE_ID}");
    journalctl.arg(format!("--lines={last}")).arg(&of_summaries);
    if let Some(unit) = unit.map(service) {
        journalctl.args([&format!("_SYSTEMD_UNIT={unit}"), "+", &of_summaries]);
        journalctl.arg(format!("{UNIT_FIELD}={unit}"));
    }
    let output = journalctl.env("SYSTEMD_COLORS", "0").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(JournalError::Refused(said));
    }
    let (runs, unreadable) = runs_of(&String::from_utf8_lossy(&output.stdout));
    let notes = [said, unreadable].into_iter().filter(|note| !note.is_empty());
    Ok((runs, notes.collect::<Vec<_>>().join("\n")))
}

/// The runs of these entries, one a line; and how many lines are no entries, and why. A journalctl
/// that was killed leaves a line half written.
fn runs_of(entries: &str) -> (Vec<PastRun>, String) {
    let (mut runs, mut unreadable, mut first) = (Vec::new(), 0_u64, String::new());
    for (number, line) in (1_u64..).zip(entries.lines()) {
        match serde_json::from_str(line) {
            Ok(entry) => runs.extend(past_run(&entry)),
            Err(error) => {
                unreadable += 1;
                if unreadable == 1 {
                    first = format!("line {number}: {error}");
                }
            }
        }
    }
    let note = match unreadable {
        0 => String::new(),
        1 => format!("1 entry of the journal cannot be read: {first}"),
        more => format!("{more} entries of the journal cannot be read, the first in {first}"),
    };
    (runs, note)
}

/// A unit's name as the journal has it: systemctl lets one leave the type out.
fn service(unit: &str) -> String {
    if unit.ends_with(".service") { unit.to_owned() } else { format!("{unit}.service") }
}

/// The run of an entry; `None` if the entry has not the fields of a summary, as anybody can write one.
fn past_run(entry: &Value) -> Option<PastRun> {
    let text = |field: &str| entry[field].as_str();
    let number = |field: &str| text(field)?.parse::<u64>().ok();
    // Anybody can write what looks like a summary; what no run can come to is left out.
    let is_possible = |figure: &f64| (0.0..=MOST).contains(figure);
    let decimal = |field: &str| text(field)?.parse::<f64>().ok().filter(is_possible);
    let ended_at = text("__REALTIME_TIMESTAMP")?.parse::<i64>().ok().filter(|at| *at >= 0)?;
    Some(PastRun {
        ended_at: Timestamp::from_microsecond(ended_at).ok()?,
        unit: text("_SYSTEMD_UNIT").or(text(UNIT_FIELD)).unwrap_or_default().to_owned(),
        outcome: text("VM4_OUTCOME").filter(|word| is_outcome(word))?.to_owned(),
        exit_code: text("VM4_EXIT_CODE")?.parse().ok()?,
        run: text("VM4_RUN").map(str::to_owned),
        seed: number("VM4_SEED"),
        planned: number("VM4_PLANNED"),
        generated: number("VM4_GENERATED")?,
        acknowledged: number("VM4_ACKNOWLEDGED")?,
        failed: number("VM4_FAILED")?,
        unresolved: number("VM4_UNRESOLVED")?,
        elapsed_sec: decimal("VM4_ELAPSED_SEC"),
        rate_per_sec: decimal("VM4_RATE_PER_SEC"),
        summary: text("MESSAGE").unwrap_or_default().to_owned(),
    })
}

/// Whether a text can be the word of an outcome.
fn is_outcome(word: &str) -> bool {
    word.len() <= 32 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::log::SUMMARY_FIELDS;

    #[test]
    fn every_field_of_a_summary_is_asked_for() {
        for field in SUMMARY_FIELDS {
            let field = format!("VM4_{}", field.to_ascii_uppercase());
            assert!(FIELDS.split(',').any(|asked| asked == field), "{field}");
        }
    }

    #[test]
    fn a_process_that_was_gone_before_the_journal_looked_is_of_the_unit_that_it_named() {
        let mut entry = serde_json::json!({
            "__REALTIME_TIMESTAMP": "1764226810123456", UNIT_FIELD: "a.service",
            "VM4_OUTCOME": "misconfigured", "VM4_EXIT_CODE": "78", "VM4_GENERATED": "0",
            "VM4_ACKNOWLEDGED": "0", "VM4_FAILED": "0", "VM4_UNRESOLVED": "0",
        });
        let unit = |entry: &Value| past_run(entry).map(|run| run.unit);
        assert_eq!(unit(&entry).as_deref(), Some("a.service"));
        entry["_SYSTEMD_UNIT"] = "b.service".into();
        assert_eq!(unit(&entry).as_deref(), Some("b.service"));
    }

    #[test]
    fn an_entry_that_is_no_summary_is_no_run() {
        let entry = serde_json::json!({
            "__REALTIME_TIMESTAMP": "1764226810123456",
            "VM4_OUTCOME": "delivered",
            "VM4_EXIT_CODE": ["0", "1"],
        });
        assert_eq!(past_run(&entry), None);
    }

    fn summary() -> Value {
        serde_json::json!({
            "__REALTIME_TIMESTAMP": "1764226810123456", "_SYSTEMD_UNIT": "a.service",
            "VM4_OUTCOME": "delivered", "VM4_EXIT_CODE": "0", "VM4_GENERATED": "40",
            "VM4_ACKNOWLEDGED": "40", "VM4_FAILED": "0", "VM4_UNRESOLVED": "0",
            "VM4_ELAPSED_SEC": "9.5", "VM4_RATE_PER_SEC": "4.2",
        })
    }

    #[test]
    fn a_line_that_is_no_entry_is_counted_and_ends_nothing() {
        let whole = summary().to_string();
        let (runs, note) = runs_of(&format!("{whole}\n{{\"MESS\n{whole}\n{whole}\n"));
        assert_eq!(runs.len(), 3);
        assert!(note.starts_with("1 entry of the journal cannot be read: line 2: EOF"), "{note}");
        let (runs, note) = runs_of("a\nb\n");
        assert_eq!(runs.len(), 0);
        assert!(note.starts_with("2 entries of the journal cannot be read, the first in line 1: "));
        assert_eq!(runs_of(&whole).1, "");
    }

    #[test]
    fn a_figure_that_no_run_can_come_to_is_none() {
        for figure in ["inf", "NaN", "-1", "1e308", "-0.5", "x"] {
            let mut entry = summary();
            for field in ["VM4_ELAPSED_SEC", "VM4_RATE_PER_SEC"] {
                entry[field] = figure.into();
            }
            let run = past_run(&entry).unwrap();
            assert_eq!((run.elapsed_sec, run.rate_per_sec), (None, None), "{figure}");
        }
        let mut entry = summary();
        entry["__REALTIME_TIMESTAMP"] = "-1764226810123456".into();
        assert_eq!(past_run(&entry), None, "a journal has no time before 1970");
    }

    #[test]
    fn a_unit_can_be_named_without_its_type() {
        assert_eq!(service("vm4-producer@site-a"), "vm4-producer@site-a.service");
        assert_eq!(service("vm4-producer.service"), "vm4-producer.service");
    }
}
