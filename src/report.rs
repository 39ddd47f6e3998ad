//! The report of a run: every figure, as JSON and as a summary in words.

mod parts;
pub mod past;
mod ranges;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::delivery::{Closing, Offsets, Outcome, RunEnd, Totals, word};
use crate::event::Kind;
use crate::exit::Exit;
use crate::faults::FaultCounts;
use crate::histogram::{Quantiles, Times};
use crate::plan::{Identity, IncidentCount};
use crate::settings::Settings;
use crate::workload::{self, Shard};
pub use parts::{
    ClosingReport, ErrorReport, FaultReport, LatencyPartsReport, LatencyReport, PartitionReport,
    SettingReport, TimesReport, TopicReport,
};
pub use ranges::{Ranges, SeqReport};
use words::rate;

/// The report of a run. Its JSON Schema is `packaging/schemas/report.v1.schema.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: &'static str,
    /// Name of the run.
    pub run_id: String,
    /// Seed of the run.
    pub run_seed: u64,
    /// Version of the workload model.
    pub workload_version: u32,
    /// SHA-256 of the rows of the seed; null where it could not be read.
    pub seed_sha256: Option<String>,
    /// SHA-256 of all that makes the records, settings and seed, but for the name of the run; null
    /// where the seed could not be read.
    pub plan_sha256: Option<String>,
    /// Id of the cluster; null where the run did not come to know it.
    pub cluster_id: Option<String>,
    /// Host of the events.
    pub host: String,
    /// Which part of the run.
    pub shard: String,
    /// `delivered`, or what went wrong, in one word.
    pub outcome: &'static str,
    /// What the process exits with; null while the run goes on.
    pub exit_code: Option<u8>,
    /// Its name.
    pub exit_name: Option<&'static str>,
    #[serde(skip)]
    exit: Exit,
    /// Why, in words, where not everything was delivered.
    pub reason: Option<String>,
    /// Both topics.
    pub topics: Vec<TopicReport>,
    /// Failures by kind.
    pub errors: Vec<ErrorReport>,
    /// Faults by kind.
    pub faults: Vec<FaultReport>,
    /// Incidents, in the order of the setting.
    pub incidents: Vec<IncidentCount>,
    /// The records that close windows, which no other figure counts, if there were to be any.
    pub close_windows: Option<ClosingReport>,
    /// Wall clock at the start.
    pub started_at: String,
    /// Wall clock at the end.
    pub ended_at: String,
    /// Duration of the run, s.
    pub elapsed_sec: f64,
    /// Acknowledged records a second.
    pub rate_per_sec: f64,
    /// Latency of the acknowledgements.
    pub latency_ms: LatencyReport,
    /// How late pairs were generated, ms.
    pub lateness_ms: Option<Quantiles>,
    /// Every setting.
    pub settings: Vec<SettingReport>,
}

/// The outcome of a report that is written before the first record.
pub const RUNNING: &str = "running";

/// The JSON Schema of the report.
pub const SCHEMA: &str = include_str!("../packaging/schemas/report.v1.schema.json");

/// A run that is over.
#[derive(Debug)]
pub struct Run {
    /// Who it is.
    pub identity: Identity,
    /// SHA-256 of the rows of its seed, if it could be read.
    pub seed_sha256: Option<String>,
    /// SHA-256 of all that makes its records, if that is known.
    pub plan_sha256: Option<String>,
    /// Id of the cluster, if it told.
    pub cluster_id: Option<String>,
    /// Where the partitions ended before the first record; none where the run did not get so far.
    pub starts: Offsets,
    /// Records of each topic planned for this process, if known.
    pub planned: [Option<u64>; 2],
    /// Counts and latencies.
    pub totals: Totals,
    /// Lateness of the pairs.
    pub lateness: Times,
    /// The faults that were in force.
    pub faults: FaultCounts,
    /// The records of each incident.
    pub incidents: Vec<IncidentCount>,
    /// What became of the records that close windows, if there were to be any.
    pub closing: Option<Closing>,
    /// How it ended.
    pub end: RunEnd,
    /// Wall clock at the end.
    pub ended_at: Timestamp,
    /// How long it took.
    pub elapsed: Duration,
}

impl Run {
    /// A run of which nothing was sent.
    #[must_use]
    pub fn unsent(identity: Identity, end: RunEnd) -> Self {
        Self {
            identity,
            seed_sha256: None,
            plan_sha256: None,
            cluster_id: None,
            starts: Offsets::default(),
            planned: [None; 2],
            totals: Totals::default(),
            lateness: Times::default(),
            faults: FaultCounts::default(),
            incidents: Vec::new(),
            closing: None,
            end,
            ended_at: Timestamp::now(),
            elapsed: Duration::ZERO,
        }
    }
}

impl Report {
    /// The report of a run.
    #[must_use]
    pub fn new(settings: &Settings, run: Run) -> Self {
        let Run {
            identity,
            seed_sha256,
            plan_sha256,
            cluster_id,
            starts,
            planned,
            totals,
            lateness,
            faults,
            incidents,
            closing,
            end,
            ended_at,
            elapsed,
        } = run;
        let outcome = Outcome::of(&end, &totals.counts).with(closing.as_ref());
        let counts = &totals.counts;
        let topic_name = |kind: Kind| settings.topic(kind).to_owned();
        let topic = |kind: Kind| {
            let planned = planned[kind as usize];
            let starts = &starts[kind as usize];
            topic(topic_name(kind), kind, planned, &totals, (settings.shard, starts))
        };
        let topics = Kind::BOTH.map(topic);
        let elapsed_sec = elapsed.as_secs_f64();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            run_id: identity.run_id,
            run_seed: identity.run_seed,
            workload_version: workload::VERSION,
            seed_sha256,
            plan_sha256,
            cluster_id,
            host: settings.hostname.to_string(),
            shard: settings.shard.to_string(),
            outcome: outcome.word(),
            exit_code: Some(outcome.exit.code()),
            exit_name: Some(outcome.exit.name()),
            exit: outcome.exit,
            reason: outcome.reason,
            topics: topics.into(),
            errors: ErrorReport::all(counts, topic_name),
            faults: FaultReport::all(&faults, topic_name),
            incidents,
            close_windows: closing.map(|closing| ClosingReport::of(&closing, topic_name)),
            started_at: format!("{:.3}", identity.started_at),
            ended_at: format!("{ended_at:.3}"),
            elapsed_sec: (elapsed_sec * 1e6).round() / 1e6,
            rate_per_sec: rate(counts.total_acknowledged(), elapsed_sec),
            latency_ms: LatencyReport {
                from_send: totals.from_send.quantiles(),
                from_intended: totals.from_scheduled.quantiles(),
                parts: LatencyPartsReport::of(&totals.latency_parts),
            },
            lateness_ms: lateness.quantiles(),
            settings: SettingReport::all(settings),
        }
    }

    /// The report of a run before its first record: what it sends is not known, and stays so if it is
    /// killed.
    #[must_use]
    pub fn running(settings: &Settings, run: Run) -> Self {
        let (exit_code, exit_name) = (None, None);
        Self { outcome: RUNNING, exit_code, exit_name, ..Self::new(settings, run) }
    }

    /// The report of a process that ends with `exit`, because of a problem after the run.
    #[must_use]
    pub fn with(mut self, exit: Exit, problem: Option<String>) -> Self {
        if exit != self.exit {
            self.exit = exit;
            (self.exit_code, self.exit_name) = (Some(exit.code()), Some(exit.name()));
            self.outcome = word(exit);
        }
        let reasons = [self.reason, problem].into_iter().flatten().collect::<Vec<_>>();
        self.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        self
    }

    /// The exit code of the run. That of the process differs if the run cannot be shown or its report
    /// cannot be written.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The report as JSON on one line.
    #[must_use]
    pub fn json_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The report as JSON text with a newline at its end.
    #[must_use]
    pub fn json(&self) -> String {
        // The report holds nothing that JSON cannot.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// A count over both topics.
    #[must_use]
    pub fn sum(&self, count: fn(&TopicReport) -> u64) -> u64 {
        self.topics.iter().map(count).sum()
    }

    /// Planned records over both topics, where known.
    #[must_use]
    pub fn planned(&self) -> Option<u64> {
        self.topics.iter().map(|topic| topic.planned).sum()
    }
}

fn topic(
    name: String,
    kind: Kind,
    planned: Option<u64>,
    totals: &Totals,
    (shard, starts): (Shard, &BTreeMap<i32, i64>),
) -> TopicReport {
    let topic = totals.counts.topic(kind);
    let (doubts, times) = (&totals.doubts[kind as usize], &totals.times[kind as usize]);
    TopicReport {
        topic: name,
        event: kind.schema_name(),
        planned,
        generated: topic.generated(),
        acknowledged: topic.acknowledged(),
        failed: topic.failed(),
        truncated: topic.truncated(),
        unresolved: topic.unresolved(),
        settled: topic.settled(),
        copies: (!doubts.copies_unknown).then_some(doubts.copies),
        others: doubts.others,
        seq: SeqReport::of(doubts, shard),
        duplicates_seq: SeqReport::of_copies(doubts, shard),
        start_offsets: start_offsets(starts),
        partition_count: Some(totals.partitions[kind as usize]).filter(|count| *count > 0),
        partitions: topic.partitions().map(|own| PartitionReport::of(own, times)).collect(),
    }
}

/// Where each partition ended before the first record, by its number.
fn start_offsets(starts: &BTreeMap<i32, i64>) -> Vec<Option<i64>> {
    let most = starts.keys().next_back().map_or(0, |last| last + 1);
    (0..most).map(|partition| starts.get(&partition).copied()).collect()
}

#[cfg(test)]
mod tests;
