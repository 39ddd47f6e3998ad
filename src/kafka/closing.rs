//! Sends records to partitions of the caller's choice, with a client of its own: what a run counts
//! does not see them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

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
}

/// Collects the answers.
#[derive(Debug, Default)]
struct Answers {
    acknowledged: [AtomicU64; 2],
    problem: Mutex<Option<String>>,
}

impl Answers {
    fn failed(&self, error: &impl ToString) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.get_or_insert_with(|| error.to_string());
    }
}

impl ClientContext for Answers {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Answers {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, topic: usize) {
        match result {
            Ok(message) if message.offset() >= 0 => {
                self.acknowledged[topic].fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => self.failed(&"the broker gave no offset"),
            Err((error, _)) => self.failed(&error),
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
    let client: Result<BaseProducer<Answers>, _> = config.create_with_context(Answers::default());
    let producer = match client {
        Ok(producer) => producer,
        Err(error) => return Answered { problem: Some(error.to_string()), ..Answered::default() },
    };
    let started = Instant::now();
    let is_over = || is_cancelled() || started.elapsed() >= within;
    for record in records {
        while let Err(code) = enqueue(&producer, record) {
            if code != RDKafkaErrorCode::QueueFull || is_over() {
                producer.context().failed(&code);
                break;
            }
            producer.poll(LOOK_EVERY);
        }
    }
    while producer.in_flight_count() > 0 && !is_over() {
        producer.poll(LOOK_EVERY);
    }
    let answers = producer.context();
    let acknowledged = answers.acknowledged.each_ref().map(|count| count.load(Ordering::Relaxed));
    let problem = answers.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let _in_time = briefly(CLOSED_WITHIN, move || drop(producer));
    Answered { acknowledged, problem }
}

fn enqueue(producer: &BaseProducer<Answers>, record: &Addressed) -> Result<(), RDKafkaErrorCode> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    let mut message: BaseRecord<'_, str, [u8], usize> =
        BaseRecord::with_opaque_to(&record.topic, record.kind as usize)
            .partition(record.partition)
            .timestamp(record.timestamp_ms)
            .headers(headers)
            .payload(&record.value);
    if let Some(key) = &record.key {
        message = message.key(key);
    }
    producer
        .send(message)
        .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
}
