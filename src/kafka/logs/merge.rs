//! Takes records from the queues of the partitions, in the order that [`Heads`] has for them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::super::native::{Code, Consumer, ErrorCode, Fetched, PartitionQueue};
use super::super::reader::{self, ReadRecord, Unread};
use super::heads::{Heads, Taken};

/// Most records of a partition that are taken at once.
const BATCH: usize = 256;

/// Longest wait for a record.
const SLICE: Duration = Duration::from_millis(20);

/// Turns between two looks at what the client has to say beside records.
const SERVED_EVERY: u32 = 64;

/// The partitions that are read.
pub(super) struct Merge {
    consumer: Arc<Consumer>,
    streams: Vec<Stream>,
    pub(super) heads: Heads,
    /// Times of the latest records.
    times: Vec<i64>,
    /// Rings when a partition has records again.
    bell: Receiver<()>,
    turns: u32,
}

/// One partition of them.
struct Stream {
    /// The name of its topic.
    name: String,
    queue: PartitionQueue,
}

/// What came of a turn.
pub(super) enum Turn {
    /// No partition has a record now.
    Nothing,
    /// Some were handed on.
    Some,
    /// The caller wants no more.
    Enough,
}

impl Merge {
    /// Reads these partitions from these offsets on: the number of a topic, its name, the partition and
    /// the offset.
    pub(super) fn open<'t>(
        consumer: Consumer,
        partitions: impl Iterator<Item = (usize, &'t str, i32, i64)>,
    ) -> Result<Self, ErrorCode> {
        let consumer = Arc::new(consumer);
        let (ring, bell) = sync_channel(1);
        let (mut assigned, mut topics, mut streams) = (Vec::new(), Vec::new(), Vec::new());
        for (topic, name, partition, offset) in partitions {
            assigned.push((name, partition, offset));
            // The queue is split off before anything is fetched into the common one.
            let queue = consumer.queue_of(name, partition, ring.clone())?;
            topics.push(topic);
            streams.push(Stream { name: name.to_owned(), queue });
        }
        consumer.assign(assigned.into_iter())?;
        let heads = Heads::new(topics.into_iter());
        Ok(Self { consumer, streams, heads, times: Vec::with_capacity(BATCH), bell, turns: 0 })
    }

    /// Whether a partition was not read to an end yet.
    pub(super) fn any_open(&self) -> bool {
        self.heads.any_open()
    }

    /// Hands the next records of one partition to `each`, with the number of the partition.
    ///
    /// # Errors
    /// [`Unread`]: a partition cannot be read.
    pub(super) fn turn(
        &mut self,
        follows: bool,
        mut each: impl FnMut(usize, &ReadRecord<'_>) -> ControlFlow<()>,
    ) -> Result<Turn, Unread> {
        let mut turn = Turn::Nothing;
        for at in self.heads.in_order(follows) {
            turn = self.take(at, &mut each)?;
            if !matches!(turn, Turn::Nothing) || self.heads.is_waited_for(at) {
                break;
            }
        }
        self.turns = self.turns.wrapping_add(1);
        if matches!(turn, Turn::Nothing) || self.turns.is_multiple_of(SERVED_EVERY) {
            self.serve()?;
        }
        Ok(turn)
    }

    /// Waits until a partition has records again, but not for long.
    pub(super) fn wait(&self) {
        self.bell.recv_timeout(SLICE).ok();
    }

    /// What the client says beside records.
    fn serve(&self) -> Result<(), Unread> {
        match self.consumer.next(Duration::ZERO) {
            Some(Fetched::Failed(code)) => reader::check(code),
            _ => Ok(()),
        }
    }

    /// Hands on the next records of a partition, if it has any now.
    fn take(
        &mut self,
        at: usize,
        each: &mut impl FnMut(usize, &ReadRecord<'_>) -> ControlFlow<()>,
    ) -> Result<Turn, Unread> {
        let Stream { name, queue, .. } = &self.streams[at];
        let (mut taken, mut is_at_end, mut turn) = (Taken::default(), false, Turn::Nothing);
        self.times.clear();
        while taken.records < BATCH {
            match queue.next() {
                None => break,
                Some(Fetched::Record(record)) => {
                    let record = ReadRecord(record);
                    taken.records += 1;
                    taken.has_append_time = record.has_append_time();
                    self.times.extend(record.timestamp_ms());
                    turn = Turn::Some;
                    if each(at, &record).is_break() {
                        turn = Turn::Enough;
                        break;
                    }
                }
                Some(Fetched::End(_)) => {
                    is_at_end = true;
                    break;
                }
                Some(Fetched::Failed(code)) => check(code, name)?,
            }
        }
        let middle = self.times.len() / 2;
        if !self.times.is_empty() {
            taken.middle_ms = Some(*self.times.select_nth_unstable(middle).1);
        }
        self.heads.took(at, &taken, is_at_end);
        Ok(turn)
    }
}

/// Whether a partition can be read on.
fn check(code: ErrorCode, topic: &str) -> Result<(), Unread> {
    if code.is(Code::AutoOffsetReset) {
        let what = format!("a record of {topic} was deleted while it was read: {code}");
        return Err(Unread::Failed(what));
    }
    reader::check(code)
}
