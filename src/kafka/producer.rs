//! Hands records to librdkafka and polls for its answers.
//!
//! `acks=all`, idempotence, a bounded queue: a full queue is reported as [`QueueFull`], never a drop.
//! What it answers is taken in by the thread that sends, as `poll` says.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use super::admin::{Admin, NotReady};
use super::causes::Way;
use super::config;
use super::delivery_reports::DeliveryReports;
use super::native::{
    Client, Code, ErrorCode, Events, Handed, HeaderPool, Listener, NotMade, Topic, UNASSIGNED,
};
use super::opaque::Opaque;
use super::poll::{self, Told};
use crate::delivery::times::{SendTimes, weight};
use crate::delivery::{Counts, FailureClass, Totals};
use crate::faults::Fault;
use crate::host::apart::briefly;
use crate::plan::Record;
use crate::send_loop::{QueueFull, Sink};

/// How long a client may take to end.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// A producer.
pub struct KafkaSink {
    /// The topics of both kinds, or why there is none, from their first record on. Before the client,
    /// which has to outlive them.
    topics: [OnceCell<Result<Topic<DeliveryReports>, ErrorCode>>; 2],
    headers: RefCell<HeaderPool>,
    /// The times of what is in flight.
    times: RefCell<SendTimes>,
    events: Arc<Told>,
    producer: Arc<Client<DeliveryReports>>,
    /// Whether records are sent, and events taken in by who sends them.
    sending: Arc<AtomicBool>,
    poller: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSink").field("sending", &self.sending).finish_non_exhaustive()
    }
}

impl KafkaSink {
    /// Starts a producer whose records are given up after `delivery_timeout`. It connects by itself.
    ///
    /// # Errors
    /// [`NotReady`]: the system gives too little, or librdkafka does not accept the configuration.
    pub fn start(config: &ClientConfig, delivery_timeout: Duration) -> Result<Self, NotReady> {
        // librdkafka's own default is off.
        let is_idempotent = config.get("enable.idempotence").is_some_and(is_true);
        let way = Way::of(config);
        way.check().map_err(NotReady::Client)?;
        let linger = config::linger(config);
        let reports = DeliveryReports::new(delivery_timeout, linger, is_idempotent, way.clone());
        let refused = |NotMade { error, said }| {
            let error = error.to_string();
            NotReady::of_start(&error, way.of_start(config, &error, &said))
        };
        let producer = Arc::new(Client::producer(config, reports).map_err(refused)?);
        let failed = |what| refused(KafkaError::ClientCreation(what).into());
        let events = Events::of(&producer).ok_or_else(|| failed("no memory".to_owned()))?;
        let (events, sending) = (Arc::new(events), Arc::new(AtomicBool::new(false)));
        let poller = {
            let (events, sending) = (Arc::clone(&events), Arc::clone(&sending));
            let reports = Arc::clone(producer.listener());
            let work = move || poll::until_sending(&events, &reports, &sending);
            std::thread::Builder::new().name("kafka-poll".into()).spawn(work)
        };
        let poller = poller.map_err(|e| failed(format!("cannot start the polling thread: {e}")))?;
        producer.listener().wakes(poller.thread().clone());
        Ok(Self {
            topics: Default::default(),
            headers: RefCell::default(),
            times: RefCell::default(),
            events,
            producer,
            sending,
            poller: Some(poller),
        })
    }

    fn reports(&self) -> &DeliveryReports {
        self.producer.listener()
    }

    /// Asks the cluster with this client.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::of(Arc::clone(&self.producer))
    }

    /// What reads the counts as they stand.
    pub fn counts(&self) -> impl Fn() -> Counts + Send + use<> {
        let producer = Arc::clone(&self.producer);
        move || producer.listener().counts()
    }

    /// Closes the accounting: what is in flight stays unresolved, whatever is answered later.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.reports().close(&mut self.times.borrow_mut())
    }

    /// Why the cluster refuses this client, if it does.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.reports().heard().denied.as_ref().map(ToString::to_string)
    }

    /// The last error that librdkafka reported.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.reports().heard().last_error.as_ref().map(ToString::to_string)
    }

    /// Why nothing can be sent any more, if nothing can, and what that says about the cluster.
    ///
    /// librdkafka itself is asked: it refuses records from that moment on, and may have refused all
    /// of them before the polling thread hears of it.
    #[must_use]
    pub fn fatal(&self) -> Option<(FailureClass, String)> {
        let (code, text) = self.producer.fatal_error()?;
        let understood = self.reports().heard().way.understood(Some(code), &text, None);
        let text = match understood.cause.remedy {
            Some(_) => understood.cause.to_string(),
            None => format!("{code}: {text}"),
        };
        Some((understood.class, text))
    }

    /// Logs how often the lines of librdkafka's log came that were logged once.
    pub fn say_repeated(&self) {
        self.reports().heard().say_repeated();
    }

    /// Begins to take back what has no delivery report: from here on nothing more is sent. What is on
    /// its way may still arrive.
    pub fn purge(&self) {
        // Not to be waited for: one of the client's threads may hang in a name server.
        self.producer.purge();
    }

    /// Takes in what came, as the sending thread does.
    pub fn collect(&self) {
        self.end_polling();
        let times = &mut self.times.borrow_mut();
        let _closed = poll::take_in(&self.events, self.reports(), Some(times));
    }

    /// Whether each record has its delivery report, and it is taken in.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.producer.waiting() == 0 && self.events.are_taken()
    }

    /// Ends the client. A name server that does not answer holds up one of its threads, and a client
    /// that waits for it, for minutes: then the end of the process ends them.
    pub fn close(self) {
        let _in_time = briefly(CLOSED_WITHIN, move || drop(self));
    }

    fn produce(&self, record: &Record<'_>, index: u64, late_by: Duration) -> Result<(), ErrorCode> {
        let topic = self.topics[record.kind as usize]
            .get_or_init(|| Topic::new(&self.producer, record.topic));
        let topic = topic.as_ref().map_err(|code| *code)?;
        let (mut list, mut pooled) = (None, false);
        if !record.headers().is_empty() {
            let refill = |free: &mut _| self.reports().returned_headers(free);
            (list, pooled) = self.headers.borrow_mut().list(record.headers(), refill);
            if list.is_none() {
                return Err(Code::Fail.into());
            }
        }
        let (value, timestamp_ms) = (record.value, record.timestamp_ms);
        let key = record.key.map(str::as_bytes);
        let handed = Handed { partition: UNASSIGNED, key, value, timestamp_ms };
        let opaque = Opaque { kind: record.kind, index, late_by, pooled };
        topic.produce(&handed, list, opaque.pack()).map_err(|(code, unused)| {
            if let Some(list) = unused.filter(|_| pooled) {
                self.headers.borrow_mut().put(list);
            }
            code
        })
    }

    /// Hands a record over. Where the client's queue is empty and still has no room for it, it never will.
    fn hand_over(
        &self,
        record: &Record<'_>,
        index: u64,
        late_by: Duration,
    ) -> Result<(), ErrorCode> {
        let handed = self.produce(record, index, late_by);
        match handed {
            Err(code) if code.is(Code::QueueFull) && self.producer.waiting() == 0 => {
                // What was there may have left in between.
                self.produce(record, index, late_by).map_err(|code| match code.known() {
                    Some(Code::QueueFull) => Code::MessageSizeTooLarge.into(),
                    _ => code,
                })
            }
            handed => handed,
        }
    }

    /// Ends the polling thread soon.
    fn end_polling(&self) {
        if !self.sending.swap(true, Ordering::AcqRel) {
            self.reports().wake();
        }
    }
}

/// Whether librdkafka takes this value of a property for true.
fn is_true(value: &str) -> bool {
    ["1", "t", "true"].iter().any(|word| value.trim().eq_ignore_ascii_case(word))
}

impl Sink for KafkaSink {
    /// The record is copied.
    fn try_send(&self, record: &Record<'_>, late_by: Duration) -> Result<(), QueueFull> {
        let reports = self.reports();
        if !reports.has_room() {
            return Err(QueueFull);
        }
        let (kind, index) = (record.kind, record.place);
        match self.hand_over(record, index, late_by) {
            Ok(()) => {
                let weight = weight(record.seq, record.faults.has(Fault::Duplicate));
                self.times.borrow_mut().note(kind, index, weight, record.timestamp_ms);
                reports.handed_over(kind, index + 1);
            }
            Err(code) if code.is(Code::QueueFull) => return Err(QueueFull),
            Err(code) => reports.refused(kind, index, code),
        }
        Ok(())
    }

    fn take_in(&self) {
        self.collect();
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
}

impl Drop for KafkaSink {
    /// Closes the accounting, ends the polling thread, and waits for it.
    fn drop(&mut self) {
        let _totals = self.totals();
        self.end_polling();
        self.reports().wake();
        if let Some(poller) = self.poller.take() {
            // A panic in the thread has been reported by its own hook.
            drop(poller.join());
        }
    }
}
