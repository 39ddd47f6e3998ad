//! Log lines on their way to whoever writes them. Nobody who logs waits here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Level;

use super::SUMMARY;
use super::entry::Entry;

/// Lines that may wait for a slow reader; a run says far fewer.
const BOUND: usize = 1024;

/// How many lines of each level were dropped.
pub(super) type Dropped = BTreeMap<Level, u64>;

/// What is to be written next.
#[derive(Debug)]
pub(super) enum Next {
    Line(Entry),
    /// Nobody took these lines in time.
    Dropped(Dropped),
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: VecDeque<Entry>,
    /// The summary and what follows it, and errors at the end: few lines, and never dropped.
    last: VecDeque<Entry>,
    dropped: Dropped,
    concluded: bool,
    writing: bool,
}

impl Queue {
    pub(super) const fn new() -> Self {
        let state = State {
            lines: VecDeque::new(),
            last: VecDeque::new(),
            dropped: Dropped::new(),
            concluded: false,
            writing: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line, or counts it as dropped.
    pub(super) fn push(&self, entry: Entry) {
        self.state().push(entry);
        self.changed.notify_all();
    }

    /// Waits for what is to be written next. While `has_room` says no, that is the last lines alone,
    /// and it is asked again and again.
    pub(super) fn next(&self, has_room: impl Fn() -> bool, ask_every: Duration) -> Next {
        self.written();
        loop {
            let has_room = has_room();
            let mut state = self.state();
            if let Some(next) = state.next(has_room) {
                state.writing = true;
                return next;
            }
            if state.lines.is_empty() {
                drop(self.changed.wait(state));
            } else {
                drop(self.changed.wait_timeout(state, ask_every));
            }
        }
    }

    fn written(&self) {
        self.state().writing = false;
        self.changed.notify_all();
    }

    /// Waits until everything is written, but not for ever. Says whether it is.
    pub(super) fn wait(&self, within: Duration) -> bool {
        let wait = self.changed.wait_timeout_while(self.state(), within, |state| !state.is_done());
        wait.unwrap_or_else(PoisonError::into_inner).0.is_done()
    }

    /// Gives up what still waits, but for errors and the last lines.
    pub(super) fn shed(&self) {
        self.state().shed();
        self.changed.notify_all();
    }
}

impl State {
    fn push(&mut self, entry: Entry) {
        self.concluded |= entry.metadata.target() == SUMMARY;
        if self.concluded {
            if is_last_word(&entry) {
                self.last.push_back(entry);
            }
        } else if self.lines.len() < BOUND {
            self.lines.push_back(entry);
        } else {
            self.lose(&entry);
        }
    }

    fn shed(&mut self) {
        let is_error = |line: &Entry| *line.metadata.level() == Level::ERROR;
        let lines = std::mem::take(&mut self.lines).into_iter();
        let (mut kept, given_up): (VecDeque<_>, VecDeque<_>) = lines.partition(is_error);
        kept.append(&mut self.last);
        self.last = kept;
        given_up.iter().for_each(|line| self.lose(line));
    }

    fn lose(&mut self, entry: &Entry) {
        *self.dropped.entry(*entry.metadata.level()).or_default() += 1;
    }

    fn next(&mut self, has_room: bool) -> Option<Next> {
        if !self.lines.is_empty() {
            return if has_room { self.lines.pop_front().map(Next::Line) } else { None };
        }
        // Whoever reads has caught up, or is not waited for any more.
        if !self.dropped.is_empty() {
            return Some(Next::Dropped(std::mem::take(&mut self.dropped)));
        }
        self.last.pop_front().map(Next::Line)
    }

    fn is_done(&self) -> bool {
        let is_empty = self.lines.is_empty() && self.last.is_empty() && self.dropped.is_empty();
        is_empty && !self.writing
    }
}

/// The summary and the process's own problems: the client library may still have something to say of
/// a run whose summary is out.
fn is_last_word(entry: &Entry) -> bool {
    let target = entry.metadata.target();
    let is_own = target.starts_with(env!("CARGO_CRATE_NAME"));
    target == SUMMARY || (is_own && *entry.metadata.level() <= Level::WARN)
}
