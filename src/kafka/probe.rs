//! Questions to the cluster before anything is sent.

use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::producer::Producer;

use super::errors;
use super::ledger::Ledger;
use super::producer::KafkaSink;
use crate::books::FailureClass;
use crate::settings::Server;

/// How long a topic may take to appear: a cluster that creates topics needs a moment for it.
const TOPIC_GRACE: Duration = Duration::from_secs(5);

/// Pause between two questions about a topic that is not there yet.
const TOPIC_POLL: Duration = Duration::from_millis(100);

/// Longest single wait, so that a signal and a refusal are noticed in between.
const SLICE: Duration = Duration::from_millis(200);

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
    /// The cluster refuses this client.
    #[error("the cluster refused access: {0}")]
    Denied(String),
    /// The client can send nothing, for another reason than its rights.
    #[error("the client cannot go on: {0}")]
    Fatal(String),
    /// The caller asked to stop.
    #[error("stopped before the cluster was ready")]
    Cancelled,
}

/// A topic and the setting that names it.
pub type NamedTopic<'a> = (&'a str, &'static str);

/// Waits until a broker answers and both topics exist; returns the address of each broker that the
/// cluster advertises.
///
/// # Errors
/// [`NotReady`] once `within` is over, or at once where waiting cannot help.
pub fn wait_until_ready(
    client: &Client<Ledger>,
    topics: &[NamedTopic<'_>],
    within: Duration,
    cancelled: impl Fn() -> bool,
) -> Result<Vec<Server>, NotReady> {
    let deadline = Instant::now() + within;
    let mut brokers = Vec::new();
    for topic in topics {
        brokers = advertised(&wait_for_topic(client, *topic, within, deadline, &cancelled)?);
    }
    Ok(brokers)
}

fn wait_for_topic(
    client: &Client<Ledger>,
    topic: NamedTopic<'_>,
    within: Duration,
    deadline: Instant,
    cancelled: &impl Fn() -> bool,
) -> Result<Metadata, NotReady> {
    let ledger = client.context();
    let (name, setting) = topic;
    // Set by the first answer that does not have the topic.
    let mut absent: Option<(String, Instant)> = None;
    loop {
        if cancelled() {
            return Err(NotReady::Cancelled);
        }
        if let Some(reason) = ledger.denied() {
            return Err(NotReady::Denied(reason));
        }
        if let Some((code, text)) = client.fatal_error() {
            return Err(match errors::class(code) {
                FailureClass::Denied => NotReady::Denied(text),
                _ => NotReady::Fatal(text),
            });
        }
        let now = Instant::now();
        if let Some((reason, until)) = &absent
            && now >= deadline.min(*until)
        {
            return Err(NotReady::NoTopic { topic: name.into(), reason: reason.clone(), setting });
        }
        let left = deadline.saturating_duration_since(now);
        match client.fetch_metadata(Some(name), left.min(SLICE)) {
            Ok(metadata) => {
                let Some(reason) = topic_state(&metadata, topic)? else { return Ok(metadata) };
                let until = absent.map_or(now + TOPIC_GRACE, |(_, until)| until);
                absent = Some((reason, until));
                std::thread::sleep(TOPIC_POLL.min(left));
            }
            Err(error) if left.is_zero() && absent.is_none() => {
                let last_error = ledger.last_error().unwrap_or_else(|| error.to_string());
                return Err(NotReady::Unreachable { within, last_error });
            }
            Err(error) => check_denied(&error)?,
        }
    }
}

fn check_denied(error: &KafkaError) -> Result<(), NotReady> {
    match error.rdkafka_error_code() {
        Some(code) if errors::class(code) == FailureClass::Denied => {
            Err(NotReady::Denied(code.to_string()))
        }
        _ => Ok(()),
    }
}

/// `Ok(None)` where the topic is there, the reason where it may still come.
fn topic_state(metadata: &Metadata, topic: NamedTopic<'_>) -> Result<Option<String>, NotReady> {
    let (name, setting) = topic;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == name) else {
        return Ok(Some("the cluster does not know it".into()));
    };
    let Some(error) = found.error() else {
        let empty = found.partitions().is_empty();
        return Ok(empty.then(|| "it has no partitions".into()));
    };
    let code = RDKafkaErrorCode::from(error);
    match code {
        RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::LeaderNotAvailable => Ok(Some(code.to_string())),
        _ if errors::class(code) == FailureClass::Denied => {
            Err(NotReady::Denied(format!("topic {name}: {code}")))
        }
        _ => Err(NotReady::NoTopic { topic: name.into(), reason: code.to_string(), setting }),
    }
}

/// Why a cluster does not describe itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Silent {
    /// librdkafka does not accept the configuration.
    #[error("librdkafka does not accept the configuration: {0}")]
    Client(String),
    /// The cluster refuses this client.
    #[error("the cluster refused access: {0}")]
    Denied(String),
    /// No broker answered as one.
    #[error("no broker answered: {0}")]
    Unreachable(String),
}

/// Asks a cluster for its brokers and all topics: a question for one by name creates it on many.
///
/// # Errors
/// [`Silent`], once `within` is over.
pub fn describe(config: &ClientConfig, within: Duration) -> Result<Metadata, Silent> {
    let sink = KafkaSink::start(config).map_err(|error| Silent::Client(error.to_string()))?;
    let ledger = sink.ledger();
    sink.producer().client().fetch_metadata(None, within).map_err(|error| match ledger.denied() {
        Some(denied) => Silent::Denied(denied),
        None => Silent::Unreachable(ledger.last_error().unwrap_or_else(|| error.to_string())),
    })
}

/// Address of each broker that the cluster advertises.
#[must_use]
pub fn advertised(metadata: &Metadata) -> Vec<Server> {
    let brokers = metadata.brokers().iter().filter_map(|broker| {
        Some(Server { host: broker.host().to_owned(), port: u16::try_from(broker.port()).ok()? })
    });
    brokers.collect()
}
