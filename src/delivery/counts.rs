//! Counts of records by topic, and of acknowledgements by partition.
//!
//! `generated = acknowledged + failed + unresolved` for each topic, always: unresolved is what is
//! left of the other three. Summary, report, status text and exit code are views of these counts.
//!
//! Acknowledged means that the broker gave the record an offset. A success without an offset proves
//! nothing, and is unresolved. What was found in the log afterwards is counted apart: it changes what
//! is missing, not what was acknowledged.
//!
//! The offsets of a partition grow in the order in which its records are sent. One that does not says
//! that the log was cut back: what was acknowledged before is in doubt, and is counted again once the
//! log has been read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;

use super::{Failure, Failures};
use crate::event::Kind;

/// Acknowledgements of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionCounts {
    /// Partition number.
    pub partition: i32,
    /// Acknowledged records.
    pub acknowledged: u64,
    /// Lowest acknowledged offset.
    pub first_offset: i64,
    /// Highest acknowledged offset.
    pub last_offset: i64,
}

/// Records of one topic. The counts are read-only: [`Counts`] keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicCounts {
    generated: u64,
    acknowledged: u64,
    failed: u64,
    truncated: u64,
    unconfirmed: u64,
    settled: Settled,
    partitions: BTreeMap<i32, Partition>,
}

/// What is known of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partition {
    counts: PartitionCounts,
    /// Index and offset of its latest acknowledged record, by which the next one is judged.
    latest: (u64, i64),
    /// Whether an offset came that the log cannot give unless it was cut back.
    is_cut_back: bool,
}

impl Partition {
    fn acknowledged(&mut self, index: u64, offset: i64, keeps_order: bool) {
        let (latest, last) = self.latest;
        let is_later = index > latest || !keeps_order;
        self.is_cut_back |= is_later != (offset > last);
        if is_later {
            self.latest = (index, offset);
        }
        self.counts.acknowledged += 1;
        self.counts.first_offset = self.counts.first_offset.min(offset);
        self.counts.last_offset = self.counts.last_offset.max(offset);
    }

    /// Whether its figures contradict each other: more records than offsets between the first and the
    /// last.
    fn is_contradictory(&self) -> bool {
        let PartitionCounts { acknowledged, first_offset, last_offset, .. } = self.counts;
        acknowledged > last_offset.abs_diff(first_offset).saturating_add(1)
    }
}

/// Records without an acknowledgement that were looked up in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// They are in the log.
    pub found: u64,
    /// They were not in the log when it was read to its end.
    pub not_found: u64,
}

impl TopicCounts {
    /// Records handed to the client library.
    #[must_use]
    pub fn generated(&self) -> u64 {
        self.generated
    }

    /// Records the cluster acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records that were given up with an error.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Of the failed ones those that were acknowledged, and were not in the log any more at the end.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.truncated
    }

    /// The partitions whose offsets say that the log was cut back.
    #[must_use]
    pub fn cut_back(&self) -> Vec<i32> {
        let cut = |(number, partition): (&i32, &Partition)| {
            (partition.is_cut_back || partition.is_contradictory()).then_some(*number)
        };
        self.partitions.iter().filter_map(cut).collect()
    }

    /// Records with neither acknowledgement nor error.
    #[must_use]
    pub fn unresolved(&self) -> u64 {
        self.generated - self.acknowledged - self.failed
    }

    /// Records that still wait for their delivery report: unresolved, without those that were reported
    /// as delivered without an offset.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.unresolved() - self.unconfirmed
    }

    /// What was looked up in the log.
    #[must_use]
    pub fn settled(&self) -> Settled {
        self.settled
    }

    /// Records that are not known to be in the log.
    #[must_use]
    pub fn missing(&self) -> u64 {
        (self.failed + self.unresolved()).saturating_sub(self.settled.found)
    }

    /// Acknowledgements by partition.
    pub fn partitions(&self) -> impl Iterator<Item = &PartitionCounts> {
        self.partitions.values().map(|partition| &partition.counts)
    }
}

/// The counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    metric: TopicCounts,
    token: TopicCounts,
    failures: BTreeMap<(Kind, String), Failures>,
    /// Whether a record that is sent again can get an offset behind that of a later one.
    reorders: bool,
}

impl Counts {
    /// The counts of a client without idempotence: records that are sent again can change their order,
    /// so offsets only grow in the order of their answers.
    #[must_use]
    pub fn reordered() -> Self {
        Self { reorders: true, ..Self::default() }
    }

    /// The counts of one topic.
    #[must_use]
    pub fn topic(&self, kind: Kind) -> &TopicCounts {
        match kind {
            Kind::Metric => &self.metric,
            Kind::Token => &self.token,
        }
    }

    fn topic_mut(&mut self, kind: Kind) -> &mut TopicCounts {
        match kind {
            Kind::Metric => &mut self.metric,
            Kind::Token => &mut self.token,
        }
    }

    /// So many records of a kind have been handed to the client library. Never fewer than before.
    pub fn generated(&mut self, kind: Kind, count: u64) {
        let topic = self.topic_mut(kind);
        topic.generated = topic.generated.max(count);
    }

    /// The broker gave the record of this index this offset. Ignored if nothing is in flight: it cannot
    /// be one of ours.
    pub fn acknowledged(&mut self, kind: Kind, index: u64, (partition, offset): (i32, i64)) {
        let keeps_order = !self.reorders;
        let topic = self.topic_mut(kind);
        if topic.in_flight() == 0 {
            return;
        }
        topic.acknowledged += 1;
        match topic.partitions.entry(partition) {
            Entry::Occupied(mut entry) => entry.get_mut().acknowledged(index, offset, keeps_order),
            Entry::Vacant(entry) => {
                let counts = PartitionCounts {
                    partition,
                    acknowledged: 1,
                    first_offset: offset,
                    last_offset: offset,
                };
                let latest = (index, offset);
                entry.insert(Partition { counts, latest, is_cut_back: false });
            }
        }
    }

    /// The acknowledged records of a topic were looked up in the log: so many are still there, by
    /// partition. Of the others so many are known not to be, and fail for this reason; the rest is
    /// unresolved.
    pub fn recount(
        &mut self,
        kind: Kind,
        there: &BTreeMap<i32, u64>,
        truncated: u64,
        failure: Failure,
    ) {
        let topic = self.topic_mut(kind);
        let mut left = 0;
        for (number, partition) in &mut topic.partitions {
            let there = there.get(number).copied().unwrap_or_default();
            partition.counts.acknowledged = partition.counts.acknowledged.min(there);
            left += partition.counts.acknowledged;
        }
        let truncated = truncated.min(topic.acknowledged - left);
        topic.acknowledged = left;
        topic.truncated += truncated;
        topic.failed += truncated;
        if truncated > 0 {
            let Failure { kind: text, class } = failure;
            let new = Failures { class, count: 0 };
            self.failures.entry((kind, text)).or_insert(new).count += truncated;
        }
    }

    /// The client reported a record as delivered, but has no offset for it. Ignored if nothing is
    /// in flight.
    pub fn unconfirmed(&mut self, kind: Kind) {
        let topic = self.topic_mut(kind);
        topic.unconfirmed += u64::from(topic.in_flight() > 0);
    }

    /// Records without an acknowledgement were looked up in the log. Never more than there are.
    pub fn settle(&mut self, kind: Kind, settled: Settled) {
        let topic = self.topic_mut(kind);
        let doubtful = topic.failed + topic.unresolved();
        let found = settled.found.min(doubtful);
        topic.settled = Settled { found, not_found: settled.not_found.min(doubtful - found) };
    }

    /// A record was given up. Ignored if nothing is in flight.
    pub fn failed(&mut self, kind: Kind, failure: Failure) {
        let topic = self.topic_mut(kind);
        if topic.in_flight() == 0 {
            return;
        }
        topic.failed += 1;
        let Failure { kind: text, class } = failure;
        self.failures.entry((kind, text)).or_insert(Failures { class, count: 0 }).count += 1;
    }

    /// Failures by topic and kind.
    pub fn failures(&self) -> impl Iterator<Item = (Kind, &str, &Failures)> {
        self.failures.iter().map(|((kind, text), failures)| (*kind, text.as_str(), failures))
    }

    fn sum(&self, count: fn(&TopicCounts) -> u64) -> u64 {
        count(&self.metric) + count(&self.token)
    }

    /// Records of both topics handed to the client library.
    #[must_use]
    pub fn total_generated(&self) -> u64 {
        self.sum(TopicCounts::generated)
    }

    /// Records of both topics acknowledged.
    #[must_use]
    pub fn total_acknowledged(&self) -> u64 {
        self.sum(TopicCounts::acknowledged)
    }

    /// Records of both topics failed.
    #[must_use]
    pub fn total_failed(&self) -> u64 {
        self.sum(TopicCounts::failed)
    }

    /// Records of both topics that wait for their delivery report.
    #[must_use]
    pub fn total_in_flight(&self) -> u64 {
        self.sum(TopicCounts::in_flight)
    }

    /// Records of both topics with neither acknowledgement nor error.
    #[must_use]
    pub fn total_unresolved(&self) -> u64 {
        self.sum(TopicCounts::unresolved)
    }

    /// Records of both topics that are not known to be in the log.
    #[must_use]
    pub fn total_missing(&self) -> u64 {
        self.sum(TopicCounts::missing)
    }

    /// Records of both topics that were acknowledged, and were not in the log any more at the end.
    #[must_use]
    pub fn total_truncated(&self) -> u64 {
        self.sum(TopicCounts::truncated)
    }

    /// Records of both topics that are known to be in the log: acknowledged, or found there.
    #[must_use]
    pub fn total_delivered(&self) -> u64 {
        self.sum(|topic| topic.acknowledged + topic.settled.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::FailureClass;
    use proptest::prelude::*;

    fn failure(kind: &str) -> Failure {
        Failure { kind: kind.into(), class: FailureClass::Silence }
    }

    #[derive(Debug, Clone)]
    enum Act {
        Generated(Kind, u64),
        Acknowledged(Kind, u64, i32, i64),
        Unconfirmed(Kind),
        Failed(Kind),
        Settled(Kind, u64, u64),
        Recounted(Kind, u64, u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let kind = || prop::sample::select(&Kind::BOTH[..]);
        prop_oneof![
            (kind(), 0..50_u64).prop_map(|(k, n)| Act::Generated(k, n)),
            (kind(), 0..50_u64, 0..3_i32, 0..1000_i64)
                .prop_map(|(k, i, p, o)| Act::Acknowledged(k, i, p, o)),
            kind().prop_map(Act::Unconfirmed),
            kind().prop_map(Act::Failed),
            (kind(), 0..9_u64, 0..9_u64).prop_map(|(k, f, n)| Act::Settled(k, f, n)),
            (kind(), 0..9_u64, 0..9_u64).prop_map(|(k, t, n)| Act::Recounted(k, t, n)),
        ]
    }

    proptest! {
        #[test]
        fn the_counts_balance_whatever_happens(acts in prop::collection::vec(act(), 0..200)) {
            let mut counts = Counts::default();
            for act in acts {
                match act {
                    Act::Generated(kind, count) => counts.generated(kind, count),
                    Act::Acknowledged(kind, index, partition, offset) => {
                        counts.acknowledged(kind, index, (partition, offset));
                    }
                    Act::Recounted(kind, there, truncated) => {
                        let there = (0..2).map(|partition| (partition, there)).collect();
                        counts.recount(kind, &there, truncated, failure("truncated"));
                    }
                    Act::Unconfirmed(kind) => counts.unconfirmed(kind),
                    Act::Settled(kind, found, not_found) => {
                        counts.settle(kind, Settled { found, not_found });
                    }
                    Act::Failed(kind) => counts.failed(kind, failure("timed out")),
                }
                for kind in Kind::BOTH {
                    let topic = counts.topic(kind);
                    let sum = topic.acknowledged() + topic.failed() + topic.unresolved();
                    prop_assert_eq!(topic.generated(), sum);
                    prop_assert!(topic.in_flight() <= topic.unresolved());
                    prop_assert!(topic.missing() <= topic.failed() + topic.unresolved());
                    prop_assert!(topic.truncated() <= topic.failed());
                    let by_partition: u64 = topic.partitions().map(|p| p.acknowledged).sum();
                    prop_assert_eq!(topic.acknowledged(), by_partition);
                }
                let by_kind: u64 = counts.failures().map(|(_, _, f)| f.count).sum();
                prop_assert_eq!(counts.total_failed(), by_kind);
            }
        }
    }

    #[test]
    fn offsets_are_kept_as_first_and_last() {
        let mut counts = Counts::default();
        counts.generated(Kind::Token, 3);
        for (index, offset) in [(1, 7), (0, 5), (2, 9)] {
            counts.acknowledged(Kind::Token, index, (2, offset));
        }
        let partition = counts.topic(Kind::Token).partitions().next().copied();
        let expected =
            PartitionCounts { partition: 2, acknowledged: 3, first_offset: 5, last_offset: 9 };
        assert_eq!(partition, Some(expected));
        assert_eq!(counts.topic(Kind::Token).cut_back(), Vec::<i32>::new());
    }

    /// The partitions that these acknowledgements, as (index, partition, offset), call cut back.
    fn cut_back(mut counts: Counts, acknowledged: &[(u64, i32, i64)]) -> Vec<i32> {
        counts.generated(Kind::Metric, acknowledged.len() as u64);
        for (index, partition, offset) in acknowledged {
            counts.acknowledged(Kind::Metric, *index, (*partition, *offset));
        }
        counts.topic(Kind::Metric).cut_back()
    }

    #[test]
    fn an_offset_at_or_below_that_of_an_earlier_record_says_that_the_log_was_cut_back() {
        for (acknowledged, expected) in [
            // Each partition by itself.
            (&[(0, 0, 100), (1, 1, 7), (2, 0, 101), (3, 1, 9)][..], &[][..]),
            // The answers of two leaders can come in another order than the records were sent.
            (&[(5, 0, 500), (6, 0, 501), (3, 0, 400), (7, 0, 502)], &[]),
            // Made anew, restored, or cut to just before the last record.
            (&[(0, 0, 100), (1, 0, 0)], &[0]),
            (&[(0, 1, 100), (1, 1, 60), (2, 0, 5)], &[1]),
            (&[(0, 2, 100), (1, 2, 100)], &[2]),
            // The deposed leader's answer comes late: its record had an offset that another has now.
            (&[(5, 0, 500), (3, 0, 900)], &[0]),
            // It is not forgotten when the offsets grow again.
            (&[(0, 0, 100), (1, 0, 50), (2, 0, 200), (3, 0, 201)], &[0]),
        ] {
            assert_eq!(cut_back(Counts::default(), acknowledged), expected, "{acknowledged:?}");
        }
    }

    #[test]
    fn without_idempotence_a_record_that_is_sent_again_may_come_behind_a_later_one() {
        let again = [(10, 0, 0), (11, 0, 1), (0, 0, 2), (1, 0, 3)];
        assert_eq!(cut_back(Counts::reordered(), &again), Vec::<i32>::new());
        assert_eq!(cut_back(Counts::default(), &again), [0]);
        assert_eq!(cut_back(Counts::reordered(), &[(0, 0, 9), (1, 0, 3)]), [0]);
    }

    proptest! {
        #[test]
        fn offsets_that_grow_with_their_records_are_never_suspected(
            records in prop::collection::vec((0..3_i32, 1..9_i64), 0..60),
            swaps in prop::collection::vec(0..60_usize, 0..20),
        ) {
            let mut ends = [0; 3];
            let mut acknowledged: Vec<_> = records.into_iter().zip(0_u64..).map(|((p, gap), index)| {
                let end = &mut ends[usize::try_from(p).unwrap()];
                *end += gap;
                (index, p, *end)
            }).collect();
            for at in swaps {
                if at + 1 < acknowledged.len() {
                    acknowledged.swap(at, at + 1);
                }
            }
            prop_assert_eq!(cut_back(Counts::default(), &acknowledged), Vec::<i32>::new());
        }
    }

    #[test]
    fn what_was_acknowledged_and_is_gone_has_failed_and_what_nobody_could_look_up_is_unresolved() {
        let mut counts = Counts::default();
        counts.generated(Kind::Metric, 6);
        for (index, partition, offset) in [(0, 0, 8), (1, 0, 9), (2, 1, 4), (3, 0, 0), (4, 0, 1)] {
            counts.acknowledged(Kind::Metric, index, (partition, offset));
        }
        let there = BTreeMap::from([(0, 2), (1, 1)]);
        counts.recount(Kind::Metric, &there, 1, failure("truncated"));
        let topic = counts.topic(Kind::Metric);
        assert_eq!((topic.acknowledged(), topic.failed(), topic.truncated()), (3, 1, 1));
        assert_eq!((topic.unresolved(), topic.missing()), (2, 3));
        let by_partition: Vec<_> = topic.partitions().map(|p| p.acknowledged).collect();
        assert_eq!(by_partition, [2, 1]);
        let failures: Vec<_> = counts.failures().map(|(_, text, f)| (text, f.count)).collect();
        assert_eq!(failures, [("truncated", 1)]);
    }

    #[test]
    fn a_success_without_an_offset_is_no_acknowledgement_until_the_log_says_so() {
        let mut counts = Counts::default();
        counts.generated(Kind::Metric, 3);
        counts.acknowledged(Kind::Metric, 0, (0, 0));
        counts.unconfirmed(Kind::Metric);
        let topic = counts.topic(Kind::Metric).clone();
        assert_eq!((topic.acknowledged(), topic.unresolved(), topic.in_flight()), (1, 2, 1));
        assert_eq!(topic.missing(), 2);
        counts.settle(Kind::Metric, Settled { found: 1, not_found: 1 });
        let topic = counts.topic(Kind::Metric);
        assert_eq!((topic.acknowledged(), topic.unresolved(), topic.missing()), (1, 2, 1));
        assert_eq!(counts.total_delivered(), 2);
    }
}
