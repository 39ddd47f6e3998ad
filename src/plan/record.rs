//! A record, ready to send.

use crate::event::Kind;

/// Name and value of a record header.
pub type Header<'a> = (&'static str, &'a str);

/// One record, ready to send. It borrows the plan and the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Which of the two events.
    pub kind: Kind,
    /// Topic.
    pub topic: &'a str,
    /// Key, unless left out.
    pub key: Option<&'a str>,
    /// Index of the pair in the run.
    pub seq: u64,
    /// Record timestamp, ms since 1970.
    pub timestamp_ms: i64,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    pub(crate) headers: Option<[Header<'a>; 3]>,
}

impl<'a> Record<'a> {
    /// The headers in their order; none if they are left out.
    #[must_use]
    pub fn headers(&self) -> &[Header<'a>] {
        self.headers.as_ref().map_or(&[], |headers| headers)
    }
}
