//! librdkafka, as far as the wrapper is not fit for it: the one module with `unsafe`.
//!
//! The wrapper makes an enum of each error code, and a code that it does not list is undefined behaviour
//! (SIGSEGV was seen). A broker may send any. So whatever carries a code is read here, and the codes
//! leave this module as integers: delivery reports, other events, metadata, offsets, records that were
//! read, the configuration of topics.
//!
//! Records are handed over without an allocation of our own. The wrapper makes a list of headers for each record (five allocations, freed on the polling
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
//! - Whoever librdkafka tells of an event lives longer than that: a [`Client`] holds its listener, and
//!   the queue of its [`Events`] takes the order back before it lets go of the client.
//! - A message lives as long as its event, and each of ours holds its event.
//! - A code is read as an integer, through the declarations in `c` or from its place in the memory.
#![allow(unsafe_code)]

mod c;
mod client;
mod code;
mod consumer;
mod events;
mod headers;
mod new_topic;
mod request;
mod topic_configs;
mod topic_descriptions;

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::bindings as rd;

pub(super) use client::{Client, Edge, Metadata, NotMade};
pub(super) use code::{Code, ErrorCode};
pub(super) use consumer::{Consumer, Fetched, FetchedRecord, PartitionQueue};
pub(super) use events::{DeliveryReport, Events, Listener};
pub(super) use headers::{HeaderList, HeaderPool};
pub(super) use topic_configs::TopicConfig;
pub(super) use topic_descriptions::{Rights, topic_ids, topic_rights};

// The types of the arguments of `rd_kafka_producev`.
use rd::rd_kafka_vtype_t as Argument;

/// `RD_KAFKA_PARTITION_UA`: the partitioner chooses.
pub(super) const UNASSIGNED: i32 = -1;

/// Why a record is refused, and its headers.
pub(super) type Refused = (ErrorCode, Option<HeaderList>);

/// A record as it is handed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handed<'r> {
    /// Number of the partition, or [`UNASSIGNED`].
    pub(super) partition: i32,
    /// Key.
    pub(super) key: Option<&'r [u8]>,
    /// Value.
    pub(super) value: Option<&'r [u8]>,
    /// Record timestamp, ms since 1970.
    pub(super) timestamp_ms: i64,
}

/// A topic of a client.
pub(super) struct Topic<L> {
    handle: NonNull<rd::rd_kafka_topic_t>,
    client: Arc<Client<L>>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl<L: Send + Sync> Send for Topic<L> {}

impl<L> Topic<L> {
    /// The topic of a name, with the client's own properties.
    ///
    /// # Errors
    /// What librdkafka says of a name that cannot be one.
    pub(super) fn new(client: &Arc<Client<L>>, name: &str) -> Result<Self, ErrorCode> {
        let name = client::c_name(name)?;
        // SAFETY: the client is alive, the name ends in a nul, and no configuration is handed over.
        let handle =
            unsafe { rd::rd_kafka_topic_new(client.ptr(), name.as_ptr(), ptr::null_mut()) };
        let Some(handle) = NonNull::new(handle) else {
            // SAFETY: no argument.
            ErrorCode::of(unsafe { c::rd_kafka_last_error() })?;
            return Err(Code::InvalidArgument.into());
        };
        Ok(Self { handle, client: Arc::clone(client) })
    }

    /// Enqueues a record, which is copied, and whose delivery report names `opaque`. The headers are
    /// given back if it is refused.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn produce(
        &self,
        record: &Handed<'_>,
        headers: Option<HeaderList>,
        opaque: usize,
    ) -> Result<(), Refused> {
        let bytes =
            |bytes: Option<&[u8]>| bytes.map_or((ptr::null(), 0), |b| (b.as_ptr(), b.len()));
        let (value, value_len) = bytes(record.value);
        let (key, key_len) = bytes(record.key);
        let list = headers.as_ref().map_or(ptr::null_mut(), |list| list.as_ptr());
        // SAFETY: client and topic are alive and belong together; the flag makes librdkafka copy the
        // bytes; the arguments have the types that their tags say.
        let code = unsafe {
            c::rd_kafka_producev(
                self.client.ptr(),
                Argument::RD_KAFKA_VTYPE_RKT,
                self.handle.as_ptr(),
                Argument::RD_KAFKA_VTYPE_PARTITION,
                record.partition,
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
        if let Err(code) = ErrorCode::of(code) {
            return Err((code, headers));
        }
        // The message owns them now.
        std::mem::forget(headers);
        Ok(())
    }
}

impl<L> Drop for Topic<L> {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and the client that it belongs to is alive.
        unsafe { rd::rd_kafka_topic_destroy(self.handle.as_ptr()) };
    }
}

/// A text of librdkafka; empty if there is none.
///
/// # Safety
/// It is null, or ends in a nul.
unsafe fn text_at(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller has it.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The bytes at a place; `None` if there are none, not even an empty list.
///
/// # Safety
/// It is null, or has so many bytes for as long as they are used.
unsafe fn bytes_at<'b>(place: *const c_void, len: usize) -> Option<&'b [u8]> {
    // SAFETY: as the caller has it.
    (!place.is_null()).then(|| unsafe { std::slice::from_raw_parts(place.cast::<u8>(), len) })
}

#[cfg(test)]
mod tests;
