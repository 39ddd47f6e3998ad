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
//!   Nobody else reads it then: a message is written to its batch before its delivery report comes.
//! - The opaque of a message is a number, never a pointer. Nothing is freed by it, and a message without
//!   a delivery report leaks nothing.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::{IsError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaRespErr;

use crate::plan::{FAULT, Header, Record};

/// The name of the header that differs from record to record.
const SEQ: (&str, &CStr) = ("seq", c"seq");

// The types of the arguments of `rd_kafka_producev`.
use rd::rd_kafka_vtype_t as Argument;

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
    ) -> Result<(), (RDKafkaErrorCode, Option<HeaderList>)> {
        let bytes =
            |bytes: Option<&[u8]>| bytes.map_or((ptr::null(), 0), |b| (b.as_ptr(), b.len()));
        let (value, value_len) = bytes(record.value);
        let (key, key_len) = bytes(record.key.map(str::as_bytes));
        let list = headers.as_ref().map_or(ptr::null_mut(), |list| list.0.as_ptr());
        // SAFETY: client and topic are alive and belong together; the flag makes librdkafka copy the
        // bytes; the arguments have the types that their tags say.
        let error = unsafe {
            rd::rd_kafka_producev(
                self.client.client().native_ptr(),
                Argument::RD_KAFKA_VTYPE_RKT,
                self.handle.as_ptr(),
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

/// The headers of one record.
#[derive(Debug)]
pub(super) struct HeaderList(NonNull<rd::rd_kafka_headers_t>);

// SAFETY: a list belongs to one owner at a time and to no thread.
unsafe impl Send for HeaderList {}

impl HeaderList {
    /// A list of headers in their order. `None` if there is no memory.
    pub(super) fn new(headers: &[Header<'_>]) -> Option<Self> {
        // SAFETY: no pointer is handed over.
        let list = Self(NonNull::new(unsafe { rd::rd_kafka_headers_new(headers.len()) })?);
        for (name, value) in headers {
            let [name_len, value_len] =
                [name.len(), value.len()].map(|len| isize::try_from(len).unwrap_or(isize::MAX));
            // SAFETY: the list is ours; name and value are copied, as many bytes as they have.
            let error = unsafe {
                let value = value.as_ptr().cast::<c_void>();
                rd::rd_kafka_header_add(
                    list.0.as_ptr(),
                    name.as_ptr().cast(),
                    name_len,
                    value,
                    value_len,
                )
            };
            if error.is_error() {
                return None;
            }
        }
        Some(list)
    }

    /// Overwrites the value of `seq`. Whether it could: only a value of the same length fits.
    fn set_seq(&mut self, seq: &str) -> bool {
        let (mut value, mut len) = (ptr::null::<c_void>(), 0);
        // SAFETY: the list is ours, the name ends in a nul, and both places are writable.
        let error = unsafe {
            rd::rd_kafka_header_get_last(
                self.0.as_ptr(),
                SEQ.1.as_ptr(),
                &raw mut value,
                &raw mut len,
            )
        };
        if error.is_error() || value.is_null() || len != seq.len() {
            return false;
        }
        // SAFETY: the value has `len` bytes in the list's own memory, which nobody else reads while the
        // list is ours.
        unsafe { ptr::copy_nonoverlapping(seq.as_ptr(), value.cast_mut().cast::<u8>(), len) };
        true
    }
}

impl Drop for HeaderList {
    fn drop(&mut self) {
        // SAFETY: the list is ours, and no message has it.
        unsafe { rd::rd_kafka_headers_destroy(self.0.as_ptr()) };
    }
}

/// Takes the headers back from a message whose delivery report came.
pub(super) fn take_headers(message: &BorrowedMessage<'_>) -> Option<HeaderList> {
    let mut list = ptr::null_mut();
    // SAFETY: the message is alive, and the report is the only one that has it.
    let error = unsafe { rd::rd_kafka_message_detach_headers(message.ptr(), &raw mut list) };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    NonNull::new(list).map(HeaderList)
}

/// How long ago a message was enqueued.
pub(super) fn latency(message: &BorrowedMessage<'_>) -> Duration {
    // SAFETY: the message is alive.
    let us = unsafe { rd::rd_kafka_message_latency(message.ptr()) };
    Duration::from_micros(u64::try_from(us).unwrap_or_default())
}

/// Header lists that are used again. All have the same headers but for `seq`.
#[derive(Debug, Default)]
pub(super) struct HeaderPool {
    /// Names and values of the first record.
    first: Vec<(&'static str, String)>,
    free: Vec<HeaderList>,
}

impl HeaderPool {
    /// The headers of a record, and whether the list may come back to the pool. `refill` is asked for
    /// lists that came back.
    pub(super) fn list(
        &mut self,
        headers: &[Header<'_>],
        refill: impl FnOnce(&mut Vec<HeaderList>),
    ) -> (Option<HeaderList>, bool) {
        // A record with a header of its own is no model for the others.
        if self.first.is_empty() && headers.iter().all(|(name, _)| *name != FAULT) {
            self.first = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        }
        let same = |((name, value), (first, was)): (&Header<'_>, &(&str, String))| {
            name == first && (value == was || *name == SEQ.0)
        };
        let fits = headers.len() == self.first.len() && headers.iter().zip(&self.first).all(same);
        if !fits {
            return (HeaderList::new(headers), false);
        }
        if self.free.is_empty() {
            refill(&mut self.free);
        }
        let seq = headers.iter().find(|(name, _)| *name == SEQ.0).map(|(_, value)| *value);
        let used = self.free.pop().filter(|_| seq.is_some());
        let again = used.and_then(|mut list| list.set_seq(seq.unwrap_or_default()).then_some(list));
        (again.or_else(|| HeaderList::new(headers)), true)
    }

    /// Takes a list back that was not sent.
    pub(super) fn put(&mut self, list: HeaderList) {
        self.free.push(list);
    }
}

#[cfg(test)]
mod tests;
