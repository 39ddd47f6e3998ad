//! What the incidents of a run show: the lines of them in the answer key.
//!
//! Three stretches are looked at: the incident, and as long before it and after it. That takes the
//! same memory at any length of the run.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::{Act, Emission, Plan, Record};
use crate::event::Kind;
use crate::faults::Fault;
use crate::workload::Pair;
use crate::workload::incidents::{IncidentKind, Incidents, Planned, Symptom};

/// Most keys that a line names.
const MOST_KEYS: usize = 1000;

/// What a consumer sees of an incident's keys in one stretch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Metrics of these keys.
    pub metrics: u64,
    /// Usages of these keys.
    pub usages: u64,
    /// Usages of all keys.
    pub all_usages: u64,
    /// Sum of `completion_tokens` of theirs.
    pub completion_tokens: u64,
    /// Their share of all usages.
    pub usage_share: Option<f64>,
    /// Mean of `utilization`.
    pub utilization: Option<f64>,
    /// Mean of `power_w`, W.
    pub power_w: Option<f64>,
    /// Mean of `mem_used_mb`, MiB.
    pub mem_used_mb: Option<f64>,
    /// Mean of `latency_ms`, ms.
    pub latency_ms: Option<f64>,
    /// Time per output token as a consumer can know it: the sum of `latency_ms` over the sum of
    /// `completion_tokens`, ms.
    pub ms_per_completion_token: Option<f64>,
}

/// One incident: what happened, to which keys, when, and what an alert should see of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentLine {
    /// The kind.
    pub kind: &'static str,
    /// The text that asked for it.
    pub incident: String,
    /// What it was told; null for a kind that is told nothing.
    pub parameter: Option<f64>,
    /// The keys that it is about, `HOST/GPU_INDEX`; a thousand at the most.
    pub keys: Vec<String>,
    /// How many more there are.
    pub more_keys: usize,
    /// Event time of its beginning, RFC 3339.
    pub from: String,
    /// Event time of its end, RFC 3339: the first millisecond that it does not reach.
    pub to: String,
    /// The first pair within it that is, or would have been, of these keys; null if there is none.
    pub first_seq: Option<u64>,
    /// The last one.
    pub last_seq: Option<u64>,
    /// What an alert should see.
    pub symptoms: Vec<Symptom>,
    /// Power limit of each of the keys in a throttle, W.
    pub power_limit_w: Vec<f64>,
    /// As long before it.
    pub before: Figures,
    /// Within it.
    pub during: Figures,
    /// As long after it.
    pub after: Figures,
}

impl Plan {
    /// The incidents of the run, if there are any.
    #[must_use]
    pub fn incidents(&self) -> Option<&Incidents> {
        self.workload.gpus().incidents.as_ref()
    }
}

/// How many records were sent in an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncidentCount {
    /// The part of `INCIDENTS` that asked for it.
    pub incident: String,
    /// The kind.
    pub kind: &'static str,
    /// Records of both topics whose pair is, or would have been, of its GPUs.
    pub records: u64,
}

/// How many pairs a search for those of an incident looks at: some tenths of a second.
const MOST_PAIRS: usize = 2_000_000;

impl Plan {
    /// Which incidents, in the order of the setting, are going on at an emission and are about the GPU
    /// that its pair is, or would have been, of.
    pub fn incidents_at(&self, emission: &Emission) -> impl Iterator<Item = usize> {
        let ms = self.moment(emission.due);
        let own = self.workload.gpus().shares.of(emission.seq);
        let planned = self.incidents().into_iter().flat_map(Incidents::planned).enumerate();
        planned
            .filter(move |(_, planned)| planned.is_at(ms) && planned.reach.has(own.0, own.1))
            .map(|(number, _)| number)
    }

    /// How many records each incident had, by the text that asked for it.
    #[must_use]
    pub fn count_by_incident(&self, counts: &[u64]) -> Vec<IncidentCount> {
        let planned = self.incidents().into_iter().flat_map(Incidents::planned);
        let counts = counts.iter().copied().chain(std::iter::repeat(0));
        planned
            .zip(counts)
            .map(|(planned, records)| IncidentCount {
                incident: planned.incident.text.clone(),
                kind: planned.incident.kind.word(),
                records,
            })
            .collect()
    }

    /// The incidents that reach no pair of this process, each in a sentence. Of a run that is too long
    /// to look through, those of which that is known.
    #[must_use]
    pub fn idle_incidents(&self) -> Vec<String> {
        let Some(incidents) = self.incidents() else { return Vec::new() };
        let mut open: Vec<_> = incidents.planned().iter().collect();
        let (mut last_ms, mut seen) = (None, 0);
        for due in self.schedule.clone().take(MOST_PAIRS) {
            let ms = self.moment(due.offset);
            let own = self.workload.gpus().shares.of(due.seq);
            open.retain(|planned| !planned.is_at(ms) || !planned.reach.has(own.0, own.1));
            if open.iter().all(|planned| planned.to_ms <= ms) {
                break;
            }
            (last_ms, seen) = (Some(ms), seen + 1);
        }
        // What comes behind the pairs that were looked at is not known.
        let is_whole = seen < MOST_PAIRS;
        let start_ms = self.start.as_millisecond();
        let idle = open.into_iter().filter(|planned| is_whole || Some(planned.to_ms) <= last_ms);
        idle.map(|planned| {
            let seconds = |ms: i64| (ms - start_ms) as f64 / 1e3;
            let why = match last_ms {
                _ if planned.to_ms <= start_ms => {
                    format!("the first event is at {:.3}", self.start)
                }
                None => "there is none".to_owned(),
                Some(last) if planned.from_ms > last => {
                    format!("the last one is at +{} s", seconds(last))
                }
                Some(_) => "its GPUs have none in that time".to_owned(),
            };
            format!("incident {} reaches no pair: {why}", planned.incident.text)
        })
        .collect()
    }
}

/// Sums of a stretch.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    metrics: u64,
    readings: u64,
    percents: u64,
    deciwatts: u64,
    mem_mib: u64,
    usages: u64,
    all_usages: u64,
    latency_ms: u64,
    completion: u64,
}

impl Sums {
    fn add(&mut self, planned: &Planned, kind: Kind, pair: &Pair<'_>) {
        let gpu = if kind == Kind::Metric { pair.sensor } else { pair.gpu };
        let is_in = planned.reach.has(gpu.host, gpu.row);
        match kind {
            Kind::Metric if is_in => {
                self.metrics += 1;
                if let Some(reading) = pair.reading {
                    self.readings += 1;
                    self.percents += u64::from(reading.utilization_percent);
                    self.deciwatts += reading.power_deciwatts;
                    self.mem_mib += reading.mem_used_mib;
                }
            }
            Kind::Metric => {}
            Kind::Token => {
                self.all_usages += 1;
                if is_in {
                    self.usages += 1;
                    self.latency_ms += u64::from(pair.latency_ms);
                    self.completion += u64::from(pair.tokens.completion);
                }
            }
        }
    }

    fn figures(&self) -> Figures {
        let mean = |sum: u64, count: u64, unit: f64| {
            let mean = sum as f64 / count as f64 / unit;
            (count > 0).then(|| (mean * 1e4).round() / 1e4)
        };
        Figures {
            metrics: self.metrics,
            usages: self.usages,
            all_usages: self.all_usages,
            completion_tokens: self.completion,
            usage_share: mean(self.usages, self.all_usages, 1.0),
            utilization: mean(self.percents, self.readings, 100.0),
            power_w: mean(self.deciwatts, self.readings, 10.0),
            mem_used_mb: mean(self.mem_mib, self.readings, 1.0),
            latency_ms: mean(self.latency_ms, self.usages, 1.0),
            ms_per_completion_token: mean(self.latency_ms, self.completion, 1.0),
        }
    }
}

/// What is known of one incident so far.
#[derive(Debug, Clone, Default)]
struct Entry {
    seqs: Option<(u64, u64)>,
    /// Before, within and after.
    sums: [Sums; 3],
}

/// What the incidents of a run have shown so far.
#[derive(Debug)]
pub struct IncidentLog<'p> {
    plan: &'p Plan,
    entries: Vec<Entry>,
    /// How far the clock of a live run is from its schedule.
    ahead_ms: Option<i64>,
}

impl<'p> IncidentLog<'p> {
    /// Nothing yet.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        let number = plan.incidents().map_or(0, |incidents| incidents.planned().len());
        Self { plan, entries: vec![Entry::default(); number], ahead_ms: None }
    }

    /// Takes in a record of the plan. What faults do to a value does not count, and neither do records
    /// that are not sent now, tombstones and copies.
    pub fn see(&mut self, emission: &Emission, record: &Record<'_>) {
        let (Some(incidents), Some(pair)) = (self.plan.incidents(), record.pair) else { return };
        let is_left_out = emission.act != Act::Send || record.faults.has(Fault::Duplicate);
        if is_left_out || record.value.is_none() {
            return;
        }
        let ms = self.plan.moment(emission.due);
        self.ahead_ms.get_or_insert(pair.at.as_millisecond() - ms);
        let own = self.plan.workload.gpus().shares.of(pair.seq);
        for (planned, entry) in incidents.planned().iter().zip(&mut self.entries) {
            let (from, to) = (planned.from_ms, planned.to_ms);
            let length = to - from;
            let stretch = match ms {
                _ if ms < from - length || ms >= to + length => continue,
                _ if ms < from => 0,
                _ if ms < to => 1,
                _ => 2,
            };
            if stretch == 1 && planned.reach.has(own.0, own.1) {
                // Records that were held back come out of their order.
                let (first, last) = entry.seqs.unwrap_or((pair.seq, pair.seq));
                entry.seqs = Some((first.min(pair.seq), last.max(pair.seq)));
            }
            entry.sums[stretch].add(planned, emission.kind, pair);
        }
    }

    /// What is known by now, in the order of the setting.
    pub fn lines(&self) -> impl Iterator<Item = IncidentLine> {
        let planned = self.plan.incidents().into_iter().flat_map(|all| all.planned());
        planned.zip(&self.entries).map(|(planned, entry)| self.line(planned, entry))
    }

    fn line(&self, planned: &Planned, entry: &Entry) -> IncidentLine {
        let incident = &planned.incident;
        let keys = || planned.reach.gpus();
        let number = |(host, row): (usize, usize)| host * self.plan.gpus_of_a_host + row;
        let at = |ms: i64| {
            let ms = ms.saturating_add(self.ahead_ms.unwrap_or(0));
            let mut text = String::new();
            // Writing to a String cannot fail.
            let _infallible = match Timestamp::from_millisecond(ms) {
                Ok(at) => write!(text, "{at:.3}"),
                Err(_) => write!(text, "{:.3}", Timestamp::MAX),
            };
            text
        };
        let limits = keys().take(MOST_KEYS).map(|(_, row)| {
            (self.plan.workload.power_limit_w(row, incident.parameter) * 10.0).round() / 10.0
        });
        let is_throttle = incident.kind == IncidentKind::Throttle;
        let [before, during, after] = entry.sums.map(|sums| sums.figures());
        IncidentLine {
            kind: incident.kind.word(),
            incident: incident.text.clone(),
            parameter: incident.kind.parameter().map(|_| incident.parameter),
            keys: keys()
                .take(MOST_KEYS)
                .map(|gpu| self.plan.key_of(number(gpu)).to_owned())
                .collect(),
            more_keys: keys().skip(MOST_KEYS).count(),
            from: at(planned.from_ms),
            to: at(planned.to_ms),
            first_seq: entry.seqs.map(|(first, _)| first),
            last_seq: entry.seqs.map(|(_, last)| last),
            symptoms: incident.kind.symptoms().to_vec(),
            power_limit_w: if is_throttle { limits.collect() } else { Vec::new() },
            before,
            during,
            after,
        }
    }
}
