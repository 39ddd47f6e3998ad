//! How well a pipeline told what was done on purpose: precision and recall, and how fast.
//!
//! Each share has the 95 % interval of Wilson (1927), and what guessing would reach: as many flags or
//! alerts, put anywhere.

use std::collections::BTreeSet;

use serde::Serialize;

use super::flags::{Alert, Flags, Marks};
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};
use crate::workload::incidents::{IncidentKind, Planned};

/// How long after the end of an incident it may still be noticed, ms: as long as it lasted, and at
/// least this long.
const LEAST_GRACE_MS: i64 = 60_000;

/// How many lines a score names.
const NAMED_LINES: usize = 10;

/// The normal quantile of a 95 % interval.
const Z: f64 = 1.959_964;

/// What was flagged, held against what was done on purpose.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DetectedAccount {
    /// Whatever was flagged, against whatever was done.
    pub any: FaultScore,
    /// Each kind of fault that is there, or was flagged.
    pub faults: Vec<FaultScore>,
    /// Each incident, in the order of the setting.
    pub incidents: Vec<IncidentScore>,
    /// All incidents that were to be noticed, or were, as `any`; and each kind of them.
    pub incident_kinds: Vec<AlertScore>,
    /// Lines about records of other runs, which say nothing of this one.
    pub of_others: u64,
    /// Records that were flagged at places where no record was read. They count in no precision.
    pub nowhere: u64,
    /// What is below the precision and recall that are demanded, in words.
    pub below: Vec<String>,
}

/// Precision and recall, with the doubt that their numbers leave and with what a guess would reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Shares {
    /// What was right of what was flagged; null if nothing was flagged.
    pub precision: Option<f64>,
    /// Its 95 % interval.
    pub precision_interval: Option<[f64; 2]>,
    /// The precision of as many guesses.
    pub precision_by_chance: Option<f64>,
    /// What was flagged of what is there; null if nothing is there.
    pub recall: Option<f64>,
    /// Its 95 % interval.
    pub recall_interval: Option<[f64; 2]>,
    /// The recall of as many guesses.
    pub recall_by_chance: Option<f64>,
}

impl Shares {
    fn of((right, flagged): (u64, u64), (recalled, there): (u64, u64), chance: [f64; 2]) -> Self {
        let [precision, recall] = chance.map(|chance| Some(rounded(chance.clamp(0.0, 1.0))));
        Self {
            precision: ratio(right, flagged),
            precision_interval: wilson(right, flagged),
            precision_by_chance: precision.filter(|_| flagged > 0),
            recall: ratio(recalled, there),
            recall_interval: wilson(recalled, there),
            recall_by_chance: recall.filter(|_| there > 0),
        }
    }
}

/// How well a kind of fault was told. A record and its copy are one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FaultScore {
    /// The kind, or `any`.
    pub kind: &'static str,
    /// Records of the topics with it; of `drop`, records that are not there.
    pub there: u64,
    /// Of these, those that were flagged: as it, or without a kind.
    pub recalled: u64,
    /// Records that were flagged as it; of `any`, as anything.
    pub flagged: u64,
    /// Of these, those that have it.
    pub right: u64,
    /// The shares.
    #[serde(flatten)]
    pub shares: Shares,
    /// The first pair that was flagged, and does not have it.
    pub first_wrong: Option<u64>,
    /// The first pair that has it, and was not flagged.
    pub first_missed: Option<u64>,
    /// The first lines that flag a record which does not have it.
    pub wrong_lines: BTreeSet<u64>,
}

/// Whether and when an incident was noticed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentScore {
    /// The kind.
    pub kind: &'static str,
    /// The text that asked for it.
    pub incident: String,
    /// Lines that notice it.
    pub alerts: u64,
    /// From its beginning to the first of them, ms of event time; null if it was not noticed.
    pub delay_ms: Option<i64>,
}

/// How well a kind of incident was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AlertScore {
    /// The kind, or `any`.
    pub kind: &'static str,
    /// How many there are.
    pub there: u64,
    /// Of these, those that were noticed.
    pub recalled: u64,
    /// Alerts that name it; of `any`, all of them.
    pub alerts: u64,
    /// Of these, those that are right.
    pub right: u64,
    /// The shares.
    #[serde(flatten)]
    pub shares: Shares,
    /// The first lines that are wrong.
    pub wrong_lines: BTreeSet<u64>,
}

fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64))
}

/// The 95 % interval of a share of which so many are counted.
fn wilson(part: u64, whole: u64) -> Option<[f64; 2]> {
    if whole == 0 {
        return None;
    }
    let (n, p) = (whole as f64, part as f64 / whole as f64);
    let z2 = Z * Z / n;
    let (middle, scale) = (p + z2 / 2.0, 1.0 + z2);
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
    Some([middle - half, middle + half].map(|end| rounded((end / scale).clamp(0.0, 1.0))))
}

/// Keeps the first of these lines.
fn note_line(lines: &mut BTreeSet<u64>, line: u64) {
    lines.insert(line);
    if lines.len() > NAMED_LINES {
        lines.pop_last();
    }
}

/// The scores of the kinds of faults, record by record.
#[derive(Debug)]
pub(super) struct Scores {
    any: FaultScore,
    kinds: [FaultScore; Fault::ALL.len()],
}

/// When a run was, and how much of it: where a guess could fall.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    /// Records that could have been flagged.
    pub(super) records: u64,
    /// Event time of its first and its last pair, ms since 1970.
    pub(super) span_ms: Option<(i64, i64)>,
}

impl Scores {
    pub(super) fn new() -> Self {
        let score = |kind| FaultScore { kind, ..FaultScore::default() };
        Self { any: score("any"), kinds: Fault::ALL.map(|fault| score(fault.word())) }
    }

    /// Takes a record with these faults.
    pub(super) fn there(&mut self, flags: &Flags, seq: u64, kind: Kind, faults: FaultSet) {
        let marks = flags.of(seq, kind);
        let note = |score: &mut FaultScore, is_recalled: bool| {
            score.there += 1;
            score.recalled += u64::from(is_recalled);
            if !is_recalled {
                score.first_missed = Some(score.first_missed.map_or(seq, |first| first.min(seq)));
            }
        };
        if !faults.is_empty() {
            note(&mut self.any, marks.is_some());
        }
        for fault in faults.iter() {
            let is_recalled = marks.is_some_and(|marks| marks.unnamed || marks.kinds.has(fault));
            note(&mut self.kinds[fault as usize], is_recalled);
        }
    }

    /// Takes a record that was flagged, with the faults that it truly has.
    fn flagged(&mut self, seq: u64, marks: &Marks, faults: FaultSet) {
        let note = |score: &mut FaultScore, is_right: bool, of: Option<Fault>| {
            score.flagged += 1;
            score.right += u64::from(is_right);
            if !is_right {
                score.first_wrong = Some(score.first_wrong.map_or(seq, |first| first.min(seq)));
                let lines = marks.lines.iter().filter(|(_, kind)| of.is_none() || *kind == of);
                lines.for_each(|(line, _)| note_line(&mut score.wrong_lines, *line));
            }
        };
        note(&mut self.any, !faults.is_empty(), None);
        for fault in marks.kinds.iter() {
            note(&mut self.kinds[fault as usize], faults.has(fault), Some(fault));
        }
    }

    /// The account of a run with these incidents, where `truth` says which faults a pair's record has.
    pub(super) fn account(
        mut self,
        flags: &Flags,
        incidents: &[Planned],
        extent: Extent,
        mut truth: impl FnMut(u64, Kind) -> FaultSet,
    ) -> DetectedAccount {
        for ((seq, kind), marks) in flags.all() {
            self.flagged(seq, marks, truth(seq, kind));
        }
        let rated = |score: FaultScore| {
            let records = extent.records.max(1) as f64;
            let chance = [score.there, score.flagged].map(|count| count as f64 / records);
            let (precision, recall) = ((score.right, score.flagged), (score.recalled, score.there));
            FaultScore { shares: Shares::of(precision, recall, chance), ..score }
        };
        let some = self.kinds.into_iter().filter(|score| score.there + score.flagged > 0);
        let faults: Vec<_> = some.map(rated).collect();
        let (incidents, incident_kinds) = noticed(incidents, flags, extent);
        let mut account = DetectedAccount {
            any: rated(self.any),
            faults,
            incidents,
            incident_kinds,
            of_others: flags.of_others,
            nowhere: flags.nowhere(),
            below: Vec::new(),
        };
        account.below = account.below(flags.least);
        account
    }
}

impl DetectedAccount {
    /// What is below this precision and this recall.
    fn below(&self, least: [Option<f64>; 2]) -> Vec<String> {
        let of_faults = [&self.any].into_iter().chain(&self.faults).map(|score| {
            let what = if score.kind == "any" { "records" } else { score.kind };
            (what.to_owned(), score.shares, [score.flagged, score.there])
        });
        let of_incidents = self.incident_kinds.iter().map(|score| {
            let what = if score.kind == "any" { "incidents" } else { score.kind };
            (what.to_owned(), score.shares, [score.alerts, score.there])
        });
        let scores: Vec<_> = of_faults.chain(of_incidents).collect();
        let mut below = Vec::new();
        for (slot, name) in ["precision", "recall"].into_iter().enumerate() {
            let Some(least) = least[slot] else { continue };
            let share = |shares: &Shares| [shares.precision, shares.recall][slot];
            for (what, shares, _) in &scores {
                if let Some(share) = share(shares).filter(|share| *share < least) {
                    below.push(format!("{name} of {what} is {share}, and {least} is demanded"));
                }
            }
            if slot == 1 && scores.iter().all(|(_, _, [_, there])| *there == 0) {
                below.push(format!(
                    "recall of {least} is demanded, and the run has nothing that could be noticed"
                ));
            }
        }
        below
    }
}

/// From when to when an alert notices an incident, ms since 1970; the end is not part of it.
fn window(planned: &Planned) -> (i64, i64) {
    let grace = (planned.to_ms - planned.from_ms).max(LEAST_GRACE_MS);
    (planned.from_ms, planned.to_ms.saturating_add(grace))
}

/// Whether an alert is right about an incident.
fn notices(alert: &Alert, planned: &Planned) -> bool {
    let ((from, to), gpus) = (window(planned), &planned.incident.gpus);
    alert.kind.is_none_or(|kind| kind == planned.incident.kind)
        && (from..to).contains(&alert.at_ms)
        && alert.host.as_ref().is_none_or(|host| gpus.has_host(host))
        && alert.gpu.is_none_or(|gpu| gpus.has_index(gpu))
}

/// The share of the run in which an alert would notice one of these incidents, and the mean share of it
/// in which so many alerts at any times would notice each.
fn by_chance(incidents: &[&Planned], alerts: u64, extent: Extent) -> [f64; 2] {
    let Some((first, last)) = extent.span_ms.filter(|(first, last)| first < last) else {
        return [0.0; 2];
    };
    let length = (last - first) as f64;
    let mut windows: Vec<_> = incidents
        .iter()
        .map(|planned| window(planned))
        .map(|(from, to)| (from.clamp(first, last), to.clamp(first, last)))
        .collect();
    windows.sort_unstable();
    let (mut covered, mut until) = (0.0, first);
    for (from, to) in &windows {
        covered += (to - (*from).max(until)).max(0) as f64;
        until = until.max(*to);
    }
    let missed = |(from, to): &(i64, i64)| (1.0 - (to - from) as f64 / length).powf(alerts as f64);
    let recall: f64 = windows.iter().map(|window| 1.0 - missed(window)).sum();
    [covered / length, recall / windows.len().max(1) as f64]
}

/// Which incidents were noticed.
fn noticed(
    planned: &[Planned],
    flags: &Flags,
    extent: Extent,
) -> (Vec<IncidentScore>, Vec<AlertScore>) {
    let mut scores: Vec<_> = planned
        .iter()
        .map(|planned| IncidentScore {
            kind: planned.incident.kind.word(),
            incident: planned.incident.text.clone(),
            alerts: 0,
            delay_ms: None,
        })
        .collect();
    let mut right = Vec::new();
    for alert in &flags.alerts {
        let mut is_right = false;
        for (planned, score) in planned.iter().zip(&mut scores) {
            if notices(alert, planned) {
                let delay = alert.at_ms - planned.from_ms;
                score.alerts += 1;
                score.delay_ms = Some(score.delay_ms.map_or(delay, |first| first.min(delay)));
                is_right = true;
            }
        }
        right.push((alert, is_right));
    }
    let of_kind = |kind: Option<IncidentKind>| {
        let word = kind.map_or("any", IncidentKind::word);
        let all = || scores.iter().filter(move |score| kind.is_none() || score.kind == word);
        let incidents = planned.iter().filter(|p| kind.is_none_or(|k| p.incident.kind == k));
        let incidents: Vec<_> = incidents.collect();
        let alerts = || right.iter().filter(move |(alert, _)| kind.is_none() || alert.kind == kind);
        let count = |n: usize| n as u64;
        let (there, recalled) =
            (count(all().count()), count(all().filter(|score| score.alerts > 0).count()));
        let (alerts_count, right) =
            (count(alerts().count()), count(alerts().filter(|(_, is_right)| *is_right).count()));
        let mut wrong_lines = BTreeSet::new();
        for (alert, _) in alerts().filter(|(_, is_right)| !is_right) {
            note_line(&mut wrong_lines, alert.line);
        }
        let chance = by_chance(&incidents, alerts_count, extent);
        let shares = Shares::of((right, alerts_count), (recalled, there), chance);
        AlertScore { kind: word, there, recalled, alerts: alerts_count, right, shares, wrong_lines }
    };
    let kinds = std::iter::once(None).chain(IncidentKind::ALL.map(Some)).map(of_kind);
    let kinds: Vec<_> = kinds.filter(|score| score.there + score.alerts > 0).collect();
    (scores, kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (part, whole, interval) in [
            (81, 263, ["0.2553", "0.3662"]),
            (15, 148, ["0.0624", "0.1605"]),
            (0, 20, ["0.0000", "0.1611"]),
            (1, 29, ["0.0061", "0.1718"]),
            (5, 5, ["0.5655", "1.0000"]),
        ] {
            let found = wilson(part, whole).unwrap().map(|end| format!("{end:.4}"));
            assert_eq!(found, interval, "{part} of {whole}");
        }
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn the_first_ten_lines_are_named_whatever_order_they_come_in() {
        let mut lines = BTreeSet::new();
        (1..=30).rev().for_each(|line| note_line(&mut lines, line));
        assert_eq!(lines, (1..=10).collect());
    }
}
