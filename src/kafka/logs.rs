//! Reads both topics of a run side by side: from the starts of their logs to the ends that they had
//! when the reading began, or on and on.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::quiet::Quiet;
use super::reader::{self, ReadRecord, Unread, refused};
use crate::audit::LogPartition;

/// Longest wait for the next record.
const SLICE: Duration = Duration::from_millis(20);

/// What these consumers are set to beside what every reader is.
const SETTINGS: &[(&str, &str)] = &[
    // A record that is gone must not be skipped in silence.
    ("auto.offset.reset", "error"),
    // There are two of them, and memory is bounded. A record in librdkafka's queue takes some 600
    // bytes beside its own.
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "2048"),
    ("max.partition.fetch.bytes", "262144"),
    ("fetch.max.bytes", "1048576"),
    // A queue that was full is refilled at once, not after a second.
    ("fetch.queue.backoff.ms", "2"),
];

/// What a correct consumer sees, unless the user chose otherwise.
const ISOLATION: (&str, &str) = ("isolation.level", "read_committed");

/// The consumer of one topic.
struct Log {
    topic: String,
    consumer: BaseConsumer<Quiet>,
    partitions: BTreeMap<i32, Progress>,
    open: usize,
    records: u64,
}

/// How far a partition was read.
struct Progress {
    log: LogPartition,
    is_at_end: bool,
}

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
    logs: Vec<Log>,
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
        let mut config = reader::config(client);
        for (property, value) in SETTINGS {
            config.set(*property, *value);
        }
        let isolation = client.get(ISOLATION.0).unwrap_or(ISOLATION.1).to_owned();
        config.set(ISOLATION.0, &isolation);
        let deadline = Instant::now() + within;
        let logs = topics.iter().map(|topic| Log::open(&config, topic, deadline));
        Ok(Self { logs: logs.collect::<Result<_, _>>()?, isolation })
    }

    /// The isolation level with which is read.
    #[must_use]
    pub fn isolation(&self) -> &str {
        &self.isolation
    }

    /// The partitions of a topic, as far as they were read.
    #[must_use]
    pub fn partitions(&self, topic: usize) -> Vec<LogPartition> {
        self.logs[topic].partitions.values().map(|progress| progress.log).collect()
    }

    /// Records between the starts and the ends of the logs, at most.
    #[must_use]
    pub fn offsets(&self) -> u64 {
        let partitions = self.logs.iter().flat_map(|log| log.partitions.values());
        partitions.map(|Progress { log, .. }| log.end.abs_diff(log.log_start)).sum()
    }

    /// Hands each record to `each`, with the number of its topic, until that breaks or the end.
    ///
    /// The topic of which fewer records were read comes first: the two records of a pair stay near.
    ///
    /// # Errors
    /// [`Unread`]: a log was not read to its end.
    pub fn read(
        &mut self,
        until: Until,
        stopped: impl Fn() -> bool,
        mut each: impl FnMut(usize, &ReadRecord<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let mut moved = Instant::now();
        let mut turns = 0_u32;
        while until.follows || self.logs.iter().any(|log| log.open > 0) {
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(256) && stopped() {
                return Err(Unread::Stopped);
            }
            let number = self.logs.len();
            let behind = |at: &usize| (self.logs[*at].open == 0, self.logs[*at].records);
            let first = (0..number).min_by_key(behind).unwrap_or_default();
            let mut step = Step::Nothing;
            for turn in 0..=number {
                let at = (first + turn) % number;
                let wait = if turn == number { SLICE } else { Duration::ZERO };
                step = self.logs[at].step(wait, |record| each(at, record))?;
                if !matches!(step, Step::Nothing) {
                    break;
                }
            }
            match step {
                Step::Read(ControlFlow::Break(())) => return Ok(()),
                Step::Read(ControlFlow::Continue(())) => moved = Instant::now(),
                Step::End => {}
                Step::Nothing if stopped() => return Err(Unread::Stopped),
                Step::Nothing if moved.elapsed() < until.silent_for => {}
                Step::Nothing if until.follows => return Ok(()),
                Step::Nothing => return Err(Unread::Late(until.silent_for)),
            }
        }
        Ok(())
    }
}

/// What came of asking for a record.
enum Step {
    Nothing,
    End,
    Read(ControlFlow<()>),
}

impl Log {
    fn open(config: &ClientConfig, topic: &str, deadline: Instant) -> Result<Self, Unread> {
        let failed = |error: KafkaError| Unread::Failed(error.to_string());
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet).map_err(failed)?;
        let left = || deadline.saturating_duration_since(Instant::now());
        let metadata =
            consumer.fetch_metadata(Some(topic), left()).map_err(|e| refused(topic, &e))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let found = found.ok_or_else(|| Unread::NoTopic(topic.to_owned()))?;
        if let Some(error) = found.error() {
            let code = RDKafkaErrorCode::from(error);
            return Err(refused(topic, &KafkaError::MetadataFetch(code)));
        }
        let mut partitions = BTreeMap::new();
        let mut assignment = TopicPartitionList::new();
        for partition in found.partitions().iter().map(|partition| partition.id()) {
            let (start, end) = consumer
                .fetch_watermarks(topic, partition, left())
                .map_err(|error| refused(topic, &error))?;
            let log = LogPartition {
                partition,
                log_start: start,
                end,
                read_from: start,
                read_to: start,
                ..LogPartition::default()
            };
            partitions.insert(partition, Progress { log, is_at_end: false });
            let offset = Offset::Offset(start);
            assignment.add_partition_offset(topic, partition, offset).map_err(failed)?;
        }
        consumer.assign(&assignment).map_err(failed)?;
        let (open, topic) = (partitions.len(), topic.to_owned());
        Ok(Self { topic, consumer, partitions, open, records: 0 })
    }

    /// Asks for the next record.
    fn step(
        &mut self,
        wait: Duration,
        each: impl FnOnce(&ReadRecord<'_>) -> ControlFlow<()>,
    ) -> Result<Step, Unread> {
        let Self { topic, consumer, partitions, open, records } = self;
        match consumer.poll(wait) {
            None => Ok(Step::Nothing),
            Some(Ok(message)) => {
                let record = ReadRecord(message);
                if let Some(Progress { log, .. }) = partitions.get_mut(&record.partition()) {
                    log.gaps += record.offset().abs_diff(log.read_to);
                    log.read_to = record.offset() + 1;
                    log.records += 1;
                }
                *records += 1;
                Ok(Step::Read(each(&record)))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(progress) = partitions.get_mut(&partition)
                    && !progress.is_at_end
                {
                    progress.is_at_end = true;
                    *open -= 1;
                }
                Ok(Step::End)
            }
            Some(Err(error)) => {
                let code = error.rdkafka_error_code();
                if code == Some(RDKafkaErrorCode::AutoOffsetReset) {
                    let what =
                        format!("a record of {topic} was deleted while it was read: {error}");
                    return Err(Unread::Failed(what));
                }
                reader::check(&error)?;
                Ok(Step::Nothing)
            }
        }
    }
}
