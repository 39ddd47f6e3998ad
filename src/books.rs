//! The books: what became of every record, per topic and partition.
//!
//! `generated = acknowledged + failed + unresolved` for each topic, always: unresolved is what is
//! left of the other three, so the books cannot be out of balance. Summary, report, status text and
//! exit code are views of them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Kind;

/// Acknowledgements of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionBooks {
    /// Partition number.
    pub partition: i32,
    /// Acknowledged records.
    pub acknowledged: u64,
    /// Lowest acknowledged offset; `None` where the broker does not tell.
    pub first_offset: Option<i64>,
    /// Highest acknowledged offset.
    pub last_offset: Option<i64>,
}

/// Records of one topic. The counts are read-only: [`Books`] keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicBooks {
    generated: u64,
    acknowledged: u64,
    failed: u64,
    partitions: BTreeMap<i32, PartitionBooks>,
}

impl TopicBooks {
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

    /// Records with neither acknowledgement nor error so far; at the end: unresolved.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.generated - self.acknowledged - self.failed
    }

    /// Acknowledgements by partition.
    pub fn partitions(&self) -> impl Iterator<Item = &PartitionBooks> {
        self.partitions.values()
    }
}

/// Why a record failed, as far as the exit code cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureClass {
    /// No answer came: the record's time ran out, or the brokers were gone.
    Silence,
    /// The cluster refused for lack of permission.
    Denied,
    /// The cluster, or the client library, refused otherwise.
    Refused,
}

/// Failures of one kind in one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// Their class.
    pub class: FailureClass,
    /// How many.
    pub count: u64,
}

/// Why a record failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the client library calls it.
    pub kind: String,
    /// Its class.
    pub class: FailureClass,
}

/// The books of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    metric: TopicBooks,
    token: TopicBooks,
    failures: BTreeMap<(Kind, String), Failures>,
}

impl Books {
    /// The books of one topic.
    #[must_use]
    pub fn topic(&self, kind: Kind) -> &TopicBooks {
        match kind {
            Kind::Metric => &self.metric,
            Kind::Token => &self.token,
        }
    }

    fn topic_mut(&mut self, kind: Kind) -> &mut TopicBooks {
        match kind {
            Kind::Metric => &mut self.metric,
            Kind::Token => &mut self.token,
        }
    }

    /// A record was handed to the client library.
    pub fn generated(&mut self, kind: Kind) {
        self.topic_mut(kind).generated += 1;
    }

    /// A record that was counted as generated was not taken: it will be offered again.
    pub fn withdrawn(&mut self, kind: Kind) {
        let topic = self.topic_mut(kind);
        topic.generated -= u64::from(topic.open() > 0);
    }

    /// A record was acknowledged. Ignored where nothing is open: it cannot be one of ours.
    pub fn acknowledged(&mut self, kind: Kind, partition: i32, offset: Option<i64>) {
        let topic = self.topic_mut(kind);
        if topic.open() == 0 {
            return;
        }
        topic.acknowledged += 1;
        let new = PartitionBooks {
            partition,
            acknowledged: 0,
            first_offset: offset,
            last_offset: offset,
        };
        let entry = topic.partitions.entry(partition).or_insert(new);
        entry.acknowledged += 1;
        if let Some(offset) = offset {
            entry.first_offset = Some(entry.first_offset.map_or(offset, |first| first.min(offset)));
            entry.last_offset = Some(entry.last_offset.map_or(offset, |last| last.max(offset)));
        }
    }

    /// A record was given up. Ignored where nothing is open.
    pub fn failed(&mut self, kind: Kind, failure: Failure) {
        let topic = self.topic_mut(kind);
        if topic.open() == 0 {
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

    fn sum(&self, count: fn(&TopicBooks) -> u64) -> u64 {
        count(&self.metric) + count(&self.token)
    }

    /// Records of both topics handed to the client library.
    #[must_use]
    pub fn total_generated(&self) -> u64 {
        self.sum(TopicBooks::generated)
    }

    /// Records of both topics acknowledged.
    #[must_use]
    pub fn total_acknowledged(&self) -> u64 {
        self.sum(TopicBooks::acknowledged)
    }

    /// Records of both topics failed.
    #[must_use]
    pub fn total_failed(&self) -> u64 {
        self.sum(TopicBooks::failed)
    }

    /// Records of both topics without an answer.
    #[must_use]
    pub fn total_open(&self) -> u64 {
        self.sum(TopicBooks::open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failure(kind: &str) -> Failure {
        Failure { kind: kind.into(), class: FailureClass::Silence }
    }

    #[derive(Debug, Clone)]
    enum Act {
        Generated(Kind),
        Withdrawn(Kind),
        Acknowledged(Kind, i32, i64),
        Failed(Kind),
    }

    fn act() -> impl Strategy<Value = Act> {
        let kind = || prop::sample::select(&Kind::BOTH[..]);
        prop_oneof![
            kind().prop_map(Act::Generated),
            kind().prop_map(Act::Withdrawn),
            (kind(), 0..3_i32, 0..1000_i64).prop_map(|(k, p, o)| Act::Acknowledged(k, p, o)),
            kind().prop_map(Act::Failed),
        ]
    }

    proptest! {
        #[test]
        fn the_books_balance_whatever_happens(acts in prop::collection::vec(act(), 0..200)) {
            let mut books = Books::default();
            for act in acts {
                match act {
                    Act::Generated(kind) => books.generated(kind),
                    Act::Withdrawn(kind) => books.withdrawn(kind),
                    Act::Acknowledged(kind, partition, offset) => {
                        books.acknowledged(kind, partition, Some(offset));
                    }
                    Act::Failed(kind) => books.failed(kind, failure("timed out")),
                }
                for kind in Kind::BOTH {
                    let topic = books.topic(kind);
                    let sum = topic.acknowledged() + topic.failed() + topic.open();
                    prop_assert_eq!(topic.generated(), sum);
                    let by_partition: u64 = topic.partitions().map(|p| p.acknowledged).sum();
                    prop_assert_eq!(topic.acknowledged(), by_partition);
                }
                let by_kind: u64 = books.failures().map(|(_, _, f)| f.count).sum();
                prop_assert_eq!(books.total_failed(), by_kind);
            }
        }
    }

    #[test]
    fn offsets_are_kept_as_first_and_last() {
        let mut books = Books::default();
        for offset in [Some(7), None, Some(5), Some(9)] {
            books.generated(Kind::Token);
            books.acknowledged(Kind::Token, 2, offset);
        }
        let partition = books.topic(Kind::Token).partitions().next().copied();
        let expected = PartitionBooks {
            partition: 2,
            acknowledged: 4,
            first_offset: Some(5),
            last_offset: Some(9),
        };
        assert_eq!(partition, Some(expected));
    }
}
