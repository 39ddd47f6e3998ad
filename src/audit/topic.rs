//! What was read of one topic.

use std::collections::BTreeMap;
use std::time::Duration;

use roaring::RoaringTreemap;

use super::changes::{Changes, Example};
use super::compare::Change;
use super::examine::{Differs, Examined, Part};
use super::places::Place;
use super::record::Read;
use super::shared::by_fields;
use super::slots::{Slot, Slots};
use super::streams::{Kept, Streams};
use super::tally::{Foreigners, ReadAccount};
use crate::faults::{Fault, FaultSet};
use crate::histogram::Times;
use crate::plan::{FAULT, Plan, partition_of};

/// What was read of one topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) originals: Slots,
    pub(super) copies: Slots,
    pub(super) read: ReadAccount,
    pub(super) changes: Changes,
    pub(super) foreigners: Foreigners,
    pub(super) streams: Streams,
    /// The partitions in which each GPU's records are, where nothing says in which they are to be.
    homes: Vec<BTreeMap<i32, Home>>,
    /// Records that were read in the other topic, by place.
    pub(super) elsewhere: RoaringTreemap,
    /// The first record of the other topic.
    pub(super) misplaced: Option<Example>,
    /// The first record that may be one of several, or none.
    pub(super) first_unmatched: Option<Example>,
    /// The last record of another run that has a GPU's key, by its offset.
    others: Vec<Option<i64>>,
    pub(super) unexpected: Option<Example>,
    pub(super) outside: u64,
    /// Records that were not compared, because nothing tells their time.
    pub(super) untimed: u64,
    pub(super) by_value: u64,
    /// Whether a record had a partition, so that the order of what is read is that of a log.
    pub(super) has_order: bool,
    /// Records without headers that match no pair: those whose fields tell which event they are, and the
    /// others.
    pub(super) unmatched: [u64; 2],
    pub(super) latency: Times,
}

impl Topic {
    /// Nothing of a run with so many GPUs.
    pub(super) fn new(gpus: usize) -> Self {
        Self {
            streams: Streams::new(gpus),
            homes: vec![BTreeMap::new(); gpus],
            others: vec![None; gpus],
            ..Self::default()
        }
    }

    /// Notes a record without headers that matches no pair, or several.
    pub(super) fn unmatched(&mut self, read: &Read<'_>) {
        self.unmatched[usize::from(by_fields(read.value).is_none())] += 1;
        self.read.unmatched += 1;
        let example = || Example::of(read, None, read.timestamp_ms);
        self.first_unmatched.get_or_insert_with(example);
    }

    /// Records that were found, each counted once.
    pub(super) fn found(&self) -> u64 {
        self.originals.seen.found() + self.copies.seen.found()
    }

    /// Notes how long a record took from the time that it shows to the log, or to this reader.
    pub(super) fn note_latency(&mut self, read: &Read<'_>, ts_ms: i64) {
        let appended = read.timestamp_ms.filter(|_| read.has_append_time);
        if let Some(arrived) = appended.or(read.seen_at_ms) {
            let ms = u64::try_from(arrived.saturating_sub(ts_ms)).unwrap_or_default();
            self.latency.record(Duration::from_millis(ms));
        }
    }

    /// Whether a record and its copy were both read.
    pub(super) fn are_both_there(&self, place: u64) -> bool {
        self.originals.seen.contains(place) && self.copies.seen.contains(place)
    }

    pub(super) fn of_slot(&self, slot: Slot) -> &Slots {
        match slot {
            Slot::Original => &self.originals,
            Slot::Copy => &self.copies,
        }
    }

    pub(super) fn slots(&mut self, slot: Slot) -> &mut Slots {
        match slot {
            Slot::Original => &mut self.originals,
            Slot::Copy => &mut self.copies,
        }
    }

    /// Which of the two a record is, where these faults are in force: its header tells, or else what is
    /// still to come.
    pub(super) fn slot(&self, place: u64, faults: FaultSet, read: &Read<'_>) -> Slot {
        if !faults.has(Fault::Duplicate) {
            return Slot::Original;
        }
        let header = |faults: FaultSet| (!faults.is_empty()).then(|| faults.to_string());
        let is_of = |faults| header(faults).as_deref().map(str::as_bytes) == read.header(FAULT);
        let has_headers = read.header("run").is_some();
        if has_headers && is_of(faults) {
            return Slot::Copy;
        }
        let is_original = has_headers && is_of(faults.without(Fault::Duplicate));
        let has_come = self.originals.seen.contains(place) && !self.copies.seen.contains(place);
        if has_come && !is_original { Slot::Copy } else { Slot::Original }
    }

    /// Notes a record of the run; returns where it is.
    pub(super) fn note(
        &mut self,
        read: &Read<'_>,
        (seq, place, gpu): (u64, u64, usize),
        (pair_ms, ts_ms): (i64, Option<i64>),
        kept: Kept,
    ) -> Place {
        let partition = read.partition.unwrap_or(-1);
        let at = Place { pair_ms, topic: read.topic, offset: read.offset, partition };
        let original = self.originals.places.of(place);
        let slots = self.slots(kept.slot);
        let first = slots.places.of(place);
        if kept.is_first {
            slots.places.note(place, at);
        }
        // A copy that a fault made is held against its original, and every other against its first.
        let is_declared = kept.is_first && kept.slot == Slot::Copy;
        let first = if is_declared { original } else { first };
        self.streams.note(seq, gpu, (at, first), ts_ms, kept);
        at
    }

    /// The partition in which the records of a GPU are: that of its key, or else that of most of them.
    pub(super) fn home(&self, gpu: usize, key: &str, partitions: Option<u32>) -> Option<i32> {
        match partitions {
            Some(partitions) => Some(partition_of(key.as_bytes(), partitions)),
            None => most(&self.homes[gpu]),
        }
    }

    /// What was read of a GPU's records in a partition.
    pub(super) fn home_of(
        &mut self,
        gpu: usize,
        partition: i32,
        example: impl FnOnce() -> Example,
    ) -> &mut Home {
        self.homes[gpu].entry(partition).or_insert_with(|| Home {
            records: 0,
            intact: 0,
            with_faults: Vec::new(),
            example: example(),
        })
    }

    /// Records that are in another partition than most of their GPU's are altered. Where as many are in
    /// each of two, nothing tells which are right.
    pub(super) fn settle_homes(&mut self) {
        for homes in self.homes.clone() {
            let Some(expected) = most(&homes) else { continue };
            for (partition, home) in homes.into_iter().filter(|(at, _)| *at != expected) {
                self.read.first_intact -= home.intact;
                self.read.first_altered += home.intact;
                for (slot, place) in home.with_faults {
                    self.slots(slot).altered.insert(place);
                }
                let differs = other_partition(expected, partition);
                self.changes.note_many(differs, home.records, || home.example);
            }
        }
    }

    /// Notes a record of another run that has the key of a GPU: compaction keeps the last one.
    pub(super) fn other(&mut self, gpu: usize, offset: i64) {
        let last = &mut self.others[gpu];
        *last = Some(last.map_or(offset, |last| last.max(offset)));
    }

    /// Where the last record of another run with the key of a GPU is.
    pub(super) fn last_of_others(&self, gpu: usize) -> Option<i64> {
        self.others[gpu]
    }

    /// Notes whether the record is in the partition of its key. Returns its partition where only the
    /// others of its GPU can tell.
    pub(super) fn partition(
        &mut self,
        plan: &Plan,
        read: &Read<'_>,
        gpu: usize,
        partitions: Option<u32>,
        examined: &mut Examined,
    ) -> Option<i32> {
        // A record with another key belongs elsewhere.
        let has_other_key = examined.differs.iter().any(|differs| differs.part == Part::Key);
        // Where a stage spreads its records over several topics, only those of the first are held together.
        let is_held = plan.has_keys() && !has_other_key && read.topic == 0;
        let partition = read.partition.filter(|_| is_held)?;
        let Some(partitions) = partitions else { return Some(partition) };
        let expected = partition_of(plan.key_of(gpu).as_bytes(), partitions);
        if partition != expected {
            examined.differs.push(other_partition(expected, partition));
        }
        None
    }
}

/// What was read of a GPU's records in one partition.
#[derive(Debug, Clone)]
pub(super) struct Home {
    records: u64,
    /// First copies that are intact, if they belong here.
    intact: u64,
    /// Those of them with faults, by place.
    with_faults: Vec<(Slot, u64)>,
    example: Example,
}

impl Home {
    /// Counts a record: whether it is intact if it belongs here, and where, if it has faults.
    pub(super) fn count(&mut self, is_intact: bool, with_faults: Option<(Slot, u64)>) {
        self.records += 1;
        self.intact += u64::from(is_intact);
        self.with_faults.extend(with_faults.filter(|_| is_intact));
    }
}

/// The partition with more records than any other.
fn most(homes: &BTreeMap<i32, Home>) -> Option<i32> {
    let (partition, most) = homes.iter().max_by_key(|(_, home)| home.records)?;
    let is_most = homes.values().filter(|home| home.records == most.records).count() == 1;
    is_most.then_some(*partition)
}

fn other_partition(expected: i32, found: i32) -> Differs {
    Differs {
        part: Part::Partition,
        at: String::new(),
        change: Change::Value,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}
