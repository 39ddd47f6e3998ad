//! Questions to a cluster, each with a client that is started for it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;

use super::admin::wait::{Slices, Wait};
use super::admin::{Bound, NotReady, advertised};
use super::causes::Cause;
use super::native::TopicConfig;
use super::producer::KafkaSink;
use super::topics::{self, ASIDE};
use crate::settings::Server;

/// How often a client says what it has learned.
const STATISTICS_EVERY: Duration = Duration::from_millis(20);

/// What a cluster has.
#[derive(Debug, Clone)]
pub struct Description {
    /// Address of each broker that the cluster advertises.
    pub brokers: Vec<Server>,
    /// Each topic: its partitions, or why they are not known.
    pub topics: BTreeMap<String, Result<usize, String>>,
    /// What this client may not do with a topic that a run needs.
    pub refused: BTreeMap<String, Cause>,
    /// What the cluster makes of a topic that a run needs and that is not there.
    pub creation: Creation,
}

/// Whether a cluster creates topics on demand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Creation {
    /// It does not say, or was not asked.
    #[default]
    Unknown,
    /// It does not.
    Off,
    /// It does, with so many partitions, and keeps records for so long; text as the broker has it.
    On {
        /// `num.partitions`.
        partitions: Option<String>,
        /// `log.retention.ms`.
        retention_ms: Option<u64>,
        /// `log.cleanup.policy`.
        policy: Option<String>,
    },
}

/// Asks a cluster for its brokers and all topics, since a question for one by name creates it on many, and
/// for this client's rights to those that a run `needs`.
///
/// # Errors
/// [`NotReady`], once `within` is over, or at once if waiting cannot help.
pub fn describe(
    config: &ClientConfig,
    needs: &[&str],
    bound: Bound,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Description, NotReady> {
    apart(config, bound, cancelled, |wait| {
        let metadata = wait.for_answer(None, Slices::first_contact())?;
        let topics = metadata.topics.iter().map(|topic| {
            let state =
                topic.error.map_or(Ok(topic.partitions.len()), |code| Err(code.to_string()));
            (topic.name.clone(), state)
        });
        let topics: BTreeMap<_, _> = topics.collect();
        let is_any_missing = needs.iter().any(|topic| !topics.contains_key(*topic));
        let creation = match metadata.answering.filter(|_| is_any_missing) {
            Some(broker) => creation(wait.client.broker_config(broker, ASIDE)),
            None => Creation::Unknown,
        };
        let refused = topics::refused(wait.client, needs);
        Ok(Description { brokers: advertised(&metadata), topics, refused, creation })
    })
}

fn creation(config: TopicConfig) -> Creation {
    let Ok(config) = config else { return Creation::Unknown };
    let value = |name: &str| config.iter().find(|(found, _)| found == name)?.1.clone();
    match value("auto.create.topics.enable").as_deref() {
        Some("true") => Creation::On {
            partitions: value("num.partitions"),
            retention_ms: retention_ms(&value),
            policy: value("log.cleanup.policy"),
        },
        Some(_) => Creation::Off,
        None => Creation::Unknown,
    }
}

/// How long a broker keeps records of a topic that says nothing of it: the first of these that is set.
fn retention_ms(value: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let units = [
        ("log.retention.ms", 1),
        ("log.retention.minutes", 60_000),
        ("log.retention.hours", 3_600_000),
    ];
    let of = |(name, ms): (&str, u64)| value(name)?.parse::<i64>().ok().map(|count| (count, ms));
    let (count, ms) = units.into_iter().find_map(of)?;
    u64::try_from(count).ok()?.checked_mul(ms)
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
    sink.say_repeated();
    sink.close();
    answer
}
