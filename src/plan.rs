//! The plan of a run: who it is, and every record it will send, as a function of `seq`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::event::{CONTENT_TYPE, Encoder, Kind, Stamped};
use crate::settings::{RecordHeaders, RecordKey, Settings};
use crate::workload::Workload;
use crate::workload::arrivals::{Due, Schedule};
use crate::workload::seed::Seed;

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

/// One record, ready to send. It borrows the plan and the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Which of the two events.
    pub kind: Kind,
    /// Topic.
    pub topic: &'a str,
    /// Key, unless left out.
    pub key: Option<&'a str>,
    /// Run id for the headers, unless they are left out.
    pub run: Option<&'a str>,
    /// Index of the pair in the run.
    pub seq: u64,
    /// Record timestamp, ms since 1970.
    pub timestamp_ms: i64,
    /// Value.
    pub value: &'a [u8],
}

impl Record<'_> {
    /// Calls `add` with name and value of each header, in their order.
    pub fn each_header(&self, mut add: impl FnMut(&str, &str)) {
        if let Some(run) = self.run {
            add("run", run);
            add("seq", &self.seq.to_string());
            add("content-type", CONTENT_TYPE);
        }
    }
}

/// Everything that decides what is sent.
#[derive(Debug)]
pub struct Plan {
    /// Who the run is.
    pub identity: Identity,
    /// When its pairs are due.
    pub schedule: Schedule,
    workload: Workload,
    encoder: Encoder,
    event_start: Option<Timestamp>,
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
        let workload = Workload::new(settings.workload, seed, hosts, *run_seed, run_id);
        Self {
            schedule: Schedule::new(settings, *run_seed, run_id),
            encoder: Encoder::new(&seed.rows, hosts, |row| workload.model(row)),
            workload,
            event_start: settings.event_start,
            topics: Kind::BOTH.map(|kind| kind.topic(settings).to_owned()),
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

    /// The pair that is due; `now` stamps it where there is no `EVENT_START`.
    #[must_use]
    pub fn pair(&self, due: Due, now: Timestamp) -> Stamped<'_> {
        let at = self.event_start.map_or(now, |start| later(start, due.offset));
        Stamped::new(self.workload.pair(due.seq, whole_millisecond(at)))
    }

    /// Writes one of the pair's two records into `buffer`, which is cleared before.
    pub fn record<'a>(
        &'a self,
        kind: Kind,
        stamped: &Stamped<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Record<'a> {
        buffer.clear();
        self.encoder.value(kind, stamped, buffer);
        let pair = &stamped.pair;
        Record {
            kind,
            topic: self.topic(kind),
            key: (self.key == RecordKey::Gpu).then(|| self.encoder.key(pair)),
            run: (self.headers == RecordHeaders::On).then_some(self.identity.run_id.as_str()),
            seq: pair.seq,
            timestamp_ms: pair.at.as_millisecond(),
            value: buffer,
        }
    }
}

/// `start + offset`; at the end of time it stays there, which the settings have ruled out.
fn later(start: Timestamp, offset: Duration) -> Timestamp {
    SignedDuration::try_from(offset)
        .map_or(Timestamp::MAX, |offset| start.saturating_add(offset).unwrap_or(Timestamp::MAX))
}

fn whole_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
