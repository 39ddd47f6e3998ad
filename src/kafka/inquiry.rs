//! Questions to a cluster, each with a client that is started for it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;

use super::admin::wait::{Slices, Wait};
use super::admin::{Bound, NotReady, advertised};
use super::errors::class;
use super::producer::KafkaSink;
use crate::delivery::FailureClass;
use crate::settings::Server;

/// How often a client says what it has learned.
const STATISTICS_EVERY: Duration = Duration::from_millis(20);

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
    let topics = metadata.topics.iter().map(|topic| {
        let state = match topic.error {
            None => Ok(topic.partitions.len()),
            Some(code) => Err(TopicError {
                text: code.to_string(),
                is_denied: class(code) == FailureClass::Denied,
            }),
        };
        (topic.name.clone(), state)
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

/// What a topic is to a client that is to write single records to it, as far as the cluster tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    /// Whether it keeps the last record of each key.
    pub compacts: Option<bool>,
    /// Whether this client may write to it.
    pub may_write: Option<bool>,
}

/// Asks what a topic is that is there.
///
/// # Errors
/// [`NotReady`]: no client could be started.
pub fn journal(config: &ClientConfig, topic: &str, within: Duration) -> Result<Journal, NotReady> {
    let sink = KafkaSink::start(config, within)?;
    let admin = sink.admin();
    let journal = Journal {
        compacts: admin.compacts(topic, within, || false),
        may_write: admin.may_write(topic, within),
    };
    drop(admin);
    sink.close();
    Ok(journal)
}

/// Asks with a client that is started for this question.
fn apart<T>(
    config: &ClientConfig,
    bound: Bound,
    cancelled: &(dyn Fn() -> bool + Sync),
    question: impl FnOnce(&Wait<'_>) -> Result<T, NotReady>,
) -> Result<T, NotReady> {
    let sink = KafkaSink::start(config, bound.within)?;
    let admin = sink.admin();
    let answer = question(&Wait { client: admin.client(), bound, cancelled });
    drop(admin);
    sink.close();
    answer
}
