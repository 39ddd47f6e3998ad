//! A report in one sentence.

use super::Report;
use crate::exit::Exit;
use crate::faults::Fault;

impl Report {
    /// The run in one sentence, as a process that ends with `exit` says it; `problem` is what went
    /// wrong after the run, if anything did.
    #[must_use]
    pub fn summary(&self, exit: Exit, problem: Option<&str>) -> String {
        let generated = self.sum(|t| t.generated);
        let exit = match problem {
            Some(problem) => format!("{problem}; exit {exit}"),
            None => format!("exit {exit}"),
        };
        if let (0, Some(reason)) = (generated, &self.reason) {
            return format!("nothing was sent: {reason}; {exit}");
        }
        let (failed, unresolved) = (self.sum(|t| t.failed), self.sum(|t| t.unresolved));
        let found = self.sum(|t| t.settled.found);
        let delivered = self.sum(|t| t.acknowledged) + found;
        let of = match self.planned() {
            Some(planned) => format!("{planned} planned records"),
            None => format!("{generated} generated records"),
        };
        let by_topic = self.topics.iter();
        let by_topic =
            by_topic.map(|t| format!("{} to {}", t.acknowledged + t.settled.found, t.topic));
        let by_topic = by_topic.collect::<Vec<_>>().join(", ");
        let mut text =
            format!("{delivered} of {of} delivered in {:.3} s ({by_topic})", self.elapsed_sec);
        if let Some(latency) = &self.latency_ms.from_send {
            text.push_str(&format!(
                ", {:.0} records/s, latency p50 {:.1} ms, p99 {:.1} ms",
                self.rate_per_sec, latency.p50, latency.p99
            ));
        }
        if failed + unresolved > 0 {
            text.push_str(&format!("; {failed} failed, {unresolved} unresolved"));
        }
        text.push_str(&self.lookup_in_words());
        if let Some(faults) = self.faults_in_words() {
            text.push_str(&format!("; faults: {faults}"));
        }
        if let Some(incidents) = self.incidents_in_words() {
            text.push_str(&format!("; incidents: {incidents}"));
        }
        if let Some(closing) = &self.close_windows {
            let records: u64 = closing.topics.iter().map(|topic| topic.acknowledged).sum();
            text.push_str(&format!("; {records} records close the windows up to {}", closing.at));
        }
        for error in &self.errors {
            text.push_str(&format!("; {} x {} ({})", error.count, error.kind, error.topic));
        }
        if let Some(reason) = &self.reason {
            text.push_str(&format!("; {reason}"));
        }
        format!("{text}; {exit}")
    }

    /// What the lookup in the log came to.
    fn lookup_in_words(&self) -> String {
        let mut text = String::new();
        let found = self.sum(|t| t.settled.found);
        let copies = self.sum(|t| t.copies.unwrap_or_default());
        if found > 0 {
            text.push_str(&format!(", {found} of them found in the log"));
        }
        let not_found = self.sum(|t| t.settled.not_found);
        if not_found > 0 {
            text.push_str(&format!(", {not_found} of them not found when the log was read"));
        }
        let truncated = self.sum(|t| t.truncated);
        if truncated > 0 {
            text.push_str(&format!(", {truncated} of them truncated"));
        }
        if copies > 0 {
            text.push_str(&format!("; {copies} copies too many in the log"));
        }
        if self.sum(|t| t.generated) > 0 && self.topics.iter().any(|topic| topic.copies.is_none()) {
            text.push_str("; copies not known");
        }
        let others = self.sum(|t| t.others);
        if others > 0 {
            text.push_str(&format!("; {others} records of another process with this run id"));
        }
        text
    }

    /// How many records the incidents of each kind had, also if it was none.
    fn incidents_in_words(&self) -> Option<String> {
        let mut kinds: Vec<(&str, u64)> = Vec::new();
        for incident in &self.incidents {
            match kinds.iter_mut().find(|(kind, _)| *kind == incident.kind) {
                Some((_, records)) => *records += incident.records,
                None => kinds.push((incident.kind, incident.records)),
            }
        }
        let words: Vec<_> =
            kinds.iter().map(|(kind, records)| format!("{kind} {records} records")).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// How often each fault was in force in both topics together.
    fn faults_in_words(&self) -> Option<String> {
        let counts = Fault::ALL.map(|fault| {
            let of_kind = self.faults.iter().filter(|faults| faults.kind == fault.word());
            (of_kind.map(|faults| faults.count).sum::<u64>(), fault.word())
        });
        let there = counts.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = there.map(|(count, word)| format!("{count} {word}")).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// Records a second, to a tenth.
pub(super) fn rate(records: u64, elapsed_sec: f64) -> f64 {
    if elapsed_sec > 0.0 { (records as f64 / elapsed_sec * 10.0).round() / 10.0 } else { 0.0 }
}
