//! What a correct consumer shows for a run: each tumbling window of event time by key, in three views.
//!
//! It counts the records of the plan as they are sent, in their order, so whatever a fault or an
//! incident does to a record is in it. `docs/testing-a-pipeline.md` says what counts and how.
//!
//! A record belongs to the window of its timestamp: windows begin at multiples of their length since
//! 1970, and do not have their end. It belongs to the GPU that its key names. Stream time is that of
//! Kafka Streams: the highest timestamp so far in the record's own partition of its topic, the record
//! itself included. A record is late, and dropped, if stream time has reached the end of its window
//! plus the allowed lateness.
//!
//! A window is open until no record of it can come any more: memory is that of the open windows.

mod decimal;
mod figures;
mod groups;
mod row;
mod value;
mod window;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

pub use decimal::Millionths;
pub use figures::{Figures, Readings, View};
pub use groups::{By, Group};
pub use row::{Format, Row};

use crate::event::Kind;
use crate::plan::{Act, Buffer, Emission, Plan, partition_of};
use crate::workload::cost_micro_usd;
use groups::Groups;
use window::{Counted, Window};

/// The JSON Schema of a row.
pub const SCHEMA: &str = include_str!("../packaging/schemas/expect.v1.schema.json");

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Length of a window, ms; not 0.
    pub window_ms: i64,
    /// How long after its end a window takes records, ms of stream time; 0 or more.
    pub lateness_ms: i64,
    /// How a window's records are grouped.
    pub by: By,
    /// Partitions of each topic; 1 is one stream.
    pub partitions: [u32; 2],
    /// Price of each row of the seed, micro-USD an hour.
    pub prices: Vec<u64>,
    /// How many records of each topic were sent, of a run that did not come to its end.
    pub sent: Option<[u64; 2]>,
}

/// The rows of a run, window by window.
pub struct Windows<'p> {
    plan: &'p Plan,
    question: Question,
    groups: Groups<'p>,
    emissions: Box<dyn Iterator<Item = Emission> + 'p>,
    buffer: Buffer<'p>,
    /// By their start.
    open: BTreeMap<i64, Window>,
    /// Stream time of each partition of each topic.
    stream_time: [Vec<i64>; 2],
    /// No record that is still to come, and was not announced, has an earlier timestamp.
    front_ms: i64,
    ready: VecDeque<Row<'p>>,
}

impl<'p> Windows<'p> {
    /// The rows of a run with `EVENT_START`.
    #[must_use]
    pub fn new(plan: &'p Plan, question: Question) -> Self {
        let sent = question.sent.unwrap_or([u64::MAX; 2]);
        let was_sent = move |emission: &Emission| {
            emission.act != Act::Send || emission.place < sent[emission.kind as usize]
        };
        Self {
            groups: Groups::new(plan, question.by),
            emissions: Box::new(plan.emissions().take_while(was_sent)),
            buffer: Buffer::default(),
            open: BTreeMap::new(),
            stream_time: question.partitions.map(|count| vec![i64::MIN; count.max(1) as usize]),
            front_ms: i64::MIN,
            ready: VecDeque::new(),
            plan,
            question,
        }
    }

    /// Counts an emission, and closes the windows that it leaves behind.
    fn take(&mut self, emission: &Emission) {
        let (timestamp, due) = self.plan.timestamps_ms(emission);
        let start = timestamp - timestamp.rem_euclid(self.question.window_ms);
        let window = self.open.entry(start).or_default();
        window.to_come += u64::from(emission.comes_again);
        if emission.comes_apart() {
            window.to_come -= 1;
        } else {
            self.front_ms = due.saturating_sub(self.plan.most_set_back_ms());
        }
        if emission.act == Act::Send {
            self.count(emission, start);
        }
        while let Some(first) = self.open.first_entry()
            && first.get().to_come == 0
            && first.key().saturating_add(self.question.window_ms) <= self.front_ms
        {
            let (start, window) = first.remove_entry();
            self.close(start, window);
        }
    }

    /// Counts a record that is sent, in the window that begins there.
    fn count(&mut self, emission: &Emission, start: i64) {
        let record = self.plan.render(emission, || Timestamp::UNIX_EPOCH, &mut self.buffer);
        let Some(pair) = record.pair else { return };
        let gpu = self.plan.number_of(match record.kind {
            Kind::Metric => pair.sensor,
            Kind::Token => pair.gpu,
        });
        let streams = &mut self.stream_time[record.kind as usize];
        let partition = match streams.len() {
            1 => 0,
            // There is a number for each partition, so both fit.
            count => partition_of(
                self.plan.key_of(gpu).as_bytes(),
                u32::try_from(count).unwrap_or(u32::MAX),
            )
            .unsigned_abs() as usize,
        };
        let stream_time = &mut streams[partition];
        *stream_time = (*stream_time).max(record.timestamp_ms);
        let closes = start + self.question.window_ms + self.question.lateness_ms;
        let fields = value::read(record.kind, record.value);
        let latency = fields.and_then(|fields| fields.latency_ms);
        let price = self.question.prices[self.plan.row_of(gpu)];
        let counted = Counted {
            kind: record.kind,
            seq: record.seq,
            fields: fields.as_ref(),
            cost: latency.map_or(0, |latency| cost_micro_usd(price, latency)),
            is_late: closes <= *stream_time,
        };
        let cells = &mut self.open.entry(start).or_default().cells;
        cells.entry(self.groups.of_gpu(gpu)).or_default().add(&counted);
    }

    /// Makes the rows of a window ready.
    fn close(&mut self, start_ms: i64, window: Window) {
        let end_ms = start_ms + self.question.window_ms;
        for (group, cell) in window.cells {
            let group = self.groups.get(group);
            let row = |(view, figures)| Row { view, start_ms, end_ms, group, figures };
            self.ready.extend(cell.finish().map(row));
        }
    }
}

impl<'p> Iterator for Windows<'p> {
    type Item = Row<'p>;

    fn next(&mut self) -> Option<Row<'p>> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Some(row);
            }
            if let Some(emission) = self.emissions.next() {
                self.take(&emission);
            } else {
                let (start, window) = self.open.pop_first()?;
                self.close(start, window);
            }
        }
    }
}

impl std::fmt::Debug for Windows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows").field("question", &self.question).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
