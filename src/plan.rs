//! The plan of a run: who it is, and every record it will send, as a function of `seq`.

mod closing;
mod counting;
mod digest;
mod emissions;
mod held;
mod identity;
mod incident_log;
mod keys;
mod recall;
mod record;
mod times;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;

pub use closing::CLOSING;
pub use digest::digest;
pub use emissions::{Act, Emission};
pub use identity::{Identity, MadeId};
pub use incident_log::{Figures, IncidentCount, IncidentLine, IncidentLog};
pub use keys::{keys, partition_of};
pub use recall::When;
pub use record::{FAULT, Header, Headers, Record};

use crate::event::json::{self, CONTENT_TYPE, LastTs, MetricWriter};
use crate::event::{Kind, Metric, Usage};
use crate::faults::{Armed, Change, Declared, Fault, FaultSet};
use crate::settings::{RecordHeaders, RecordKey, Settings};
use crate::workload::arrivals::{Schedule, Spacing};
use crate::workload::incidents::later;
use crate::workload::seed::Seed;
use crate::workload::{GpuId, Pair, Recent, Workload};
use emissions::{Emissions, Faulty};
pub(crate) use times::event_time;
use times::{shifted, timing, whole_millisecond};

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
    fault: String,
    change: Option<Change>,
    /// The times of records that come again, where the clock gives them.
    times: BTreeMap<(u64, Kind), Timestamp>,
}

/// Everything that decides what is sent.
#[derive(Debug)]
pub struct Plan {
    /// Who the run is.
    pub identity: Identity,
    /// When its pairs are due.
    pub schedule: Schedule,
    workload: Workload,
    faults: Armed,
    metrics: MetricWriter,
    /// The key of each GPU: host by host, the rows of the seed.
    keys: Vec<String>,
    gpus_of_a_host: usize,
    /// Time of the first event; in a live run, as far as it is known before it.
    start: Timestamp,
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
        let (run_seed, scope) = (identity.run_seed, identity.scope());
        let hosts = settings.hostname.names();
        let armed = |faults| Armed::new(faults, run_seed, scope);
        let timing = timing(settings, identity.started_at);
        let mut workload = Workload::new(&timing, seed, hosts, run_seed, scope);
        if let Some(incidents) = &settings.incidents {
            workload = workload.amid(incidents, timing.start, hosts, (run_seed, scope));
        }
        Self {
            schedule: Schedule::new(&timing, Arc::clone(workload.gpus()), run_seed, scope),
            faults: settings.faults.as_ref().map(armed).unwrap_or_default(),
            metrics: MetricWriter::new(&seed.rows, hosts),
            keys: keys(&seed.rows, hosts),
            gpus_of_a_host: seed.rows.len(),
            has_room: workload.gpus().have_room(timing.mean),
            workload,
            start: timing.start,
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
    ///
    /// A record that a fault drops or holds back is one of them, so that whoever follows sees each
    /// record of each pair at its time: its [`Act`] says that it is not sent.
    pub fn emissions(&self) -> impl Iterator<Item = Emission> {
        let schedule = self.schedule.clone();
        if !self.faults.is_off() || self.incidents().is_some() {
            return Emissions::Faulty(Box::new(Faulty::new(self, schedule)));
        }
        let pairs = schedule.zip(0..);
        Emissions::Clean(
            pairs.flat_map(|(due, place)| Kind::BOTH.map(|kind| Emission::clean(due, kind, place))),
        )
    }

    /// What is done on purpose to a record.
    #[must_use]
    pub fn declared(&self, seq: u64, kind: Kind) -> Declared {
        self.faults.declared(seq, kind)
    }

    /// The time of a pair from the timestamp of one of its records, which a fault may have shifted.
    #[must_use]
    pub fn event_time(&self, seq: u64, kind: Kind, timestamp_ms: i64) -> Option<Timestamp> {
        let at = Timestamp::from_millisecond(timestamp_ms).ok()?;
        match self.declared(seq, kind).shift {
            Some(shift) => at.checked_sub(shift).ok(),
            None => Some(at),
        }
    }

    /// Renders a record. The same emission again, right after, gives the same bytes.
    ///
    /// `now` is asked once a pair, and stamps it if there is no `EVENT_START`. A wall clock that is
    /// set back must not reverse the order within a key, so time stands still until it catches up. A
    /// record that comes again has the time of its pair, so every emission has to be rendered, those
    /// that are not sent too.
    pub fn render<'a, 'p>(
        &'p self,
        emission: &Emission,
        now: impl FnOnce() -> Timestamp,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        let seq = emission.seq;
        if buffer.pair.as_ref().is_none_or(|pair| pair.seq != seq) {
            let at = match self.event_start {
                Some(start) => later(start, emission.due),
                None => self.wall_time(emission, now, buffer),
            };
            let at = whole_millisecond(at);
            let moment = || self.moment(emission.due);
            buffer.pair = Some(self.workload.pair_amid(seq, at, moment, &mut buffer.recent));
        }
        if emission.comes_again && self.event_start.is_none() {
            let at = buffer.pair.as_ref().map_or(buffer.latest, |pair| pair.at);
            buffer.times.insert((seq, emission.kind), at);
        }
        self.write(emission.kind, emission.faults, emission.place, buffer)
    }

    /// Writes a record of the pair in the buffer.
    fn write<'a, 'p>(
        &'p self,
        kind: Kind,
        faults: FaultSet,
        place: u64,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        let Buffer { pair, ts, value, seq, fault, change, .. } = buffer;
        // There is none only before the first record, which none of the callers writes without one.
        let Some(pair) = pair.as_ref() else { return Record::nothing(kind, self.topic(kind)) };
        let shift = self.faults.shift(faults);
        let at = shift.map_or(pair.at, |shift| shifted(pair.at, shift));
        value.clear();
        let gpu = match kind {
            Kind::Metric => {
                self.metrics.write(&Metric { ts: at, ..Metric::from(pair) }, ts, value);
                pair.sensor
            }
            Kind::Token => {
                json::write_usage(&Usage { ts: at, ..Usage::from(pair) }, ts, value);
                pair.gpu
            }
        };
        if !faults.is_empty() {
            *change = self.faults.change(pair.seq, kind, faults, value);
            fault.clear();
            // Writing to a String cannot fail.
            let _infallible = write!(fault, "{faults}");
        }
        let headers = match self.headers {
            RecordHeaders::On => self.headers_of(pair.seq, faults, seq, fault),
            RecordHeaders::Off => Headers::none(),
        };
        Record {
            kind,
            topic: self.topic(kind),
            key: (self.key == RecordKey::Gpu).then(|| self.key(gpu)),
            seq: pair.seq,
            place,
            timestamp_ms: at.as_millisecond(),
            value: (!faults.has(Fault::Tombstone)).then_some(value),
            faults,
            change: change.as_ref().filter(|_| !faults.is_empty()),
            pair: Some(pair),
            headers,
        }
    }

    fn key(&self, gpu: GpuId) -> &str {
        self.key_of(self.number_of(gpu))
    }

    /// The headers of a record; the text of its `seq` is written into `text`.
    fn headers_of<'a>(
        &'a self,
        seq: u64,
        faults: FaultSet,
        text: &'a mut String,
        fault: &'a str,
    ) -> Headers<'a> {
        text.clear();
        text.push_str(itoa::Buffer::new().format(seq));
        let always =
            [("run", self.identity.run_id.as_str()), ("seq", text), ("content-type", CONTENT_TYPE)];
        Headers::new(always, (!faults.is_empty()).then_some(fault))
    }
}

#[cfg(test)]
mod tests;
