//! Sends records to partitions of the caller's choice, with a client of its own: what a run counts
//! does not see them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;

use super::errors::class;
use super::native::{
    Client, Code, DeliveryReport, ErrorCode, Events, Handed, HeaderList, Listener, Topic,
};
use crate::delivery::FailureClass;
use crate::event::Kind;
use crate::host::apart::briefly;

/// How often a wait looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a client may take to end.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// A record for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// Topic.
    pub topic: String,
    /// The event, for the count.
    pub kind: Kind,
    /// Partition.
    pub partition: i32,
    /// Record timestamp, ms since 1970.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<String>,
    /// Headers in their order.
    pub headers: Vec<(&'static str, String)>,
    /// Value.
    pub value: Vec<u8>,
}

/// What became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Records of each topic that the broker gave an offset.
    pub acknowledged: [u64; 2],
    /// The first error.
    pub problem: Option<String>,
    /// Whether it is that this client may not do it.
    pub is_denied: bool,
}

/// Collects the answers.
#[derive(Debug, Default)]
struct Answers {
    acknowledged: [AtomicU64; 2],
    problem: Mutex<Option<(String, bool)>>,
}

impl Answers {
    fn failed(&self, code: ErrorCode) {
        self.note(code.to_string(), class(code) == FailureClass::Denied);
    }

    fn note(&self, text: String, is_denied: bool) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.get_or_insert((text, is_denied));
    }
}

impl Listener for Answers {
    fn delivered(&self, report: &DeliveryReport<'_>) {
        match report.outcome() {
            Ok((_, Some(_))) => {
                self.acknowledged[report.opaque()].fetch_add(1, Ordering::Relaxed);
            }
            Ok((_, None)) => self.note("the broker gave no offset".to_owned(), false),
            Err(code) => self.failed(code),
        }
    }
}

/// Sends the records, and waits for the answers until `within` is over or `is_cancelled`.
#[must_use]
pub fn send(
    config: &ClientConfig,
    records: &[Addressed],
    within: Duration,
    is_cancelled: &dyn Fn() -> bool,
) -> Answered {
    let client = match Client::producer(config, Answers::default()) {
        Ok(client) => Arc::new(client),
        Err(error) => return Answered { problem: Some(error.to_string()), ..Answered::default() },
    };
    let Some(events) = Events::of(&client) else {
        return Answered { problem: Some("no memory".to_owned()), ..Answered::default() };
    };
    let answers = client.listener();
    let started = Instant::now();
    let is_over = || is_cancelled() || started.elapsed() >= within;
    let mut topics: BTreeMap<&str, Result<Topic<Answers>, ErrorCode>> = BTreeMap::new();
    for record in records {
        let name = record.topic.as_str();
        let topic = topics.entry(name).or_insert_with(|| Topic::new(&client, name));
        while let Err(code) = enqueue(topic, record) {
            if !code.is(Code::QueueFull) || is_over() {
                answers.failed(code);
                break;
            }
            events.take_next(LOOK_EVERY);
        }
    }
    while client.waiting() > 0 && !is_over() {
        events.take_next(LOOK_EVERY);
    }
    let acknowledged = answers.acknowledged.each_ref().map(|count| count.load(Ordering::Relaxed));
    let problem = answers.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
    drop(topics);
    let _in_time = briefly(CLOSED_WITHIN, move || drop((events, client)));
    let (problem, is_denied) = problem.unzip();
    Answered { acknowledged, problem, is_denied: is_denied.unwrap_or_default() }
}

fn enqueue(topic: &Result<Topic<Answers>, ErrorCode>, record: &Addressed) -> Result<(), ErrorCode> {
    let topic = topic.as_ref().map_err(|code| *code)?;
    let headers: Vec<_> =
        record.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let list = match headers.is_empty() {
        true => None,
        false => Some(HeaderList::new(&headers).ok_or(ErrorCode::from(Code::Fail))?),
    };
    let handed = Handed {
        partition: record.partition,
        key: record.key.as_deref().map(str::as_bytes),
        value: Some(&record.value),
        timestamp_ms: record.timestamp_ms,
    };
    topic.produce(&handed, list, record.kind as usize).map_err(|(code, _)| code)
}
