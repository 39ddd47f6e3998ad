//! Header lists, used again once their record has its delivery report.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};

use rdkafka::bindings as rd;

use super::c;
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
            let code = unsafe {
                let value = value.as_ptr().cast::<c_void>();
                let name = name.as_ptr().cast();
                c::rd_kafka_header_add(list.as_ptr(), name, name_len, value, value_len)
            };
            if code != 0 {
                return None;
            }
        }
        Some(list)
    }

    /// What librdkafka calls it by. It stays ours.
    pub(super) fn as_ptr(&self) -> *mut rd::rd_kafka_headers_t {
        self.0.as_ptr()
    }

    /// Takes the headers back from a message whose delivery report came.
    ///
    /// # Safety
    /// The message is alive, and nobody else has it.
    pub(super) unsafe fn detach(message: *mut rd::rd_kafka_message_t) -> Option<Self> {
        let mut list = ptr::null_mut();
        // SAFETY: as the caller has it.
        let code = unsafe { c::rd_kafka_message_detach_headers(message, &raw mut list) };
        NonNull::new(list).filter(|_| code == 0).map(Self)
    }

    /// Where the value of the header at this position is.
    fn value(&self, position: usize) -> Option<ValueBytes> {
        // SAFETY: the list is ours.
        let (_, value, len) = unsafe { header_at(self.as_ptr(), position) }?;
        Some(ValueBytes { at: NonNull::new(value.cast_mut().cast())?, len })
    }
}

impl Drop for HeaderList {
    fn drop(&mut self) {
        // SAFETY: the list is ours, and no message has it.
        unsafe { rd::rd_kafka_headers_destroy(self.as_ptr()) };
    }
}

/// What a header's name reads as that is no text. It cannot be one of ours.
const NO_TEXT: &str = "(no UTF-8)";

/// The headers of a message, in their order.
///
/// # Safety
/// The message is alive for as long as they are used.
pub(super) unsafe fn of<'m>(
    message: *const rd::rd_kafka_message_t,
) -> impl Iterator<Item = (&'m str, &'m [u8])> {
    let mut list = ptr::null_mut();
    // SAFETY: as the caller has it. The list is the message's own.
    let code = unsafe { c::rd_kafka_message_headers(message, &raw mut list) };
    let list = NonNull::new(list).filter(|_| code == 0);
    // SAFETY: as the caller has it; a name ends in a nul, a value has as many bytes as it says.
    let header = move |position| unsafe {
        let (name, value, len) = header_at(list?.as_ptr(), position)?;
        let name = CStr::from_ptr(name).to_str().unwrap_or(NO_TEXT);
        let is_null = value.is_null();
        let value = if is_null { &[][..] } else { std::slice::from_raw_parts(value.cast(), len) };
        Some((name, value))
    };
    (0..).map_while(header)
}

/// Name and value of the header at this position, and the bytes of the value.
///
/// # Safety
/// The list is alive.
unsafe fn header_at(
    list: *const rd::rd_kafka_headers_t,
    position: usize,
) -> Option<(*const c_char, *const c_void, usize)> {
    let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
    // SAFETY: as the caller has it, and the three places are writable.
    let code = unsafe {
        let places = (&raw mut name, &raw mut value, &raw mut len);
        c::rd_kafka_header_get_all(list, position, places.0, places.1, places.2)
    };
    (code == 0).then_some((name, value, len))
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
