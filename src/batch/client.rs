//! What of a batch stays open until it is reported.

use std::io;

use crate::host::reporter::{self, Reporter};
use crate::host::spool::Spool;
use crate::kafka::producer::KafkaSink;

/// What stays open until the run is reported: closing the client takes a while if records are still in
/// its queue, and systemd is told last.
#[derive(Debug, Default)]
pub struct Client {
    pub(super) sink: Option<KafkaSink>,
    /// Where the answer key is to be written.
    pub(super) spool: Option<Spool>,
    /// What became of that.
    pub(super) key: Option<io::Result<Spool>>,
    pub(super) reporter: Option<Reporter>,
    /// Whether the run describes itself in `RUN_TOPIC`.
    pub(super) is_announced: bool,
}

impl Client {
    /// A client whose run writes its answer key there, if anywhere.
    #[must_use]
    pub fn with_key(spool: Option<Spool>) -> Self {
        Self { spool, ..Self::default() }
    }

    /// The answer key that was written, if one was, or why it could not be.
    pub fn take_key(&mut self) -> Option<io::Result<Spool>> {
        self.key.take()
    }

    /// Whether the run has described itself in `RUN_TOPIC`, so that its end belongs there, too.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// Leaves stderr to whoever has something to say now.
    pub fn clear_bar(&self) {
        self.reporter.iter().for_each(Reporter::clear_bar);
    }

    /// Tells systemd how the run ended.
    pub fn tell(&mut self, status: &str, errno: Option<u32>) {
        match self.reporter.take() {
            Some(reporter) => reporter.finish(status, errno),
            None => reporter::last_words(status, errno),
        }
    }

    /// Closes the connections.
    pub fn close(self) {
        if let Some(sink) = self.sink {
            sink.close();
        }
    }
}
