//! Reads the topics of a run side by side: from the starts of their logs to the ends that they have, or
//! on and on.

mod heads;
mod merge;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;

use super::native::{Client, Code, Consumer, Edge, ErrorCode};
use super::reader::{self, ReadRecord, Unread, failed, refused};
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

/// Pause between two questions that a leader could not answer yet.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a log that is followed is read on behind the last record that is waited for, where its end is
/// one that no record has: it ends with the marks of transactions.
const SETTLED: Duration = Duration::from_secs(1);

/// How long a cluster has to say where its logs end, once they were read.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// How the reading is to end.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// Whether it goes on behind the ends of the logs.
    pub follows: bool,
    /// It ends once no record has come for so long: an error, unless it follows.
    pub silent_for: Duration,
}

/// Where the reading of a log begins, if not at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this offset.
    At(i64),
    /// At the first record with this timestamp or a later one, ms since 1970; at the start where there is
    /// none.
    Since(i64),
}

/// The logs of the topics of a run.
pub struct Logs {
    merge: Merge,
    asking: Asking,
    topics: Vec<String>,
    /// The partitions in their order there, each with the number of its topic.
    partitions: Vec<(usize, LogPartition)>,
    isolation: String,
    cluster_id: Option<String>,
}

/// Asks for offsets.
struct Asking {
    /// With the isolation of the reader.
    seen: Consumer,
    /// Without any, where the reader has some: what open transactions hide is behind the ends that it sees.
    whole: Option<Consumer>,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Logs {
    /// Asks where the logs of these topics begin and end. Each is read from its start, or from where
    /// `begins` says for a topic's number and a partition on this cluster.
    ///
    /// # Errors
    /// [`Unread`]: a topic is not there, may not be read, or the cluster does not answer in time.
    pub fn open(
        client: &ClientConfig,
        topics: &[&str],
        within: Duration,
        begins: impl Fn(Option<&str>, usize, i32) -> Option<Begin>,
    ) -> Result<Self, Unread> {
        let mut config = reader::config(client);
        let isolation = client.get(ISOLATION.0).unwrap_or(ISOLATION.1).to_owned();
        config.set(ISOLATION.0, &isolation);
        let deadline = Instant::now() + within;
        let seen = Consumer::start(&config).map_err(failed)?;
        let whole = match isolation == ISOLATION.1 {
            true => {
                let mut config = config.clone();
                config.set(ISOLATION.0, "read_uncommitted");
                Some(Consumer::start(&config).map_err(failed)?)
            }
            false => None,
        };
        let asking = Asking { seen, whole };
        let mut partitions = Vec::new();
        for (number, topic) in topics.iter().enumerate() {
            let logs = logs_of(&asking, topic, (client, deadline))?;
            partitions.extend(logs.into_iter().map(|log| (number, log)));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let cluster_id = asking.seen.client().cluster_id(left);
        for (number, name) in topics.iter().enumerate() {
            let own = partitions.iter_mut().filter(|(of, _)| *of == number).map(|(_, log)| log);
            let begins = |partition| begins(cluster_id.as_deref(), number, partition);
            begin(&asking, name, own.collect(), (&begins, deadline));
        }
        let full = partitions.iter().filter(|(_, log)| log.end > log.read_from).count().max(1);
        let of_each = |(all, least): (usize, usize)| (all / full).max(least).to_string();
        for (property, value) in SETTINGS {
            config.set(*property, *value);
        }
        config.set("queued.min.messages", of_each(READY));
        config.set("queued.max.messages.kbytes", of_each(READY_KIB));
        let consumer = Consumer::start(&config).map_err(failed)?;
        let from = |(topic, log): &(usize, LogPartition)| {
            (*topic, topics[*topic], log.partition, log.read_from)
        };
        let merge = Merge::open(consumer, partitions.iter().map(from)).map_err(failed)?;
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Ok(Self { merge, asking, topics, partitions, isolation, cluster_id })
    }

    /// The id of the cluster, if it has one.
    #[must_use]
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
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

    /// Records between the beginnings and the ends of what is read, at most.
    #[must_use]
    pub fn offsets(&self) -> u64 {
        self.partitions.iter().map(|(_, log)| log.end.abs_diff(log.read_from)).sum()
    }

    /// Hands each record to `each`, with the number of its topic, until the end. A reader that follows
    /// breaks when it has what it waited for: it is read on to the ends that the logs have then.
    ///
    /// # Errors
    /// [`Unread`]: a log was not read to its end.
    pub fn read(
        &mut self,
        until: Until,
        stopped: impl Fn() -> bool,
        each: impl FnMut(usize, &ReadRecord<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let read = self.read_on(until, stopped, each);
        for (at, (_, log)) in self.partitions.iter_mut().enumerate() {
            let has_ended = match until.follows {
                true => log.read_to >= log.end || self.merge.heads.is_at_end(at),
                false => self.merge.heads.has_ended(at),
            };
            // Of a follower that was stopped nobody asked for the end.
            log.is_read = has_ended && (read.is_ok() || !until.follows);
            log.hidden_to = log.hidden_to.filter(|whole| *whole > log.read_to);
        }
        read
    }

    fn read_on(
        &mut self,
        until: Until,
        stopped: impl Fn() -> bool,
        mut each: impl FnMut(usize, &ReadRecord<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let mut moved = Instant::now();
        // When a follower has what it waited for, or nothing comes any more.
        let mut last = None;
        loop {
            if stopped() {
                return Err(Unread::Stopped);
            }
            match last {
                None if !until.follows && !self.merge.any_open() => return Ok(()),
                Some(since) if self.is_at_ends(since) => return Ok(()),
                _ => {}
            }
            let partitions = &mut self.partitions;
            let turn = self.merge.turn(until.follows, |stream, record| {
                let (topic, log) = &mut partitions[stream];
                log.gaps += record.offset().abs_diff(log.read_to);
                log.read_to = record.offset() + 1;
                log.records += 1;
                each(*topic, record)
            })?;
            match turn {
                Turn::Enough if last.is_none() => last = Some(self.ends_now()?),
                Turn::Enough | Turn::Some => moved = Instant::now(),
                Turn::Nothing if moved.elapsed() < until.silent_for => self.merge.wait(),
                Turn::Nothing if until.follows && last.is_none() => {
                    last = Some(self.ends_now()?);
                    moved = Instant::now();
                }
                Turn::Nothing => return Err(Unread::Late(until.silent_for)),
            }
        }
    }

    /// Whether all was read up to the ends that were asked for then.
    fn is_at_ends(&self, since: Instant) -> bool {
        let is_settled = since.elapsed() >= SETTLED;
        self.partitions.iter().enumerate().all(|(at, (_, log))| {
            log.read_to >= log.end || (is_settled && self.merge.heads.is_at_end(at))
        })
    }

    /// Asks where the logs end now.
    fn ends_now(&mut self) -> Result<Instant, Unread> {
        let deadline = Instant::now() + ENDS_WITHIN;
        for (number, topic) in self.topics.iter().enumerate() {
            let own = self.partitions.iter_mut().filter(|(of, _)| *of == number);
            let mut own: Vec<_> = own.map(|(_, log)| log).collect();
            let partitions: Vec<_> = own.iter().map(|log| log.partition).collect();
            if partitions.is_empty() {
                continue;
            }
            let ends = self.asking.ends(topic, &partitions, deadline)?;
            for log in &mut own {
                (log.end, log.hidden_to) = ends.of(log.partition, log.end);
            }
        }
        Ok(Instant::now())
    }
}

/// The ends of partitions, as the reader sees them, and in fact.
struct Ends {
    seen: BTreeMap<i32, i64>,
    whole: Option<BTreeMap<i32, i64>>,
}

impl Ends {
    /// Where a partition ends, and where it ends in fact if a transaction hides that.
    fn of(&self, partition: i32, default: i64) -> (i64, Option<i64>) {
        let seen = self.seen.get(&partition).copied().unwrap_or(default);
        let whole = self.whole.as_ref().and_then(|whole| whole.get(&partition).copied());
        (seen, whole.filter(|whole| *whole > seen))
    }
}

impl Asking {
    /// Asks where partitions end.
    fn ends(&self, topic: &str, partitions: &[i32], deadline: Instant) -> Result<Ends, Unread> {
        let ends = |of: &Consumer| edges(of.client(), topic, partitions, (Edge::End, deadline));
        // What comes between the two questions must not look hidden.
        let whole = self.whole.as_ref().map(ends).transpose()?;
        Ok(Ends { seen: ends(&self.seen)?, whole })
    }
}

/// Sets where the reading of a topic's partitions begins.
fn begin(
    asking: &Asking,
    topic: &str,
    mut logs: Vec<&mut LogPartition>,
    (begins, deadline): (&dyn Fn(i32) -> Option<Begin>, Instant),
) {
    let begins: Vec<_> = logs.iter().map(|log| begins(log.partition)).collect();
    let since = begins.iter().filter_map(|begin| match begin {
        Some(Begin::Since(ms)) => Some(*ms),
        _ => None,
    });
    // Where nobody tells, all is read.
    let since = since.min().and_then(|ms| {
        let partitions: Vec<_> = logs.iter().map(|log| log.partition).collect();
        let place = (Edge::Since(ms), deadline);
        edges(asking.seen.client(), topic, &partitions, place).ok()
    });
    for (log, begin) in logs.iter_mut().zip(begins) {
        let at = match begin {
            Some(Begin::At(offset)) => Some(offset),
            Some(Begin::Since(_)) => since.as_ref().and_then(|of| of.get(&log.partition)).copied(),
            None => None,
        };
        log.read_from = at.map_or(log.log_start, |at| at.clamp(log.log_start, log.end));
        log.read_to = log.read_from;
    }
}

/// Where partitions of a topic begin or end. A leader that is not elected yet is asked again.
fn edges(
    asking: &Client<()>,
    topic: &str,
    partitions: &[i32],
    (edge, deadline): (Edge, Instant),
) -> Result<BTreeMap<i32, i64>, Unread> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = asking.edges(topic, partitions, (edge, left));
        match asked {
            Ok(edges) => return Ok(edges),
            Err(code) if is_passing(code) && left > AGAIN => thread::sleep(AGAIN),
            Err(code) => return Err(refused(topic, code)),
        }
    }
}

/// Whether a leader may answer soon: a topic was just made, or an election goes on.
fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code.known(),
        Some(
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::ReplicaNotAvailable
                | Code::UnknownTopicOrPartition
                | Code::OffsetNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
        )
    )
}

/// The partitions of a topic, with the offsets at which their logs begin and end.
fn logs_of(
    asking: &Asking,
    topic: &str,
    (client, deadline): (&ClientConfig, Instant),
) -> Result<Vec<LogPartition>, Unread> {
    let partitions = partitions_of(asking.seen.client(), topic, (client, deadline))?;
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let starts = edges(asking.seen.client(), topic, &partitions, (Edge::Start, deadline))?;
    let ends = asking.ends(topic, &partitions, deadline)?;
    let log = |(partition, start): (i32, i64)| {
        let (end, hidden_to) = ends.of(partition, start);
        // They are two answers: the topic can have been made anew between them.
        if end < start {
            return Err(Unread::Failed(format!(
                "topic {topic}: partition {partition} begins at offset {start} and ends at {end}: its \
                 log was replaced meanwhile, or the broker is out of order"
            )));
        }
        let (log_start, read_from, read_to) = (start, start, start);
        Ok(LogPartition {
            partition,
            log_start,
            end,
            hidden_to,
            read_from,
            read_to,
            ..LogPartition::default()
        })
    };
    starts.into_iter().map(log).collect()
}

/// The partitions of a topic.
fn partitions_of(
    asking: &Client<()>,
    topic: &str,
    (client, deadline): (&ClientConfig, Instant),
) -> Result<Vec<i32>, Unread> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let metadata = asking.metadata(Some(topic), left);
        let metadata = metadata.map_err(|code| match code.known() {
            Some(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut) => {
                Unread::Failed(format!(
                    "no broker of {} answered in time, so {topic} cannot be read",
                    client.get("bootstrap.servers").unwrap_or_default()
                ))
            }
            _ => refused(topic, code),
        })?;
        let found = metadata.topic(topic).ok_or_else(|| Unread::NoTopic(topic.to_owned()))?;
        match found.error {
            None => return Ok(found.partitions.clone()),
            Some(code) if code.is(Code::LeaderNotAvailable) && left > AGAIN => {
                thread::sleep(AGAIN);
            }
            Some(code) => return Err(refused(topic, code)),
        }
    }
}
