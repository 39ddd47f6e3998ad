//! What the topics' own limits say about a run: before it, and when records were refused.

use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::Cluster;
use crate::delivery::{Cause, Counts, FailureClass, Failures, NotStarted};
use crate::event::Kind;
use crate::event_time::{self, Conflict, Load, TopicLimits};
use crate::kafka::producer::KafkaSink;
use crate::kafka::topics;
use crate::settings::{EventTimeGuard, RecordKey, Settings};

/// How long the cluster may take to tell the limits.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a run that failed asks for the cause.
const CAUSE_WITHIN: Duration = Duration::from_millis(700);

/// An event with its headers is smaller than this, unless its seed row has fields of its own.
const RECORD_BYTES: u64 = 512;

/// librdkafka's default of `batch.size`.
const BATCH_BYTES: u64 = 1_000_000;

/// What a run that starts now sends to each topic.
fn load(settings: &Settings, now: Timestamp) -> Load {
    let (first, last) = settings.event_span(now);
    let property = |name: &str| settings.properties.get(name)?.expose().parse().ok();
    let batch = property("batch.size").unwrap_or(BATCH_BYTES);
    let sent_at_once = if settings.waits() { 1 } else { settings.batch };
    Load {
        first,
        last,
        is_backfill: settings.event_start.is_some(),
        has_keys: settings.record_key == RecordKey::Gpu,
        batch_bytes: batch.min(sent_at_once.saturating_mul(RECORD_BYTES)),
    }
}

/// The first conflict of the run with each topic, if any.
#[must_use]
pub fn conflicts(settings: &Settings, limits: &[TopicLimits; 2]) -> [Option<Conflict>; 2] {
    let now = Timestamp::now();
    let load = load(settings, now);
    let [metric, token] = Kind::BOTH.map(|kind| settings.topic(kind));
    let of = |topic, limits| event_time::conflict(topic, limits, &load, now);
    [of(metric, &limits[0]), of(token, &limits[1])]
}

/// Refuses a backfill that a topic would refuse, or delete within the hour.
pub(super) async fn check(settings: &Settings, cluster: &Cluster) -> Result<(), NotStarted> {
    let is_on = settings.event_time_guard == EventTimeGuard::On;
    if settings.event_start.is_none() || !is_on || cluster.is_embedded {
        return Ok(());
    }
    let topics = Kind::BOTH.map(|kind| settings.topic(kind));
    let limits = match topics::limits(&cluster.config, topics, ANSWER_WITHIN).await {
        Ok(limits) => limits,
        Err(why) => {
            info!("whether the topics keep these events is not known: {why}");
            return Ok(());
        }
    };
    match conflicts(settings, &limits).into_iter().flatten().next() {
        None => Ok(()),
        Some(conflict) => {
            let reason = format!("{conflict}; EVENT_TIME_GUARD=off sends it all the same");
            Err(NotStarted { cause: Cause::Misconfigured, reason })
        }
    }
}

/// Why the cluster refused some records, if its topics tell.
pub(super) async fn cause(
    settings: &Settings,
    cluster: &Cluster,
    counts: &Counts,
) -> Option<String> {
    let refused = |(_, _, failures): (_, _, &Failures)| failures.class == FailureClass::Refused;
    if cluster.is_embedded || !counts.failures().any(refused) {
        return None;
    }
    let topics = Kind::BOTH.map(|kind| settings.topic(kind));
    let limits = topics::limits(&cluster.config, topics, CAUSE_WITHIN).await.ok();
    let conflicts = limits.map(|limits| conflicts(settings, &limits));
    if let Some(conflict) = conflicts.into_iter().flatten().flatten().next() {
        return Some(conflict.to_string());
    }
    let is_large = |(_, kind, _): (_, &str, _)| kind.starts_with("MessageSizeTooLarge");
    counts.failures().any(is_large).then(|| {
        "a record or a batch was too large: RDKAFKA_MESSAGE_MAX_BYTES limits records, \
         RDKAFKA_BATCH_SIZE batches, and max.message.bytes of the topic both"
            .to_owned()
    })
}

/// The topic that a cluster which answers does not have any more.
pub(super) async fn gone(sink: &KafkaSink, settings: &Settings) -> Option<String> {
    let topics = Kind::BOTH.map(|kind| settings.topic(kind).to_owned());
    let admin = sink.admin();
    let asked = tokio::task::spawn_blocking(move || {
        let there = admin.topics(CAUSE_WITHIN)?;
        topics.into_iter().find(|topic| !there.contains(topic))
    });
    asked.await.ok().flatten().map(|topic| format!("topic {topic} is not there any more"))
}
