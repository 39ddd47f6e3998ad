//! An answer key and a pipeline's flags in words.

use super::findings::line;
use std::collections::BTreeSet;

use crate::audit::{
    AlertScore, DetectedAccount, FaultScore, KeyAccount, KeyDifference, KeyFieldDifference,
    KeyLines, KeyRow, Shares,
};

pub(super) fn key(key: &KeyAccount, text: &mut String) {
    let (declared, found) = key
        .records
        .iter()
        .fold((0, 0), |(declared, found), row| (declared + row.declared, found + row.found));
    if key.agrees {
        line(
            text,
            "key",
            &format!("all {declared} faults that it declares were found, and no other"),
        );
    } else {
        let words = format!("{found} of {declared} faults that it declares were found");
        line(text, "key", &words);
    }
    lines(&key.lines, text);
    for row in &key.records {
        let KeyRow { event, kind, declared, found, undeclared, .. } = row;
        let mut words = format!("{event} {kind}: {declared} declared, {found} found");
        if let Some(seq) = row.first_not_found {
            words.push_str(&format!("; the first that was not is of pair {seq}"));
        }
        if let Some(seq) = row.first_undeclared {
            words.push_str(&format!("; {undeclared} not declared, the first of pair {seq}"));
        }
        if !key.agrees && (declared != found || *undeclared > 0) {
            line(text, "  key", &words);
        }
    }
    for (incidents, what) in [
        (&key.incidents_not_found, "is declared, and the run does not have it"),
        (&key.incidents_undeclared, "is of the run, and not declared"),
    ] {
        for incident in incidents {
            line(text, "  key", &format!("incident {incident} {what}"));
        }
    }
}

/// The lines of a key against those of the plan.
fn lines(lines: &KeyLines, text: &mut String) {
    let KeyLines { compared, wrong, first, is_live } = lines;
    if *wrong == 0 {
        let rest = if *is_live {
            "; costs, tokens and means of a live run follow from its clock, and were not compared"
        } else {
            ""
        };
        line(text, "key", &format!("all {compared} lines are as the plan makes them{rest}"));
        return;
    }
    line(text, "key", &format!("{wrong} lines are not as the plan makes them"));
    for KeyDifference { line: number, found, plan, fields } in first {
        let words = match (found, plan) {
            (Some(_), Some(_)) => {
                let fields = fields.iter().map(|KeyFieldDifference { field, found, plan }| {
                    format!("{field} is {found}, and the plan makes {plan}")
                });
                fields.collect::<Vec<_>>().join("; ")
            }
            (Some(found), None) => format!("the plan makes no such line here: {found}"),
            (None, plan) => {
                let plan = plan.as_deref().unwrap_or_default();
                format!("before it, one is missing that the plan makes: {plan}")
            }
        };
        line(text, "  key", &format!("line {number}: {words}"));
    }
    let more = wrong.saturating_sub(first.len() as u64);
    if more > 0 {
        line(text, "  key", &format!("and {more} more"));
    }
}

pub(super) fn detected(detected: &DetectedAccount, text: &mut String) {
    for score in [&detected.any].into_iter().chain(&detected.faults) {
        let FaultScore { kind, there, recalled, flagged, right, shares, .. } = score;
        let mut words =
            format!("{kind}: {}", both(shares, (*right, *flagged, ""), (*recalled, *there)));
        if let Some(seq) = score.first_wrong {
            words.push_str(&format!("; first wrong: pair {seq}, {}", lines_of(&score.wrong_lines)));
        }
        if let Some(seq) = score.first_missed {
            words.push_str(&format!("; first missed: pair {seq}"));
        }
        line(text, "detected", &words);
    }
    for score in &detected.incident_kinds {
        let AlertScore { kind, there, recalled, alerts, right, shares, wrong_lines } = score;
        let mut words =
            format!("{kind}: {}", both(shares, (*right, *alerts, " alerts"), (*recalled, *there)));
        if !wrong_lines.is_empty() {
            words.push_str(&format!("; wrong: {}", lines_of(wrong_lines)));
        }
        line(text, "incidents", &words);
    }
    for incident in &detected.incidents {
        let noticed = match incident.delay_ms {
            Some(ms) => format!("noticed after {}", super::findings::seconds(ms.unsigned_abs())),
            None => "not noticed".to_owned(),
        };
        line(text, "  delay", &format!("{}: {noticed}", incident.incident));
    }
    for below in &detected.below {
        line(text, "detected", below);
    }
    for (count, what) in [
        (detected.of_others, "lines are about records of other runs"),
        (detected.nowhere, "flagged places have no record that was read"),
    ] {
        if count > 0 {
            line(text, "detected", &format!("{count} {what}"));
        }
    }
}

/// Precision and recall with what they are of.
fn both(
    shares: &Shares,
    (right, flagged, what): (u64, u64, &str),
    (recalled, there): (u64, u64),
) -> String {
    format!(
        "precision {} ({right} of {flagged}{what}{}), recall {} ({recalled} of {there}{})",
        share(shares.precision),
        around(shares.precision_interval, shares.precision_by_chance),
        share(shares.recall),
        around(shares.recall_interval, shares.recall_by_chance),
    )
}

/// The interval of a share, and what chance would reach.
fn around(interval: Option<[f64; 2]>, chance: Option<f64>) -> String {
    let (Some([from, to]), Some(chance)) = (interval, chance) else { return String::new() };
    format!("; 95 % {from:.3} to {to:.3}; by chance {chance:.3}")
}

/// The first lines that are wrong.
fn lines_of(lines: &BTreeSet<u64>) -> String {
    let word = if lines.len() == 1 { "line" } else { "lines" };
    let lines: Vec<_> = lines.iter().map(u64::to_string).collect();
    format!("{word} {}", lines.join(", "))
}

fn share(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{share:.3}"))
}
