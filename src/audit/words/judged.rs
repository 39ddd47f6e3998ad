//! An answer key and a pipeline's flags in words.

use super::findings::line;
use crate::audit::{AlertScore, DetectedAccount, FaultScore, KeyAccount, KeyRow};

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

pub(super) fn detected(detected: &DetectedAccount, text: &mut String) {
    for score in [&detected.any].into_iter().chain(&detected.faults) {
        let FaultScore { kind, there, recalled, flagged, right, precision, recall, .. } = score;
        let mut words = format!(
            "{kind}: precision {} ({right} of {flagged}), recall {} ({recalled} of {there})",
            share(*precision),
            share(*recall)
        );
        if let Some(seq) = score.first_wrong {
            words.push_str(&format!("; first wrong: pair {seq}"));
        }
        if let Some(seq) = score.first_missed {
            words.push_str(&format!("; first missed: pair {seq}"));
        }
        line(text, "detected", &words);
    }
    for score in &detected.incident_kinds {
        let AlertScore { kind, there, recalled, alerts, right, precision, recall } = score;
        let words = format!(
            "{kind}: precision {} ({right} of {alerts} alerts), recall {} ({recalled} of {there})",
            share(*precision),
            share(*recall)
        );
        line(text, "incidents", &words);
    }
    for incident in &detected.incidents {
        let noticed = match incident.delay_ms {
            Some(ms) => format!("noticed after {}", super::findings::seconds(ms.unsigned_abs())),
            None => "not noticed".to_owned(),
        };
        line(text, "  delay", &format!("{}: {noticed}", incident.incident));
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

fn share(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{share:.3}"))
}
