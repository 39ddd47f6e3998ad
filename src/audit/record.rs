//! A record as it was read, wherever it came from.

use super::moment::within_calendar;
use super::rows::{Cell, Row};
use crate::event::Kind;

/// A record that was read.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// Which of the two events it is.
    pub kind: Kind,
    /// Whether its topic tells that; else `kind` is what [`Audit::kind_of`](super::Audit::kind_of) says.
    pub is_told: bool,
    /// Which of the topics that have the event it was in, from 0.
    pub topic: u16,
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

    /// The same with numbers of which sums and differences have room: a line may claim any.
    pub(super) fn tamed(self) -> Self {
        const FAR: i64 = 1 << 60;
        Self {
            offset: self.offset.clamp(-FAR, FAR),
            timestamp_ms: self.timestamp_ms.map(within_calendar),
            seen_at_ms: self.seen_at_ms.map(within_calendar),
            ..self
        }
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

    /// Whether topic and key are those of a record of this kind and key, as far as they are known.
    pub(super) fn is_of(&self, kind: Kind, key: Option<&str>) -> bool {
        let key = key.map(str::as_bytes);
        (!self.is_told || self.kind == kind) && self.key.is_none_or(|found| found == key)
    }

    /// Where it is.
    pub(super) fn place(&self) -> Spot {
        (self.kind, self.topic, self.partition.unwrap_or(-1), self.offset)
    }
}

/// A record that is kept until more is known.
#[derive(Debug)]
pub(super) struct Owned {
    kind: Kind,
    is_told: bool,
    topic: u16,
    partition: Option<i32>,
    offset: i64,
    leader_epoch: Option<i32>,
    timestamp_ms: Option<i64>,
    has_append_time: bool,
    key: Option<Option<Box<[u8]>>>,
    headers: Option<Vec<(String, Box<[u8]>)>>,
    value: Option<Box<[u8]>>,
    identity: Option<(Box<[u8]>, Option<u64>)>,
    row: Option<OwnedRow>,
    seen_at_ms: Option<i64>,
}

/// Name and cell of each column, and the unit of the table's times.
type OwnedRow = (Vec<(String, OwnedCell)>, i128);

#[derive(Debug)]
enum OwnedCell {
    Null,
    Text(String),
    Json(String),
}

impl OwnedCell {
    fn of(cell: &Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Text(text) => Self::Text((*text).to_owned()),
            Cell::Json(json) => Self::Json((*json).to_owned()),
        }
    }

    fn lend(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Text(text) => Cell::Text(text),
            Self::Json(json) => Cell::Json(json),
        }
    }
}

impl Owned {
    pub(super) fn of(read: &Read<'_>) -> Self {
        let header = |(name, value): &(&str, &[u8])| ((*name).to_owned(), Box::from(*value));
        Self {
            kind: read.kind,
            is_told: read.is_told,
            topic: read.topic,
            partition: read.partition,
            offset: read.offset,
            leader_epoch: read.leader_epoch,
            timestamp_ms: read.timestamp_ms,
            has_append_time: read.has_append_time,
            key: read.key.map(|key| key.map(Box::from)),
            headers: read.headers.map(|headers| headers.iter().map(header).collect()),
            value: read.value.map(Box::from),
            identity: read.identity.map(|(run, seq)| (Box::from(run), seq)),
            row: read.row.map(|row| {
                let cells = row.cells.iter();
                let cells = cells.map(|(name, cell)| ((*name).to_owned(), OwnedCell::of(cell)));
                (cells.collect(), row.precision_ns)
            }),
            seen_at_ms: read.seen_at_ms,
        }
    }

    /// What it takes, bytes.
    pub(super) fn size(&self) -> usize {
        let key = self.key.iter().flatten().map(|key| key.len()).sum::<usize>();
        let headers = self.headers.iter().flatten();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len() + 64).sum();
        // A cell is about as long as its name.
        let cells = self.row.iter().flat_map(|(cells, _)| cells);
        let cells: usize = cells.map(|(name, _)| 2 * name.len() + 64).sum();
        size_of::<Self>()
            + key
            + headers
            + cells
            + self.value.as_ref().map_or(0, |value| value.len())
    }

    /// Whether topic and key are those of a record of this kind and key, as far as they are known.
    pub(super) fn is_of(&self, kind: Kind, key: Option<&str>) -> bool {
        let has_key = |found: &Option<Box<[u8]>>| found.as_deref() == key.map(str::as_bytes);
        (!self.is_told || self.kind == kind) && self.key.as_ref().is_none_or(has_key)
    }

    /// Whether its timestamp is that, as far as both are known.
    pub(super) fn is_then(&self, at_ms: Option<i64>) -> bool {
        let own = self.timestamp_ms.filter(|_| !self.has_append_time);
        own.zip(at_ms).is_none_or(|(own, at)| own == at)
    }

    pub(super) fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// Calls `each` with the record as it was read.
    pub(super) fn lend<T>(&self, each: impl FnOnce(&Read<'_>) -> T) -> T {
        let headers = self.headers.as_ref().map(|headers| {
            headers.iter().map(|(name, value)| (name.as_str(), &**value)).collect::<Vec<_>>()
        });
        let cells = self.row.as_ref().map(|(cells, _)| {
            cells.iter().map(|(name, cell)| (name.as_str(), cell.lend())).collect::<Vec<_>>()
        });
        let row = cells.as_ref().zip(self.row.as_ref());
        let row = row.map(|(cells, (_, unit))| Row { cells, precision_ns: *unit });
        each(&Read {
            kind: self.kind,
            is_told: self.is_told,
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            timestamp_ms: self.timestamp_ms,
            has_append_time: self.has_append_time,
            key: self.key.as_ref().map(|key| key.as_deref()),
            headers: headers.as_deref(),
            value: self.value.as_deref(),
            identity: self.identity.as_ref().map(|(run, seq)| (&**run, *seq)),
            row,
            seen_at_ms: self.seen_at_ms,
        })
    }
}

/// Where a record is: its event, which of the topics that have it, partition and offset.
pub(super) type Spot = (Kind, u16, i32, i64);
