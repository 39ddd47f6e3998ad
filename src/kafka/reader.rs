//! Reads topics from given offsets to their ends: bounded, and one record at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use super::errors::class;
use super::native::{Code, Consumer, ErrorCode, Fetched, FetchedRecord};
use crate::audit::Read;
use crate::delivery::FailureClass;
use crate::event::Kind;

/// Longest single wait, so that the bound and the caller's wish to stop are noticed.
const SLICE: Duration = Duration::from_millis(50);

/// What a consumer is set to, beside what it shares with the producer.
const SETTINGS: &[(&str, &str)] = &[
    // Needed for an assignment. Nothing is committed, and the group is never joined.
    ("group.id", "vm4-producer"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("auto.offset.reset", "earliest"),
    ("allow.auto.create.topics", "false"),
    ("check.crcs", "true"),
    // The program does not use transactions: one that somebody else left open must not hide records.
    ("isolation.level", "read_uncommitted"),
    // The end of an empty partition must not hold up the others.
    ("fetch.wait.max.ms", "10"),
    ("queued.max.messages.kbytes", "16384"),
];

/// Properties that only a producer has: a consumer warns of each.
const OF_PRODUCERS: &[&str] = &[
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "partitioner",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.ms",
    "linger.ms",
    "message.timeout.ms",
    "compression.codec",
    "compression.type",
    "compression.level",
    "batch.size",
    "batch.num.messages",
    "request.timeout.ms",
    "retries",
    "message.send.max.retries",
    "enable.gapless.guarantee",
    "queue.buffering.backpressure.threshold",
    "delivery.report.only.error",
    "dr_cb",
    "dr_msg_cb",
    "sticky.partitioning.linger.ms",
    "queuing.strategy",
    "msg_order_cmp",
];

/// Why reading ended before the end of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The time was over.
    #[error("the log was not read to its end within {:.1} s", .0.as_secs_f64())]
    Late(Duration),
    /// The cluster does not let this client read.
    #[error("this client may not read: {0}")]
    Denied(String),
    /// The client could not read.
    #[error("{0}")]
    Failed(String),
    /// There is no such topic.
    #[error("topic {0} does not exist, or this client is not allowed to see it")]
    NoTopic(String),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

/// A record that was read.
#[derive(Debug)]
pub struct ReadRecord<'m>(pub(super) FetchedRecord<'m>);

impl ReadRecord<'_> {
    /// The record as an audit takes it, with these headers of its own; `is_told` if its topic tells the
    /// event.
    pub(crate) fn for_audit<'a>(
        &'a self,
        kind: Kind,
        is_told: bool,
        headers: &'a [(&'a str, &'a [u8])],
    ) -> Read<'a> {
        Read {
            kind,
            is_told,
            topic: 0,
            partition: Some(self.partition()),
            offset: self.offset(),
            leader_epoch: self.leader_epoch(),
            timestamp_ms: self.timestamp_ms(),
            has_append_time: self.has_append_time(),
            key: Some(self.key()),
            headers: Some(headers),
            value: self.value(),
            identity: None,
            row: None,
            seen_at_ms: None,
        }
    }

    /// Partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Epoch of the leader that wrote it.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<i32> {
        self.0.leader_epoch()
    }

    /// Record timestamp, ms since 1970.
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.time().0
    }

    /// Whether the broker put its own time on the record.
    #[must_use]
    pub fn has_append_time(&self) -> bool {
        self.0.time().1
    }

    /// Key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// Value.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.0.value()
    }

    /// Headers in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.headers()
    }

    /// The value of the first header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers().find(|(found, _)| *found == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// Hands each record of a topic from these offsets of its partitions up to their ends to `each`.
/// `producer` is the configuration of the run's producer.
///
/// # Errors
/// [`Unread`]: the log was not read to its end.
pub fn read(
    producer: &ClientConfig,
    topic: &str,
    from: &BTreeMap<i32, i64>,
    within: Duration,
    stopped: impl Fn() -> bool,
    mut each: impl FnMut(&ReadRecord<'_>),
) -> Result<(), Unread> {
    read_on(producer, topic, from, within, stopped, |record| record.map(&mut each).is_some())
}

/// The same, and goes on behind the ends for as long as `each` says so, which is asked there with no
/// record.
///
/// # Errors
/// [`Unread`]: the log was not read to the end that it had.
pub(super) fn read_on(
    producer: &ClientConfig,
    topic: &str,
    from: &BTreeMap<i32, i64>,
    within: Duration,
    stopped: impl Fn() -> bool,
    mut each: impl FnMut(Option<&ReadRecord<'_>>) -> bool,
) -> Result<(), Unread> {
    let deadline = Instant::now() + within;
    let consumer = Consumer::start(&config(producer)).map_err(failed)?;
    let assigned = from.iter().map(|(partition, offset)| (topic, *partition, *offset));
    consumer.assign(assigned).map_err(failed)?;
    let mut unread: BTreeSet<i32> = from.keys().copied().collect();
    let mut is_quiet = true;
    while !unread.is_empty() || !is_quiet || each(None) {
        if stopped() {
            return Err(Unread::Stopped);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return if unread.is_empty() { Ok(()) } else { Err(Unread::Late(within)) };
        }
        let polled = consumer.next(left.min(SLICE));
        is_quiet = !matches!(polled, Some(Fetched::Record(_)));
        match polled {
            None => {}
            Some(Fetched::Record(record)) => {
                each(Some(&ReadRecord(record)));
            }
            Some(Fetched::End(partition)) => drop(unread.remove(&partition)),
            Some(Fetched::Failed(code)) => check(code)?,
        }
    }
    Ok(())
}

/// The consumer of a run's topics: the producer's way to the cluster, and [`SETTINGS`].
pub(super) fn config(producer: &ClientConfig) -> ClientConfig {
    let mut config = producer.clone();
    for property in OF_PRODUCERS {
        config.remove(property);
    }
    for (property, value) in SETTINGS {
        config.set(*property, *value);
    }
    config.set_log_level(RDKafkaLogLevel::Error);
    config
}

/// What a client that does not start, or does not take its partitions, says.
pub(super) fn failed(error: impl ToString) -> Unread {
    Unread::Failed(error.to_string())
}

/// Whether reading can go on after this error.
pub(super) fn check(code: ErrorCode) -> Result<(), Unread> {
    match code.known() {
        // The group is not used.
        Some(Code::GroupAuthorizationFailed) => Ok(()),
        _ if class(code) == FailureClass::Denied => Err(Unread::Denied(code.to_string())),
        // A code that nobody knows may stand for a state that never ends.
        Some(
            Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicOrPartition
            | Code::OffsetOutOfRange
            | Code::BadMessage
            | Code::InvalidMessage,
        )
        | None => Err(Unread::Failed(code.to_string())),
        // A broker that went away may come back; the time is bounded.
        Some(_) => Ok(()),
    }
}

/// Why a topic cannot be read.
pub(super) fn refused(topic: &str, code: ErrorCode) -> Unread {
    match code.known() {
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => {
            Unread::NoTopic(topic.to_owned())
        }
        _ if class(code) == FailureClass::Denied => {
            Unread::Denied(format!("topic {topic}: {code}"))
        }
        _ => Unread::Failed(format!("topic {topic}: {code}")),
    }
}
