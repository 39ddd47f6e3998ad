//! Questions to the cluster: is it ready, and what does it have?

pub(super) mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::causes::Cause;
use super::delivery_reports::DeliveryReports;
use super::native::{Client, Code, Edge, Metadata, topic_ids};
use crate::delivery::Offsets;
use crate::host::limits;
use crate::settings::Server;
use wait::{LEADER_SLICE, Wait};

/// Why a run cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// No broker answered.
    #[error("no broker answered within {} s: {cause}", .within.as_secs_f64())]
    Unreachable {
        /// How long it was tried.
        within: Duration,
        /// What librdkafka saw last.
        cause: Cause,
    },
    /// The brokers that the cluster named cannot be connected to.
    #[error("{0}")]
    Advertised(Cause),
    /// Every server answered, and none of them as Kafka does.
    #[error("{0}")]
    NoKafka(Cause),
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
    #[error("partition {partition} of topic {topic} has no ready leader within {} s: {cause}", .within.as_secs_f64())]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How long it was tried.
        within: Duration,
        /// What was answered last.
        cause: Cause,
    },
    /// The cluster refuses this client.
    #[error("the cluster refused access: {0}")]
    Denied(Cause),
    /// The system gives too little: descriptors, threads or memory.
    #[error("{0}")]
    Exhausted(String),
    /// librdkafka does not accept the configuration.
    #[error("librdkafka does not accept the configuration: {0}")]
    Client(Cause),
    /// The client can send nothing, for another reason than its rights.
    #[error("the client cannot go on: {0}")]
    Fatal(Cause),
    /// The caller asked to stop.
    #[error("stopped before the cluster was ready")]
    Cancelled,
}

impl NotReady {
    /// Why a client does not even start, from librdkafka's words and what is behind them.
    pub(super) fn of_start(error: &str, cause: Cause) -> Self {
        match limits::is_exhausted(error) {
            Some(_) => Self::Exhausted(limits::described(error)),
            None => Self::Client(cause),
        }
    }

    /// The problem without its remedy, and the remedy, where one is known.
    #[must_use]
    pub fn in_parts(&self) -> (String, Option<String>) {
        let mut bare = self.clone();
        let cause = match &mut bare {
            Self::Unreachable { cause, .. }
            | Self::NoLeader { cause, .. }
            | Self::Advertised(cause)
            | Self::NoKafka(cause)
            | Self::Denied(cause)
            | Self::Client(cause)
            | Self::Fatal(cause) => Some(cause),
            Self::NoTopic { .. } | Self::Exhausted(_) | Self::Cancelled => None,
        };
        let remedy = cause.and_then(|cause| cause.remedy.take());
        (bare.to_string(), remedy)
    }
}

/// A topic and the setting that names it.
pub type NamedTopic<'a> = (&'a str, &'static str);

/// Asks with the client of a run.
#[derive(Clone)]
pub struct Admin(Arc<Client<DeliveryReports>>);

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl Admin {
    pub(super) fn of(producer: Arc<Client<DeliveryReports>>) -> Self {
        Self(producer)
    }

    /// The client, for a question that outlives this.
    pub(super) fn shared(&self) -> Arc<Client<DeliveryReports>> {
        Arc::clone(&self.0)
    }

    pub(super) fn client(&self) -> &Client<DeliveryReports> {
        &self.0
    }

    /// Waits until a broker answers, both topics exist, and the leader of each partition has told
    /// where the partition ends; returns these ends.
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
    ) -> Result<Offsets, NotReady> {
        let wait = Wait { client: self.client(), bound, cancelled };
        let mut ends = Offsets::default();
        for (topic, ends) in topics.into_iter().zip(&mut ends) {
            let partitions = partitions(&wait.for_topic(topic)?, topic.0);
            let within = wait.left().min(LEADER_SLICE);
            *ends = match self.client().edges(topic.0, &partitions, (Edge::End, within)) {
                Ok(ends) => ends,
                // It takes a question for each partition to know which leader is not ready.
                Err(_) => wait.for_leaders(topic.0, &partitions)?,
            };
        }
        Ok(ends)
    }

    /// The id of the cluster, if a broker has told it.
    #[must_use]
    pub fn cluster_id(&self) -> Option<String> {
        // Every answer with metadata has it, so there is nothing to wait for.
        self.client().cluster_id(Duration::ZERO)
    }

    /// The numbers of a topic's partitions; none if the cluster does not tell within this time.
    #[must_use]
    pub fn partitions(&self, topic: &str, within: Duration) -> Vec<i32> {
        let metadata = self.client().metadata(Some(topic), within);
        metadata.map(|metadata| partitions(&metadata, topic)).unwrap_or_default()
    }

    /// Whether a broker answers within this time that there is no such topic. It also says so to those
    /// who may not see it.
    #[must_use]
    pub fn is_missing(&self, topic: &str, within: Duration) -> bool {
        let metadata = self.client().metadata(Some(topic), within);
        let error = metadata.ok().and_then(|metadata| metadata.topic(topic)?.error);
        error.is_some_and(|code| code.is(Code::UnknownTopicOrPartition))
    }

    /// Where these partitions of a topic end; `None` if one of their leaders does not tell within this
    /// time. A leader answers in order: what was sent to it before on this connection is in the log then.
    #[must_use]
    pub fn ends(
        &self,
        topic: &str,
        partitions: &[i32],
        within: Duration,
    ) -> Option<BTreeMap<i32, i64>> {
        self.client().edges(topic, partitions, (Edge::End, within)).ok()
    }

    /// The ids of topics, where the cluster tells them within this time.
    #[must_use]
    pub fn topic_ids(&self, topics: &[&str], within: Duration) -> BTreeMap<String, String> {
        let until = Instant::now() + within;
        // A broker to which there is a connection: the first topic's leader.
        let metadata = self.client().metadata(topics.first().copied(), within).ok();
        let leader = metadata.and_then(|metadata| metadata.topics.first()?.leader);
        let Some(leader) = leader else { return BTreeMap::new() };
        let left = until.saturating_duration_since(Instant::now());
        topic_ids(self.client(), leader, topics, left)
    }

    /// The names of all topics; `None` if the cluster does not tell within this time.
    ///
    /// All of them: a question for one creates it on many clusters.
    #[must_use]
    pub fn topics(&self, within: Duration) -> Option<Vec<String>> {
        let metadata = self.client().metadata(None, within).ok()?;
        Some(metadata.topics.into_iter().map(|topic| topic.name).collect())
    }
}

fn partitions(metadata: &Metadata, topic: &str) -> Vec<i32> {
    metadata.topic(topic).map(|found| found.partitions.clone()).unwrap_or_default()
}

/// How long answers are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub(super) within: Duration,
    deadline: Instant,
    servers: usize,
}

impl Bound {
    /// So long from now on, or until so many servers have answered that they are no brokers.
    #[must_use]
    pub fn within(within: Duration, servers: usize) -> Self {
        Self { within, deadline: Instant::now() + within, servers }
    }
}

pub(super) fn advertised(metadata: &Metadata) -> Vec<Server> {
    let brokers = metadata.brokers.iter().filter_map(|(host, port)| {
        Some(Server { host: host.clone(), port: u16::try_from(*port).ok()? })
    });
    brokers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_start_lacks_something_of_the_system_or_is_misconfigured() {
        let error =
            "Client creation error: Failed to create thread: Resource temporarily unavailable (11)";
        let start = |error: &str| NotReady::of_start(error, Cause::bare(error));
        assert!(matches!(start(error), NotReady::Exhausted(_)));
        let refused = start("No provider for SASL mechanism PLAIN");
        assert!(matches!(refused, NotReady::Client(_)));
        assert_eq!(
            refused.to_string(),
            "librdkafka does not accept the configuration: No provider for SASL mechanism PLAIN"
        );
    }
}
