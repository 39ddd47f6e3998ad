//! Reads the topics of a run side by side: from the starts of their logs to the ends that they have, or
//! on and on.

mod heads;
mod merge;

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::quiet::Quiet;
use super::reader::{self, ReadRecord, Unread, refused};
use crate::audit::LogPartition;
use merge::{Merge, Turn};

/// What this consumer is set to beside what every reader is.
const SETTINGS: &[(&str, &str)] = &[
    // A record that is gone must not be skipped in silence.
    ("auto.offset.reset", "error"),
    ("max.partition.fetch.bytes", "262144"),
    ("fetch.max.bytes", "1048576"),
    // A queue that was full is refilled at once, not after a second.
    ("fetch.queue.backoff.ms", "2"),
];

/// Records that librdkafka may have ready in all queues, and in each at least. One takes some 600 bytes
/// beside its own.
const READY: (usize, usize) = (20_000, 200);

/// The same in KiB of records.
const READY_KIB: (usize, usize) = (4_096, 64);

/// What a correct consumer sees, unless the user chose otherwise.
const ISOLATION: (&str, &str) = ("isolation.level", "read_committed");

/// How the reading is to end.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// Whether it goes on behind the ends of the logs.
    pub follows: bool,
    /// It ends once no record has come for so long: an error, unless it follows.
    pub silent_for: Duration,
}

/// The logs of the topics of a run.
pub struct Logs {
    merge: Merge,
    /// The partitions in their order there, each with the number of its topic.
    partitions: Vec<(usize, LogPartition)>,
    isolation: String,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Logs {
    /// Asks where the logs of these topics begin and end.
    ///
    /// # Errors
    /// [`Unread`]: a topic is not there, may not be read, or the cluster does not answer in time.
    pub fn open(client: &ClientConfig, topics: &[&str], within: Duration) -> Result<Self, Unread> {
        let failed = |error: KafkaError| Unread::Failed(error.to_string());
        let mut config = reader::config(client);
        let isolation = client.get(ISOLATION.0).unwrap_or(ISOLATION.1).to_owned();
        config.set(ISOLATION.0, &isolation);
        let deadline = Instant::now() + within;
        let asking: BaseConsumer<Quiet> = config.create_with_context(Quiet).map_err(failed)?;
        let mut partitions = Vec::new();
        for (number, topic) in topics.iter().enumerate() {
            let logs = ends(&asking, topic, (client, deadline))?;
            partitions.extend(logs.into_iter().map(|log| (number, log)));
        }
        let full = partitions.iter().filter(|(_, log)| log.end > log.log_start).count().max(1);
        let of_each = |(all, least): (usize, usize)| (all / full).max(least).to_string();
        for (property, value) in SETTINGS {
            config.set(*property, *value);
        }
        config.set("queued.min.messages", of_each(READY));
        config.set("queued.max.messages.kbytes", of_each(READY_KIB));
        let consumer = config.create_with_context(Quiet).map_err(failed)?;
        let from = |(topic, log): &(usize, LogPartition)| {
            (*topic, topics[*topic], log.partition, log.log_start)
        };
        let merge = Merge::open(consumer, partitions.iter().map(from)).map_err(failed)?;
        Ok(Self { merge, partitions, isolation })
    }

    /// The isolation level with which is read.
    #[must_use]
    pub fn isolation(&self) -> &str {
        &self.isolation
    }

    /// The partitions of a topic, as far as they were read.
    #[must_use]
    pub fn partitions(&self, topic: usize) -> Vec<LogPartition> {
        let own = self.partitions.iter().filter(|(number, _)| *number == topic);
        own.map(|(_, log)| *log).collect()
    }

    /// Records between the starts and the ends of the logs, at most.
    #[must_use]
    pub fn offsets(&self) -> u64 {
        self.partitions.iter().map(|(_, log)| log.end.abs_diff(log.log_start)).sum()
    }

    /// Hands each record to `each`, with the number of its topic, until that breaks or the end.
    ///
    /// # Errors
    /// [`Unread`]: a log was not read to its end.
    pub fn read(
        &mut self,
        until: Until,
        stopped: impl Fn() -> bool,
        mut each: impl FnMut(usize, &ReadRecord<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let Self { merge, partitions, .. } = self;
        let mut moved = Instant::now();
        while until.follows || merge.any_open() {
            if stopped() {
                return Err(Unread::Stopped);
            }
            let turn = merge.turn(until.follows, |stream, record| {
                let (topic, log) = &mut partitions[stream];
                log.gaps += record.offset().abs_diff(log.read_to);
                log.read_to = record.offset() + 1;
                log.records += 1;
                each(*topic, record)
            })?;
            match turn {
                Turn::Enough => return Ok(()),
                Turn::Some => moved = Instant::now(),
                Turn::Nothing if moved.elapsed() < until.silent_for => merge.wait(),
                Turn::Nothing if until.follows => return Ok(()),
                Turn::Nothing => return Err(Unread::Late(until.silent_for)),
            }
        }
        Ok(())
    }
}

/// Where the logs of a topic begin and end.
fn ends(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    (client, deadline): (&ClientConfig, Instant),
) -> Result<Vec<LogPartition>, Unread> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let metadata = consumer.fetch_metadata(Some(topic), left());
    let metadata = metadata.map_err(|error| match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut,
        ) => Unread::Failed(format!(
            "no broker of {} answered in time, so {topic} cannot be read",
            client.get("bootstrap.servers").unwrap_or_default()
        )),
        _ => refused(topic, &error),
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.ok_or_else(|| Unread::NoTopic(topic.to_owned()))?;
    if let Some(error) = found.error() {
        let code = RDKafkaErrorCode::from(error);
        return Err(refused(topic, &KafkaError::MetadataFetch(code)));
    }
    let log = |partition: i32| {
        let (start, end) = consumer
            .fetch_watermarks(topic, partition, left())
            .map_err(|error| refused(topic, &error))?;
        let (log_start, read_from, read_to) = (start, start, start);
        Ok(LogPartition {
            partition,
            log_start,
            end,
            read_from,
            read_to,
            ..LogPartition::default()
        })
    };
    found.partitions().iter().map(|partition| log(partition.id())).collect()
}
