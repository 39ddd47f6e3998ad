//! Header lists, used again once their record has its delivery report.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use rdkafka::bindings as rd;
use rdkafka::error::IsError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;

use crate::plan::{FAULT, Header};

/// The name of the header that differs from record to record.
const SEQ: &str = "seq";

/// The headers of one record.
#[derive(Debug)]
pub(in crate::kafka) struct HeaderList(NonNull<rd::rd_kafka_headers_t>);

// SAFETY: a list belongs to one owner at a time and to no thread.
unsafe impl Send for HeaderList {}

impl HeaderList {
    /// A list of headers in their order. `None` if there is no memory.
    pub(in crate::kafka) fn new(headers: &[Header<'_>]) -> Option<Self> {
        // SAFETY: no pointer is handed over.
        let list = Self(NonNull::new(unsafe { rd::rd_kafka_headers_new(headers.len()) })?);
        for (name, value) in headers {
            let [name_len, value_len] =
                [name.len(), value.len()].map(|len| isize::try_from(len).unwrap_or(isize::MAX));
            // SAFETY: the list is ours; name and value are copied, as many bytes as they have.
            let error = unsafe {
                let value = value.as_ptr().cast::<c_void>();
                let name = name.as_ptr().cast();
                rd::rd_kafka_header_add(list.as_ptr(), name, name_len, value, value_len)
            };
            if error.is_error() {
                return None;
            }
        }
        Some(list)
    }

    /// What librdkafka calls it by. It stays ours.
    pub(super) fn as_ptr(&self) -> *mut rd::rd_kafka_headers_t {
        self.0.as_ptr()
    }

    /// Where the value of the header at this position is.
    fn value(&self, position: usize) -> Option<ValueBytes> {
        let (mut name, mut value, mut len) = (ptr::null(), ptr::null::<c_void>(), 0);
        // SAFETY: the list is ours, and the three places are writable.
        let error = unsafe {
            let places = (&raw mut name, &raw mut value, &raw mut len);
            rd::rd_kafka_header_get_all(self.as_ptr(), position, places.0, places.1, places.2)
        };
        if error.is_error() {
            return None;
        }
        Some(ValueBytes { at: NonNull::new(value.cast_mut().cast())?, len })
    }
}

impl Drop for HeaderList {
    fn drop(&mut self) {
        // SAFETY: the list is ours, and no message has it.
        unsafe { rd::rd_kafka_headers_destroy(self.as_ptr()) };
    }
}

/// Takes the headers back from a message whose delivery report came.
pub(in crate::kafka) fn take_headers(message: &BorrowedMessage<'_>) -> Option<HeaderList> {
    let mut list = ptr::null_mut();
    // SAFETY: the message is alive, and the report is the only one that has it.
    let error = unsafe { rd::rd_kafka_message_detach_headers(message.ptr(), &raw mut list) };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    NonNull::new(list).map(HeaderList)
}

/// The bytes of a value in a header list.
#[derive(Debug)]
struct ValueBytes {
    at: NonNull<u8>,
    len: usize,
}

/// A list that can be used again, with the place of its `seq`.
#[derive(Debug)]
struct Free {
    list: HeaderList,
    seq: ValueBytes,
}

// SAFETY: the place is in the list, which belongs to no thread.
unsafe impl Send for Free {}

impl Free {
    /// The list with another `seq`, if that has as many bytes.
    fn with_seq(self, seq: &str) -> Option<HeaderList> {
        if self.seq.len != seq.len() {
            return None;
        }
        // SAFETY: the value has `len` bytes in the list's own memory, which nobody else reads while the
        // list is ours.
        unsafe { ptr::copy_nonoverlapping(seq.as_ptr(), self.seq.at.as_ptr(), self.seq.len) };
        Some(self.list)
    }
}

/// Header lists that are used again. All have the same headers but for `seq`.
#[derive(Debug, Default)]
pub(in crate::kafka) struct HeaderPool {
    /// Names and values of the first record.
    first: Vec<(&'static str, String)>,
    /// Which of them is `seq`.
    seq: usize,
    free: Vec<Free>,
    /// Lists that came back, on their way to `free`.
    returned: Vec<HeaderList>,
}

impl HeaderPool {
    /// The headers of a record, and whether the list may come back to the pool. `refill` is asked for
    /// lists that came back.
    pub(in crate::kafka) fn list(
        &mut self,
        headers: &[Header<'_>],
        refill: impl FnOnce(&mut Vec<HeaderList>),
    ) -> (Option<HeaderList>, bool) {
        // A record with a header of its own is no model for the others.
        if self.first.is_empty()
            && headers.iter().all(|(name, _)| *name != FAULT)
            && let Some(seq) = headers.iter().position(|(name, _)| *name == SEQ)
        {
            self.first = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            self.seq = seq;
        }
        let same =
            |(at, ((name, value), (first, was))): (usize, (&Header<'_>, &(&str, String)))| {
                name == first && (at == self.seq || value == was)
            };
        let fits = !self.first.is_empty()
            && headers.len() == self.first.len()
            && headers.iter().zip(&self.first).enumerate().all(same);
        if !fits {
            return (HeaderList::new(headers), false);
        }
        if self.free.is_empty() {
            refill(&mut self.returned);
            // All at once: the processor waits for the memory of several lists at the same time.
            self.free.extend(self.returned.drain(..).filter_map(|list| {
                let seq = list.value(self.seq)?;
                Some(Free { list, seq })
            }));
        }
        let again = self.free.pop().and_then(|free| free.with_seq(headers[self.seq].1));
        (again.or_else(|| HeaderList::new(headers)), true)
    }

    /// Takes a list back that was not sent.
    pub(in crate::kafka) fn put(&mut self, list: HeaderList) {
        self.returned.push(list);
    }

    /// Lists that wait to be used again.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.free.len() + self.returned.len()
    }
}
