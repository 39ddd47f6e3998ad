//! One batch against a cluster: is it ready, send, look up what is in doubt, report.

mod client;
mod closing;
mod lookup;
mod ready;
pub mod run_topic;
pub mod topic_limits;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

pub use client::Client;

use crate::answer_key::{AnswerKey, Keyed};
use crate::delivery::{
    Cause, Closing, Ending, Evidence, FailureClass, NotStarted, Offsets, RunEnd, Totals,
};
use crate::egress::EgressPolicy;
use crate::event::Kind;
use crate::faults::FaultCounts;
use crate::histogram::Times;
use crate::host::reporter::{Reporter, ScheduleState, View};
use crate::host::signals::Stop;
use crate::host::spool::Spool;
use crate::kafka::Config;
use crate::kafka::admin::{Admin, NotReady};
use crate::kafka::producer::KafkaSink;
use crate::plan::{self, Identity, Plan};
use crate::report::{Report, Run};
use crate::send_loop::{self, Limits, LoopEnd};
use crate::settings::{RecordHeaders, Settings};
use crate::workload::seed::Seed;
use lookup::{Findings, Lookup};

/// The cluster that a run is carried out against.
#[derive(Debug)]
pub struct Cluster {
    /// How to reach it.
    pub config: Config,
    /// What of it may be reached, if that is limited.
    pub egress: Option<EgressPolicy>,
    /// Whether it is the broker of the demo, which has no configuration to ask for.
    pub is_embedded: bool,
}

/// Carries a run out against a cluster, and reports it. `begins` takes a report of it right before the
/// first record.
pub async fn send(
    settings: &Settings,
    seed: &Seed,
    identity: Identity,
    cluster: &Cluster,
    stop: Stop,
    mut client: Client,
    begins: &dyn Fn(&Report),
) -> (Report, Client) {
    let started = Instant::now();
    let plan = Arc::new(Plan::new(settings, seed, identity));
    let batch = Batch { settings, seed, plan: &plan, cluster, stop, begins };
    let ended = batch.carry_out(&mut client).await;
    client.clear_bar();
    client.sink.iter().for_each(KafkaSink::say_repeated);
    let nothing = |end| Ended { end, ..Ended::default() };
    let ended = ended.unwrap_or_else(|not_started| nothing(RunEnd::NotStarted(not_started)));
    let Ended { end, totals, lateness, faults, incidents, closing, cluster_id, starts } = ended;
    let incidents = plan.count_by_incident(&incidents);
    let sent_all = match &end {
        RunEnd::Sent(evidence) => evidence.sent_all,
        RunEnd::NothingPlanned => true,
        RunEnd::NotStarted(_) => false,
    };
    let sent = |kind| sent_all.then(|| totals.counts.topic(kind).generated());
    let [metric, token] = plan.planned_records();
    let ended_at = Timestamp::now();
    if let Some(problem) = clock_problem(plan.identity.started_at, ended_at) {
        warn!("{problem}");
    }
    let run = Run {
        seed_sha256: Some(seed.sha256()),
        plan_sha256: Some(plan::digest(settings, seed, plan.identity.run_seed)),
        cluster_id,
        starts,
        planned: [metric.or(sent(Kind::Metric)), token.or(sent(Kind::Token))],
        identity: plan.identity.clone(),
        totals,
        lateness,
        faults,
        incidents,
        closing,
        end,
        ended_at,
        elapsed: started.elapsed(),
    };
    (Report::new(settings, run), client)
}

/// What there is to say of a clock that went back during a run.
fn clock_problem(started_at: Timestamp, ended_at: Timestamp) -> Option<String> {
    (ended_at < started_at).then(|| {
        format!(
            "the system's clock went back during the run: its report has {ended_at:.3} as the end, which is \
             before the start, {started_at:.3}; elapsed_sec is right"
        )
    })
}

/// How a batch ended.
struct Ended {
    end: RunEnd,
    totals: Totals,
    lateness: Times,
    faults: FaultCounts,
    incidents: Vec<u64>,
    closing: Option<Closing>,
    cluster_id: Option<String>,
    /// Where the partitions ended before the first record.
    starts: Offsets,
}

impl Default for Ended {
    fn default() -> Self {
        let (totals, lateness, faults, incidents, closing, cluster_id, starts) = Default::default();
        let end = RunEnd::NothingPlanned;
        Self { end, totals, lateness, faults, incidents, closing, cluster_id, starts }
    }
}

/// What a batch is carried out with.
struct Batch<'a> {
    settings: &'a Settings,
    seed: &'a Seed,
    plan: &'a Arc<Plan>,
    cluster: &'a Cluster,
    stop: Stop,
    begins: &'a dyn Fn(&Report),
}

impl Batch<'_> {
    /// How the run ended.
    async fn carry_out(&self, client: &mut Client) -> Result<Ended, NotStarted> {
        let Self { settings, plan, cluster, stop, .. } = self;
        if plan.schedule.planned_pairs() == Some(0) {
            client.key = client.spool.take().map(|spool| self.begin_key(spool)?.finish());
            return Ok(Ended::default());
        }
        ready::check_egress(cluster, "broker", settings.kafka_bootstrap.servers()).await?;
        let endpoint: Vec<_> = settings.token_endpoint().into_iter().collect();
        ready::check_egress(cluster, "token endpoint", &endpoint).await?;
        let sink = KafkaSink::start(&cluster.config, settings.delivery_timeout);
        let sink = client.sink.insert(sink.map_err(|error| ready::refusal(&error, stop))?);
        let schedule = Arc::new(ScheduleState::default());
        client.reporter = Some(Reporter::start(View {
            planned_records: plan.planned_records().into_iter().sum(),
            delivery_timeout: settings.delivery_timeout,
            counts: Box::new(sink.counts()),
            schedule: Arc::clone(&schedule),
            started: std::time::Instant::now(),
            servers: settings.kafka_bootstrap.to_string(),
            connect_within: ready::within(settings),
            gap: settings.waits().then_some(settings.sleep),
            duration: settings.duration.filter(|_| settings.waits() || settings.sleep.is_zero()),
        }));
        let ends = ready::wait_until_ready(settings, cluster, sink, stop).await?;
        let (admin, partitions) = (sink.admin(), ends.each_ref().map(BTreeMap::len));
        tokio::select! {
            checked = topic_limits::check(settings, cluster, &admin, partitions) => checked?,
            _ = stop.first() => return Err(ready::refusal(&NotReady::Cancelled, stop)),
        }
        let running = self.running(sink, &ends);
        (self.begins)(&running);
        client.is_announced = self.announce_in_topic(&admin, &running).await?;
        announce(settings, plan);
        let ids = lookup::ask_ids(plan, sink);
        let (ended, key) = self.send(sink, client.spool.take(), schedule).await;
        client.key = key;
        let closing = self.close_windows(&ends, &ended).await;
        if sink.counts()().total_missing() > 0 {
            lookup::take_back(sink).await;
        }
        let mut totals = sink.totals();
        plan.name_doubts(&mut totals.doubts);
        totals.partitions = partitions;
        let starts = ends.clone();
        let end = RunEnd::Sent(self.evidence(sink, &mut totals, &ended, (ends, ids)).await);
        let LoopEnd { lateness, faults, incidents, .. } = ended;
        let cluster_id = sink.admin().cluster_id();
        Ok(Ended { end, totals, lateness, faults, incidents, closing, cluster_id, starts })
    }

    /// The report of the run before its first record.
    fn running(&self, sink: &KafkaSink, ends: &Offsets) -> Report {
        let Self { settings, seed, plan, .. } = self;
        let partitions = ends.each_ref().map(BTreeMap::len);
        let totals = Totals { partitions, ..Totals::default() };
        let run = Run {
            seed_sha256: Some(seed.sha256()),
            plan_sha256: Some(plan::digest(settings, seed, plan.identity.run_seed)),
            cluster_id: sink.admin().cluster_id(),
            starts: ends.clone(),
            planned: plan.planned_records(),
            totals,
            ..Run::unsent(plan.identity.clone(), RunEnd::NothingPlanned)
        };
        Report::running(settings, run)
    }

    /// Has the run describe itself in `RUN_TOPIC`, if that is set; whether it did.
    async fn announce_in_topic(&self, admin: &Admin, running: &Report) -> Result<bool, NotStarted> {
        let Self { settings, cluster, stop, .. } = self;
        let Some(topic) = settings.run_topic.clone().filter(|_| !cluster.is_embedded) else {
            return Ok(false);
        };
        let record = run_topic::record(topic, running);
        let (config, within) = (cluster.config.clone(), settings.delivery_timeout);
        let (admin, asked) = (admin.clone(), stop.clone());
        let publish = move || {
            run_topic::begin(&admin, &config, record, within, &|| asked.received().count() > 0)
        };
        let published = tokio::task::spawn_blocking(publish).await;
        let (problem, is_denied) = match published {
            Ok(Ok(())) => return Ok(true),
            Ok(Err(problem)) => (problem.to_string(), problem.is_denied),
            Err(error) => (error.to_string(), false),
        };
        let problem = format!("the run cannot describe itself in RUN_TOPIC: {problem}");
        let cause = match stop.received().first {
            Some(signal) => Cause::Stopped(signal),
            None if is_denied => Cause::Denied,
            None => Cause::Unavailable,
        };
        Err(NotStarted::new(cause, &problem))
    }

    /// Sends the batch, and writes its answer key, if it is to have one.
    async fn send(
        &self,
        sink: &KafkaSink,
        spool: Option<Spool>,
        schedule: Arc<ScheduleState>,
    ) -> (LoopEnd, Option<io::Result<Spool>>) {
        let Self { settings, plan, stop, .. } = self;
        let limits = Limits {
            waits: settings.waits(),
            wall_limit: settings.wall_limit(),
            delivery_timeout: settings.delivery_timeout,
        };
        schedule.begins(std::time::Instant::now());
        let now = Timestamp::now;
        let Some(spool) = spool else {
            return (send_loop::send(plan, sink, limits, stop, schedule, now).await, None);
        };
        let keyed = Keyed::new(sink, self.begin_key(spool));
        let ended = send_loop::send(plan, &keyed, limits, stop, schedule, now).await;
        (ended, Some(keyed.finish()))
    }

    fn begin_key(&self, spool: Spool) -> io::Result<AnswerKey<'_, Spool>> {
        AnswerKey::begin(self.plan, self.settings, self.seed, spool)
    }

    /// Looks up what is in doubt, and collects why records are missing.
    async fn evidence(
        &self,
        sink: &KafkaSink,
        totals: &mut Totals,
        ended: &LoopEnd,
        (ends, ids): (Offsets, Receiver<BTreeMap<String, String>>),
    ) -> Evidence {
        let Self { settings, plan, cluster, stop, .. } = self;
        let (mut findings, mut topics) = (Findings::default(), None);
        let is_missing = totals.counts.total_missing() > 0;
        if totals.counts.total_generated() > 0 && !stop.received().again {
            let lookup = Lookup {
                ends,
                ids,
                within: match ended.ending {
                    // It answers nobody, so it will hardly be read.
                    Ending::Silence => None,
                    _ => Some(settings.delivery_timeout.saturating_sub(ended.drained_for)),
                },
                has_headers: settings.record_headers == RecordHeaders::On,
            };
            let is_denied =
                totals.counts.failures().any(|(_, _, f)| f.class == FailureClass::Denied);
            let gone = topic_limits::gone(sink, settings, is_denied);
            let settle = lookup::settle(plan, cluster, sink, stop, totals, lookup);
            let gone = async { if is_missing { gone.await } else { None } };
            (findings, topics) = tokio::join!(settle, gone);
        }
        if topics.is_none() {
            let (counts, partitions) = (&totals.counts, totals.partitions);
            topics = topic_limits::cause(settings, cluster, counts, partitions).await;
        }
        let egress = match &cluster.egress {
            Some(policy) if totals.counts.total_missing() > 0 => policy.changed().await,
            _ => None,
        };
        let mut fatal = sink.fatal();
        // The broker names no topic where it gives no producer id.
        if let Some((FailureClass::Denied, text)) = &mut fatal
            && let Some(denied) = ready::refused_topic(settings, sink.admin()).await
        {
            *text = denied.to_string();
        }
        Evidence {
            egress,
            ending: ended.ending,
            sent_all: ended.sent_all,
            stopped_again: stop.received().again,
            denied: sink.denied(),
            fatal,
            last_error: sink.last_error(),
            topics,
            unread: findings.unread,
            truncated: findings.truncated,
        }
    }
}

fn announce(settings: &Settings, plan: &Plan) {
    let run = plan.identity.run_id.as_str();
    let seed = plan.identity.run_seed;
    let (pairs, shard) = (plan.schedule.planned_pairs(), settings.shard.to_string());
    let (metric, token) = (&settings.topic_metric, &settings.topic_token);
    if metric == token {
        warn!("both events go to {metric}: only their fields tell them apart there");
    }
    for idle in plan.idle_incidents() {
        warn!("{idle}");
    }
    let number = match pairs {
        Some(1) => "1 pair".to_owned(),
        Some(pairs) => format!("{pairs} pairs"),
        None => "pairs".to_owned(),
    };
    let part = match settings.shard.count {
        1 => String::new(),
        _ => format!(", shard {shard}"),
    };
    // A shell may have set HOSTNAME, which then is the host of every event.
    let source = settings.resolved("HOSTNAME").map(|host| host.origin.to_string());
    let (host, source) = (settings.hostname.to_string(), source.unwrap_or_default());
    info!(
        run,
        seed,
        shard,
        pairs,
        host,
        "run {run}{part}, RUN_SEED {seed}, host {host} ({source}): sending {number} to {metric} and {token}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_during_the_run_is_told() {
        let [earlier, later] =
            ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00.5Z"].map(|at| at.parse().unwrap());
        assert_eq!(clock_problem(earlier, later), None);
        assert_eq!(
            clock_problem(later, earlier).as_deref(),
            Some(
                "the system's clock went back during the run: its report has 2026-01-01T00:00:00.000Z as the \
                 end, which is before the start, 2026-01-01T01:00:00.500Z; elapsed_sec is right"
            )
        );
    }
}
