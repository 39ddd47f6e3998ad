//! Copies of records beyond the first: where they come from, and how far they are from the first.

use serde::Serialize;

use super::amount::{Amounts, Spread};
use super::places::Place;

/// Farthest that a client's own retry puts a copy from its record: a batch of librdkafka has at most
/// 10,000 records.
const RETRY_WITHIN: u64 = 10_000;

/// Where a copy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyOrigin {
    /// Declared by a fault of the run.
    Declared,
    /// The same bytes, near its record in the same partition: sent twice by a client.
    Retry,
    /// The same run sent once more: a whole stretch from the beginning, or events of another time.
    SentAgain,
    /// Changed, or in another partition: made by a stage on the way.
    Stage,
    /// The same bytes, far away: a stage that replayed, or the run sent once more.
    Replay,
}

impl CopyOrigin {
    /// The words of the account.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Declared => "declared by a fault",
            Self::Retry => "a client's retry (the same bytes, near)",
            Self::SentAgain => "the run sent again",
            Self::Stage => "made by a stage (changed, or in another partition)",
            Self::Replay => "replayed, or the run sent again (the same bytes, far)",
        }
    }
}

/// The copies of one origin in the account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyAccount {
    /// Where they come from.
    pub origin: CopyOrigin,
    /// How many.
    pub records: u64,
    /// How many are in the partition of the first copy.
    pub same_partition: u64,
    /// How far behind the first copy in the same partition, in offsets.
    pub distance_records: Option<Amounts>,
    /// How many have a first copy that was read too long before to know where it was.
    pub distance_unknown: u64,
}

/// Copies of one origin.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    records: u64,
    same_partition: u64,
    distance: Spread,
    unknown: u64,
}

impl Group {
    fn add(&mut self, seq: u64, same_partition: bool, distance: Option<u64>) {
        self.records += 1;
        self.same_partition += u64::from(same_partition);
        match distance {
            Some(distance) => self.distance.add(distance, seq),
            None => self.unknown += u64::from(same_partition),
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.records += other.records;
        self.same_partition += other.same_partition;
        self.distance.absorb(&other.distance);
        self.unknown += other.unknown;
    }
}

/// A copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copied {
    pub(super) seq: u64,
    /// Where the copy is.
    pub(super) at: Place,
    /// Where the first one was, unless that is forgotten.
    pub(super) first: Option<Place>,
    /// Whether it differs from the record that was sent.
    pub(super) is_changed: bool,
    /// Whether a fault of the run declared it.
    pub(super) is_declared: bool,
    /// Whether its time, or that of its record, is outside the run of the report.
    pub(super) is_of_another_start: bool,
}

/// The copies of one partition.
#[derive(Debug, Default)]
pub(super) struct Copies {
    near: Group,
    declared: Group,
    again: Group,
    stage: Group,
    far: Group,
    /// First copies that the partition had before the first copy that is near.
    before: u64,
    /// Whether the copies that are near repeat the partition from its first record on.
    from_the_beginning: bool,
    /// The offset of the first copy of the last of them.
    last: Option<i64>,
}

impl Copies {
    /// Notes a copy. The partition has so many first copies by now, and they begin at this offset.
    pub(super) fn note(&mut self, copied: &Copied, firsts: u64, begins: Option<i64>) -> CopyOrigin {
        let Copied { seq, at, first, .. } = *copied;
        let (same, distance, other_time) = match first {
            Some(first) => {
                let same = (first.topic, first.partition) == (at.topic, at.partition);
                let distance = same.then(|| at.offset.abs_diff(first.offset));
                (same, distance, first.pair_ms != at.pair_ms)
            }
            None => (true, None, false),
        };
        let is_near = distance.is_some_and(|distance| distance <= RETRY_WITHIN);
        let origin = if copied.is_declared {
            CopyOrigin::Declared
        } else if copied.is_changed || !same {
            CopyOrigin::Stage
        } else if other_time || copied.is_of_another_start {
            CopyOrigin::SentAgain
        } else if is_near {
            CopyOrigin::Retry
        } else {
            CopyOrigin::Replay
        };
        if origin == CopyOrigin::Retry {
            let first = first.map(|first| first.offset);
            match self.last {
                None => (self.before, self.from_the_beginning) = (firsts, begins == first),
                Some(last) => self.from_the_beginning &= first > Some(last),
            }
            self.last = first;
        }
        self.group(origin).add(seq, same, distance);
        origin
    }

    fn group(&mut self, origin: CopyOrigin) -> &mut Group {
        match origin {
            CopyOrigin::Declared => &mut self.declared,
            CopyOrigin::Retry => &mut self.near,
            CopyOrigin::SentAgain => &mut self.again,
            CopyOrigin::Stage => &mut self.stage,
            CopyOrigin::Replay => &mut self.far,
        }
    }

    /// Whether what looks like retries repeats all that the partition had: then it was sent again.
    fn repeats_all(&self) -> bool {
        self.from_the_beginning && self.near.records == self.before && self.before > 1
    }
}

/// The account of the copies of a topic's partitions.
pub(super) fn account<'a>(partitions: impl Iterator<Item = &'a Copies>) -> Vec<CopyAccount> {
    let mut whole = Copies::default();
    for copies in partitions {
        let near = if copies.repeats_all() { CopyOrigin::SentAgain } else { CopyOrigin::Retry };
        whole.group(near).absorb(&copies.near);
        whole.declared.absorb(&copies.declared);
        whole.again.absorb(&copies.again);
        whole.stage.absorb(&copies.stage);
        whole.far.absorb(&copies.far);
    }
    let origins = [
        CopyOrigin::Declared,
        CopyOrigin::Retry,
        CopyOrigin::SentAgain,
        CopyOrigin::Replay,
        CopyOrigin::Stage,
    ];
    let groups = origins.map(|origin| (origin, whole.group(origin).clone()));
    let some = groups.into_iter().filter(|(_, group)| group.records > 0);
    some.map(|(origin, group)| CopyAccount {
        origin,
        records: group.records,
        same_partition: group.same_partition,
        distance_records: group.distance.amounts(),
        distance_unknown: group.unknown,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The origins of the copies of one partition: seq, offset, offset of the first copy.
    fn origins(copied: &[(u64, i64, i64)], firsts: u64) -> Vec<(CopyOrigin, u64)> {
        let mut copies = Copies::default();
        let place = |offset, pair_ms| Place { pair_ms, topic: 0, offset, partition: 0 };
        for (seq, at, first) in copied {
            let copied = Copied {
                seq: *seq,
                at: place(*at, 0),
                first: Some(place(*first, 0)),
                is_changed: false,
                is_declared: false,
                is_of_another_start: false,
            };
            copies.note(&copied, firsts, Some(0));
        }
        let account = account([&copies].into_iter());
        account.iter().map(|account| (account.origin, account.records)).collect()
    }

    #[test]
    fn a_batch_that_a_client_sends_twice_is_a_retry_and_a_whole_run_is_not() {
        let batch = [(3, 6, 3), (4, 7, 4), (5, 8, 5)];
        assert_eq!(origins(&batch, 6), [(CopyOrigin::Retry, 3)]);
        let run = [(0, 3, 0), (1, 4, 1), (2, 5, 2)];
        assert_eq!(origins(&run, 3), [(CopyOrigin::SentAgain, 3)]);
        assert_eq!(origins(&run, 4), [(CopyOrigin::Retry, 3)]);
        assert_eq!(origins(&[(7, 20_000, 7)], 9), [(CopyOrigin::Replay, 1)]);
    }

    #[test]
    fn a_copy_of_another_time_or_partition_or_with_other_bytes_is_told_apart() {
        let origin = |pair_ms, partition, is_changed| {
            let copied = Copied {
                seq: 1,
                at: Place { pair_ms: 5, topic: 0, offset: 9, partition: 0 },
                first: Some(Place { pair_ms, topic: 0, offset: 8, partition }),
                is_changed,
                is_declared: false,
                is_of_another_start: false,
            };
            Copies::default().note(&copied, 2, Some(0))
        };
        assert_eq!(origin(5, 0, false), CopyOrigin::Retry);
        assert_eq!(origin(6, 0, false), CopyOrigin::SentAgain);
        assert_eq!(origin(5, 1, false), CopyOrigin::Stage);
        assert_eq!(origin(5, 0, true), CopyOrigin::Stage);
    }
}
