//! Questions to the cluster before anything is sent.

mod wait;

use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::producer::Producer;
use rdkafka::statistics::Statistics;

use super::ledger::{Ledger, Offsets};
use super::producer::KafkaSink;
use crate::settings::Server;
use wait::{Slices, Wait};

/// How often a client says what it has learned.
const STATISTICS_EVERY: Duration = Duration::from_millis(20);

/// Why a run cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// No broker answered.
    #[error("no broker answered within {} s: {last_error}", .within.as_secs_f64())]
    Unreachable {
        /// How long it was tried.
        within: Duration,
        /// What librdkafka saw last.
        last_error: String,
    },
    /// A topic is not there, and was not created on demand.
    #[error(
        "topic {topic} does not exist and the cluster did not create it: {reason}; create it, or name another with {setting}"
    )]
    NoTopic {
        /// The topic.
        topic: String,
        /// What the cluster says.
        reason: String,
        /// The setting that names the topic.
        setting: &'static str,
    },
    /// A partition has no leader that is ready.
    #[error("partition {partition} of topic {topic} has no ready leader within {} s: {last_error}", .within.as_secs_f64())]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How long it was tried.
        within: Duration,
        /// What was answered last.
        last_error: String,
    },
    /// The cluster refuses this client.
    #[error("the cluster refused access: {0}")]
    Denied(String),
    /// The system gives too little: descriptors, threads or memory.
    #[error("{0}")]
    Exhausted(String),
    /// librdkafka does not accept the configuration.
    #[error("librdkafka does not accept the configuration: {0}")]
    Client(String),
    /// The client can send nothing, for another reason than its rights.
    #[error("the client cannot go on: {0}")]
    Fatal(String),
    /// The caller asked to stop.
    #[error("stopped before the cluster was ready")]
    Cancelled,
}

impl NotReady {
    /// Why a client cannot even be started.
    fn of_start(error: KafkaError) -> Self {
        Self::Client(error.to_string())
    }
}

/// A topic and the setting that names it.
pub type NamedTopic<'a> = (&'a str, &'static str);

/// A cluster that takes records.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    /// Address of each broker that the cluster advertises.
    pub brokers: Vec<Server>,
    /// The end of each partition of each topic, from its leader.
    pub ends: Offsets,
}

/// Waits until a broker answers, both topics exist, and the leader of each partition has told where
/// the partition ends.
///
/// The metadata name a leader a moment before it is one. A batch that it refuses then is lost without
/// an error if it takes the next one: only a leader that is ready answers this question.
///
/// # Errors
/// [`NotReady`] once `within` is over, or at once where waiting cannot help.
pub fn wait_until_ready(
    client: &Client<Ledger>,
    topics: [NamedTopic<'_>; 2],
    bound: Bound,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Ready, NotReady> {
    let wait = Wait { client, bound, cancelled };
    let mut ready = Ready::default();
    for (topic, ends) in topics.into_iter().zip(&mut ready.ends) {
        let metadata = wait.for_topic(topic)?;
        ready.brokers = advertised(&metadata);
        *ends = wait.for_leaders(topic.0, &partitions(&metadata, topic.0))?;
    }
    Ok(ready)
}

/// The numbers of a topic's partitions.
#[must_use]
pub fn partitions(metadata: &Metadata, topic: &str) -> Vec<i32> {
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    found.map(|found| found.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default()
}

/// How long answers are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    within: Duration,
    deadline: Instant,
}

impl Bound {
    /// So long from now on.
    #[must_use]
    pub fn within(within: Duration) -> Self {
        Self { within, deadline: Instant::now() + within }
    }
}

/// Asks a cluster for its brokers and all topics: a question for one by name creates it on many.
///
/// # Errors
/// [`NotReady`], once `within` is over, or at once where waiting cannot help.
pub fn describe(
    config: &ClientConfig,
    bound: Bound,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Metadata, NotReady> {
    apart(config, bound, cancelled, |wait| wait.for_answer(None, Slices::first_contact()))
}

/// Asks a cluster for its brokers alone.
///
/// A client learns them from the first server that it reaches, and from then on asks none but them:
/// if they cannot be reached, a question of ours is never answered. Its statistics tell what it knows.
///
/// # Errors
/// [`NotReady`], once `within` is over, or at once where waiting cannot help.
pub fn brokers(
    config: &ClientConfig,
    bound: Bound,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Server>, NotReady> {
    let mut config = config.clone();
    config.set("statistics.interval.ms", STATISTICS_EVERY.as_millis().to_string());
    apart(&config, bound, cancelled, |wait| wait.for_brokers())
}

/// Asks with a client that is started for this question.
fn apart<T>(
    config: &ClientConfig,
    bound: Bound,
    cancelled: &(dyn Fn() -> bool + Sync),
    question: impl FnOnce(&Wait<'_>) -> Result<T, NotReady>,
) -> Result<T, NotReady> {
    let sink = KafkaSink::start(config, 1, bound.within).map_err(NotReady::of_start)?;
    let producer = sink.producer();
    let answer = question(&Wait { client: producer.client(), bound, cancelled });
    drop(producer);
    sink.close();
    answer
}

/// The brokers in a client's statistics that it has learned of, and not only been told.
pub(super) fn learned_brokers(statistics: Statistics) -> Vec<Server> {
    let learned = statistics.brokers.into_values().filter(|broker| broker.nodeid >= 0);
    let servers = learned.filter_map(|broker| {
        let (host, port) = broker.nodename.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Server { host, port: port.parse().ok()? })
    });
    let mut servers: Vec<_> = servers.collect();
    servers.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    servers
}

/// Address of each broker that the cluster advertises.
#[must_use]
pub fn advertised(metadata: &Metadata) -> Vec<Server> {
    let brokers = metadata.brokers().iter().filter_map(|broker| {
        Some(Server { host: broker.host().to_owned(), port: u16::try_from(broker.port()).ok()? })
    });
    brokers.collect()
}
