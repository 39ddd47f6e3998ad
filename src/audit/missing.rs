//! Why a record that was planned is not there, with the evidence.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ranges::Ranges;
use super::verdicts::Verdict;

/// What a reader knows of a partition of a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LogPartition {
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
}

/// What a reader knows of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Its name.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<LogPartition>,
    /// Whether it keeps only the last record of each key.
    pub compacts: bool,
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
    /// It may be behind the beginning of a transaction that is open, where no committed record is read.
    Hidden,
    /// The log was cut back: its place is behind the end, or another record has it.
    Truncated,
    /// It was acknowledged, and is not there: the only true loss.
    Lost,
    /// Expired or lost: there is no report that could tell.
    ExpiredOrLost,
    /// There is no report, so whether it was acknowledged is not known.
    NoVerdict,
}

impl Why {
    /// The words of the account.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NeverAcknowledged => "never acknowledged",
            Self::Expired => "expired (below the start of the log)",
            Self::Compacted => "compacted (a later record has the key)",
            Self::Hidden => "hidden (behind an open transaction)",
            Self::Truncated => "truncated (the log was cut back)",
            Self::Lost => "LOST (acknowledged, and not there)",
            Self::ExpiredOrLost => "expired or lost (no report tells)",
            Self::NoVerdict => "missing (no report tells whether it was acknowledged)",
        }
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
    /// Its partition, if its key tells.
    pub(super) log: Option<&'a LogPartition>,
    /// Whether it was sent before all that was read of that partition, or behind all of it.
    pub(super) is_outside: [bool; 2],
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
    pub(super) compacts: bool,
}

impl Gone<'_> {
    /// Why it is not there, and what shows it.
    fn why(&self) -> (Why, String) {
        let (seq, verdict) = (self.seq, self.verdict);
        if matches!(verdict, Verdict::Failed | Verdict::Unresolved) {
            return (Why::NeverAcknowledged, format!("the report has it as {}", verdict.word()));
        }
        if let Some(log) = self.log {
            let LogPartition { partition, log_start, end, .. } = *log;
            let [before_all, behind_all] = self.is_outside;
            match log.acknowledged {
                Some((first, _)) if log_start > first && before_all => {
                    let evidence = format!(
                        "partition {partition} begins at offset {log_start} now, and the run's first \
                         record there got offset {first}"
                    );
                    return (Why::Expired, evidence);
                }
                Some((_, last)) if log.hidden_to > Some(last) && behind_all => {
                    let evidence = format!(
                        "a transaction is open in partition {partition} at offset {end}, and nothing \
                         behind it is read before it ends; the run's last record there got offset {last}"
                    );
                    return (Why::Hidden, evidence);
                }
                Some((_, last)) if end <= last && behind_all => {
                    let evidence = format!(
                        "partition {partition} ends at offset {end} now, and the run's last record \
                         there got offset {last}"
                    );
                    return (Why::Truncated, self.who_wrote(evidence));
                }
                Some((first, last)) if verdict == Verdict::Acknowledged && !self.has_place => {
                    let evidence = format!(
                        "partition {partition} has other records at its place: the run's first and last \
                         record there got offsets {first} and {last}"
                    );
                    return (Why::Truncated, self.who_wrote(evidence));
                }
                None if log_start > 0 && before_all && verdict == Verdict::Unknown => {
                    let evidence =
                        format!("partition {partition} begins at offset {log_start} now");
                    return (Why::ExpiredOrLost, evidence);
                }
                _ => {}
            }
        }
        if let Some(highest) = self.key_highest.filter(|highest| self.compacts && *highest > seq) {
            let evidence = format!("cleanup.policy=compact, and pair {highest} has the same key");
            return (Why::Compacted, evidence);
        }
        // Where the run began in the partition is known from its report alone.
        let began = self.log.and_then(|log| log.acknowledged).map(|(first, _)| first);
        if let Some(other) = self.other_last.filter(|other| self.compacts && Some(*other) > began) {
            let evidence =
                format!("cleanup.policy=compact, and another run has the key, at offset {other}");
            return (Why::Compacted, evidence);
        }
        match verdict {
            Verdict::Acknowledged => (Why::Lost, "the report has it as acknowledged".to_owned()),
            _ => (Why::NoVerdict, "there is no report, or its list ends before".to_owned()),
        }
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
        }
        evidence
    }
}

/// The missing records of one topic, by cause, with the evidence for the first of each.
#[derive(Debug, Default)]
pub(super) struct Missing(BTreeMap<(bool, Why), (Ranges, String)>);

impl Missing {
    /// Notes a record that is not there. They come in ascending order, `step` apart in a shard.
    pub(super) fn note(&mut self, gone: &Gone<'_>, step: u64) {
        let (why, evidence) = gone.why();
        let cause = self.0.entry((gone.is_copy, why));
        cause.or_insert_with(|| (Ranges::default(), evidence)).0.add(gone.seq, step);
    }

    pub(super) fn account(self) -> Vec<MissingAccount> {
        let causes = self.0.into_iter();
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

    /// The acknowledged record of pair 5, read amid its partition, in a topic that is not compacted.
    fn pair_5(log: &LogPartition) -> Gone<'_> {
        Gone {
            seq: 5,
            is_copy: false,
            verdict: Verdict::Acknowledged,
            log: Some(log),
            is_outside: [false; 2],
            has_place: true,
            new_leader: None,
            is_all_gone: false,
            key_highest: Some(9),
            other_last: None,
            compacts: false,
        }
    }

    fn why(verdict: Verdict, log: LogPartition, read: Option<(u64, u64)>, compacts: bool) -> Why {
        let is_outside = read.map_or([true; 2], |(lowest, highest)| [5 < lowest, 5 > highest]);
        Gone { verdict, is_outside, compacts, ..pair_5(&log) }.why().0
    }

    #[test]
    fn a_missing_record_is_lost_only_where_nothing_else_explains_it() {
        let log = LogPartition { end: 100, acknowledged: Some((0, 99)), ..LogPartition::default() };
        let acknowledged = Verdict::Acknowledged;
        assert_eq!(why(acknowledged, log, Some((0, 9)), false), Why::Lost);
        assert_eq!(why(Verdict::Failed, log, Some((0, 9)), false), Why::NeverAcknowledged);
        assert_eq!(why(Verdict::Unresolved, log, None, false), Why::NeverAcknowledged);
        assert_eq!(why(acknowledged, log, Some((0, 9)), true), Why::Compacted);
        assert_eq!(why(Verdict::Unknown, log, Some((0, 9)), false), Why::NoVerdict);

        let expired = LogPartition { log_start: 50, ..log };
        assert_eq!(why(acknowledged, expired, Some((7, 9)), false), Why::Expired);
        assert_eq!(why(acknowledged, expired, None, false), Why::Expired);
        assert_eq!(why(acknowledged, expired, Some((3, 9)), false), Why::Lost, "behind the start");
        let unreported = LogPartition { acknowledged: None, ..expired };
        assert_eq!(why(Verdict::Unknown, unreported, Some((7, 9)), false), Why::ExpiredOrLost);

        let hidden = LogPartition { end: 90, hidden_to: Some(100), ..log };
        assert_eq!(why(acknowledged, hidden, Some((0, 4)), false), Why::Hidden);
        assert_eq!(why(acknowledged, hidden, Some((0, 9)), false), Why::Lost, "it is before that");
        let cut = LogPartition { end: 90, hidden_to: Some(95), ..log };
        assert_eq!(why(acknowledged, cut, Some((0, 4)), false), Why::Truncated);

        let truncated = LogPartition { end: 90, ..log };
        assert_eq!(why(acknowledged, truncated, Some((0, 4)), false), Why::Truncated);
        assert_eq!(why(acknowledged, truncated, Some((0, 9)), false), Why::Lost, "before the end");
    }

    #[test]
    fn what_has_no_place_any_more_was_truncated_and_what_wrote_there_is_the_evidence() {
        let log = LogPartition { end: 100, acknowledged: Some((0, 99)), ..LogPartition::default() };
        let gone = Gone { has_place: false, ..pair_5(&log) };
        let places = "partition 0 has other records at its place: the run's first and last record there \
            got offsets 0 and 99";
        assert_eq!(gone.why(), (Why::Truncated, places.to_owned()));
        let (why, evidence) = Gone { new_leader: Some((3, 60)), ..gone }.why();
        assert_eq!(why, Why::Truncated);
        assert_eq!(evidence, format!("{places}; from offset 60 on a leader of epoch 3 wrote"));
        let (_, evidence) = Gone { is_all_gone: true, ..gone }.why();
        assert!(evidence.ends_with("so the topic may have been made anew"), "{evidence}");
        let why = |gone: Gone<'_>| gone.why().0;
        assert_eq!(
            why(Gone { compacts: true, ..gone }),
            Why::Truncated,
            "compaction leaves a place"
        );
        assert_eq!(why(Gone { verdict: Verdict::Failed, ..gone }), Why::NeverAcknowledged);
        assert_eq!(why(Gone { verdict: Verdict::Unknown, ..gone }), Why::NoVerdict);
        let unreported = LogPartition { acknowledged: None, ..log };
        assert_eq!(
            why(Gone { log: Some(&unreported), ..gone }),
            Why::Lost,
            "of a stage downstream"
        );
    }

    #[test]
    fn a_later_run_with_the_same_key_takes_the_place_of_a_record_in_a_compacted_topic() {
        let log = LogPartition { end: 90, acknowledged: Some((10, 80)), ..LogPartition::default() };
        let why = |other_last, compacts| {
            let is_outside = [true, false];
            let key_highest = None;
            Gone { is_outside, key_highest, other_last, compacts, ..pair_5(&log) }.why().0
        };
        assert_eq!(why(Some(85), true), Why::Compacted);
        assert_eq!(why(Some(85), false), Why::Lost);
        assert_eq!(why(Some(4), true), Why::Lost, "an earlier run does not");
        assert_eq!(why(None, true), Why::Lost);
    }
}
