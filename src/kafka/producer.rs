//! Hands records to librdkafka and polls for its answers.
//!
//! `acks=all`, idempotence, a bounded queue: a full queue is reported as [`QueueFull`], never a drop.
//! One thread polls. It ends by itself when sending is finished and every record has its delivery
//! report, so no exit waits for a poll interval.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use tokio::time::Instant;

use super::admin::{Admin, NotReady};
use super::delivery_reports::DeliveryReports;
use super::errors;
use super::poll::{Phase, poll};
use crate::delivery::{Counts, FailureClass, InFlightRecord, Totals};
use crate::host::apart::briefly;
use crate::plan::Record;
use crate::send_loop::{QueueFull, Sink};

/// How long a client may take to end.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// A producer and its polling thread.
pub struct KafkaSink {
    producer: Arc<BaseProducer<DeliveryReports>>,
    phase: Arc<Phase>,
    poller: Option<JoinHandle<()>>,
    /// Of how many shards this process is one.
    shards: u64,
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSink").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl KafkaSink {
    /// Starts a producer of one of `shards` shards, whose records are given up after
    /// `delivery_timeout`. It connects by itself.
    ///
    /// # Errors
    /// [`NotReady`]: the system gives too little, or librdkafka does not accept the configuration.
    pub fn start(
        config: &ClientConfig,
        shards: u64,
        delivery_timeout: Duration,
    ) -> Result<Self, NotReady> {
        let reports = DeliveryReports::new(delivery_timeout);
        let refused = |error: KafkaError| NotReady::of_start(&error.to_string());
        let producer: BaseProducer<DeliveryReports> =
            config.create_with_context(reports).map_err(refused)?;
        let producer = Arc::new(producer);
        let phase = Arc::new(Phase::default());
        let poller = {
            let (producer, phase) = (Arc::clone(&producer), Arc::clone(&phase));
            let work = move || poll(&producer, &phase);
            std::thread::Builder::new().name("kafka-poll".into()).spawn(work)
        };
        let poller = poller.map_err(|e| {
            refused(KafkaError::ClientCreation(format!("cannot start the polling thread: {e}")))
        })?;
        Ok(Self { producer, phase, poller: Some(poller), shards })
    }

    fn reports(&self) -> &DeliveryReports {
        self.producer.context()
    }

    /// Asks the cluster with this client.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::of(Arc::clone(&self.producer))
    }

    /// What reads the counts as they stand.
    pub fn counts(&self) -> impl Fn() -> Counts + Send + use<> {
        let producer = Arc::clone(&self.producer);
        move || producer.context().counts()
    }

    /// Closes the accounting: what is in flight stays unresolved, whatever is answered later.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.reports().close()
    }

    /// Why the cluster refuses this client, if it does.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.reports().heard().denied.clone()
    }

    /// The last error that librdkafka reported.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.reports().heard().last_error.clone()
    }

    /// Why nothing can be sent any more, if nothing can, and what that says about the cluster.
    ///
    /// librdkafka itself is asked: it refuses records from that moment on, and may have refused all
    /// of them before the polling thread hears of it.
    #[must_use]
    pub fn fatal(&self) -> Option<(FailureClass, String)> {
        let (code, text) = self.producer.client().fatal_error()?;
        Some((errors::class(code), format!("{code}: {text}")))
    }

    /// Takes back what has no delivery report: from here on nothing more is sent. What is on its way
    /// may still arrive.
    pub fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }

    /// Ends the client. A name server that does not answer holds up one of its threads, and a client
    /// that waits for it, for minutes: then the end of the process ends them.
    pub fn close(self) {
        let _in_time = briefly(CLOSED_WITHIN, move || drop(self));
    }

    fn wake(&self) {
        if let Some(poller) = &self.poller {
            poller.thread().unpark();
        }
    }
}

impl Sink for KafkaSink {
    /// The record is copied.
    fn try_send(&self, record: &Record<'_>, scheduled: Instant) -> Result<(), QueueFull> {
        let reports = self.reports();
        if !reports.has_room() {
            return Err(QueueFull);
        }
        let (kind, index) = (record.kind, record.seq / self.shards);
        match self.producer.send(base_record(record, index, scheduled.into_std())) {
            Ok(()) => reports.handed_over(kind, index + 1),
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => return Err(QueueFull),
                code => reports.refused(kind, index, code.unwrap_or(RDKafkaErrorCode::Fail)),
            },
        }
        if self.phase.idle.swap(false, Ordering::AcqRel) {
            self.wake();
        }
        Ok(())
    }

    fn answered(&self) -> impl Future<Output = ()> {
        self.reports().answered.notified()
    }

    fn in_flight(&self) -> u64 {
        self.reports().in_flight()
    }

    fn silent_for(&self) -> Duration {
        self.reports().silent_for()
    }

    fn is_fatal(&self) -> bool {
        self.fatal().is_some()
    }

    fn finish_sending(&self) {
        self.phase.finished.store(true, Ordering::Release);
        self.wake();
    }
}

fn base_record<'a>(
    record: &'a Record<'_>,
    index: u64,
    scheduled: std::time::Instant,
) -> BaseRecord<'a, [u8], [u8], Box<InFlightRecord>> {
    let sent = std::time::Instant::now();
    let scheduled = scheduled.min(sent);
    let opaque = Box::new(InFlightRecord { kind: record.kind, index, sent, scheduled });
    let mut base = BaseRecord::with_opaque_to(record.topic, opaque).timestamp(record.timestamp_ms);
    if let Some(value) = record.value {
        base = base.payload(value);
    }
    if let Some(key) = record.key {
        base = base.key(key.as_bytes());
    }
    let headers = record.headers();
    if headers.is_empty() {
        return base;
    }
    let none = OwnedHeaders::new_with_capacity(headers.len());
    let add = |list: OwnedHeaders, (key, value): &(&str, &str)| {
        list.insert(Header { key, value: Some(*value) })
    };
    base.headers(headers.iter().fold(none, add))
}

impl Drop for KafkaSink {
    /// Closes the accounting, which ends the polling thread, and waits for it.
    fn drop(&mut self) {
        let _totals = self.totals();
        self.finish_sending();
        if let Some(poller) = self.poller.take() {
            // A panic in the thread has been reported by its own hook.
            drop(poller.join());
        }
    }
}
