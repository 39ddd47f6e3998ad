//! Why a record that was planned is not there, with the evidence.
//!
//! Loss is said only of a record that was acknowledged, of the run's own topic on its own cluster (or an
//! export), read to its end, where nothing is left that could be the record.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ranges::Ranges;
use super::verdicts::Verdict;

/// What a reader knows of a partition of a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LogPartition {
    /// Which of the topics of the account has it, from 0.
    pub topic: u16,
    /// Its number.
    pub partition: i32,
    /// Where its log begins.
    pub log_start: i64,
    /// Where it ended when the reading began; a log that is followed goes on.
    pub end: i64,
    /// Where it ends in fact, where a transaction that was open then hides the rest.
    pub hidden_to: Option<i64>,
    /// Where the reading began.
    pub read_from: i64,
    /// One more than the last offset that was read.
    pub read_to: i64,
    /// Records that were read.
    pub records: u64,
    /// Offsets in between without a record: control records, compaction, aborted transactions.
    pub gaps: u64,
    /// The first and last offset that the run was given there, as its report has them.
    pub acknowledged: Option<(i64, i64)>,
    /// Whether it was read to an end that it had.
    pub is_read: bool,
}

/// What a topic that was read is to the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Its own topic, on the cluster of its report.
    #[default]
    Own,
    /// A topic of its name, on a cluster that may be another one: the report has no cluster id, or there
    /// is no report.
    UnknownCluster,
    /// A topic of its name on another cluster, as of a mirror.
    OtherCluster,
    /// Another topic, of a stage downstream.
    Stage,
    /// Lines of a file or a pipe.
    Export,
}

/// What a reader knows of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its name, or the names of several.
    pub topic: String,
    /// Their names, where there are several: a stage spreads its records over them.
    pub topics: Vec<String>,
    /// What it is to the run.
    pub origin: Origin,
    /// The partitions of all.
    pub partitions: Vec<LogPartition>,
    /// Whether it keeps only the last record of each key; `None` where that is not known.
    pub compacts: Option<bool>,
    /// Whether it was read to its end, where there are no partitions.
    pub is_read: bool,
    /// Whether its records have headers that name the run, so that one without is none of it.
    pub has_headers: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            topic: String::new(),
            topics: Vec::new(),
            origin: Origin::default(),
            partitions: Vec::new(),
            compacts: Some(false),
            is_read: true,
            has_headers: false,
        }
    }
}

impl Log {
    /// The name of a partition in a sentence.
    fn name_of(&self, log: &LogPartition) -> String {
        let of = self.topics.get(usize::from(log.topic)).filter(|_| self.topics.len() > 1);
        let of = of.map(|name| format!(" of {name}")).unwrap_or_default();
        format!("partition {}{of}", log.partition)
    }

    /// Whether the partition of a record of the run follows from its key.
    fn keeps_partitions(&self) -> bool {
        matches!(self.origin, Origin::Own | Origin::UnknownCluster)
    }

    /// The partitions in which a record may be whose home this is: all, where a stage may have moved it.
    pub(super) fn of_home(&self, home: Option<i32>) -> impl Iterator<Item = &LogPartition> {
        let home = home.filter(|_| self.keeps_partitions());
        self.partitions.iter().filter(move |log| home.is_none_or(|home| log.partition == home))
    }
}

/// Why a record is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The producer never got an acknowledgement for it.
    NeverAcknowledged,
    /// Its place is below the start of the log: retention, or `DeleteRecords`.
    Expired,
    /// The topic is compacted, and a later record has its key.
    Compacted,
    /// It is in the topic of the other event.
    Misplaced,
    /// The log was cut back: its place is behind the end, or another record has it.
    Truncated,
    /// It was acknowledged, and is not there: the only true loss.
    Lost,
    /// It is not in a topic that is not known to be the run's own.
    Absent,
    /// There is no report, so whether it was acknowledged is not known.
    NoVerdict,
    /// The run still went on when its report was written, so it may never have been sent.
    NotKnownSent,
    /// It may be where nothing was read.
    NotRead,
    /// It may be one of the records that match no pair.
    Unmatched,
    /// It may be behind the beginning of a transaction that is open, where no committed record is read.
    Hidden,
    /// Expired or lost: no offset tells.
    ExpiredOrLost,
    /// Compacted or lost: whether the topic is compacted is not known.
    CompactedOrLost,
}

impl Why {
    /// The words of the account.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NeverAcknowledged => "never acknowledged",
            Self::Expired => "expired (below the start of the log)",
            Self::Compacted => "compacted (a later record has the key)",
            Self::Misplaced => "misplaced (in the topic of the other event)",
            Self::Truncated => "truncated (the log was cut back)",
            Self::Lost => "LOST (acknowledged, and not there)",
            Self::Absent => "not in the topic (which may not be the one that the run wrote)",
            Self::NoVerdict => "missing (no report tells whether it was acknowledged)",
            Self::NotKnownSent => "not known to be sent (the run has no report of its end)",
            Self::NotRead => "not read",
            Self::Unmatched => "unmatched (as many records without headers may be them)",
            Self::Hidden => "hidden (behind an open transaction)",
            Self::ExpiredOrLost => "expired or lost (no offset tells)",
            Self::CompactedOrLost => "compacted or lost (the topic's policy is not known)",
        }
    }

    /// The words of the account for a topic of this origin.
    #[must_use]
    pub fn words_in(self, origin: Origin) -> &'static str {
        match (self, origin) {
            (Self::Absent, Origin::Stage) => "not in the stage's topic",
            (Self::Absent, Origin::OtherCluster) => "not in this cluster's topic",
            _ => self.words(),
        }
    }

    /// What would decide whether the record is there; `None` where it is proved that it is not.
    #[must_use]
    pub fn would_decide(self) -> Option<&'static str> {
        match self {
            Self::NotKnownSent => Some("the report of its end"),
            Self::NotRead => Some("reading to the end"),
            Self::Unmatched => Some("the headers run and seq, or the values as they were sent,"),
            Self::Hidden => Some("the end of the transaction"),
            Self::ExpiredOrLost => Some("a log that still has its beginning"),
            Self::CompactedOrLost => Some("the right to ask for the topic's configuration"),
            Self::NeverAcknowledged
            | Self::Expired
            | Self::Compacted
            | Self::Misplaced
            | Self::Truncated
            | Self::Lost
            | Self::Absent
            | Self::NoVerdict => None,
        }
    }

    /// Whether it is proved that the record is not there.
    #[must_use]
    pub fn is_proved(self) -> bool {
        self.would_decide().is_none()
    }
}

/// Missing records of one cause in the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingAccount {
    /// Why.
    pub why: Why,
    /// Whether they are the copies that the fault `duplicate` makes.
    pub of_copies: bool,
    /// How many.
    pub records: u64,
    /// The first ranges of seq, first and last.
    pub ranges: Vec<[u64; 2]>,
    /// How many more ranges there are.
    pub more: u64,
    /// What shows it, for the first of them.
    pub evidence: String,
}

/// What is known of a missing record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone<'a> {
    pub(super) seq: u64,
    /// Whether it is the copy that a fault makes.
    pub(super) is_copy: bool,
    pub(super) verdict: Verdict,
    /// Whether the run still went on when its report was written.
    pub(super) is_running: bool,
    /// What was read.
    pub(super) source: &'a Log,
    /// Its partition, if its key tells.
    pub(super) log: Option<&'a LogPartition>,
    /// A partition in which it may be and that was not read to its end.
    pub(super) unread: Option<&'a LogPartition>,
    /// A partition in which it may be, behind an open transaction.
    pub(super) hidden: Option<&'a LogPartition>,
    /// A partition in which it may have been, below the start of the log.
    pub(super) cut_off: Option<&'a LogPartition>,
    /// Whether it was sent before all that was read of that partition, or behind all of it.
    pub(super) is_outside: [bool; 2],
    /// Whether it was read in the topic of the other event.
    pub(super) is_elsewhere: bool,
    /// Whether an offset that may have been its holds no record.
    pub(super) has_place: bool,
    /// The epoch of a leader that wrote behind the run's first record, and from which offset on.
    pub(super) new_leader: Option<(i32, i64)>,
    /// Whether no record of the run is in the topic.
    pub(super) is_all_gone: bool,
    /// The highest seq of its key that was read.
    pub(super) key_highest: Option<u64>,
    /// Where the last record of another run with its key is.
    pub(super) other_last: Option<i64>,
    /// Whether a partition in which it may have been has offsets without a record: what compaction took
    /// leaves its offset.
    pub(super) has_gaps: bool,
}

impl Gone<'_> {
    /// Why it is not there, and what shows it.
    fn why(&self) -> (Why, String) {
        if self.is_elsewhere {
            return (Why::Misplaced, "it was read in the other topic".to_owned());
        }
        if let Some(log) = self.unread {
            let (name, LogPartition { end, read_to, .. }) = (self.source.name_of(log), log);
            let evidence = format!("{name} was read up to offset {read_to} of {end}");
            return (Why::NotRead, evidence);
        }
        if !self.source.is_read {
            return (Why::NotRead, "reading ended before the end".to_owned());
        }
        let verdict = self.verdict;
        if matches!(verdict, Verdict::Failed | Verdict::Unresolved) {
            return (Why::NeverAcknowledged, format!("the report has it as {}", verdict.word()));
        }
        if let Some(why) = self.by_offsets() {
            return why;
        }
        if let Some(why) = self.by_compaction() {
            return why;
        }
        match (verdict, self.source.origin) {
            (Verdict::Acknowledged, Origin::Own | Origin::Export) => {
                (Why::Lost, "the report has it as acknowledged".to_owned())
            }
            (Verdict::Acknowledged, _) => {
                (Why::Absent, "the report has it as acknowledged by its own cluster".to_owned())
            }
            _ if self.is_running => {
                (Why::NotKnownSent, "the report was written while the run went on".to_owned())
            }
            _ => (Why::NoVerdict, "there is no report, or its list ends before".to_owned()),
        }
    }

    /// What the offsets of the topic tell: of the run's own, those of the report.
    fn by_offsets(&self) -> Option<(Why, String)> {
        let given = self.log.and_then(|log| Some((log, log.acknowledged?)));
        let [before_all, behind_all] = self.is_outside;
        if let Some((log, (first, _))) = given
            && log.log_start > first
            && before_all
        {
            let LogPartition { partition, log_start, .. } = log;
            let evidence = format!(
                "partition {partition} begins at offset {log_start} now, and the run's first record \
                 there got offset {first}"
            );
            return Some((Why::Expired, evidence));
        }
        if let Some(log) = self.hidden {
            let (name, LogPartition { end, .. }) = (self.source.name_of(log), log);
            let mut evidence = format!(
                "a transaction is open in {name} at offset {end}, and nothing behind it \
                 is read before it ends"
            );
            if let Some((_, last)) = log.acknowledged {
                evidence.push_str(&format!("; the run's last record there got offset {last}"));
            }
            return Some((Why::Hidden, evidence));
        }
        if let Some((log, (first, last))) = given {
            let LogPartition { partition, end, .. } = log;
            if *end <= last && behind_all {
                let evidence = format!(
                    "partition {partition} ends at offset {end} now, and the run's last record there \
                     got offset {last}"
                );
                return Some((Why::Truncated, self.who_wrote(evidence)));
            }
            if self.verdict == Verdict::Acknowledged && !self.has_place {
                let evidence = format!(
                    "partition {partition} has other records at its place: the run's first and last \
                     record there got offsets {first} and {last}"
                );
                return Some((Why::Truncated, self.who_wrote(evidence)));
            }
            return None;
        }
        let log = self.cut_off?;
        let (name, log_start) = (self.source.name_of(log), log.log_start);
        let evidence = format!("{name} begins at offset {log_start} now");
        Some((Why::ExpiredOrLost, evidence))
    }

    /// What compaction tells: a later record has the key.
    fn by_compaction(&self) -> Option<(Why, String)> {
        if !self.has_gaps {
            return None;
        }
        let (why, policy) = match self.source.compacts {
            Some(true) => (Why::Compacted, "cleanup.policy=compact"),
            Some(false) => return None,
            None => (Why::CompactedOrLost, "cleanup.policy is not known"),
        };
        if let Some(highest) = self.key_highest.filter(|highest| *highest > self.seq) {
            return Some((why, format!("{policy}, and pair {highest} has the same key")));
        }
        // Where the run began in the partition is known from its report alone.
        let began = self.log.and_then(|log| log.acknowledged).map(|(first, _)| first);
        let other = self.other_last.filter(|other| Some(*other) > began)?;
        Some((why, format!("{policy}, and another run has the key, at offset {other}")))
    }

    /// The evidence of a log that was cut back, with what distinguishes an election from a topic that was
    /// created again.
    fn who_wrote(&self, mut evidence: String) -> String {
        if let Some((epoch, offset)) = self.new_leader {
            evidence
                .push_str(&format!("; from offset {offset} on a leader of epoch {epoch} wrote"));
        } else if self.is_all_gone {
            evidence
                .push_str("; no record of the run is there, so the topic may have been made anew");
            if self.log.is_some_and(|log| log.read_from > log.log_start) {
                evidence.push_str(
                    ", or its log cut back to before the run: --all tells who wrote there",
                );
            }
        }
        evidence
    }
}

/// The missing records of one topic, by cause, with the evidence for the first of each.
#[derive(Debug, Default)]
pub(super) struct Missing {
    causes: BTreeMap<(bool, Why), (Ranges, String)>,
    /// Records that match no pair, and may be missing ones.
    unmatched: u64,
    /// How many of them are taken for one already.
    taken: u64,
}

impl Missing {
    /// Nothing, in a topic with so many records that match no pair and may be missing ones.
    pub(super) fn beside(unmatched: u64) -> Self {
        Self { unmatched, ..Self::default() }
    }

    /// Notes a record that is not there. They come in ascending order, `step` apart in a shard.
    pub(super) fn note(&mut self, gone: &Gone<'_>, step: u64) {
        let (mut why, mut evidence) = gone.why();
        let may_be_unmatched =
            matches!(why, Why::Lost | Why::Absent | Why::NoVerdict | Why::Truncated);
        if may_be_unmatched && self.taken < self.unmatched {
            self.taken += 1;
            why = Why::Unmatched;
            let n = self.unmatched;
            evidence =
                format!("{n} records without headers match no pair, and may be any of the missing");
        }
        let cause = self.causes.entry((gone.is_copy, why));
        cause.or_insert_with(|| (Ranges::default(), evidence)).0.add(gone.seq, step);
    }

    /// How many unmatched records were taken for missing ones.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) fn account(self) -> Vec<MissingAccount> {
        let causes = self.causes.into_iter();
        let account = causes.map(|((of_copies, why), (ranges, evidence))| {
            let Ranges { records, ranges, more, .. } = ranges;
            MissingAccount { why, of_copies, records, ranges, more, evidence }
        });
        account.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition of the run's own topic that was read to its end.
    fn whole() -> LogPartition {
        LogPartition {
            end: 100,
            read_to: 100,
            acknowledged: Some((0, 99)),
            is_read: true,
            ..LogPartition::default()
        }
    }

    /// A topic of this origin that was read to its end, and its policy as far as it is known.
    fn topic(origin: Origin, compacts: Option<bool>) -> &'static Log {
        Box::leak(Box::new(Log { origin, compacts, ..Log::default() }))
    }

    fn of(origin: Origin) -> &'static Log {
        topic(origin, Some(false))
    }

    fn compacted(compacts: Option<bool>) -> &'static Log {
        topic(Origin::Own, compacts)
    }

    /// The acknowledged record of pair 5, read amid its partition, in a topic that is not compacted.
    fn pair_5(log: &LogPartition) -> Gone<'_> {
        Gone {
            seq: 5,
            is_copy: false,
            verdict: Verdict::Acknowledged,
            is_running: false,
            source: of(Origin::Own),
            log: Some(log),
            unread: None,
            hidden: None,
            cut_off: None,
            is_outside: [false; 2],
            is_elsewhere: false,
            has_place: true,
            new_leader: None,
            is_all_gone: false,
            key_highest: Some(9),
            other_last: None,
            has_gaps: true,
        }
    }

    fn why(verdict: Verdict, log: LogPartition, read: Option<(u64, u64)>, compacts: bool) -> Why {
        let is_outside = read.map_or([true; 2], |(lowest, highest)| [5 < lowest, 5 > highest]);
        let source = compacted(Some(compacts));
        Gone { verdict, is_outside, source, ..pair_5(&log) }.why().0
    }

    #[test]
    fn a_missing_record_is_lost_only_where_nothing_else_explains_it() {
        let (log, acknowledged) = (whole(), Verdict::Acknowledged);
        assert_eq!(why(acknowledged, log, Some((0, 9)), false), Why::Lost);
        assert_eq!(why(Verdict::Failed, log, Some((0, 9)), false), Why::NeverAcknowledged);
        assert_eq!(why(Verdict::Unresolved, log, None, false), Why::NeverAcknowledged);
        assert_eq!(why(acknowledged, log, Some((0, 9)), true), Why::Compacted);
        assert_eq!(why(Verdict::Unknown, log, Some((0, 9)), false), Why::NoVerdict);

        let expired = LogPartition { log_start: 50, ..log };
        assert_eq!(why(acknowledged, expired, Some((7, 9)), false), Why::Expired);
        assert_eq!(why(acknowledged, expired, None, false), Why::Expired);
        assert_eq!(why(acknowledged, expired, Some((3, 9)), false), Why::Lost, "behind the start");

        let truncated = LogPartition { end: 90, ..log };
        assert_eq!(why(acknowledged, truncated, Some((0, 4)), false), Why::Truncated);
        assert_eq!(why(acknowledged, truncated, Some((0, 9)), false), Why::Lost, "before the end");
        let gone = Gone { source: compacted(None), ..pair_5(&log) };
        assert_eq!(gone.why().0, Why::CompactedOrLost, "nobody tells whether it is compacted");
        assert_eq!(Gone { key_highest: Some(5), ..gone }.why().0, Why::Lost, "it was the last");
        assert_eq!(Gone { has_gaps: false, ..gone }.why().0, Why::Lost, "no offset is free");
    }

    #[test]
    fn what_may_be_where_nothing_was_read_is_not_lost() {
        let log = LogPartition { read_to: 40, is_read: false, ..whole() };
        let gone = Gone { unread: Some(&log), ..pair_5(&log) };
        let evidence = "partition 0 was read up to offset 40 of 100".to_owned();
        for verdict in Verdict::ALL {
            assert_eq!(Gone { verdict, ..gone }.why(), (Why::NotRead, evidence.clone()));
        }
        let evidence = "reading ended before the end".to_owned();
        let lines = Log { is_read: false, origin: Origin::Export, ..Log::default() };
        let of_lines = Gone { log: None, source: &lines, ..pair_5(&log) };
        assert_eq!(of_lines.why(), (Why::NotRead, evidence));

        let hidden = LogPartition { end: 90, hidden_to: Some(100), ..whole() };
        let gone = Gone { hidden: Some(&hidden), ..pair_5(&hidden) };
        assert_eq!(gone.why().0, Why::Hidden);
        let unreported = LogPartition { acknowledged: None, ..hidden };
        let gone = Gone { hidden: Some(&unreported), ..pair_5(&unreported) };
        assert_eq!(
            Gone { source: of(Origin::Stage), ..gone }.why().0,
            Why::Hidden,
            "downstream, too"
        );
        assert_eq!(Gone { verdict: Verdict::Unknown, ..gone }.why().0, Why::Hidden, "no report");

        let cut = LogPartition { log_start: 50, acknowledged: None, ..whole() };
        let gone = Gone { cut_off: Some(&cut), ..pair_5(&cut) };
        assert_eq!(Gone { source: of(Origin::Stage), ..gone }.why().0, Why::ExpiredOrLost);
        assert_eq!(Gone { verdict: Verdict::Unknown, ..gone }.why().0, Why::ExpiredOrLost);
    }

    #[test]
    fn loss_is_said_only_of_the_topic_that_the_run_wrote() {
        let log = LogPartition { end: 90, acknowledged: None, ..whole() };
        let why = |origin| {
            let source = of(origin);
            Gone { source, is_outside: [false, true], ..pair_5(&log) }.why().0
        };
        use Origin::{Export, OtherCluster, Own, Stage, UnknownCluster};
        let told = [Own, Export, Stage, OtherCluster, UnknownCluster].map(why);
        assert_eq!(told, [Why::Lost, Why::Lost, Why::Absent, Why::Absent, Why::Absent]);
        assert_eq!(Why::Absent.words_in(Stage), "not in the stage's topic");
    }

    #[test]
    fn as_many_missing_records_as_match_no_pair_may_be_them() {
        let log = whole();
        let mut missing = Missing::beside(2);
        for seq in [3, 4, 5] {
            missing.note(&Gone { seq, ..pair_5(&log) }, 1);
        }
        missing.note(&Gone { verdict: Verdict::Failed, ..pair_5(&log) }, 1);
        assert_eq!(missing.taken(), 2);
        let causes = missing.account().into_iter().map(|cause| (cause.why, cause.records));
        let expected = [(Why::NeverAcknowledged, 1), (Why::Lost, 1), (Why::Unmatched, 2)];
        assert_eq!(causes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_has_no_place_any_more_was_truncated_and_what_wrote_there_is_the_evidence() {
        let log = whole();
        let gone = Gone { has_place: false, ..pair_5(&log) };
        let places = "partition 0 has other records at its place: the run's first and last record there \
            got offsets 0 and 99";
        assert_eq!(gone.why(), (Why::Truncated, places.to_owned()));
        let (why, evidence) = Gone { new_leader: Some((3, 60)), ..gone }.why();
        assert_eq!(why, Why::Truncated);
        assert_eq!(evidence, format!("{places}; from offset 60 on a leader of epoch 3 wrote"));
        let (_, evidence) = Gone { is_all_gone: true, ..gone }.why();
        assert!(evidence.ends_with("so the topic may have been made anew"), "{evidence}");
        let part = LogPartition { read_from: log.log_start + 1, ..log };
        let (_, evidence) = Gone { is_all_gone: true, log: Some(&part), ..gone }.why();
        let says = "anew, or its log cut back to before the run: --all tells who wrote there";
        assert!(evidence.ends_with(says), "{evidence}");
        let why = |gone: Gone<'_>| gone.why().0;
        assert_eq!(
            why(Gone { source: compacted(Some(true)), ..gone }),
            Why::Truncated,
            "compaction leaves a place"
        );
        assert_eq!(why(Gone { verdict: Verdict::Failed, ..gone }), Why::NeverAcknowledged);
        assert_eq!(why(Gone { verdict: Verdict::Unknown, ..gone }), Why::NoVerdict);
        let unreported = LogPartition { acknowledged: None, ..log };
        let stage = Gone { log: Some(&unreported), source: of(Origin::Stage), ..gone };
        assert_eq!(why(stage), Why::Absent, "offsets of another topic prove nothing");
    }

    #[test]
    fn a_later_run_with_the_same_key_takes_the_place_of_a_record_in_a_compacted_topic() {
        let log = LogPartition { end: 90, acknowledged: Some((10, 80)), ..whole() };
        let why = |other_last, compacts| {
            let is_outside = [true, false];
            let key_highest = None;
            let source = compacted(Some(compacts));
            Gone { is_outside, key_highest, other_last, source, ..pair_5(&log) }.why().0
        };
        assert_eq!(why(Some(85), true), Why::Compacted);
        assert_eq!(why(Some(85), false), Why::Lost);
        assert_eq!(why(Some(4), true), Why::Lost, "an earlier run does not");
        assert_eq!(why(None, true), Why::Lost);
    }
}
