//! A record as it was read, wherever it came from.

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

    /// Where it is.
    pub(super) fn place(&self) -> (Kind, i32, i64) {
        (self.kind, self.partition.unwrap_or(-1), self.offset)
    }
}
