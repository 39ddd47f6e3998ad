//! What the topics' own limits say about a run: before it, and when records were refused.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, info};

use super::Cluster;
use crate::delivery::{Cause, Counts, FailureClass, Failures, NotStarted};
use crate::event::Kind;
use crate::event_time::{self, Conflict, Load, TopicLimits};
use crate::faults::Fault;
use crate::kafka::admin::Admin;
use crate::kafka::causes;
use crate::kafka::producer::KafkaSink;
use crate::kafka::topics;
use crate::settings::{EventTimeGuard, RecordKey, Settings};

/// How long the cluster may take to tell the limits.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a live run waits for them: hardly a topic keeps records for less than the hour.
const LIVE_WITHIN: Duration = Duration::from_millis(500);

/// How long a run that failed asks for the cause.
const CAUSE_WITHIN: Duration = Duration::from_millis(700);

/// An event with its headers is smaller than this, unless its seed row has fields of its own.
const RECORD_BYTES: u64 = 512;

/// An event with its key and headers has more bytes in the log than this.
const LEAST_RECORD_BYTES: u64 = 200;

/// librdkafka's default of `batch.size`.
const BATCH_BYTES: u64 = 1_000_000;

/// librdkafka's default of `message.max.bytes`.
const MESSAGE_BYTES: u64 = 1_000_000;

/// A property of librdkafka as a number, if the user set it.
fn property(settings: &Settings, name: &str) -> Option<u64> {
    settings.properties.get(name)?.expose().parse().ok()
}

/// What a run that starts now sends to each topic.
fn load(settings: &Settings, now: Timestamp) -> Load {
    let (first, last) = match settings.event_start {
        Some(_) => settings.event_span(now),
        // Each record has the time at which it is sent.
        None => (now, now),
    };
    let faults = settings.faults.clone().unwrap_or_default();
    let delay = faults.delay(Fault::Late).and_then(|delay| delay.try_into().ok());
    let closing = settings.close_windows.and_then(|behind| behind.try_into().ok());
    let batch = property(settings, "batch.size").unwrap_or(BATCH_BYTES);
    let sent_at_once = if settings.waits() { 1 } else { settings.batch };
    Load {
        first,
        last,
        is_backfill: settings.event_start.is_some(),
        has_keys: settings.record_key == RecordKey::Gpu,
        repeats_keys: settings.batch > 1,
        partition_bytes: 0,
        batch_bytes: batch.min(sent_at_once.saturating_mul(RECORD_BYTES)),
        shift: faults.shift().unwrap_or_default(),
        // With EVENT_START a record is as old as its event, whenever it is sent.
        delay: delay.filter(|_| settings.event_start.is_none()).unwrap_or_default(),
        closing: closing.unwrap_or_default(),
        oversize: oversize(settings),
    }
}

/// Bytes that a run sends to each topic at the least, as far as it is known beforehand.
fn least_bytes(settings: &Settings) -> u64 {
    let codec = ["compression.codec", "compression.type"].map(|name| settings.properties.get(name));
    if codec.into_iter().flatten().any(|codec| codec.expose() != "none") {
        return 0;
    }
    let pairs = match settings.duration {
        None => settings.batch,
        Some(duration) if settings.waits() => {
            let due = duration.as_nanos() / settings.sleep.as_nanos().max(1);
            u64::try_from(due).unwrap_or(u64::MAX).min(settings.batch)
        }
        Some(_) => 0,
    };
    (pairs / u64::from(settings.shard.count).max(1)).saturating_mul(LEAST_RECORD_BYTES)
}

/// Bytes of the largest record that a fault makes.
fn oversize(settings: &Settings) -> Option<u64> {
    Some(settings.faults.as_ref()?.oversize()? as u64 + RECORD_BYTES)
}

/// What the client itself would refuse; the one of the demo has no properties of the user's.
fn client_conflict(settings: &Settings, is_embedded: bool) -> Option<Conflict> {
    let set = property(settings, "message.max.bytes").filter(|_| !is_embedded);
    let (max, bytes) = (set.unwrap_or(MESSAGE_BYTES), oversize(settings)?);
    let queue = property(settings, "queue.buffering.max.kbytes").filter(|_| !is_embedded);
    if let Some(room) = queue.map(|kib| kib.saturating_mul(1024)).filter(|room| bytes > *room) {
        return Some(Conflict {
            problem: format!(
                "this client's queue has room for {room} bytes (queue.buffering.max.kbytes), and \
                 oversize makes records of up to {bytes}"
            ),
            remedy: "lower the bytes of oversize in FAULTS, or set a larger \
                     RDKAFKA_QUEUE_BUFFERING_MAX_KBYTES"
                .to_owned(),
        });
    }
    (bytes > max).then(|| Conflict {
        problem: format!(
            "this client refuses records of more than {max} bytes (message.max.bytes), and oversize \
             makes them up to {bytes}"
        ),
        remedy: "lower the bytes of oversize in FAULTS, or set a larger RDKAFKA_MESSAGE_MAX_BYTES"
            .to_owned(),
    })
}

/// The first conflict of the run with each topic of so many partitions, if any.
#[must_use]
pub fn conflicts(
    settings: &Settings,
    limits: &[TopicLimits; 2],
    partitions: [usize; 2],
) -> [Option<Conflict>; 2] {
    let now = Timestamp::now();
    let load = load(settings, now);
    let [metric, token] = Kind::BOTH.map(|kind| settings.topic(kind));
    let of = |topic, limits, partitions: usize| {
        let partition_bytes = least_bytes(settings) / (partitions as u64).max(1);
        let load = Load { partition_bytes, ..load.clone() };
        let of_topic = || event_time::conflict(topic, limits, &load, now);
        client_conflict(settings, false).or_else(of_topic)
    };
    [of(metric, &limits[0], partitions[0]), of(token, &limits[1], partitions[1])]
}

/// Refuses a run whose records a topic would refuse, or delete within the hour.
pub(super) async fn check(
    settings: &Settings,
    cluster: &Cluster,
    admin: &Admin,
    partitions: [usize; 2],
) -> Result<(), NotStarted> {
    let faults = settings.faults.as_ref();
    let may_be_refused = [Fault::ClockSkew, Fault::Late, Fault::Oversize];
    let has_faults = faults.is_some_and(|set| may_be_refused.iter().any(|f| set.get(*f).is_some()));
    let is_on = settings.event_time_guard == EventTimeGuard::On;
    let sends_other_times =
        settings.event_start.is_some() || has_faults || settings.close_windows.is_some();
    if !is_on {
        return Ok(());
    }
    if let Some(conflict) = client_conflict(settings, cluster.is_embedded) {
        return Err(refused(&conflict));
    }
    if cluster.is_embedded {
        return Ok(());
    }
    let topics = Kind::BOTH.map(|kind| settings.topic(kind));
    let within = if sends_other_times { ANSWER_WITHIN } else { LIVE_WITHIN };
    let limits = match admin.topic_limits(topics, within).await {
        Ok(limits) => limits,
        Err(why) => {
            match sends_other_times {
                true => info!("whether the topics keep these events is not known: {why}"),
                false => debug!("whether the topics keep these events is not known: {why}"),
            }
            return Ok(());
        }
    };
    match conflicts(settings, &limits, partitions).into_iter().flatten().next() {
        None => Ok(()),
        Some(conflict) => Err(refused(&conflict)),
    }
}

fn refused(conflict: &Conflict) -> NotStarted {
    let reason = format!("{conflict}; EVENT_TIME_GUARD=off sends it all the same");
    NotStarted { cause: Cause::Misconfigured, reason }
}

/// Why the cluster refused some records, if its topics tell.
pub(super) async fn cause(
    settings: &Settings,
    cluster: &Cluster,
    counts: &Counts,
    partitions: [usize; 2],
) -> Option<String> {
    let denied = |(kind, _, failures): (Kind, &str, &Failures)| {
        let is_denied = failures.class == FailureClass::Denied;
        is_denied.then(|| causes::may_not_write(settings.topic(kind)).to_string())
    };
    if let Some(cause) = counts.failures().find_map(denied) {
        return Some(cause);
    }
    let refused = |(_, _, failures): (_, _, &Failures)| failures.class == FailureClass::Refused;
    if cluster.is_embedded || !counts.failures().any(refused) {
        return None;
    }
    let topics = Kind::BOTH.map(|kind| settings.topic(kind));
    let limits = topics::limits(&cluster.config, topics, CAUSE_WITHIN).await.ok();
    let conflicts = limits.map(|limits| conflicts(settings, &limits, partitions));
    if let Some(conflict) = conflicts.into_iter().flatten().flatten().next() {
        return Some(conflict.to_string());
    }
    let is_large = |(_, kind, _): (_, &str, _)| kind.starts_with("MessageSizeTooLarge");
    counts.failures().any(is_large).then(|| {
        "a record or a batch was too large: RDKAFKA_MESSAGE_MAX_BYTES and \
         RDKAFKA_QUEUE_BUFFERING_MAX_KBYTES limit records, RDKAFKA_BATCH_SIZE batches, and \
         max.message.bytes of the topic both"
            .to_owned()
    })
}

/// The topic that a cluster which answers does not name any more.
pub(super) async fn gone(sink: &KafkaSink, settings: &Settings, is_denied: bool) -> Option<String> {
    let topics = Kind::BOTH.map(|kind| settings.topic(kind).to_owned());
    let admin = sink.admin();
    let asked = tokio::task::spawn_blocking(move || {
        let there = admin.topics(CAUSE_WITHIN)?;
        topics.into_iter().find(|topic| !there.contains(topic))
    });
    let topic = asked.await.ok().flatten()?;
    // The cluster names no topic that a client may not see.
    Some(match is_denied || sink.denied().is_some() {
        true => format!("this client may not see topic {topic} any more"),
        false => format!("topic {topic} is not there any more, or this client may not see it"),
    })
}
