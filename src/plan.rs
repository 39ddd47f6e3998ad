//! The plan of a run: who it is, and every record it will send, as a function of `seq`.

mod recall;
mod record;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use record::{Header, Record};

use crate::event::json::{self, CONTENT_TYPE, LastTs, MetricWriter};
use crate::event::{Kind, Metric, Usage};
use crate::settings::{RecordHeaders, RecordKey, Settings};
use crate::workload::arrivals::{Due, Schedule, Spacing, Timing};
use crate::workload::seed::{Row, Seed};
use crate::workload::{GpuId, Pair, Recent, Workload};

/// Who a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the run: in headers, report and journal.
    pub run_id: String,
    /// Seed of all its random streams.
    pub run_seed: u64,
    /// Wall clock at the start.
    pub started_at: Timestamp,
}

impl Identity {
    /// The identity of a run that starts at `now`; `random` is its seed where the user set none.
    #[must_use]
    pub fn new(settings: &Settings, now: Timestamp, random: u64) -> Self {
        let run_seed = settings.run_seed.unwrap_or(random);
        let start = settings.event_start.unwrap_or(now);
        let made = || format!("{}-{run_seed}", start.strftime("%Y%m%dT%H%M%S.%3fZ"));
        let run_id = settings.run_id.clone().unwrap_or_else(made);
        Self { run_id, run_seed, started_at: now }
    }
}

/// One record that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emission {
    /// Time from the start of the run (or from `EVENT_START`) to the record.
    pub scheduled: Duration,
    /// Index of the pair in the run, from 0.
    pub seq: u64,
    /// Which of the pair's two events.
    pub kind: Kind,
}

impl Emission {
    /// Whether it is the first record of its pair.
    #[must_use]
    pub fn begins_pair(&self) -> bool {
        self.kind == Kind::BOTH[0]
    }
}

/// What rendering keeps from one record to the next.
#[derive(Debug, Default)]
pub struct Buffer<'p> {
    /// The pair of the last record: both of its records have the time at which the first was rendered.
    pair: Option<Pair<'p>>,
    recent: Recent<'p>,
    /// The latest reading of the wall clock.
    latest: Timestamp,
    /// Keeps pairs of one GPU in different milliseconds.
    spacing: Spacing,
    ts: LastTs,
    value: Vec<u8>,
    seq: String,
}

/// Everything that decides what is sent.
#[derive(Debug)]
pub struct Plan {
    /// Who the run is.
    pub identity: Identity,
    /// When its pairs are due.
    pub schedule: Schedule,
    workload: Workload,
    metrics: MetricWriter,
    /// The key of each GPU: host by host, the rows of the seed.
    keys: Vec<String>,
    gpus_of_a_host: usize,
    event_start: Option<Timestamp>,
    /// Whether two pairs of one GPU can be kept a millisecond apart.
    has_room: bool,
    topics: [String; 2],
    key: RecordKey,
    headers: RecordHeaders,
}

impl Plan {
    /// The plan of a run.
    #[must_use]
    pub fn new(settings: &Settings, seed: &Seed, identity: Identity) -> Self {
        let Identity { run_seed, run_id, .. } = &identity;
        let hosts = settings.hostname.names();
        let timing = timing(settings, identity.started_at);
        let workload = Workload::new(&timing, seed, hosts, *run_seed, run_id);
        Self {
            schedule: Schedule::new(&timing, Arc::clone(workload.gpus()), *run_seed, run_id),
            metrics: MetricWriter::new(&seed.rows, hosts),
            keys: keys(&seed.rows, hosts),
            gpus_of_a_host: seed.rows.len(),
            has_room: workload.gpus().have_room(timing.mean),
            workload,
            event_start: settings.event_start,
            topics: Kind::BOTH.map(|kind| settings.topic(kind).to_owned()),
            key: settings.record_key,
            headers: settings.record_headers,
            identity,
        }
    }

    /// The topic of a kind of event.
    #[must_use]
    pub fn topic(&self, kind: Kind) -> &str {
        match kind {
            Kind::Metric => &self.topics[0],
            Kind::Token => &self.topics[1],
        }
    }

    /// Every record of this process, in the order in which they are to be sent.
    pub fn emissions(&self) -> impl Iterator<Item = Emission> {
        self.schedule.clone().flat_map(|Due { seq, offset: scheduled }| {
            Kind::BOTH.map(|kind| Emission { scheduled, seq, kind })
        })
    }

    /// Renders a record. The same emission again, right after, gives the same bytes.
    ///
    /// `now` is asked once a pair, and stamps it if there is no `EVENT_START`. A wall clock that is
    /// set back must not reverse the order within a key, so time stands still until it catches up.
    pub fn render<'a, 'p>(
        &'p self,
        emission: &Emission,
        now: impl FnOnce() -> Timestamp,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        let Buffer { pair, recent, latest, spacing, ts, value, seq } = buffer;
        let pair = match pair {
            Some(pair) if pair.seq == emission.seq => &*pair,
            _ => {
                let at = match self.event_start {
                    Some(start) => later(start, emission.scheduled),
                    None => {
                        *latest = self.stamp(emission.seq, now().max(*latest), spacing);
                        *latest
                    }
                };
                &*pair.insert(self.workload.pair(emission.seq, whole_millisecond(at), recent))
            }
        };
        let written = (ts, value, seq);
        self.record(emission.kind, pair, written)
    }

    /// Writes the record of a pair into the caller's buffer.
    fn record<'a>(
        &'a self,
        kind: Kind,
        pair: &Pair<'_>,
        (ts, value, seq): (&'a mut LastTs, &'a mut Vec<u8>, &'a mut String),
    ) -> Record<'a> {
        value.clear();
        match kind {
            Kind::Metric => self.metrics.write(&Metric::from(pair), ts, value),
            Kind::Token => json::write_usage(&Usage::from(pair), ts, value),
        }
        Record {
            kind,
            topic: self.topic(kind),
            key: (self.key == RecordKey::Gpu).then(|| self.key(pair.gpu)),
            seq: pair.seq,
            timestamp_ms: pair.at.as_millisecond(),
            value: Some(value),
            headers: (self.headers == RecordHeaders::On).then(|| self.headers_of(pair.seq, seq)),
        }
    }

    /// The first millisecond from `now` on in which the pair's GPU has no other, if the rate leaves
    /// room for it. A run that makes up for a delay may be this far ahead of its clock, no further.
    fn stamp(&self, seq: u64, now: Timestamp, spacing: &mut Spacing) -> Timestamp {
        const AHEAD_MS: i64 = 100;
        let ms = now.as_millisecond();
        let gpus = |ms| self.workload.gpus().of(seq, || ms);
        let taken = if self.has_room { spacing.take(ms, gpus) } else { ms };
        if taken == ms || taken > ms + AHEAD_MS {
            return now;
        }
        Timestamp::from_millisecond(taken).unwrap_or(now)
    }

    fn key(&self, gpu: GpuId) -> &str {
        &self.keys[gpu.host * self.gpus_of_a_host + gpu.row]
    }

    /// The headers of a record; the text of its `seq` is written into `seq`.
    fn headers_of<'a>(&'a self, number: u64, seq: &'a mut String) -> [Header<'a>; 3] {
        seq.clear();
        seq.push_str(itoa::Buffer::new().format(number));
        [("run", &self.identity.run_id), ("seq", seq), ("content-type", CONTENT_TYPE)]
    }
}

/// The key of every GPU: `HOST/GPU_INDEX`.
fn keys(rows: &[Row], hosts: &[String]) -> Vec<String> {
    let of = |host| rows.iter().map(move |row| format!("{host}/{}", row.gpu_index));
    hosts.iter().flat_map(of).collect()
}

/// When the pairs of these settings are due.
fn timing(settings: &Settings, now: Timestamp) -> Timing {
    Timing {
        law: settings.arrivals,
        workload: settings.workload,
        mean: settings.sleep,
        pairs: settings.batch,
        until: settings.duration,
        start: settings.event_start.unwrap_or(now),
        shard: settings.shard,
    }
}

/// `start + offset`; at the end of time it stays there, which the settings have ruled out.
fn later(start: Timestamp, offset: Duration) -> Timestamp {
    SignedDuration::try_from(offset)
        .map_or(Timestamp::MAX, |offset| start.saturating_add(offset).unwrap_or(Timestamp::MAX))
}

/// The event time of a pair that is due so long after the start.
pub(crate) fn event_time(start: Timestamp, offset: Duration) -> Timestamp {
    whole_millisecond(later(start, offset))
}

fn whole_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
