//! A sink that writes the answer key of what goes through it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::time::Duration;

use super::AnswerKey;
use crate::plan::{Emission, Record};
use crate::send_loop::{QueueFull, Sink};

/// A sink, and the answer key of what it takes.
#[derive(Debug)]
pub struct Keyed<'k, 'p, S, W> {
    sink: &'k S,
    /// Or why it could not be written on: the run goes on without it.
    key: RefCell<io::Result<AnswerKey<'p, W>>>,
}

impl<'k, 'p, S, W: Write> Keyed<'k, 'p, S, W> {
    /// Writes the key of what `sink` takes, which has been begun.
    pub fn new(sink: &'k S, key: io::Result<AnswerKey<'p, W>>) -> Self {
        Self { sink, key: RefCell::new(key) }
    }

    /// Ends the key; its writer.
    ///
    /// # Errors
    /// What the writer said first.
    pub fn finish(self) -> io::Result<W> {
        self.key.into_inner()?.finish()
    }
}

impl<S: Sink, W: Write> Sink for Keyed<'_, '_, S, W> {
    fn try_send(&self, record: &Record<'_>, late_by: Duration) -> Result<(), QueueFull> {
        self.sink.try_send(record, late_by)
    }

    fn had_turn(&self, emission: &Emission, record: &Record<'_>) {
        let key = &mut *self.key.borrow_mut();
        if let Ok(open) = key
            && let Err(error) = open.see(emission, record)
        {
            *key = Err(error);
        }
    }

    fn take_in(&self) {
        self.sink.take_in();
    }

    fn answered(&self) -> impl Future<Output = ()> {
        self.sink.answered()
    }

    fn in_flight(&self) -> u64 {
        self.sink.in_flight()
    }

    fn silent_for(&self) -> Duration {
        self.sink.silent_for()
    }

    fn is_fatal(&self) -> bool {
        self.sink.is_fatal()
    }
}
