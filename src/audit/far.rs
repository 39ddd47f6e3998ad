//! Records far beyond all that is proved to be there, in a run whose length only its clock knew.
//!
//! A header claims any number. A usage proves it: its tokens are those of its pair. What is farther than a
//! million pairs beyond the last usage that is as it was sent waits for such a proof. A few of them wait;
//! more than that, and those that wait in vain, are none of the run's.

use super::record::{Owned, Read};

/// How far beyond the last proof a record is taken at once, pairs.
pub(super) const REACH: u64 = 1 << 20;

/// What records take that wait, bytes.
const MOST: usize = 4 << 20;

/// Records that wait for a proof, each with its pair.
#[derive(Debug, Default)]
pub(super) struct Far {
    /// One more than the highest place that is proved.
    proved: u64,
    waiting: Vec<(u64, u64, Owned)>,
    bytes: usize,
}

impl Far {
    /// The first place that is too far.
    pub(super) fn reach(&self) -> u64 {
        self.proved.saturating_add(REACH)
    }

    /// Keeps a record of the pair `seq`; whether there is room.
    pub(super) fn wait(&mut self, read: &Read<'_>, seq: u64, place: u64) -> bool {
        let owned = Owned::of(read);
        let size = owned.size();
        if self.bytes + size > MOST {
            return false;
        }
        self.bytes += size;
        self.waiting.push((seq, place, owned));
        true
    }

    /// Notes that the run has a pair at this place; returns what need not wait any longer.
    pub(super) fn prove(&mut self, place: u64) -> Vec<(u64, Owned)> {
        self.proved = self.proved.max(place.saturating_add(1));
        let reach = self.reach();
        if self.waiting.iter().all(|(_, place, _)| *place >= reach) {
            return Vec::new();
        }
        self.take(|place| place < reach)
    }

    /// All that waited in vain.
    pub(super) fn rest(&mut self) -> Vec<(u64, Owned)> {
        self.take(|_| true)
    }

    fn take(&mut self, is_taken: impl Fn(u64) -> bool) -> Vec<(u64, Owned)> {
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, place, _)| is_taken(*place));
        self.bytes = left.iter().map(|(.., owned)| owned.size()).sum();
        self.waiting = left;
        taken.into_iter().map(|(seq, _, owned)| (seq, owned)).collect()
    }
}
