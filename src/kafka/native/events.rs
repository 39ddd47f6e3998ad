//! What librdkafka has to tell: delivery reports, errors, logs and statistics.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::config::RDKafkaLogLevel;

use super::client::{Client, code_at, millis};
use super::code::ErrorCode;
use super::headers::HeaderList;
use super::{bytes_at, c, text_at};
use crate::delivery::{Trace, digest};

/// Hears what a client has to tell.
pub(in crate::kafka) trait Listener: Send + Sync {
    /// There is something to take in. Called on one of librdkafka's threads, which holds a lock
    /// meanwhile: it may not wait, nor call the client.
    fn wake(&self) {}
    /// A line of its log.
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}
    /// Its statistics, as JSON.
    fn statistics(&self, _json: &str) {}
    /// Something went wrong.
    fn error(&self, _code: ErrorCode, _reason: &str) {}
    /// A record has ended.
    fn delivered(&self, _report: &DeliveryReport<'_>) {}
}

/// A queue of events.
#[derive(Debug)]
pub(super) struct Queue(NonNull<rd::rd_kafka_queue_t>);

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for Queue {}
// SAFETY: a queue has its own lock.
unsafe impl Sync for Queue {}

impl Queue {
    /// Takes over a queue that librdkafka handed out.
    ///
    /// # Safety
    /// It is null, or ours to destroy, before its client.
    pub(super) unsafe fn own(queue: *mut rd::rd_kafka_queue_t) -> Option<Self> {
        NonNull::new(queue).map(Self)
    }

    pub(super) fn ptr(&self) -> *mut rd::rd_kafka_queue_t {
        self.0.as_ptr()
    }

    /// The next event.
    pub(super) fn next(&self, within: Duration) -> Option<Event> {
        // SAFETY: the queue is ours, and the event as well from here on.
        let event = unsafe { rd::rd_kafka_queue_poll(self.ptr(), millis(within)) };
        NonNull::new(event).map(Event)
    }

    fn is_empty(&self) -> bool {
        // SAFETY: the queue is ours until it is destroyed.
        unsafe { rd::rd_kafka_queue_length(self.ptr()) == 0 }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue is ours. Once the first call returns, nobody is told any more.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.ptr(), None, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.ptr());
        }
    }
}

/// An event.
#[derive(Debug)]
pub(super) struct Event(NonNull<rd::rd_kafka_event_t>);

impl Event {
    pub(super) fn ptr(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    pub(super) fn kind(&self) -> c_int {
        // SAFETY: the event is ours.
        unsafe { rd::rd_kafka_event_type(self.ptr()) }
    }

    /// The error in it, if any.
    pub(super) fn error(&self) -> Option<ErrorCode> {
        // SAFETY: the event is ours.
        ErrorCode::of(unsafe { c::rd_kafka_event_error(self.ptr()) }).err()
    }

    /// The next message in it. It lives as long as the event.
    pub(super) fn message(&self) -> Option<NonNull<rd::rd_kafka_message_t>> {
        // SAFETY: the event is ours.
        let message = unsafe { rd::rd_kafka_event_message_next(self.ptr()) };
        NonNull::new(message.cast_mut())
    }

    /// Hands it to whoever hears it. Others are nobody's.
    fn hand_to(&self, listener: &impl Listener) {
        match self.kind() {
            rd::RD_KAFKA_EVENT_DR => {
                while let Some(message) = self.message() {
                    listener.delivered(&DeliveryReport { message, _event: PhantomData });
                }
            }
            rd::RD_KAFKA_EVENT_ERROR => {
                // SAFETY: the event is ours, and its text lives as long.
                let reason = unsafe { text_at(rd::rd_kafka_event_error_string(self.ptr())) };
                if let Some(code) = self.error() {
                    listener.error(code, reason.trim());
                }
            }
            rd::RD_KAFKA_EVENT_LOG => self.log_to(listener),
            rd::RD_KAFKA_EVENT_STATS => {
                // SAFETY: the event is ours, and its text lives as long.
                listener.statistics(&unsafe { text_at(rd::rd_kafka_event_stats(self.ptr())) });
            }
            _ => {}
        }
    }

    fn log_to(&self, listener: &impl Listener) {
        let (mut facility, mut text, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the event is ours, the places are writable, and the texts live as long as the event.
        let (facility, text) = unsafe {
            let places = (&raw mut facility, &raw mut text, &raw mut level);
            if rd::rd_kafka_event_log(self.ptr(), places.0, places.1, places.2) != 0 {
                return;
            }
            (text_at(facility), text_at(text))
        };
        listener.log(level_of(level), facility.trim(), text.trim());
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours.
        unsafe { rd::rd_kafka_event_destroy(self.ptr()) };
    }
}

/// The levels of syslog(3).
fn level_of(level: c_int) -> RDKafkaLogLevel {
    match level {
        ..=0 => RDKafkaLogLevel::Emerg,
        1 => RDKafkaLogLevel::Alert,
        2 => RDKafkaLogLevel::Critical,
        3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        7.. => RDKafkaLogLevel::Debug,
    }
}

/// A message that has ended.
#[derive(Debug)]
pub(in crate::kafka) struct DeliveryReport<'e> {
    message: NonNull<rd::rd_kafka_message_t>,
    _event: PhantomData<&'e Event>,
}

impl DeliveryReport<'_> {
    /// What the message carries.
    pub(in crate::kafka) fn opaque(&self) -> usize {
        // SAFETY: the message lives as long as its event.
        unsafe { (*self.message.as_ptr())._private as usize }
    }

    /// Its partition, and its offset if the broker gave it one, or why it failed.
    pub(in crate::kafka) fn outcome(&self) -> Result<(i32, Option<i64>), ErrorCode> {
        let message = self.message.as_ptr();
        // SAFETY: the message lives as long as its event, and its code is read as an integer.
        let (code, partition, offset) = unsafe {
            (code_at(&raw const (*message).err), (*message).partition, (*message).offset)
        };
        ErrorCode::of(code)?;
        Ok((partition, Some(offset).filter(|offset| *offset >= 0)))
    }

    /// How long ago it was enqueued.
    pub(in crate::kafka) fn latency(&self) -> Duration {
        // SAFETY: the message lives as long as its event.
        let us = unsafe { rd::rd_kafka_message_latency(self.message.as_ptr()) };
        Duration::from_micros(u64::try_from(us).unwrap_or_default())
    }

    /// What is known of a message that has no offset.
    pub(in crate::kafka) fn trace(&self) -> Trace {
        use rd::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED as NOT_PERSISTED;
        let message = self.message.as_ptr();
        // SAFETY: the message lives as long as its event, and has as many bytes as it says.
        let (status, value) = unsafe {
            let value = bytes_at((*message).payload, (*message).len);
            (rd::rd_kafka_message_status(message), value)
        };
        Trace { digest: digest(value), may_be_stored: status != NOT_PERSISTED }
    }

    /// Takes its headers back.
    pub(in crate::kafka) fn take_headers(&self) -> Option<HeaderList> {
        // SAFETY: the message lives as long as its event, and this report is the only one that has it.
        unsafe { HeaderList::detach(self.message.as_ptr()) }
    }

    /// Its headers, in their order.
    #[cfg(test)]
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        // SAFETY: the message lives as long as its event.
        let headers = unsafe { super::headers::of(self.message.as_ptr()) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        headers.map(|(name, value)| (name.to_owned(), text(value))).collect()
    }
}

/// The events of a client, of which its listener is told from the first one on.
pub(in crate::kafka) struct Events<L: Listener> {
    queue: Queue,
    client: Arc<Client<L>>,
}

impl<L: Listener> Events<L> {
    /// Of a client. `None` if there is no memory.
    pub(in crate::kafka) fn of(client: &Arc<Client<L>>) -> Option<Self> {
        // SAFETY: the client is alive, and outlives the queue.
        let queue = unsafe { Queue::own(rd::rd_kafka_queue_get_main(client.ptr())) }?;
        let opaque = Arc::as_ptr(client.listener()).cast_mut().cast::<c_void>();
        // SAFETY: what `opaque` points to lives as long as the client, and thus longer than the queue.
        unsafe { rd::rd_kafka_queue_cb_event_enable(queue.ptr(), Some(tell::<L>), opaque) };
        Some(Self { queue, client: Arc::clone(client) })
    }

    /// Hands the next event to the listener; one event can hold many delivery reports.
    pub(in crate::kafka) fn take_next(&self, within: Duration) {
        if let Some(event) = self.queue.next(within) {
            event.hand_to(&**self.client.listener());
        }
    }

    /// Whether none waits.
    pub(in crate::kafka) fn are_taken(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Called when an event comes to an empty queue.
unsafe extern "C" fn tell<L: Listener>(_client: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: it points to the listener, as `Events::of` has it.
    unsafe { &*opaque.cast::<L>() }.wake();
}
