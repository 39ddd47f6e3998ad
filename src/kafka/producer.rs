//! Hands records to librdkafka and polls for its answers.
//!
//! `acks=all`, idempotence, a bounded queue: a full queue is reported as [`Offer::Full`], never a
//! drop. One thread polls; it ends by itself when the run is sealed and every record has its answer,
//! so that no exit waits for a poll interval.
//!
//! A blocking poll of the wrapper cannot do that: it returns only when its time is up, whatever
//! came, and spins through the last millisecond of it. So the thread polls without waiting, and
//! sleeps in between: a sixteenth of the time that the oldest record has waited, so that a measured
//! latency is at most that much too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};

use super::config::longest_wait;
use super::errors;
use super::in_flight::Stamp;
use super::ledger::Ledger;
use crate::books::FailureClass;
use crate::host::apart::briefly;
use crate::plan::Record;
use crate::run::Offer;

/// Shortest sleep between two polls while records wait for an answer.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// Longest sleep between two polls while records wait for an answer.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Sleep while no record waits: only errors of connections can come, and the next record ends it.
const IDLE_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may take to end.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// A producer and its polling thread.
pub struct KafkaSink {
    producer: Arc<BaseProducer<Ledger>>,
    phase: Arc<Phase>,
    poller: Option<JoinHandle<()>>,
    /// Of how many shards this process is one.
    shards: u64,
}

/// What the run and the polling thread tell each other.
#[derive(Debug, Default)]
struct Phase {
    /// No record will follow.
    sealed: AtomicBool,
    /// The thread sleeps because no record waits.
    idle: AtomicBool,
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
    /// The configuration as a whole is not one that librdkafka accepts.
    pub fn start(
        config: &ClientConfig,
        shards: u64,
        delivery_timeout: Duration,
    ) -> KafkaResult<Self> {
        let ledger = Ledger::new(delivery_timeout, longest_wait(delivery_timeout));
        let producer: BaseProducer<Ledger> = config.create_with_context(ledger)?;
        let producer = Arc::new(producer);
        let phase = Arc::new(Phase::default());
        let poller = {
            let (producer, phase) = (Arc::clone(&producer), Arc::clone(&phase));
            let work = move || poll(&producer, &phase);
            std::thread::Builder::new().name("kafka-poll".into()).spawn(work)
        };
        let poller = poller.map_err(|e| {
            KafkaError::ClientCreation(format!("cannot start the polling thread: {e}"))
        })?;
        Ok(Self { producer, phase, poller: Some(poller), shards })
    }

    /// What the cluster has answered.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        self.producer.context()
    }

    /// The producer itself, for questions about the cluster.
    #[must_use]
    pub fn producer(&self) -> Arc<BaseProducer<Ledger>> {
        Arc::clone(&self.producer)
    }

    /// Why nothing can be sent any more, where it cannot, and what that says about the cluster.
    ///
    /// librdkafka itself is asked: it refuses records from that moment on, and may have refused all
    /// of them before the polling thread hears of it.
    #[must_use]
    pub fn fatal(&self) -> Option<(FailureClass, String)> {
        let (code, text) = self.producer.client().fatal_error()?;
        Some((errors::class(code), format!("{code}: {text}")))
    }

    /// Offers a record. It is copied.
    pub fn offer(&self, record: &Record<'_>, due: Instant) -> Offer {
        let kind = record.kind;
        let index = record.seq / self.shards;
        // In the books first: the answer may come before `send` returns.
        if !self.ledger().generated(kind, index) {
            return Offer::Full;
        }
        let now = Instant::now();
        let stamp = Stamp { kind, index, sent: now, due: due.min(now) };
        let mut base = BaseRecord::with_opaque_to(record.topic, Box::new(stamp))
            .payload(record.value)
            .timestamp(record.timestamp_ms);
        if let Some(key) = record.key {
            base = base.key(key.as_bytes());
        }
        let mut headers = OwnedHeaders::new_with_capacity(3);
        record.each_header(|key, value| {
            let taken = std::mem::replace(&mut headers, OwnedHeaders::new_with_capacity(0));
            headers = taken.insert(Header { key, value: Some(value) });
        });
        if record.run.is_some() {
            base = base.headers(headers);
        }
        match self.producer.send(base) {
            Ok(()) => {
                if self.phase.idle.swap(false, Ordering::AcqRel) {
                    self.wake();
                }
                Offer::Taken
            }
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => {
                    self.ledger().withdrawn(kind, index);
                    Offer::Full
                }
                code => {
                    let code = code.unwrap_or(RDKafkaErrorCode::Fail);
                    self.ledger().refused(kind, index, code);
                    Offer::Taken
                }
            },
        }
    }

    /// No record will follow: the polling thread ends with the last answer.
    pub fn seal(&self) {
        self.phase.sealed.store(true, Ordering::Release);
        self.wake();
    }

    /// Takes back what has not been answered: from here on nothing more is sent. What is on its way
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

fn poll(producer: &BaseProducer<Ledger>, phase: &Phase) {
    let ledger = producer.context();
    let mut before = ledger.pending();
    loop {
        let sealed = phase.sealed.load(Ordering::Acquire);
        producer.poll(Duration::ZERO);
        let now = ledger.pending();
        if now.closed || (sealed && now.open == 0) {
            ledger.answered.notify_one();
            return;
        }
        if now.answers != before.answers {
            // Here and not in the callback: the queue has room only once the event is gone. One
            // poll handles one event, and where one came there may be more.
            ledger.answered.notify_one();
        } else {
            if now.open == 0 {
                phase.idle.store(true, Ordering::Release);
                // A record may have come between the look and the flag.
                if ledger.pending().open == 0 && !phase.sealed.load(Ordering::Acquire) {
                    std::thread::park_timeout(IDLE_PAUSE);
                }
                phase.idle.store(false, Ordering::Release);
            } else {
                let pause = (now.silence / 16).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                std::thread::park_timeout(pause);
            }
        }
        before = now;
    }
}

impl Drop for KafkaSink {
    /// Closes the books, so that the polling thread ends, and waits for it.
    fn drop(&mut self) {
        let _account = self.ledger().close();
        self.seal();
        if let Some(poller) = self.poller.take() {
            // A panic in the thread has been reported by its own hook.
            drop(poller.join());
        }
    }
}
