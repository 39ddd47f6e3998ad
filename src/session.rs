//! One run against a cluster, from the settings to the report.

mod lookup;
mod ready;
mod reason;
pub mod topic_check;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rdkafka::config::ClientConfig;
use rdkafka::producer::Producer;
use tokio::time::Instant;
use tracing::info;

use crate::books::FailureClass;
use crate::event::Kind;
use crate::exit::Exit;
use crate::host::egress::Guard;
use crate::host::reporter::{Pulse, Reporter, View};
use crate::host::signals::Stop;
use crate::host::{limits, log};
use crate::kafka::ledger::Account;
use crate::kafka::producer::KafkaSink;
use crate::latency::Times;
use crate::plan::{Identity, Plan, Record};
use crate::report::{Facts, Report};
use crate::run::{Ending, Offer, Pacing, Sink, run};
use crate::settings::{RecordHeaders, Settings};
use crate::verdict::verdict;
use crate::workload::seed::Seed;
use lookup::Lookup;
use reason::reason;

/// A run that is over, and who still has to hear of it.
#[derive(Debug)]
pub struct Session {
    /// The report.
    pub report: Report,
    /// The verdict.
    pub exit: Exit,
    /// To tell systemd last.
    pub reporter: Option<Reporter>,
    /// Closing the client takes a while where records are still in its queue: it is kept until the
    /// run is reported.
    pub sink: Option<KafkaSink>,
}

impl Sink for KafkaSink {
    fn offer(&self, record: &Record<'_>, due: Instant) -> Offer {
        Self::offer(self, record, due.into_std())
    }

    fn answered(&self) -> impl Future<Output = ()> {
        self.ledger().answered.notified()
    }

    fn open(&self) -> u64 {
        self.ledger().open()
    }

    fn silence(&self) -> Duration {
        self.ledger().silence()
    }

    fn is_fatal(&self) -> bool {
        self.fatal().is_some()
    }

    fn seal(&self) {
        Self::seal(self);
    }
}

/// How far a run came.
struct Outcome {
    account: Account,
    lateness: Times,
    exit: Exit,
    reason: Option<String>,
    /// The plan was carried out, so what was generated is what was planned.
    completed: bool,
}

impl Outcome {
    /// A run that never began to generate.
    fn unstarted(exit: Exit, reason: Option<String>) -> Self {
        let (account, lateness) = (Account::default(), Times::default());
        Self { account, lateness, exit, reason, completed: false }
    }
}

/// The cluster that a run is carried out against.
#[derive(Debug)]
pub struct Cluster {
    /// How to reach it.
    pub config: ClientConfig,
    /// What of it may be reached, where that is limited.
    pub guard: Option<Guard>,
    /// Whether it is the broker of the demo, which has no configuration to ask for.
    pub is_embedded: bool,
}

/// Carries a run out against a cluster.
pub async fn deliver(
    settings: &Settings,
    seed: &Seed,
    identity: Identity,
    cluster: &Cluster,
    stop: Stop,
) -> Session {
    let started = Instant::now();
    let plan = Plan::new(settings, seed, identity);
    let (mut reporter, mut used) = (None, None);
    let outcome = if plan.schedule.planned_pairs() == Some(0) {
        Outcome { completed: true, ..Outcome::unstarted(Exit::Success, None) }
    } else if let Err((exit, reason)) =
        ready::check_egress(cluster, "broker", settings.kafka_bootstrap.servers()).await
    {
        Outcome::unstarted(exit, Some(reason))
    } else {
        let shards = settings.shard.count.into();
        match KafkaSink::start(&cluster.config, shards, settings.delivery_timeout) {
            Ok(sink) => {
                let (outcome, watcher) = with_sink(settings, &plan, cluster, &sink, stop).await;
                reporter = Some(watcher);
                used = Some(sink);
                outcome
            }
            Err(error) => {
                let (exit, reason) = limits::of_start(&error.to_string());
                Outcome::unstarted(exit, Some(reason))
            }
        }
    };
    let elapsed_sec = started.elapsed().as_secs_f64();
    let Outcome { account, lateness, exit, reason, completed } = outcome;
    let known = plan.schedule.planned_pairs();
    let sent = completed.then(|| account.books.topic(Kind::Metric).generated());
    let facts = Facts {
        planned_pairs: known.or(sent),
        identity: plan.identity,
        account,
        lateness,
        exit,
        reason,
        ended_at: Timestamp::now(),
        elapsed_sec,
    };
    Session { report: Report::new(settings, facts), exit, reporter, sink: used }
}

async fn with_sink(
    settings: &Settings,
    plan: &Plan,
    cluster: &Cluster,
    sink: &KafkaSink,
    stop: Stop,
) -> (Outcome, Reporter) {
    let pulse = Arc::new(Pulse::default());
    let ledger = Arc::clone(sink.producer().context());
    let reporter = Reporter::start(View {
        planned_records: plan.schedule.planned_pairs().map(|pairs| pairs.saturating_mul(2)),
        delivery_timeout: settings.delivery_timeout,
        books: Box::new(move || ledger.books()),
        pulse: Arc::clone(&pulse),
    });
    let ends = match ready::wait_until_ready(settings, cluster, sink, &stop).await {
        Ok(ends) => ends,
        Err((exit, reason)) => return (Outcome::unstarted(exit, Some(reason)), reporter),
    };
    if let Err((exit, reason)) = topic_check::check(settings, cluster).await {
        return (Outcome::unstarted(exit, Some(reason)), reporter);
    }
    announce(settings, plan);
    let watch = tokio::spawn(announce_stop(stop.clone(), Arc::clone(&pulse)));
    let pacing = Pacing {
        waits: settings.waits(),
        wall_limit: settings.wall_limit(),
        delivery_timeout: settings.delivery_timeout,
    };
    let ran = run(plan, sink, pacing, stop.clone(), pulse, Timestamp::now).await;
    watch.abort();
    let mut account = sink.ledger().close();
    let in_question = account.books.total_missing() > 0 && !stop.received().again;
    let lookup = Lookup {
        ends,
        shard: settings.shard,
        within: match ran.ending {
            // It answers nobody, so it will hardly be read.
            Ending::Silence => Duration::ZERO,
            _ => settings.delivery_timeout.saturating_sub(ran.drained_for),
        },
        has_headers: settings.record_headers == RecordHeaders::On,
    };
    let (unread, gone) = if in_question {
        let settle = lookup::settle(plan, cluster, sink, &stop, &mut account, lookup);
        tokio::join!(settle, topic_check::gone(sink, settings))
    } else {
        (None, None)
    };
    let fatally = || sink.fatal().is_some_and(|(class, _)| class == FailureClass::Denied);
    let denied = sink.ledger().denied().is_some() || fatally();
    let exit = verdict(&account.books, ran.ending, ran.planned, denied);
    let cause = match gone {
        Some(gone) => Some(gone),
        None => topic_check::cause(settings, cluster, &account.books).await,
    };
    let reason = reason(&ran, exit, sink, &stop);
    let reasons: Vec<_> = cause.into_iter().chain(reason).chain(unread).collect();
    let reason = (exit != Exit::Success && !reasons.is_empty()).then(|| reasons.join("; "));
    let completed = ran.planned;
    (Outcome { account, lateness: ran.lateness, exit, reason, completed }, reporter)
}

fn announce(settings: &Settings, plan: &Plan) {
    let run = plan.identity.run_id.clone();
    let seed = plan.identity.run_seed;
    let (pairs, shard) = (plan.schedule.planned_pairs(), settings.shard.to_string());
    let (metric, token) = (settings.topic_metric.clone(), settings.topic_token.clone());
    log::say(move || {
        let number = pairs.map(|pairs| format!("{pairs} ")).unwrap_or_default();
        info!(
            run,
            seed,
            shard,
            pairs,
            "run {run}, seed {seed}: sending {number}pairs to {metric} and {token}"
        );
    });
}

/// Says that a signal was understood: the wait that follows may take the whole delivery timeout.
async fn announce_stop(stop: Stop, pulse: Arc<Pulse>) {
    let signal = stop.first().await;
    pulse.stops();
    log::say(move || {
        let name = signal.name();
        info!("{name}: stopping, waiting for what was sent; a second signal ends the wait");
    });
}
