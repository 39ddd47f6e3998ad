//! What is kept from one pair to the next.

use super::gpu::{Reading, Work};
use super::load::Minute;
use super::slots::Slots;
use super::timeline::Drive;
use super::{Workload, amid, tokens};

/// What a GPU does in a second, whoever asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Second {
    pub(super) work: Work,
    pub(super) reading: Reading,
    /// What the latencies of its minute have in common: a standard normal number.
    pub(super) latency: f64,
}

/// What a workload computed for the pairs before, so that it need not compute it again.
///
/// A caller keeps one and hands it in with every call. Results never depend on what is in it: each
/// value is there under all that it is computed from.
#[derive(Debug, Default)]
pub struct Recent<'w>(Option<Known<'w>>);

/// What is known of one workload.
#[derive(Debug)]
pub(super) struct Known<'w> {
    /// Whose values these are. As long as it is borrowed, no other workload has its address.
    of: &'w Workload,
    /// How the hour of the last pair drives the load.
    pub(super) drive: Drive,
    /// What was drawn for each GPU and its last minute.
    pub(super) minutes: Slots<(usize, i64), Minute>,
    /// What each GPU did in its last second: at full speed thousands of pairs share one.
    pub(super) seconds: Slots<(usize, i64), Second>,
    pub(super) tokens: tokens::Recent,
    pub(super) amid: amid::Recent,
}

impl<'w> Recent<'w> {
    /// What is known of this workload; another's is forgotten.
    pub(super) fn of(&mut self, workload: &'w Workload) -> &mut Known<'w> {
        if !self.0.as_ref().is_some_and(|known| std::ptr::eq(known.of, workload)) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| Known {
            of: workload,
            drive: Drive::default(),
            minutes: Slots::new(workload.loads.len() * workload.members.len()),
            seconds: Slots::new(workload.loads.len() * workload.members.len()),
            tokens: tokens::Recent::default(),
            amid: amid::Recent::default(),
        })
    }
}
