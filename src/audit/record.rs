//! A record as it was read, wherever it came from.

use super::rows::Row;
use crate::event::Kind;

/// A record that was read.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// Which of the two topics it was in.
    pub kind: Kind,
    /// Partition; `None` where the source does not tell.
    pub partition: Option<i32>,
    /// Offset in the partition, or the number of the line.
    pub offset: i64,
    /// Epoch of the leader that wrote it, where the source tells.
    pub leader_epoch: Option<i32>,
    /// Record timestamp, ms since 1970.
    pub timestamp_ms: Option<i64>,
    /// Whether the broker put its own time on the record (`LogAppendTime`).
    pub has_append_time: bool,
    /// Key; the outer `None` where the source does not tell.
    pub key: Option<Option<&'a [u8]>>,
    /// Headers in their order; `None` where the source does not tell.
    pub headers: Option<&'a [(&'a str, &'a [u8])]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Run and pair, where the source has them beside the record and not in its headers.
    pub identity: Option<(&'a [u8], Option<u64>)>,
    /// The columns of a table's row. Its `value` is then no more than what tells which record it is.
    pub row: Option<Row<'a>>,
    /// When a reader that follows the log got it, ms since 1970.
    pub seen_at_ms: Option<i64>,
}

impl Read<'_> {
    /// The value of the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers?.iter();
        headers.find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    /// The run that it names.
    pub(super) fn run(&self) -> Option<&[u8]> {
        self.header("run").or_else(|| self.identity.map(|(run, _)| run))
    }

    /// The pair that it names.
    pub(super) fn seq(&self) -> Option<u64> {
        if let Some(seq) = self.header("seq") {
            return std::str::from_utf8(seq).ok()?.parse().ok();
        }
        self.identity?.1
    }

    /// Where it is.
    pub(super) fn place(&self) -> (Kind, i32, i64) {
        (self.kind, self.partition.unwrap_or(-1), self.offset)
    }
}
