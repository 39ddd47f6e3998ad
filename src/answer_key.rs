//! The answer key: what a run did on purpose, and what a correct consumer comes to, as NDJSON.
//!
//! A `run` line and one for each GPU, a `record` line for each record that differs from that of a run
//! without FAULTS, an `incident` line for each incident, four `total` lines and an `end` line.
//! `docs/answer-key.md` says what each means. It is written as the run goes, and remembers no more
//! records than the plan holds back: its memory does not grow with the run.
//!
//! It says what was handed to the client library. Whether that arrived is in the report.

pub mod check;
mod lines;
mod sink;
mod totals;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;

pub use sink::Keyed;

use crate::event::Kind;
use crate::faults::{Declared, Fault, Hold};
use crate::plan::{Act, Buffer, Emission, IncidentLog, Plan, Record};
use crate::settings::Settings;
use crate::workload::seed::Seed;
use crate::workload::{cost_micro_usd, prices_micro_usd_per_hour};
use lines::{EndLine, GpuLine, GpuRow, IncidentEntry, RecordLine, RunLine, UsageLine};
use totals::{Counted, Totals};

/// The JSON Schema of a line.
pub const SCHEMA: &str = include_str!("../packaging/schemas/answer_key.v1.schema.json");

/// An answer key that is being written.
#[derive(Debug)]
pub struct AnswerKey<'p, W> {
    plan: &'p Plan,
    /// Micro-USD an hour of each row of the seed.
    prices: Vec<u64>,
    out: W,
    lines: u64,
    /// Pairs of which a record had its turn.
    pairs: u64,
    /// Records that are held back, and their timestamps.
    held: BTreeMap<(u64, Kind), (Emission, i64)>,
    totals: Totals,
    incidents: IncidentLog<'p>,
}

impl<'p, W: Write> AnswerKey<'p, W> {
    /// Begins the key of a run.
    ///
    /// # Errors
    /// What the writer says.
    pub fn begin(plan: &'p Plan, settings: &Settings, seed: &Seed, out: W) -> io::Result<Self> {
        let prices = prices_micro_usd_per_hour(seed);
        let (held, totals, incidents) =
            (BTreeMap::new(), Totals::default(), IncidentLog::new(plan));
        let mut key = Self { plan, prices, out, lines: 0, pairs: 0, held, totals, incidents };
        key.write(&RunLine::of(&plan.identity, settings, seed))?;
        let prices = key.prices.clone();
        let gpus = (0..plan.gpus()).map(|gpu| {
            let row = plan.row_of(gpu);
            let (name, price_micro_usd_per_hour) = (&*seed.rows[row].name, prices[row]);
            (plan.key_of(gpu), GpuRow { name, price_micro_usd_per_hour })
        });
        for line in GpuLine::all(gpus) {
            key.write(&line)?;
        }
        Ok(key)
    }

    /// Takes in a record that had its turn.
    ///
    /// # Errors
    /// What the writer says.
    pub fn see(&mut self, emission: &Emission, record: &Record<'_>) -> io::Result<()> {
        self.incidents.see(emission, record);
        let counted = self.counted(record);
        if !emission.comes_apart() {
            self.pairs += u64::from(emission.begins_pair());
            self.totals.planned.add(&counted);
        }
        let place = (record.seq, record.kind);
        match emission.act {
            Act::Hold => {
                self.held.insert(place, (*emission, record.timestamp_ms));
                return Ok(());
            }
            Act::Drop => {}
            Act::Send => {
                let is_copy = record.faults.has(Fault::Duplicate);
                self.totals.sent(&counted, is_copy, record.faults.leaves_readable());
                if record.faults.is_empty() {
                    return Ok(());
                }
                if !is_copy && record.faults.is_held() {
                    self.held.remove(&place);
                }
            }
        }
        let line = self.line(record, emission.act == Act::Send);
        self.write(&line)
    }

    /// Ends the key with the incidents and the totals; the writer.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.say_unsent()?;
        let incidents: Vec<_> = self.incidents.lines().collect();
        for incident in incidents {
            self.write(&IncidentEntry::from(incident))?;
        }
        for line in self.totals.lines() {
            self.write(&line)?;
        }
        self.write(&EndLine::new(self.pairs, self.lines + 1))?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Says what a stopped run held back and did not come to send. It is rendered again: to keep all
    /// of it would take more memory than the plan itself needs.
    fn say_unsent(&mut self) -> io::Result<()> {
        let plan = self.plan;
        for ((seq, kind), (emission, timestamp_ms)) in std::mem::take(&mut self.held) {
            let at = plan.event_time(seq, kind, timestamp_ms).unwrap_or(Timestamp::UNIX_EPOCH);
            let mut buffer = Buffer::default();
            let line = self.line(&plan.render(&emission, || at, &mut buffer), false);
            self.write(&line)?;
        }
        Ok(())
    }

    fn write(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.lines += 1;
        self.out.write_all(&text)
    }

    /// What a record counts for.
    fn counted(&self, record: &Record<'_>) -> Counted {
        let usage = self.usage(record).unwrap_or_default();
        Counted { kind: record.kind, usage }
    }

    /// The tokens and the cost of the request of a usage, which failed if a fault says so.
    fn usage(&self, record: &Record<'_>) -> Option<UsageLine> {
        let pair = record.pair.filter(|_| record.kind == Kind::Token)?;
        let has_failed = record.faults.has(Fault::FailedRequest);
        Some(UsageLine {
            prompt_tokens: pair.tokens.prompt.into(),
            completion_tokens: if has_failed { 0 } else { pair.tokens.completion.into() },
            cost_micro_usd: cost_micro_usd(self.prices[pair.gpu.row], pair.latency_ms),
        })
    }

    fn line(&self, record: &Record<'_>, sent: bool) -> RecordLine {
        let Record { seq, kind, faults, .. } = *record;
        let Declared { hold, shift, copy_after, .. } = self.plan.declared(seq, kind);
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (late_by, held_pairs) = match hold {
            Some(Hold::Time(time)) => (Some(time), None),
            Some(Hold::Pairs(pairs)) => (None, Some(pairs)),
            None => (None, None),
        };
        let is_copy = faults.has(Fault::Duplicate);
        let change = record.change;
        RecordLine {
            line: "record",
            topic: record.topic.to_owned(),
            event: kind.schema_name(),
            seq,
            key: record.key.map(str::to_owned),
            timestamp: record.timestamp_ms,
            faults: faults.iter().map(Fault::word).collect(),
            sent,
            copy: is_copy,
            copy_after_ms: copy_after.filter(|_| is_copy).map(ms),
            late_by_ms: late_by.map(ms),
            held_pairs,
            shift_ms: shift.and_then(|shift| i64::try_from(shift.as_millis()).ok()),
            field: change.and_then(|change| change.field.clone()),
            form: change.and_then(|change| change.form),
            usage: self.usage(record),
        }
    }
}

#[cfg(test)]
mod tests;
