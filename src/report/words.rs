//! A report in one sentence.

use super::Report;

impl Report {
    /// The run in one sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let generated = self.sum(|t| t.generated);
        let exit = format!("exit {} ({})", self.exit_code, self.exit_name);
        if let (0, Some(reason)) = (generated, &self.reason) {
            return format!("nothing was sent: {reason}; {exit}");
        }
        let acknowledged = self.sum(|t| t.acknowledged);
        let (failed, unresolved) = (self.sum(|t| t.failed), self.sum(|t| t.unresolved));
        let of = match self.planned() {
            Some(planned) => format!("{planned} planned records"),
            None => format!("{generated} generated records"),
        };
        let by_topic = self.topics.iter().map(|t| format!("{} to {}", t.acknowledged, t.topic));
        let by_topic = by_topic.collect::<Vec<_>>().join(", ");
        let mut text =
            format!("{acknowledged} of {of} delivered in {:.3} s ({by_topic})", self.elapsed_sec);
        if failed + unresolved > 0 {
            text.push_str(&format!("; {failed} failed, {unresolved} unresolved"));
        }
        for error in &self.errors {
            text.push_str(&format!("; {} x {} ({})", error.count, error.kind, error.topic));
        }
        if let Some(reason) = &self.reason {
            text.push_str(&format!("; {reason}"));
        }
        format!("{text}; {exit}")
    }
}
