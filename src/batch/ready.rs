//! Before a run: is there a cluster, and does it have the topics?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::info;

use crate::delivery::{Cause, NotStarted, Offsets};
use crate::egress::resolve;
use crate::event::Kind;
use crate::host::signals::Stop;
use crate::kafka::admin::{Admin, Bound, NotReady};
use crate::kafka::inquiry;
use crate::kafka::producer::KafkaSink;
use crate::settings::{Server, Settings};

use super::Cluster;

/// How long a run that reached nobody asks for the addresses of its servers, to say why.
const RESOLVE_WITHIN: Duration = Duration::from_millis(500);

/// How long the cluster may take to get ready: nine tenths of the delivery timeout, within which a
/// client that cannot reach anything has said so.
pub(super) fn within(settings: &Settings) -> Duration {
    settings.delivery_timeout.mul_f64(0.9)
}

/// Waits until a broker answers, both topics exist and every partition's leader is ready; returns
/// where the partitions end.
pub(super) async fn wait_until_ready(
    settings: &Settings,
    cluster: &Cluster,
    sink: &KafkaSink,
    stop: &Stop,
) -> Result<Offsets, NotStarted> {
    let bound = Bound::within(within(settings), settings.kafka_bootstrap.servers().len());
    if cluster.egress.is_some() {
        check_advertised(cluster, bound, stop).await?;
    }
    let admin = sink.admin();
    let asks = admin.clone();
    let topics = [
        (settings.topic_metric.clone(), "TOPIC_METRIC"),
        (settings.topic_token.clone(), "TOPIC_TOKEN"),
    ];
    let ready = asked(stop, move |cancelled| {
        let topics = topics.each_ref().map(|(topic, setting)| (topic.as_str(), *setting));
        admin.wait_until_ready(topics, bound, cancelled)
    });
    match ready.await {
        Ok(ends) => Ok(ends),
        Err(error) => {
            let error = explained(error, settings, asks).await;
            let mut not_started = refusal(&error, stop);
            if matches!(error, NotReady::Unreachable { .. }) {
                // librdkafka tells it of the last server at most.
                if !not_started.reason.contains("has no address") {
                    let unresolved = unresolved(settings.kafka_bootstrap.servers()).await;
                    not_started.reason.push_str(&unresolved);
                }
                if let Some(policy) = &cluster.egress
                    && let Some(change) = policy.changed().await
                {
                    not_started.reason = format!("{change}; {}", not_started.reason);
                }
                info!("`vm4-producer doctor` checks the way to the brokers step by step");
            }
            Err(not_started)
        }
    }
}

/// Why this client is refused, by the topic that it may not write to: the broker names none where it gives
/// no producer id.
async fn explained(error: NotReady, settings: &Settings, admin: Admin) -> NotReady {
    match error {
        NotReady::Denied(_) => refused_topic(settings, admin).await.unwrap_or(error),
        error => error,
    }
}

/// The first topic that this client may not write to, as far as the cluster tells.
pub(super) async fn refused_topic(settings: &Settings, admin: Admin) -> Option<NotReady> {
    let topics = Kind::BOTH.map(|kind| settings.topic(kind).to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let mut refused = admin.refused(&topics.each_ref().map(String::as_str));
        topics.iter().find_map(|topic| refused.remove(topic))
    });
    asked.await.ok().flatten().map(NotReady::Denied)
}

/// The names that a resolver does not answer for: librdkafka waits for it without a word.
async fn unresolved(servers: &[Server]) -> String {
    let hosts: Vec<_> = servers.iter().map(|server| server.host.clone()).collect();
    let resolved = tokio::task::spawn_blocking(move || {
        resolve::all(hosts.iter().map(String::as_str), RESOLVE_WITHIN)
    });
    let resolved = resolved.await.unwrap_or_default();
    let failed = resolved.iter().filter_map(|(host, found)| Some((host, found.as_ref().err()?)));
    failed.map(|(host, why)| format!("; {host}: {why}")).collect()
}

/// Why a cluster is not ready.
pub(super) fn refusal(error: &NotReady, stop: &Stop) -> NotStarted {
    let cause = match (error, stop.received().first) {
        (NotReady::Cancelled, Some(signal)) => Cause::Stopped(signal),
        (NotReady::Denied(_), _) => Cause::Denied,
        (NotReady::Exhausted(_), _) => Cause::Exhausted,
        (NotReady::Client(_), _) => Cause::Misconfigured,
        _ => Cause::Unavailable,
    };
    NotStarted::new(cause, error)
}

/// Asks the cluster on a thread that may block; after a signal nobody waits for that thread.
async fn asked<T: Send + 'static>(
    stop: &Stop,
    question: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, NotReady> + Send + 'static,
) -> Result<T, NotReady> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let asked = tokio::task::spawn_blocking(move || question(&|| flag.load(Ordering::Relaxed)));
    let answer = tokio::select! {
        answer = asked => answer.unwrap_or(Err(NotReady::Cancelled)),
        _ = stop.first() => Err(NotReady::Cancelled),
    };
    cancelled.store(true, Ordering::Relaxed);
    answer
}

/// Whether the advertised brokers are on the egress allow list, asked with another client: once
/// the run's client has learned of brokers that it cannot reach, it asks no other.
async fn check_advertised(cluster: &Cluster, bound: Bound, stop: &Stop) -> Result<(), NotStarted> {
    let config = cluster.config.clone();
    let brokers = asked(stop, move |cancelled| inquiry::brokers(&config, bound, cancelled));
    match brokers.await {
        Ok(brokers) => check_egress(cluster, "advertised broker", &brokers).await,
        Err(error) => Err(refusal(&error, stop)),
    }
}

/// Whether the egress allow list lets these servers through, where there is one.
pub(super) async fn check_egress(
    cluster: &Cluster,
    what: &'static str,
    servers: &[Server],
) -> Result<(), NotStarted> {
    let Some(policy) = &cluster.egress else { return Ok(()) };
    let checked = policy.check_run(what, servers).await;
    checked.map_err(|violation| NotStarted::new(Cause::Misconfigured, &violation))
}
