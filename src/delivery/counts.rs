//! Counts of records by topic, and of acknowledgements by partition.
//!
//! `generated = acknowledged + failed + unresolved` for each topic, always: unresolved is what is
//! left of the other three. Summary, report, status text and exit code are views of these counts.
//!
//! Acknowledged means that the broker gave the record an offset. A success without an offset proves
//! nothing, and is unresolved. What was found in the log afterwards is counted apart: it changes what
//! is missing, not what was acknowledged.

use std::collections::BTreeMap;

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
    unconfirmed: u64,
    settled: Settled,
    partitions: BTreeMap<i32, PartitionCounts>,
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
        self.partitions.values()
    }
}

/// The counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    metric: TopicCounts,
    token: TopicCounts,
    failures: BTreeMap<(Kind, String), Failures>,
}

impl Counts {
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

    /// The broker gave a record this offset. Ignored if nothing is in flight: it cannot be one of ours.
    pub fn acknowledged(&mut self, kind: Kind, partition: i32, offset: i64) {
        let topic = self.topic_mut(kind);
        if topic.in_flight() == 0 {
            return;
        }
        topic.acknowledged += 1;
        let new = PartitionCounts {
            partition,
            acknowledged: 0,
            first_offset: offset,
            last_offset: offset,
        };
        let entry = topic.partitions.entry(partition).or_insert(new);
        entry.acknowledged += 1;
        entry.first_offset = entry.first_offset.min(offset);
        entry.last_offset = entry.last_offset.max(offset);
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
        Acknowledged(Kind, i32, i64),
        Unconfirmed(Kind),
        Failed(Kind),
        Settled(Kind, u64, u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let kind = || prop::sample::select(&Kind::BOTH[..]);
        prop_oneof![
            (kind(), 0..50_u64).prop_map(|(k, n)| Act::Generated(k, n)),
            (kind(), 0..3_i32, 0..1000_i64).prop_map(|(k, p, o)| Act::Acknowledged(k, p, o)),
            kind().prop_map(Act::Unconfirmed),
            kind().prop_map(Act::Failed),
            (kind(), 0..9_u64, 0..9_u64).prop_map(|(k, f, n)| Act::Settled(k, f, n)),
        ]
    }

    proptest! {
        #[test]
        fn the_counts_balance_whatever_happens(acts in prop::collection::vec(act(), 0..200)) {
            let mut counts = Counts::default();
            for act in acts {
                match act {
                    Act::Generated(kind, count) => counts.generated(kind, count),
                    Act::Acknowledged(kind, partition, offset) => {
                        counts.acknowledged(kind, partition, offset);
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
        for offset in [7, 5, 9] {
            counts.acknowledged(Kind::Token, 2, offset);
        }
        let partition = counts.topic(Kind::Token).partitions().next().copied();
        let expected =
            PartitionCounts { partition: 2, acknowledged: 3, first_offset: 5, last_offset: 9 };
        assert_eq!(partition, Some(expected));
    }

    #[test]
    fn a_success_without_an_offset_is_no_acknowledgement_until_the_log_says_so() {
        let mut counts = Counts::default();
        counts.generated(Kind::Metric, 3);
        counts.acknowledged(Kind::Metric, 0, 0);
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
