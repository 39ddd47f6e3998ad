//! An account for a person: what it comes to, one table, and a line a finding.

mod findings;
mod judged;

use std::collections::BTreeSet;

use super::{Account, Closure, Example, MissingAccount, TimesAccount, TimesVerdict, TopicAccount};
use findings::{findings, line, order};

/// How to look at a record for yourself.
pub trait Look {
    /// The command that shows the record as it was read.
    fn read(&self, topic: &TopicAccount, example: &Example) -> String;
    /// The command that shows the record as it was sent, where its pair is known.
    fn sent(&self, topic: &TopicAccount, seq: u64, ts_ms: Option<i64>) -> String;
}

/// A row of the table: its label, and the count of a topic.
type Row = (&'static str, fn(&TopicAccount) -> u64);

/// The rows of the table. Those that begin with two spaces stand only where they count something.
const ROWS: [Row; 18] = [
    ("planned", |t| {
        let not_there = t.not_generated + t.dropped + t.left_out + t.removed_copies;
        t.planned.unwrap_or(not_there + t.found + t.missing)
    }),
    ("  of them copies, by a fault", |t| t.declared_copies),
    ("  not generated", |t| t.not_generated),
    ("  left out by a fault", |t| t.dropped),
    ("  left out by an incident", |t| t.left_out),
    ("  taken away as a copy", |t| t.removed_copies),
    ("= found", |t| t.found),
    ("+ missing", |t| t.missing),
    ("read", |t| t.read.records),
    ("= first copy, intact", |t| t.read.first_intact),
    ("  first copy, altered", |t| t.read.first_altered),
    ("  extra copy", |t| t.read.extra_copies),
    ("  misplaced", |t| t.read.misplaced),
    ("  unmatched", |t| t.read.unmatched),
    ("  unexpected", |t| t.read.unexpected),
    ("  foreign", |t| t.read.foreign.records),
    ("  re-encoded (the same JSON)", |t| t.read.reencoded),
    ("  outside the run's time", |t| t.outside_run),
];

impl Account {
    /// The account in words.
    #[must_use]
    pub fn words(&self, look: &dyn Look) -> String {
        let mut text = format!("{}\n\n", self.headline());
        self.table(&mut text);
        for topic in &self.topics {
            findings(topic, look, &mut text);
        }
        if let Some(input) = &self.input {
            findings::input(input, &self.topics, &mut text);
        }
        self.torn_pairs(look, &mut text);
        for topic in &self.topics {
            if let Some(amounts) = &topic.order {
                order(&topic.topic, amounts, &mut text);
            }
            if let Some(latency) = &topic.latency_ms {
                let (p50, p99, max) = (latency.p50, latency.p99, latency.max);
                let name = &topic.topic;
                line(
                    &mut text,
                    "latency",
                    &format!("{name}: {p50} ms, p99 {p99} ms, max {max} ms"),
                );
            }
        }
        if let Some(key) = &self.answer_key {
            judged::key(key, &mut text);
        }
        if let Some(detected) = &self.detected {
            judged::detected(detected, &mut text);
        }
        if let Some(hint) = &self.hint {
            line(&mut text, "hint", hint);
        }
        for undecided in &self.undecided {
            line(&mut text, "undecided", undecided);
        }
        for unknown in &self.could_not_tell {
            line(&mut text, "not told", unknown);
        }
        text
    }

    /// What the account comes to, in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{}: run {}: {}", self.verdict.words(), self.run_id, self.finding())
    }

    /// What became of the records, in half a sentence.
    #[must_use]
    pub fn finding(&self) -> String {
        let found = self.sum(|t| t.found);
        let stopped = match (self.stopped, self.sum(|t| t.not_generated)) {
            (false, _) => String::new(),
            (true, 0) => "; the run was stopped".to_owned(),
            (true, rest) => format!("; the run was stopped before it generated {rest} more"),
        };
        if self.verdict == Closure::Closed {
            return format!("{}{}{stopped}", self.as_meant(found), self.times_not_verified());
        }
        let mut counts = self.wrong_counts();
        if counts.is_empty() {
            counts.push("nothing wrong with them".to_owned());
        }
        let open = self.open_counts();
        let open = if open.is_empty() {
            String::new()
        } else {
            format!("; undecided: {}", open.join(", "))
        };
        format!("{found} records found, {}{open}{stopped}", counts.join(", "))
    }

    /// All records of an account that is closed, as they were meant.
    fn as_meant(&self, found: u64) -> String {
        let which = if self.stopped { "that it sent " } else { "" };
        let removed = self.sum(|t| t.removed_copies);
        let meant = self.sum(|t| t.declared_copies).saturating_sub(removed);
        let copies = match (removed, meant) {
            (0, 0) => "each once and as sent".to_owned(),
            (0, _) => format!("as planned, {meant} deliberate copies among them"),
            _ => format!("each once and as sent, and {removed} declared copies are not"),
        };
        let but = match self.ignored.is_empty() {
            true => String::new(),
            false => format!("; not compared: {}", self.ignored.join(", ")),
        };
        format!("all {found} records {which}are there, {copies}{}{but}", self.extent())
    }

    fn sum(&self, count: fn(&TopicAccount) -> u64) -> u64 {
        self.topics.iter().map(count).sum()
    }

    /// What is proved wrong.
    fn wrong_counts(&self) -> Vec<String> {
        let sum = |count| self.sum(count);
        let missing = |t: &TopicAccount| t.missing_of(|missing| missing.why.is_proved());
        // What may be there all the same tears no pair.
        let is_decided = sum(|t| t.missing_of(|missing| !missing.why.is_proved())) == 0;
        let torn = if is_decided {
            self.torn.pairs()
        } else {
            self.torn.other_time + self.torn.other_partition
        };
        let counts = [
            (sum(missing), "missing"),
            (sum(|t| t.read.first_altered), "altered"),
            (sum(|t| t.read.extra_copies), "extra copies"),
            (sum(|t| t.remaining_copies), "declared copies still there"),
            (sum(|t| t.read.misplaced), "misplaced"),
            (sum(|t| t.read.unexpected), "unexpected"),
            (torn, "torn pairs"),
            (self.key_differs(), "faults or incidents not as the answer key has them"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, what)| format!("{count} {what}"));
        self.times_that_differ().into_iter().chain(counts).collect()
    }

    /// Whose times differ, first of all: other fields follow from them.
    fn times_that_differ(&self) -> Option<String> {
        let of = |topic: &TopicAccount| topic.times.clone();
        let differ = |times: &TimesAccount| times.verdict == TimesVerdict::Differ;
        let differ: Vec<_> = self.topics.iter().filter_map(of).filter(differ).collect();
        let records: u64 = differ.iter().map(|times| times.records).sum();
        let words: BTreeSet<_> = differ.iter().map(|times| times.words.as_str()).collect();
        let words: Vec<_> = words.into_iter().collect();
        if words.is_empty() {
            let outside = self.sum(|t| t.outside_run);
            return (outside > 0).then(|| format!("{outside} outside the run's time"));
        }
        Some(format!("times differ of {records} ({})", words.join("; ")))
    }

    /// Why nothing tells whether the times of a live run are those that were sent, if nothing does.
    fn times_not_verified(&self) -> String {
        let unverified = |topic: &TopicAccount| {
            topic.times.clone().filter(|times| times.verdict == TimesVerdict::NotVerified)
        };
        let first = self.topics.iter().find_map(unverified);
        first
            .map(|times| format!("; their times are not verified: {}", times.words))
            .unwrap_or_default()
    }

    /// What is not decided.
    fn open_counts(&self) -> Vec<String> {
        let mut all: Vec<(&str, u64)> = Vec::new();
        let missing = self.topics.iter().flat_map(|topic| &topic.missing_by_cause);
        for MissingAccount { why, records, .. } in missing.filter(|m| !m.why.is_proved()) {
            let words = why.words();
            let words = words.split_once(" (").map_or(words, |(words, _)| words);
            match all.iter_mut().find(|(known, _)| *known == words) {
                Some((_, count)) => *count += records,
                None => all.push((words, *records)),
            }
        }
        all.push(("without a time", self.sum(|t| t.untimed)));
        all.retain(|(_, count)| *count > 0);
        let counts: Vec<_> = all.iter().map(|(what, count)| format!("{count} {what}")).collect();
        match counts.is_empty() && self.verdict == Closure::Undecided {
            true => vec!["what it may have missed".to_owned()],
            false => counts,
        }
    }

    /// How much of each event was compared, where rows of a table do not have all of it.
    fn extent(&self) -> String {
        let rows = self.input.iter().flat_map(|input| input.rows.iter().flatten());
        let rows: Vec<_> = rows.filter(|rows| !rows.not_there.is_empty()).collect();
        let parts = rows.iter().map(|rows| {
            let (compared, all) = (rows.compared.len(), rows.compared.len() + rows.not_there.len());
            format!("{compared} of {all}")
        });
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() {
            return String::new();
        }
        format!(", in the fields that are there ({})", parts.join(" and "))
    }

    /// Faults and incidents in which an answer key differs from what was found.
    fn key_differs(&self) -> u64 {
        self.answer_key.as_ref().map_or(0, |key| {
            let rows = key.records.iter().map(|row| row.declared - row.found + row.undeclared);
            let incidents = key.incidents_not_found.len() + key.incidents_undeclared.len();
            rows.sum::<u64>() + incidents as u64
        })
    }

    fn table(&self, text: &mut String) {
        let widths: Vec<_> = self.topics.iter().map(|topic| topic.topic.len().max(10)).collect();
        let mut row = |label: &str, cells: Vec<String>| {
            text.push_str(&format!("{label:<30}"));
            for (cell, width) in cells.iter().zip(&widths) {
                text.push_str(&format!("  {cell:>width$}"));
            }
            text.push('\n');
        };
        row("", self.topics.iter().map(|topic| topic.topic.clone()).collect());
        for (label, count) in ROWS {
            let counts: Vec<_> = self.topics.iter().map(count).collect();
            if !label.starts_with(' ') || counts.iter().any(|count| *count > 0) {
                row(label, counts.iter().map(u64::to_string).collect());
            }
        }
        let verdicts = ["acknowledged", "failed", "unresolved", "unknown"];
        for (verdict, is_missing) in verdicts.iter().flat_map(|v| [(v, false), (v, true)]) {
            let count = |topic: &TopicAccount| {
                let row = topic.verdicts.iter().find(|row| row.verdict == *verdict);
                row.map_or(0, |row| if is_missing { row.missing } else { row.present })
            };
            let counts: Vec<_> = self.topics.iter().map(count).collect();
            let is_plain = (*verdict == "acknowledged" || *verdict == "unknown") && !is_missing;
            if !is_plain && counts.iter().any(|count| *count > 0) {
                let label =
                    format!("  {verdict}, {}", if is_missing { "missing" } else { "present" });
                row(&label, counts.iter().map(u64::to_string).collect());
            }
        }
        text.push('\n');
    }

    fn torn_pairs(&self, look: &dyn Look, text: &mut String) {
        let torn = &self.torn;
        let ways = [
            (torn.only_metric, "have only their metric"),
            (torn.only_token, "have only their token usage"),
            (torn.other_time, "have two event times"),
            (torn.other_partition, "are in partitions of different numbers"),
        ];
        let ways = ways.iter().filter(|(count, _)| *count > 0);
        let ways: Vec<_> = ways.map(|(count, what)| format!("{count} {what}")).collect();
        if let (Some(seq), Some(topic)) = (torn.first_seq, self.topics.first()) {
            line(text, "torn", &format!("pairs: {}; the first is {seq}", ways.join(", ")));
            line(text, "  sent", &look.sent(topic, seq, None));
        }
    }
}
