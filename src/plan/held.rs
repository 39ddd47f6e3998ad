//! Records that are held back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::event::Kind;

/// A record that is held back until `until`. In their order each is what stands here first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held<T> {
    pub(super) until: T,
    pub(super) seq: u64,
    pub(super) kind: Kind,
    pub(super) is_copy: bool,
    pub(super) due: Duration,
}

impl Held<u64> {
    /// Without the pair that it waits for.
    pub(super) fn untimed(self) -> Held<Duration> {
        let Self { seq, kind, is_copy, due, .. } = self;
        Held { until: due, seq, kind, is_copy, due }
    }
}

/// The first that is held back no longer than until then.
pub(super) fn pop_until<T: Ord + Copy>(
    heap: &mut BinaryHeap<Reverse<Held<T>>>,
    now: &T,
) -> Option<Held<T>> {
    let Reverse(first) = heap.peek()?;
    if first.until > *now {
        return None;
    }
    heap.pop().map(|Reverse(held)| held)
}
