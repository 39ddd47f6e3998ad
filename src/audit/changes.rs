//! What was found to differ, by part and place, each with its first example.

use std::collections::BTreeMap;

use serde::Serialize;

use super::compare::Change;
use super::examine::{Differs, Part};
use super::record::Read;

/// Most places that are told apart in one topic; the rest are counted together.
const MOST: usize = 256;

/// The first record of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its pair.
    pub seq: Option<u64>,
    /// The topic that it was read from, of those of the account, from 0.
    pub topic: u16,
    /// Its partition, where the source tells.
    pub partition: Option<i32>,
    /// Its offset, or the number of its line.
    pub offset: i64,
    /// The event time that it was held against, ms since 1970.
    pub ts_ms: Option<i64>,
}

impl Example {
    pub(super) fn of(read: &Read<'_>, seq: Option<u64>, ts_ms: Option<i64>) -> Self {
        Self { seq, topic: read.topic, partition: read.partition, offset: read.offset, ts_ms }
    }
}

/// One kind of difference in the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeAccount {
    /// `value`, `key`, `timestamp`, `header` or `partition`.
    pub part: &'static str,
    /// JSON pointer into the value, or the name of a header; `*` for all headers.
    pub at: String,
    /// `added`, `removed`, `type`, `value`, `not-json` or `tombstone`.
    pub change: &'static str,
    /// How many records, copies included.
    pub records: u64,
    /// What was expected in the first of them.
    pub expected: String,
    /// What was found there.
    pub found: String,
    /// The first of them.
    pub example: Example,
}

/// The differences of one topic.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(Part, String, Change), ChangeAccount>);

impl Changes {
    pub(super) fn note(&mut self, differs: Differs, example: impl FnOnce() -> Example) {
        self.note_many(differs, 1, example);
    }

    /// Notes the same of so many records.
    pub(super) fn note_many(
        &mut self,
        differs: Differs,
        records: u64,
        example: impl FnOnce() -> Example,
    ) {
        let Differs { part, at, change, expected, found } = differs;
        let mut key = (part, at, change);
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            key.1 = "(elsewhere)".to_owned();
        }
        let at = key.1.clone();
        let account = self.0.entry(key).or_insert_with(|| ChangeAccount {
            part: part.word(),
            at,
            change: change.word(),
            records: 0,
            expected,
            found,
            example: example(),
        });
        account.records += records;
    }

    pub(super) fn account(self) -> Vec<ChangeAccount> {
        self.0.into_values().collect()
    }
}
