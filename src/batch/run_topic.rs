//! `RUN_TOPIC`: a compacted topic in which each run describes itself, so that whoever verifies it needs
//! no more than its name.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use tracing::{info, warn};

use crate::event::Kind;
use crate::kafka::Config;
use crate::kafka::admin::Admin;
use crate::kafka::closing::{self, Addressed};
use crate::kafka::logs::{Logs, Until};
use crate::kafka::reader::Unread;
use crate::report::Report;

/// Lets the client choose the partition.
const ANY_PARTITION: i32 = -1;

/// How long the cluster may take to create the topic, and to tell its configuration.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Most shards of a run that are read.
const SHARDS_MAX: usize = 10_000;

/// Most bytes of reports that are kept.
const BYTES_MAX: usize = 256 << 20;

/// The record by which a run describes itself.
#[must_use]
pub fn record(topic: String, report: &Report) -> Addressed {
    Addressed {
        topic,
        kind: Kind::Metric,
        partition: ANY_PARTITION,
        timestamp_ms: jiff::Timestamp::now().as_millisecond(),
        key: Some(format!("{}/{}", report.run_id, report.shard)),
        headers: Vec::new(),
        value: report.json_line().into_bytes(),
    }
}

/// Why a run is not described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct NotDescribed {
    text: String,
    /// Whether this client may not do it.
    pub is_denied: bool,
}

/// Creates the topic, compacted, where it is not there, and sends the record of a run that begins. Warns
/// of a topic that is not compacted.
///
/// # Errors
/// [`NotDescribed`]: the topic is not there, and may not be created, or the record was not acknowledged.
pub fn begin(
    admin: &Admin,
    config: &Config,
    record: Addressed,
    within: Duration,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), NotDescribed> {
    let topic = record.topic.clone();
    let not_created = match admin.create_compacted(&topic, ANSWER_WITHIN, is_cancelled) {
        Ok(true) => {
            info!("RUN_TOPIC {topic} was not there: it is created, compacted, with one partition");
            None
        }
        Ok(false) => None,
        Err(problem) => Some(problem),
    };
    // Who may not create topics may write to one that it cannot list; and a cluster may create it.
    let sent = send(config, record, within, is_cancelled);
    sent.map_err(|problem| match &not_created {
        Some(why) => NotDescribed {
            text: format!(
                "{problem}; the topic is not there, and could not be created: {why}; create it with \
                 kafka-topics.sh --create --topic {topic} --partitions 1 --config \
                 cleanup.policy=compact"
            ),
            is_denied: problem.is_denied || why.is_denied,
        },
        None => problem,
    })?;
    if admin.compacts(&topic, ANSWER_WITHIN, is_cancelled) == Some(false) {
        warn!(
            "RUN_TOPIC {topic} is not compacted: what runs say there expires; set \
             cleanup.policy=compact on it"
        );
    }
    Ok(())
}

/// Sends the record of a run.
///
/// # Errors
/// [`NotDescribed`]: it was not acknowledged.
pub fn send(
    config: &Config,
    record: Addressed,
    within: Duration,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), NotDescribed> {
    let (topic, bytes) = (record.topic.clone(), record.value.len());
    let answered = closing::send(config, &[record], within, is_cancelled);
    if answered.acknowledged.iter().sum::<u64>() == 1 {
        return Ok(());
    }
    let why = match answered.problem {
        Some(problem) => problem,
        None if is_cancelled() => "a signal ended the wait".to_owned(),
        None => format!("no answer within {} s", within.as_secs_f64()),
    };
    let text = format!("topic {topic} did not take a record of {bytes} bytes: {why}");
    Err(NotDescribed { text, is_denied: answered.is_denied })
}

/// What a run topic has of a run.
#[derive(Debug, Default)]
pub struct Described {
    /// The last report of each shard, by the name of the shard.
    pub reports: BTreeMap<String, Vec<u8>>,
    /// The last runs that are described there, where this one is not.
    pub others: Vec<String>,
}

/// Reads what a topic has of a run, up to the end that it has now.
///
/// # Errors
/// [`Unread`].
pub fn read(
    config: &Config,
    topic: &str,
    run: &str,
    within: Duration,
    stopped: impl Fn() -> bool,
) -> Result<Described, Unread> {
    const OTHERS: usize = 5;
    let mut logs = Logs::open(config, &[topic], within, |_, _, _| None)?;
    let (mut described, mut bytes) = (Described::default(), 0);
    let until = Until { follows: false, silent_for: within };
    let mut is_too_much = false;
    logs.read(until, stopped, |_, record| {
        let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
        let Some((id, shard)) = key.and_then(|key| {
            key.rsplit_once('/').and_then(|(rest, count)| {
                // The key is RUN_ID/i/n.
                let (id, index) = rest.rsplit_once('/')?;
                Some((id, format!("{index}/{count}")))
            })
        }) else {
            return ControlFlow::Continue(());
        };
        if id != run {
            described.others.retain(|other| other != id);
            described.others.push(id.to_owned());
            if described.others.len() > OTHERS {
                described.others.remove(0);
            }
            return ControlFlow::Continue(());
        }
        let before = match record.value() {
            Some(value) => {
                bytes += value.len();
                described.reports.insert(shard, value.to_vec())
            }
            // A tombstone: somebody took it away.
            None => described.reports.remove(&shard),
        };
        bytes -= before.map_or(0, |before| before.len());
        is_too_much = bytes > BYTES_MAX || described.reports.len() > SHARDS_MAX;
        if is_too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if is_too_much {
        let limits = format!("{SHARDS_MAX} shards and {} MiB", BYTES_MAX >> 20);
        return Err(Unread::Failed(format!("topic {topic} has more than {limits} of run {run}")));
    }
    Ok(described)
}
