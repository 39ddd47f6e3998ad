//! `RUN_TOPIC`: a compacted topic in which each run describes itself, so that whoever verifies it needs
//! no more than its name.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use tracing::warn;

use crate::event::Kind;
use crate::kafka::closing::{self, Addressed};
use crate::kafka::logs::{Logs, Until};
use crate::kafka::reader::Unread;
use crate::kafka::{Config, topics};
use crate::report::Report;

/// Lets the client choose the partition.
const ANY_PARTITION: i32 = -1;

/// How long the cluster may take to tell the topic's configuration.
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

/// Sends the record of a run that begins, and warns of a topic that is not compacted.
///
/// # Errors
/// In words: it was not acknowledged.
pub fn begin(
    config: &Config,
    record: Addressed,
    within: Duration,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), String> {
    let topic = record.topic.clone();
    send(config, record, within, is_cancelled)?;
    // Many clusters create a topic on demand, and then without compaction.
    if topics::compacts(config, &topic, ANSWER_WITHIN) == Some(false) {
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
/// In words: it was not acknowledged.
pub fn send(
    config: &Config,
    record: Addressed,
    within: Duration,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), String> {
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
    Err(format!("topic {topic} did not take a record of {bytes} bytes: {why}"))
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
        let value = record.value().unwrap_or_default();
        let before = described.reports.insert(shard, value.to_vec());
        bytes = bytes + value.len() - before.map_or(0, |before| before.len());
        is_too_much = bytes > BYTES_MAX || described.reports.len() > SHARDS_MAX;
        if is_too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if is_too_much {
        let limits = format!("{SHARDS_MAX} shards and {} MiB", BYTES_MAX >> 20);
        return Err(Unread::Failed(format!("topic {topic} has more than {limits} of run {run}")));
    }
    Ok(described)
}
