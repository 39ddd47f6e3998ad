//! Where a record can be in the log at the earliest.
//!
//! A record that is handed over when an offset is acknowledged gets a higher one. So now and then it
//! is noted how far the acknowledgements are; a note is kept for as long as a record in flight may
//! need it, and for good once a record ended without an acknowledgement.

use std::collections::VecDeque;

use super::Offsets;

/// How far the acknowledgements were.
#[derive(Debug)]
pub(super) struct Notes {
    /// The index of the next pair, and the offsets behind the last acknowledged ones.
    kept: VecDeque<(u64, Offsets)>,
    pinned: Option<Offsets>,
}

impl Default for Notes {
    /// Before the first record nothing is acknowledged.
    fn default() -> Self {
        Self { kept: VecDeque::from([(0, Offsets::default())]), pinned: None }
    }
}

impl Notes {
    /// The records of this index and higher ones are not handed over yet, and `oldest` is the oldest in
    /// flight.
    pub(super) fn note(&mut self, index: u64, oldest: u64, offsets: impl FnOnce() -> Offsets) {
        if self.pinned.is_some() {
            return;
        }
        self.kept.push_back((index, offsets()));
        while self.kept.get(1).is_some_and(|(at, _)| *at <= oldest) {
            self.kept.pop_front();
        }
    }

    /// A record that was in flight ended without an acknowledgement: the oldest note is older than it,
    /// and than every such record that follows.
    pub(super) fn pin(&mut self) {
        if self.pinned.is_none() {
            self.pinned = self.kept.pop_front().map(|(_, offsets)| offsets);
            self.kept.clear();
        }
    }

    /// From where every record without an acknowledgement is to be looked for.
    pub(super) fn from(&self) -> Offsets {
        let oldest = || self.kept.front().map(|(_, offsets)| offsets.clone());
        self.pinned.clone().or_else(oldest).unwrap_or_default()
    }
}
