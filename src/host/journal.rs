//! The past runs, from the journal: what each run said of itself at its end, and what systemd said of
//! each start, also of one that was killed or never came to run.
//!
//! Anybody can write to the journal. Of a run counts what a process of the unit wrote, which journald
//! knows by its control group; of a start, what process 1 wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::delivery;
use crate::exit::DOCUMENTED;

use super::log::{INVOCATION_FIELD, SUMMARY_MESSAGE_ID, UNIT_FIELD};
use super::{sandbox, user};

/// What an entry has, beside the fields that journalctl always shows.
const FIELDS: &str = "MESSAGE,MESSAGE_ID,_UID,_PID,_BOOT_ID,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT,_SYSTEMD_INVOCATION_ID,\
    UNIT,INVOCATION_ID,UNIT_RESULT,JOB_TYPE,JOB_RESULT,EXIT_CODE,EXIT_STATUS,COMMAND,\
    VM4_UNIT,VM4_INVOCATION,VM4_RUN,VM4_SEED,VM4_OUTCOME,VM4_PLANNED,VM4_GENERATED,\
    VM4_ACKNOWLEDGED,VM4_FAILED,VM4_UNRESOLVED,VM4_ELAPSED_SEC,VM4_RATE_PER_SEC,VM4_EXIT_CODE";

/// The messages of systemd that make a start and its end, `SD_MESSAGE_*` in sd-messages.h: a unit is
/// starting; its process has exited; it has failed; it has ended well; its job has failed.
const STARTING: &str = "7d4958e842da4a758f6c1cdc7b36dcc5";
const PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";
const FAILURE: &str = "d9b373ed55a64feb8242e02dbe79a49c";
const SUCCESS: &str = "7ad2d189f7e94e70a38c781354912448";
const JOB_FAILED: &str = "be02cf6855d2428ba40df7e9d022f03d";

/// Entries that are read for each run that is asked for: a start has at most five of systemd's own, the
/// summary, and a few errors.
const ENTRIES_A_RUN: u32 = 8;

/// Units that are asked about at most: names come from the journal, and so from anybody.
const UNITS: usize = 500;

/// Above any number of seconds that a run takes, and of records that it sends in one.
const MOST: f64 = 1e12;

/// Exit codes of a process that systemd could not make the program of: systemd.exec(5).
const OF_SYSTEMD: std::ops::RangeInclusive<u8> = 200..=245;

/// How a run went that has no summary, or whose summary is not the last word, in a word.
pub mod words {
    /// A signal ended it.
    pub const KILLED: &str = "killed";
    /// The kernel ended it for want of memory.
    pub const OOM_KILLED: &str = "oom-killed";
    /// systemd ended it, because it hung.
    pub const TIMED_OUT: &str = "timed-out";
    /// systemd could not start the program.
    pub const NOT_STARTED: &str = "not-started";
    /// The machine went down under it.
    pub const CUT_OFF: &str = "cut-off";
    /// The journal has no word of how it ended.
    pub const UNREPORTED: &str = "unreported";
    /// All of them.
    pub const ALL: [&str; 6] = [KILLED, OOM_KILLED, TIMED_OUT, NOT_STARTED, CUT_OFF, UNREPORTED];
}

/// A start of a unit that is over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PastRun {
    /// When it ended.
    #[serde(serialize_with = "as_text")]
    pub ended_at: Timestamp,
    /// The systemd unit; of a user's own manager, `user@UID.service/UNIT`.
    pub unit: String,
    /// How it went, in a word.
    pub outcome: String,
    /// The exit code of the process; `None` if it did not exit by itself.
    pub exit_code: Option<u8>,
    /// The signal that ended the process, as in `KILL`.
    pub signal: Option<String>,
    /// systemd's own word for the result, as in `oom-kill`; `None` if it has said none.
    pub result: Option<String>,
    /// systemd's name for the start, by which the journal finds all of its entries.
    pub invocation: Option<String>,
    /// Its name; `None` if it ended before it had one, or without a summary.
    pub run: Option<String>,
    /// `RUN_SEED`.
    pub seed: Option<u64>,
    /// Records that it was to send; `None` if there was no bound, or no summary.
    pub planned: Option<u64>,
    /// Records generated; this and what follows is `None` without a summary.
    pub generated: Option<u64>,
    /// Records acknowledged.
    pub acknowledged: Option<u64>,
    /// Records failed.
    pub failed: Option<u64>,
    /// Records without an answer.
    pub unresolved: Option<u64>,
    /// From start to end, seconds.
    pub elapsed_sec: Option<f64>,
    /// Acknowledged records a second.
    pub rate_per_sec: Option<f64>,
    /// How it went in words: the program's, systemd's, or both.
    pub summary: String,
}

impl PastRun {
    /// A run of which nobody has said anything.
    fn unknown(ended_at: Timestamp, unit: String) -> Self {
        Self {
            ended_at,
            unit,
            outcome: String::new(),
            exit_code: None,
            signal: None,
            result: None,
            invocation: None,
            run: None,
            seed: None,
            planned: None,
            generated: None,
            acknowledged: None,
            failed: None,
            unresolved: None,
            elapsed_sec: None,
            rate_per_sec: None,
            summary: String::new(),
        }
    }

    /// Whether systemd takes it for a success: all delivered, or all that was generated until somebody
    /// stopped it.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self.result.as_deref() {
            Some(result) => result == "success",
            None => ["delivered", "interrupted"].contains(&&*self.outcome),
        }
    }
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

/// The last starts, of one unit or of all, oldest first; and what there is to say of them, as that this
/// user may not see all entries, or that some could not be read.
///
/// # Errors
/// There is no journal here, or it cannot be read.
pub fn past_runs(last: u32, unit: Option<&str>) -> Result<(Vec<PastRun>, String), JournalError> {
    let units = unit.map_or_else(known_units, |unit| vec![service(unit)]);
    let mut journalctl = journalctl();
    journalctl.args(["--output=json", &format!("--output-fields={FIELDS}")]);
    journalctl.arg(format!("--lines={}", last.saturating_mul(ENTRIES_A_RUN)));
    journalctl.args(matches(unit.map(service).as_deref(), &units));
    let (entries, said) = output(&mut journalctl)?;
    let reader = Reader { uid: user::uid(user::NAME), boot: boot() };
    let (mut runs, unreadable) = reader.runs_of(&entries);
    if let Some(unit) = unit.map(service) {
        runs.retain(|run| run.unit == unit || run.unit.ends_with(&format!("/{unit}")));
    }
    let excess = runs.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX));
    runs.drain(..excess);
    let notes = [said, unreadable].into_iter().filter(|note| !note.is_empty());
    Ok((runs, notes.collect::<Vec<_>>().join("\n")))
}

fn journalctl() -> Command {
    let mut journalctl = Command::new("journalctl");
    journalctl.arg("--no-pager").env("SYSTEMD_COLORS", "0").stdin(Stdio::null());
    journalctl
}

/// The errors of systemd alone.
fn of_errors() -> impl Iterator<Item = String> {
    std::iter::once("_UID=0".to_owned()).chain((0..=3).map(|level| format!("PRIORITY={level}")))
}

/// What systemd said first of a unit of this boot that it could not start, if it said anything.
#[must_use]
pub fn first_error(unit: &str) -> Option<String> {
    let mut asked = journalctl();
    asked.args(["--quiet", "--boot", "--output=cat"]).args(of_errors());
    let (text, _) = output(asked.arg(format!("UNIT={unit}"))).ok()?;
    Some(text.lines().next()?.trim_start_matches(&format!("{unit}: ")).to_owned())
}

/// What journalctl prints, and what it complains about.
fn output(journalctl: &mut Command) -> Result<(String, String), JournalError> {
    let output = journalctl.output()?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(JournalError::Refused(said));
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), said))
}

/// The units that the journal may have starts of: those of the package, and those that a summary names.
fn known_units() -> Vec<String> {
    let values = |field: &str| {
        let asked = output(journalctl().args(["--quiet", "--field", field]));
        let text = asked.map(|(values, _)| values).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let started = values("UNIT");
    let named = values(UNIT_FIELD);
    let ours = started.iter().filter(|unit| is_packaged(unit));
    let others = started.intersection(&named).filter(|unit| unit.ends_with(".service"));
    let known: BTreeSet<_> = ours.chain(others).take(UNITS).cloned().collect();
    known.into_iter().collect()
}

/// What journalctl is to look for: a `+` separates groups, of which each is what all entries of it have.
fn matches(unit: Option<&str>, units: &[String]) -> Vec<String> {
    let of_summary = format!("MESSAGE_ID={SUMMARY_MESSAGE_ID}");
    let mut matches = vec![of_summary.clone()];
    if let Some(unit) = unit {
        matches.push(format!("_SYSTEMD_UNIT={unit}"));
        for field in ["_SYSTEMD_USER_UNIT", UNIT_FIELD] {
            matches.extend(["+".into(), of_summary.clone(), format!("{field}={unit}")]);
        }
    }
    if units.is_empty() {
        return matches;
    }
    let units = units.iter().map(|unit| format!("UNIT={unit}"));
    let ids = [STARTING, PROCESS_EXIT, FAILURE, SUCCESS, JOB_FAILED];
    matches.extend(["+", "_PID=1", "_UID=0"].map(str::to_owned));
    matches.extend(ids.map(|id| format!("MESSAGE_ID={id}")));
    matches.extend(units.clone());
    // Why the program could not be started, which systemd says before it becomes the program.
    matches.push("+".to_owned());
    matches.extend(of_errors());
    matches.extend(units);
    matches
}

/// Whether a unit is one of the package.
fn is_packaged(unit: &str) -> bool {
    unit.strip_prefix("vm4-producer")
        .and_then(|rest| rest.strip_suffix(".service"))
        .is_some_and(|instance| instance.is_empty() || instance.starts_with('@'))
}

/// A unit's name as the journal has it: systemctl lets one leave the type out.
fn service(unit: &str) -> String {
    if unit.ends_with(".service") { unit.to_owned() } else { format!("{unit}.service") }
}

/// This boot, as the journal names it.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().replace('-', "")
}

/// Makes runs of entries.
struct Reader {
    /// The UID of the package's user, if there is one.
    uid: Option<u32>,
    /// The boot that goes on.
    boot: String,
}

/// What the journal has of one start.
#[derive(Default)]
struct Start {
    unit: String,
    invocation: Option<String>,
    boot: String,
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// What became of the process: how, its code or signal, and its name for people.
    exit: Option<(String, u8, String)>,
    /// systemd's word.
    result: Option<String>,
    /// What systemd said of the end and of what led to it, in its words.
    said: Vec<String>,
    failed_jobs: u32,
    summary: Option<PastRun>,
}

impl Reader {
    /// The runs of these entries, one a line; and how many lines are no entries, and why. A journalctl
    /// that was killed leaves a line half written.
    fn runs_of(&self, entries: &str) -> (Vec<PastRun>, String) {
        let (mut starts, mut unreadable, mut first) = (Starts::default(), 0_u64, String::new());
        for (number, line) in (1_u64..).zip(entries.lines()) {
            match serde_json::from_str(line) {
                Ok(entry) => self.read(&entry, &mut starts),
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
        (starts.runs(&self.boot), note)
    }

    fn read(&self, entry: &Value, starts: &mut Starts) {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let Some(time) = time(entry) else { return };
        if text("MESSAGE_ID") == SUMMARY_MESSAGE_ID {
            if let Some((summary, invocation)) = self.summary(entry, time) {
                starts.take_summary(summary, invocation);
            }
            return;
        }
        // Nobody but root is root.
        if text("_UID") != "0" || text("UNIT").is_empty() {
            return;
        }
        let (unit, invocation) = (text("UNIT"), text("INVOCATION_ID"));
        let said = text("MESSAGE");
        let said = said.strip_prefix(&format!("{unit}: ")).unwrap_or(said).to_owned();
        if text("_PID") != "1" {
            if let Some(start) = starts.get(invocation, unit) {
                start.said.push(said);
            }
            return;
        }
        let id = text("MESSAGE_ID");
        if id == STARTING && text("JOB_TYPE") == "start" && !invocation.is_empty() {
            starts.begin(unit, invocation, text("_BOOT_ID"), time);
            return;
        }
        if id == JOB_FAILED && text("JOB_TYPE") == "start" {
            starts.fail_job(unit, invocation, time, text("JOB_RESULT"), said);
            return;
        }
        let Some(start) = starts.get(invocation, unit) else { return };
        match id {
            PROCESS_EXIT if text("COMMAND") == "ExecStart" => {
                let name =
                    said.rsplit_once("status=").and_then(|(_, status)| status.split_once('/'));
                let name = name.map_or_else(|| text("EXIT_STATUS"), |(_, name)| name).to_owned();
                let status = text("EXIT_STATUS").parse().unwrap_or(u8::MAX);
                start.exit = Some((text("EXIT_CODE").to_owned(), status, name));
            }
            FAILURE if start.result.is_none() => {
                start.result = Some(text("UNIT_RESULT").to_owned());
            }
            SUCCESS if start.result.is_none() => {
                start.result = Some("success".to_owned());
                start.ended = Some(time);
                return;
            }
            // An error, as that it hung.
            "" => {}
            _ => return,
        }
        start.ended = Some(time);
        start.said.push(said);
    }

    /// The summary of an entry, and the start that it is of; `None` if the entry has not the fields of a
    /// summary, or was written by nobody who may, as anybody can write one.
    fn summary(&self, entry: &Value, ended_at: Timestamp) -> Option<(PastRun, Option<String>)> {
        let text = |field: &str| entry[field].as_str();
        let number = |field: &str| text(field)?.parse::<u64>().ok();
        // What no run can come to is left out.
        let is_possible = |figure: &f64| (0.0..=MOST).contains(figure);
        let decimal = |field: &str| text(field)?.parse::<f64>().ok().filter(is_possible);
        let summary = PastRun {
            outcome: text("VM4_OUTCOME").filter(|word| is_outcome(word))?.to_owned(),
            exit_code: Some(text("VM4_EXIT_CODE")?.parse().ok()?),
            run: text("VM4_RUN").map(str::to_owned),
            seed: number("VM4_SEED"),
            planned: number("VM4_PLANNED"),
            generated: Some(number("VM4_GENERATED")?),
            acknowledged: Some(number("VM4_ACKNOWLEDGED")?),
            failed: Some(number("VM4_FAILED")?),
            unresolved: Some(number("VM4_UNRESOLVED")?),
            elapsed_sec: decimal("VM4_ELAPSED_SEC"),
            rate_per_sec: decimal("VM4_RATE_PER_SEC"),
            summary: text("MESSAGE").unwrap_or_default().to_owned(),
            ..PastRun::unknown(ended_at, self.unit(entry)?)
        };
        let invocation = text("_SYSTEMD_INVOCATION_ID").or_else(|| text(INVOCATION_FIELD));
        Some((summary, invocation.map(str::to_owned)))
    }

    /// The service whose process wrote an entry; `None` if it was none.
    fn unit(&self, entry: &Value) -> Option<String> {
        let text = |field: &str| entry[field].as_str();
        let is_service = |unit: &&str| unit.ends_with(".service") && !unit.contains('/');
        if let Some(unit) = text("_SYSTEMD_UNIT") {
            let own = text("_SYSTEMD_USER_UNIT").filter(is_service);
            let unit = Some(unit).filter(is_service)?;
            return Some(own.map_or_else(|| unit.to_owned(), |own| format!("{unit}/{own}")));
        }
        // The process was gone before journald looked at it: who it was is all that is known.
        let (unit, uid) =
            (text(UNIT_FIELD).filter(is_service)?, text("_UID")?.parse::<u32>().ok()?);
        let is_own = uid == 0 || self.uid == Some(uid) || sandbox::MADE_UP.contains(&uid);
        is_own.then(|| unit.to_owned())
    }
}

/// When an entry was written; a journal has no time before 1970.
fn time(entry: &Value) -> Option<Timestamp> {
    let time = entry["__REALTIME_TIMESTAMP"].as_str()?.parse::<i64>().ok();
    Timestamp::from_microsecond(time.filter(|at| *at >= 0)?).ok()
}

/// The starts in the order of the journal.
#[derive(Default)]
struct Starts {
    all: Vec<Start>,
    by_invocation: BTreeMap<String, usize>,
}

impl Starts {
    fn get(&mut self, invocation: &str, unit: &str) -> Option<&mut Start> {
        let start = self.all.get_mut(*self.by_invocation.get(invocation)?)?;
        (start.unit == unit).then_some(start)
    }

    fn begin(&mut self, unit: &str, invocation: &str, boot: &str, time: Timestamp) {
        self.by_invocation.insert(invocation.to_owned(), self.all.len());
        self.all.push(Start {
            unit: unit.to_owned(),
            invocation: Some(invocation.to_owned()),
            boot: boot.to_owned(),
            began: Some(time),
            ..Start::default()
        });
    }

    fn take_summary(&mut self, summary: PastRun, invocation: Option<String>) {
        let unit = summary.unit.clone();
        let start = invocation.as_deref().and_then(|id| self.get(id, &unit));
        match start.filter(|start| start.summary.is_none()) {
            Some(start) => start.summary = Some(summary),
            None => self.all.push(Start {
                unit,
                invocation,
                summary: Some(summary),
                ..Start::default()
            }),
        }
    }

    /// A job that failed is the end of a start, or a start that came to nothing.
    fn fail_job(
        &mut self,
        unit: &str,
        invocation: &str,
        time: Timestamp,
        result: &str,
        said: String,
    ) {
        if let Some(start) = self.get(invocation, unit) {
            start.failed_jobs += 1;
            if start.failed_jobs == 1 {
                return;
            }
        } else if result != "dependency" {
            // Its beginning was not read.
            return;
        }
        // systemd gives no reason of its own for a start that came too soon after the last.
        let result = if result == "dependency" { result } else { "start-limit-hit" };
        self.all.push(Start {
            unit: unit.to_owned(),
            ended: Some(time),
            result: Some(result.to_owned()),
            said: vec![said],
            ..Start::default()
        });
    }

    /// What has ended, in the order in which it did. A unit that is not of the package counts if a
    /// summary shows that the program runs in it.
    fn runs(self, boot: &str) -> Vec<PastRun> {
        let summed_up = self.all.iter().filter(|start| start.summary.is_some());
        let ours: BTreeSet<_> = summed_up.map(|start| start.unit.clone()).collect();
        let mut last = BTreeMap::new();
        for (place, start) in self.all.iter().enumerate() {
            last.insert(start.unit.clone(), place);
        }
        let starts = self.all.into_iter().enumerate();
        let starts =
            starts.filter(|(_, start)| is_packaged(&start.unit) || ours.contains(&start.unit));
        let mut runs: Vec<_> = starts
            .filter_map(|(place, start)| {
                let is_last = last.get(&start.unit) == Some(&place);
                start.run(boot, is_last)
            })
            .collect();
        runs.sort_by_key(|run| run.ended_at);
        runs
    }
}

impl Start {
    /// The run, if it is over.
    fn run(self, boot: &str, is_last: bool) -> Option<PastRun> {
        let is_over = self.summary.is_some() || self.result.is_some() || self.exit.is_some();
        if !is_over && is_last && self.boot == boot {
            return None;
        }
        let (exit_code, signal) = match &self.exit {
            Some((how, code, _)) if how == "exited" => (Some(*code), None),
            Some((_, _, signal)) => (None, Some(signal.clone())),
            None => (None, None),
        };
        let word = self.word(exit_code, signal.as_deref());
        let own = self.summary.as_ref().map(|summary| (summary.ended_at, summary.outcome.clone()));
        let outcome = match (word, &own) {
            (Some(word), _) => word.to_owned(),
            (None, Some((_, outcome))) => outcome.clone(),
            (None, None) if exit_code.is_some() => exit_code.map_or("", word_of).to_owned(),
            (None, None) if !is_over && self.boot != boot => words::CUT_OFF.to_owned(),
            (None, None) => words::UNREPORTED.to_owned(),
        };
        let own = own.map(|(ended_at, _)| ended_at);
        let ended_at = if word.is_some() { self.ended.or(own) } else { own.or(self.ended) };
        let ended_at = ended_at.or(self.began)?;
        let took = self.began.map(|began| ended_at.duration_since(began).as_secs_f64().max(0.0));
        let summary = self.in_words(word, &outcome);
        let empty =
            PastRun { exit_code, elapsed_sec: took, ..PastRun::unknown(ended_at, self.unit) };
        Some(PastRun {
            ended_at,
            outcome,
            signal,
            result: self.result,
            invocation: self.invocation.filter(|id| !id.is_empty()),
            summary,
            ..self.summary.unwrap_or(empty)
        })
    }

    /// The outcome, where systemd knows it better than the program or alone.
    fn word(&self, exit_code: Option<u8>, signal: Option<&str>) -> Option<&'static str> {
        match self.result.as_deref() {
            Some("signal" | "core-dump") => Some(words::KILLED),
            Some("oom-kill") => Some(words::OOM_KILLED),
            Some("timeout" | "watchdog") => Some(words::TIMED_OUT),
            Some("resources" | "protocol" | "dependency" | "start-limit-hit") => {
                Some(words::NOT_STARTED)
            }
            _ if signal.is_some() => Some(words::KILLED),
            _ if exit_code.is_some_and(|code| OF_SYSTEMD.contains(&code)) => {
                Some(words::NOT_STARTED)
            }
            _ => None,
        }
    }

    /// The program's words, and systemd's where it has the last one.
    fn in_words(&self, word: Option<&str>, outcome: &str) -> String {
        let own = self.summary.as_ref().map(|summary| summary.summary.clone());
        // Else the program knows better why.
        let counts = !self.said.is_empty() && (word.is_some() || own.is_none());
        let of_systemd = counts.then(|| format!("systemd: {}", self.said.join("; ")));
        let nothing = match outcome {
            words::CUT_OFF => Some("the machine went down before it had ended".to_owned()),
            words::UNREPORTED if !counts => Some("the journal has no summary of it".to_owned()),
            _ => None,
        };
        let parts = [own, of_systemd, nothing].into_iter().flatten();
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// The word for a process that exited with this code, and whose summary is not in the journal.
fn word_of(code: u8) -> &'static str {
    let known = DOCUMENTED.iter().find(|(exit, _)| exit.code() == code);
    known.map_or("failed", |(exit, _)| delivery::word(*exit))
}

/// Whether a text can be the word of an outcome.
fn is_outcome(word: &str) -> bool {
    word.len() <= 32 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::host::log::SUMMARY_FIELDS;

    const READER: Reader = Reader { uid: Some(10_001), boot: String::new() };

    fn runs_of(entries: &[Value]) -> Vec<PastRun> {
        READER.runs_of(&entries.iter().map(|entry| format!("{entry}\n")).collect::<String>()).0
    }

    #[test]
    fn every_field_of_a_summary_is_asked_for() {
        for field in SUMMARY_FIELDS {
            let field = format!("VM4_{}", field.to_ascii_uppercase());
            assert!(FIELDS.split(',').any(|asked| asked == field), "{field}");
        }
        for field in [UNIT_FIELD, INVOCATION_FIELD] {
            assert!(FIELDS.split(',').any(|asked| asked == field), "{field}");
        }
    }

    fn summary() -> Value {
        json!({
            "MESSAGE_ID": SUMMARY_MESSAGE_ID, "MESSAGE": "40 of 40",
            "__REALTIME_TIMESTAMP": "1764226810123456", "_SYSTEMD_UNIT": "a.service", "_UID": "10001",
            "VM4_OUTCOME": "delivered", "VM4_EXIT_CODE": "0", "VM4_GENERATED": "40",
            "VM4_ACKNOWLEDGED": "40", "VM4_FAILED": "0", "VM4_UNRESOLVED": "0",
            "VM4_ELAPSED_SEC": "9.5", "VM4_RATE_PER_SEC": "4.2",
        })
    }

    /// A summary of a process that was gone before journald looked at it.
    fn summary_of_one_gone(uid: u32) -> Value {
        let mut entry = summary();
        entry.as_object_mut().unwrap().remove("_SYSTEMD_UNIT");
        entry[UNIT_FIELD] = "vm4-producer.service".into();
        entry["_UID"] = uid.to_string().into();
        entry
    }

    #[test]
    fn a_process_that_was_gone_before_the_journal_looked_is_of_the_unit_that_it_named() {
        for uid in [10_001, 0, 63_885] {
            let runs = runs_of(&[summary_of_one_gone(uid)]);
            assert_eq!(runs[0].unit, "vm4-producer.service", "{uid}");
        }
        let mut known = summary_of_one_gone(10_001);
        known["_SYSTEMD_UNIT"] = "b.service".into();
        assert_eq!(runs_of(&[known])[0].unit, "b.service");
    }

    #[test]
    fn an_entry_that_another_user_wrote_is_no_run_of_a_unit_of_the_system() {
        let mut of_session = summary_of_one_gone(10_002);
        of_session["_SYSTEMD_UNIT"] = "session-1.scope".into();
        let mut of_a_user_s_unit = summary();
        of_a_user_s_unit["_SYSTEMD_UNIT"] = "user@10003.service".into();
        of_a_user_s_unit["_SYSTEMD_USER_UNIT"] = "load.service".into();
        let runs = runs_of(&[summary_of_one_gone(10_002), of_session, of_a_user_s_unit]);
        let units: Vec<_> = runs.iter().map(|run| run.unit.as_str()).collect();
        assert_eq!(units, ["user@10003.service/load.service"]);
    }

    /// An entry of process 1 about `vm4-producer.service`.
    fn of_systemd(second: i64, id: &str, more: &[(&str, &str)]) -> Value {
        let mut entry = json!({
            "__REALTIME_TIMESTAMP": ((1_764_226_800 + second) * 1_000_000).to_string(),
            "_PID": "1", "_UID": "0", "_BOOT_ID": "", "UNIT": "vm4-producer.service",
            "INVOCATION_ID": "i1", "MESSAGE_ID": id, "JOB_TYPE": "start",
        });
        for (field, value) in more {
            entry[*field] = (*value).into();
        }
        entry
    }

    #[test]
    fn what_somebody_says_in_the_name_of_systemd_counts_for_nothing() {
        let begin = of_systemd(0, STARTING, &[]);
        for (field, value) in [("_UID", "10001"), ("_PID", "77"), ("UNIT", "other.service")] {
            let forged = of_systemd(1, FAILURE, &[("UNIT_RESULT", "signal"), (field, value)]);
            assert_eq!(runs_of(&[begin.clone(), forged.clone()]), [], "{field}");
            let forged = of_systemd(1, STARTING, &[("INVOCATION_ID", "i2"), (field, value)]);
            let failed =
                of_systemd(2, FAILURE, &[("UNIT_RESULT", "signal"), ("INVOCATION_ID", "i2")]);
            assert_eq!(runs_of(&[forged, failed]), [], "{field}");
        }
    }

    #[test]
    fn a_start_without_an_end_is_running_or_went_down_with_its_machine() {
        let begin = of_systemd(0, STARTING, &[]);
        assert_eq!(runs_of(std::slice::from_ref(&begin)), [], "it is running");
        let of_another_boot = of_systemd(0, STARTING, &[("_BOOT_ID", "b0")]);
        assert_eq!(runs_of(&[of_another_boot])[0].outcome, "cut-off");
        let next = of_systemd(9, STARTING, &[("INVOCATION_ID", "i2")]);
        let runs = runs_of(&[begin, next]);
        assert_eq!((runs.len(), runs[0].outcome.as_str()), (1, "unreported"));
    }

    #[test]
    fn a_success_without_a_summary_is_not_taken_for_a_delivery() {
        let entries = [of_systemd(0, STARTING, &[]), of_systemd(3, SUCCESS, &[])];
        let run = &runs_of(&entries)[0];
        assert_eq!((run.outcome.as_str(), run.exit_code), ("unreported", None));
        assert_eq!((run.acknowledged, run.elapsed_sec), (None, Some(3.0)));
        assert_eq!(run.summary, "the journal has no summary of it");
    }

    #[test]
    fn a_run_that_hung_is_timed_out_whatever_it_said_when_it_was_ended() {
        let mut interrupted = summary();
        for (field, value) in [
            ("_SYSTEMD_UNIT", "vm4-producer.service"),
            ("_SYSTEMD_INVOCATION_ID", "i1"),
            ("VM4_OUTCOME", "interrupted"),
            ("VM4_EXIT_CODE", "143"),
            ("MESSAGE", "12 of 40"),
        ] {
            interrupted[field] = value.into();
        }
        let said = "vm4-producer.service: Failed with result 'timeout'.";
        let entries = [
            of_systemd(0, STARTING, &[]),
            interrupted,
            of_systemd(17, FAILURE, &[("UNIT_RESULT", "timeout"), ("MESSAGE", said)]),
        ];
        let runs = runs_of(&entries);
        assert_eq!(runs.len(), 1, "{runs:?}");
        let run = &runs[0];
        assert_eq!((run.outcome.as_str(), run.exit_code), ("timed-out", Some(143)));
        assert!(!run.is_success());
        assert_eq!(run.summary, "12 of 40; systemd: Failed with result 'timeout'.");
    }

    #[test]
    fn a_start_that_came_too_soon_and_one_whose_dependency_failed_are_starts_that_came_to_nothing()
    {
        let failed = |more: &[(&str, &str)]| of_systemd(2, JOB_FAILED, more);
        let result = ("JOB_RESULT", "failed");
        let entries = [
            of_systemd(0, STARTING, &[]),
            of_systemd(1, FAILURE, &[("UNIT_RESULT", "exit-code")]),
            failed(&[result]),
            failed(&[result]),
            failed(&[("JOB_RESULT", "dependency"), ("INVOCATION_ID", "")]),
        ];
        let runs = runs_of(&entries);
        let told: Vec<_> =
            runs.iter().map(|run| (run.outcome.as_str(), run.result.as_deref())).collect();
        assert_eq!(
            told[1..],
            [("not-started", Some("start-limit-hit")), ("not-started", Some("dependency"))]
        );
    }

    #[test]
    fn a_unit_of_another_package_that_a_forged_entry_names_has_no_runs_here() {
        let starting = of_systemd(0, STARTING, &[("UNIT", "ssh.service")]);
        let failed = of_systemd(1, FAILURE, &[("UNIT", "ssh.service"), ("UNIT_RESULT", "signal")]);
        let mut forged = summary_of_one_gone(10_002);
        forged[UNIT_FIELD] = "ssh.service".into();
        assert_eq!(runs_of(&[starting, failed, forged]), []);
    }

    #[test]
    fn an_entry_that_is_no_summary_is_no_run() {
        let mut entry = summary();
        entry["VM4_EXIT_CODE"] = json!(["0", "1"]);
        assert_eq!(runs_of(&[entry]), []);
        let mut entry = summary();
        entry["VM4_OUTCOME"] = "Not a word".into();
        assert_eq!(runs_of(&[entry]), []);
    }

    #[test]
    fn a_line_that_is_no_entry_is_counted_and_ends_nothing() {
        let whole = summary().to_string();
        let (runs, note) = READER.runs_of(&format!("{whole}\n{{\"MESS\n{whole}\n{whole}\n"));
        assert_eq!(runs.len(), 3);
        assert!(note.starts_with("1 entry of the journal cannot be read: line 2: EOF"), "{note}");
        let (runs, note) = READER.runs_of("a\nb\n");
        assert_eq!(runs.len(), 0);
        assert!(note.starts_with("2 entries of the journal cannot be read, the first in line 1: "));
        assert_eq!(READER.runs_of(&whole).1, "");
    }

    #[test]
    fn a_figure_that_no_run_can_come_to_is_none() {
        for figure in ["inf", "NaN", "-1", "1e308", "-0.5", "x"] {
            let mut entry = summary();
            for field in ["VM4_ELAPSED_SEC", "VM4_RATE_PER_SEC"] {
                entry[field] = figure.into();
            }
            let run = &runs_of(&[entry])[0];
            assert_eq!((run.elapsed_sec, run.rate_per_sec), (None, None), "{figure}");
        }
        let mut entry = summary();
        entry["__REALTIME_TIMESTAMP"] = "-1764226810123456".into();
        assert_eq!(runs_of(&[entry]), [], "a journal has no time before 1970");
    }

    #[test]
    fn a_unit_can_be_named_without_its_type() {
        assert_eq!(service("vm4-producer@site-a"), "vm4-producer@site-a.service");
        assert_eq!(service("vm4-producer.service"), "vm4-producer.service");
    }
}
