//! How well a pipeline told what was done on purpose: precision and recall, and how fast.

use serde::Serialize;

use super::flags::Flags;
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};
use crate::plan::Plan;
use crate::workload::incidents::{IncidentKind, Planned};

/// How long after the end of an incident it may still be noticed, ms: as long as it lasted, and at
/// least this long.
const LEAST_GRACE_MS: i64 = 60_000;

/// What was flagged, held against what was done on purpose.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DetectedAccount {
    /// Whatever was flagged, against whatever was done.
    pub any: FaultScore,
    /// Each kind of fault that is there, or was flagged.
    pub faults: Vec<FaultScore>,
    /// Each incident, in the order of the setting.
    pub incidents: Vec<IncidentScore>,
    /// Each kind of incident that was to be noticed, or was.
    pub incident_kinds: Vec<AlertScore>,
    /// Lines about records of other runs, which say nothing of this one.
    pub of_others: u64,
    /// Records that were flagged at places where no record was read. They count in no precision.
    pub nowhere: u64,
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
    /// `right / flagged`; null if nothing was flagged.
    pub precision: Option<f64>,
    /// `recalled / there`; null if nothing is there.
    pub recall: Option<f64>,
    /// The first pair that was flagged, and does not have it.
    pub first_wrong: Option<u64>,
    /// The first pair that has it, and was not flagged.
    pub first_missed: Option<u64>,
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertScore {
    /// The kind.
    pub kind: &'static str,
    /// How many there are.
    pub there: u64,
    /// Of these, those that were noticed.
    pub recalled: u64,
    /// Lines that notice one.
    pub alerts: u64,
    /// Of these, those that are right.
    pub right: u64,
    /// `right / alerts`; null if there are none.
    pub precision: Option<f64>,
    /// `recalled / there`; null if there are none.
    pub recall: Option<f64>,
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1e6).round() / 1e6)
}

/// The scores of the kinds of faults, record by record.
#[derive(Debug)]
pub(super) struct Scores {
    any: FaultScore,
    kinds: [FaultScore; Fault::ALL.len()],
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
    fn flagged(&mut self, seq: u64, kinds: FaultSet, faults: FaultSet) {
        let note = |score: &mut FaultScore, is_right: bool| {
            score.flagged += 1;
            score.right += u64::from(is_right);
            if !is_right {
                score.first_wrong = Some(score.first_wrong.map_or(seq, |first| first.min(seq)));
            }
        };
        note(&mut self.any, !faults.is_empty());
        for fault in kinds.iter() {
            note(&mut self.kinds[fault as usize], faults.has(fault));
        }
    }

    /// The account, where `truth` says which faults a pair's record has.
    pub(super) fn account(
        mut self,
        flags: &Flags,
        plan: &Plan,
        mut truth: impl FnMut(u64, Kind) -> FaultSet,
    ) -> DetectedAccount {
        for ((seq, kind), marks) in flags.all() {
            self.flagged(seq, marks.kinds, truth(seq, kind));
        }
        let rated = |score: FaultScore| FaultScore {
            precision: ratio(score.right, score.flagged),
            recall: ratio(score.recalled, score.there),
            ..score
        };
        let some = self.kinds.into_iter().filter(|score| score.there + score.flagged > 0);
        let (incidents, incident_kinds) = noticed(plan, flags);
        DetectedAccount {
            any: rated(self.any),
            faults: some.map(rated).collect(),
            incidents,
            incident_kinds,
            of_others: flags.of_others,
            nowhere: flags.nowhere(),
        }
    }
}

/// Which incidents were noticed.
fn noticed(plan: &Plan, flags: &Flags) -> (Vec<IncidentScore>, Vec<AlertScore>) {
    let planned = plan.incidents().map(|incidents| incidents.planned()).unwrap_or_default();
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
        let is_it = |planned: &Planned| {
            let grace = (planned.to_ms - planned.from_ms).max(LEAST_GRACE_MS);
            let gpus = &planned.incident.gpus;
            planned.incident.kind == alert.kind
                && (planned.from_ms..planned.to_ms.saturating_add(grace)).contains(&alert.at_ms)
                && alert.host.as_ref().is_none_or(|host| gpus.has_host(host))
                && alert.gpu.is_none_or(|gpu| gpus.has_index(gpu))
        };
        let mut is_right = false;
        for (planned, score) in planned.iter().zip(&mut scores).filter(|(p, _)| is_it(p)) {
            let delay = alert.at_ms - planned.from_ms;
            score.alerts += 1;
            score.delay_ms = Some(score.delay_ms.map_or(delay, |first| first.min(delay)));
            is_right = true;
        }
        right.push((alert.kind, is_right));
    }
    let of_kind = |kind: IncidentKind| {
        let all = || scores.iter().filter(move |score| score.kind == kind.word());
        let alerts = || right.iter().filter(move |(alert, _)| *alert == kind);
        let count = |n: usize| n as u64;
        let (there, recalled) =
            (count(all().count()), count(all().filter(|score| score.alerts > 0).count()));
        let (alerts, right) = (count(alerts().count()), count(alerts().filter(|a| a.1).count()));
        let (precision, recall) = (ratio(right, alerts), ratio(recalled, there));
        AlertScore { kind: kind.word(), there, recalled, alerts, right, precision, recall }
    };
    let kinds: Vec<_> = IncidentKind::ALL
        .into_iter()
        .map(of_kind)
        .filter(|score| score.there + score.alerts > 0)
        .collect();
    (scores, kinds)
}
