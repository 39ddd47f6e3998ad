//! Questions to the cluster: is it ready, and what does it have?

mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::statistics::Statistics;

use super::delivery_reports::DeliveryReports;
use super::errors;
use super::producer::KafkaSink;
use crate::delivery::{FailureClass, Offsets};
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

/// Asks with the client of a run.
#[derive(Clone)]
pub struct Admin(Arc<BaseProducer<DeliveryReports>>);

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl Admin {
    pub(super) fn of(producer: Arc<BaseProducer<DeliveryReports>>) -> Self {
        Self(producer)
    }

    fn client(&self) -> &Client<DeliveryReports> {
        self.0.client()
    }

    /// Waits until a broker answers, both topics exist, and the leader of each partition has told
    /// where the partition ends.
    ///
    /// The metadata name a leader a moment before it is one. A batch that it refuses then is lost
    /// without an error if it takes the next one: only a leader that is ready answers this question.
    ///
    /// # Errors
    /// [`NotReady`] once the bound is over, or at once if waiting cannot help.
    pub fn wait_until_ready(
        &self,
        topics: [NamedTopic<'_>; 2],
        bound: Bound,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Ready, NotReady> {
        let wait = Wait { client: self.client(), bound, cancelled };
        let mut ready = Ready::default();
        for (topic, ends) in topics.into_iter().zip(&mut ready.ends) {
            let metadata = wait.for_topic(topic)?;
            ready.brokers = advertised(&metadata);
            *ends = wait.for_leaders(topic.0, &partitions(&metadata, topic.0))?;
        }
        Ok(ready)
    }

    /// The numbers of a topic's partitions; none if the cluster does not tell within this time.
    #[must_use]
    pub fn partitions(&self, topic: &str, within: Duration) -> Vec<i32> {
        let metadata = self.client().fetch_metadata(Some(topic), within);
        metadata.map(|metadata| partitions(&metadata, topic)).unwrap_or_default()
    }

    /// The names of all topics; `None` if the cluster does not tell within this time.
    ///
    /// All of them: a question for one creates it on many clusters.
    #[must_use]
    pub fn topics(&self, within: Duration) -> Option<Vec<String>> {
        let metadata = self.client().fetch_metadata(None, within).ok()?;
        Some(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }
}

fn partitions(metadata: &Metadata, topic: &str) -> Vec<i32> {
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

/// What a cluster has.
#[derive(Debug, Clone)]
pub struct Description {
    /// Address of each broker that the cluster advertises.
    pub brokers: Vec<Server>,
    /// Each topic: its partitions, or why they are not known.
    pub topics: BTreeMap<String, Result<usize, TopicError>>,
}

/// Why a topic cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TopicError {
    text: String,
    /// Whether this client may not use it.
    pub is_denied: bool,
}

/// Asks a cluster for its brokers and all topics: a question for one by name creates it on many.
///
/// # Errors
/// [`NotReady`], once `within` is over, or at once if waiting cannot help.
pub fn describe(
    config: &ClientConfig,
    bound: Bound,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Description, NotReady> {
    let metadata =
        apart(config, bound, cancelled, |wait| wait.for_answer(None, Slices::first_contact()))?;
    let topics = metadata.topics().iter().map(|topic| {
        let state = match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(topic.partitions().len()),
            Some(code) => Err(TopicError {
                text: code.to_string(),
                is_denied: errors::class(code) == FailureClass::Denied,
            }),
        };
        (topic.name().to_owned(), state)
    });
    Ok(Description { brokers: advertised(&metadata), topics: topics.collect() })
}

/// Asks a cluster for its brokers alone.
///
/// A client learns them from the first server that it reaches, and from then on asks none but them:
/// if they cannot be reached, a question of ours is never answered. Its statistics tell what it knows.
///
/// # Errors
/// [`NotReady`], once `within` is over, or at once if waiting cannot help.
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
    let sink = KafkaSink::start(config, 1, bound.within).map_err(NotReady::Client)?;
    let admin = sink.admin();
    let answer = question(&Wait { client: admin.client(), bound, cancelled });
    drop(admin);
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

fn advertised(metadata: &Metadata) -> Vec<Server> {
    let brokers = metadata.brokers().iter().filter_map(|broker| {
        Some(Server { host: broker.host().to_owned(), port: u16::try_from(broker.port()).ok()? })
    });
    brokers.collect()
}
