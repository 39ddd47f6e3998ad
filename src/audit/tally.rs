//! Every record that was read, in one of its classes.

use std::collections::BTreeMap;

use serde::Serialize;

/// Most other runs that are named.
const MOST_RUNS: usize = 16;

/// Records that were read of a topic, each counted once:
/// `records = first_intact + first_altered + extra_copies + misplaced + unmatched + unexpected +
/// foreign`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReadAccount {
    /// All of them.
    pub records: u64,
    /// First copies that are as they were sent.
    pub first_intact: u64,
    /// First copies that are not.
    pub first_altered: u64,
    /// Copies beyond the first.
    pub extra_copies: u64,
    /// Records of this run whose own topic is the other one.
    pub misplaced: u64,
    /// Events without the headers of a run that may be this run's, and none of them alone: which they are
    /// nothing tells.
    pub unmatched: u64,
    /// Records of this run, of a pair that it does not have.
    pub unexpected: u64,
    /// Records of others.
    pub foreign: Foreign,
    /// Of the copies, first or not: those whose value is the same JSON in other bytes.
    pub reencoded: u64,
}

impl ReadAccount {
    /// Counts a record that is the first copy or not, and altered or not.
    pub(super) fn count(&mut self, (is_first, is_altered): (bool, bool), is_reencoded: bool) {
        self.reencoded += u64::from(is_reencoded);
        match (is_first, is_altered) {
            (true, false) => self.first_intact += 1,
            (true, true) => self.first_altered += 1,
            (false, _) => self.extra_copies += 1,
        }
    }
}

/// Records of others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Foreign {
    /// All of them.
    pub records: u64,
    /// Records of other runs, by run: the first sixteen.
    pub runs: BTreeMap<String, u64>,
    /// Records of this run that another shard sent.
    pub other_shards: u64,
    /// Records without the headers of a run that are none of this run's.
    pub without_headers: u64,
}

/// Counts records of others.
#[derive(Debug, Default)]
pub(super) struct Foreigners(pub(super) Foreign);

impl Foreigners {
    pub(super) fn run(&mut self, run: &[u8]) {
        let run = super::compare::shortened(&String::from_utf8_lossy(run));
        self.0.records += 1;
        if self.0.runs.len() < MOST_RUNS || self.0.runs.contains_key(&run) {
            *self.0.runs.entry(run).or_default() += 1;
        }
    }

    pub(super) fn shard(&mut self) {
        self.0.records += 1;
        self.0.other_shards += 1;
    }

    pub(super) fn no_headers(&mut self) {
        self.0.records += 1;
        self.0.without_headers += 1;
    }
}
