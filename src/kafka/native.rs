//! Hands records to librdkafka without an allocation of our own: the one module with `unsafe`.
//!
//! The wrapper makes a list of headers for each record (five allocations, freed on the polling
//! thread), a `Box` for its delivery report and a C string of its topic, whose handle librdkafka then
//! looks up under the client's write lock. `benches/sending.py` shows what that costs.
//!
//! What holds, and where:
//!
//! - A [`Topic`] lives at most as long as its client, because it holds it. Its handle comes from
//!   `rd_kafka_topic_new` and is destroyed once.
//! - A [`HeaderList`] is owned by exactly one: by us, or by a message. `rd_kafka_producev` takes it over
//!   only if it returns no error (librdkafka from 2.12.0 on, for every error; the vendored version is
//!   2.12.1). `rd_kafka_message_detach_headers` gives it back: the message forgets it, and its
//!   destruction frees nothing. Both are tested below, with a record that is refused.
//! - The value of a header is overwritten only while the list is ours and only with as many bytes.
//!   Nobody else reads it then: a message is written to its batch before its delivery report comes. A
//!   list that is ours is not changed in another way, so the place of a value in it stays.
//! - The opaque of a message is a number, never a pointer. Nothing is freed by it, and a message without
//!   a delivery report leaks nothing.
//! - Whoever librdkafka tells of an event lives longer than that: [`Events`] holds the client's
//!   context, and takes the order back before it lets go of it.
#![allow(unsafe_code)]

mod ends;
mod events;
mod headers;
mod topic_ids;

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::{IsError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use crate::delivery::{Trace, digest};
use crate::plan::Record;
pub(super) use ends::{Edge, edges, ends};
pub(super) use events::{Events, Wake};
pub(super) use headers::{HeaderList, HeaderPool, take_headers};
pub(super) use topic_ids::topic_ids;

// The types of the arguments of `rd_kafka_producev`.
use rd::rd_kafka_vtype_t as Argument;

/// `RD_KAFKA_PARTITION_UA`: the partitioner chooses.
const UNASSIGNED: i32 = -1;

/// Why a record is refused, and its headers.
pub(super) type Refused = (RDKafkaErrorCode, Option<HeaderList>);

/// A topic of a client.
pub(super) struct Topic<C: ProducerContext + 'static> {
    handle: NonNull<rd::rd_kafka_topic_t>,
    client: Arc<BaseProducer<C>>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl<C: ProducerContext> Send for Topic<C> {}

impl<C: ProducerContext> Topic<C> {
    /// The topic of a name, with the client's own properties.
    ///
    /// # Errors
    /// What librdkafka says of a name that cannot be one.
    pub(super) fn new(client: &Arc<BaseProducer<C>>, name: &str) -> Result<Self, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
        // SAFETY: the client is alive, the name ends in a nul, and no configuration is handed over.
        let handle = unsafe {
            rd::rd_kafka_topic_new(client.client().native_ptr(), name.as_ptr(), ptr::null_mut())
        };
        // SAFETY: no argument.
        let error = || unsafe { rd::rd_kafka_last_error() };
        let handle = NonNull::new(handle).ok_or_else(|| RDKafkaErrorCode::from(error()))?;
        Ok(Self { handle, client: Arc::clone(client) })
    }

    /// Enqueues a record, which is copied, and whose delivery report names `opaque`. The headers are
    /// given back if it is refused.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn produce(
        &self,
        record: &Record<'_>,
        headers: Option<HeaderList>,
        opaque: usize,
    ) -> Result<(), Refused> {
        self.produce_to(UNASSIGNED, record, headers, opaque)
    }

    /// The same, to a partition of the caller's choice.
    fn produce_to(
        &self,
        partition: i32,
        record: &Record<'_>,
        headers: Option<HeaderList>,
        opaque: usize,
    ) -> Result<(), Refused> {
        let bytes =
            |bytes: Option<&[u8]>| bytes.map_or((ptr::null(), 0), |b| (b.as_ptr(), b.len()));
        let (value, value_len) = bytes(record.value);
        let (key, key_len) = bytes(record.key.map(str::as_bytes));
        let list = headers.as_ref().map_or(ptr::null_mut(), |list| list.as_ptr());
        // SAFETY: client and topic are alive and belong together; the flag makes librdkafka copy the
        // bytes; the arguments have the types that their tags say.
        let error = unsafe {
            rd::rd_kafka_producev(
                self.client.client().native_ptr(),
                Argument::RD_KAFKA_VTYPE_RKT,
                self.handle.as_ptr(),
                Argument::RD_KAFKA_VTYPE_PARTITION,
                partition,
                Argument::RD_KAFKA_VTYPE_MSGFLAGS,
                rd::RD_KAFKA_MSG_F_COPY,
                Argument::RD_KAFKA_VTYPE_VALUE,
                value.cast::<c_void>(),
                value_len,
                Argument::RD_KAFKA_VTYPE_KEY,
                key.cast::<c_void>(),
                key_len,
                Argument::RD_KAFKA_VTYPE_OPAQUE,
                opaque as *mut c_void,
                Argument::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp_ms,
                Argument::RD_KAFKA_VTYPE_HEADERS,
                list,
                Argument::RD_KAFKA_VTYPE_END,
            )
        };
        if error.is_error() {
            return Err((error.into(), headers));
        }
        // The message owns them now.
        std::mem::forget(headers);
        Ok(())
    }
}

impl<C: ProducerContext + 'static> Drop for Topic<C> {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and the client that it belongs to is alive.
        unsafe { rd::rd_kafka_topic_destroy(self.handle.as_ptr()) };
    }
}

/// How long ago a message was enqueued.
pub(super) fn latency(message: &BorrowedMessage<'_>) -> Duration {
    // SAFETY: the message is alive.
    let us = unsafe { rd::rd_kafka_message_latency(message.ptr()) };
    Duration::from_micros(u64::try_from(us).unwrap_or_default())
}

/// What is known of a message of ours that has no offset.
pub(super) fn trace(message: &BorrowedMessage<'_>) -> Trace {
    use rd::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED as NOT_PERSISTED;
    // SAFETY: the message is alive.
    let status = unsafe { rd::rd_kafka_message_status(message.ptr()) };
    Trace { digest: digest(message.payload()), may_be_stored: status != NOT_PERSISTED }
}

/// The epoch of the leader that wrote a message, where the broker tells.
pub(super) fn leader_epoch(message: &BorrowedMessage<'_>) -> Option<i32> {
    // SAFETY: the message is alive.
    let epoch = unsafe { rd::rd_kafka_message_leader_epoch(message.ptr()) };
    (epoch >= 0).then_some(epoch)
}

#[cfg(test)]
mod tests;
