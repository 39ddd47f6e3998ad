//! Before a run: is there a cluster, and does it have the topics?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::producer::Producer;

use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::kafka::probe::{self, NotReady};
use crate::kafka::producer::KafkaSink;
use crate::settings::{Server, Settings};

use super::Cluster;

/// Waits until a broker answers and both topics exist, nine tenths of the delivery timeout at most:
/// within it a client that cannot reach anything has said so.
pub(super) async fn wait_until_ready(
    settings: &Settings,
    cluster: &Cluster,
    sink: &KafkaSink,
    stop: &Stop,
) -> Result<(), (Exit, String)> {
    let producer = sink.producer();
    let cancelled = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&cancelled);
    let topics = [
        (settings.topic_metric.clone(), "TOPIC_METRIC"),
        (settings.topic_token.clone(), "TOPIC_TOKEN"),
    ];
    let within = settings.delivery_timeout.mul_f64(0.9);
    let mut probe = tokio::task::spawn_blocking(move || {
        let topics = topics.each_ref().map(|(topic, setting)| (topic.as_str(), *setting));
        let cancelled = || asked.load(Ordering::Relaxed);
        probe::wait_until_ready(producer.client(), &topics, within, cancelled)
    });
    let ready = tokio::select! {
        ready = &mut probe => ready,
        _ = stop.first() => {
            cancelled.store(true, Ordering::Relaxed);
            probe.await
        }
    };
    let error = match ready.unwrap_or(Err(NotReady::Cancelled)) {
        Ok(advertised) => return check_egress(cluster, "advertised broker", &advertised).await,
        Err(error) => error,
    };
    let exit = match (&error, stop.received().first) {
        (NotReady::Cancelled, Some(signal)) => Exit::Signalled(signal),
        (NotReady::Denied(_), _) => Exit::NoPerm,
        _ => Exit::Unavailable,
    };
    Err((exit, error.to_string()))
}

/// Whether the egress allow list lets these servers through, where there is one.
pub(super) async fn check_egress(
    cluster: &Cluster,
    what: &'static str,
    servers: &[Server],
) -> Result<(), (Exit, String)> {
    let Some(guard) = cluster.guard.clone() else { return Ok(()) };
    let servers = servers.to_vec();
    // Asks the resolver, which blocks. A check that failed in itself denies nothing.
    let checked = tokio::task::spawn_blocking(move || guard.check(what, &servers)).await;
    match checked {
        Ok(Err(denied)) => Err((Exit::Config, denied.to_string())),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}
