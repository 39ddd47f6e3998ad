//! The records of a run in the order in which they are to be sent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::Plan;
use super::held::{Held, pop_until};
use crate::event::Kind;
use crate::faults::{Armed, Fault, FaultSet, Hold};
use crate::workload::arrivals::{Due, Schedule};

/// One record that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emission {
    /// Time from the start of the run (or from `EVENT_START`) to the record.
    pub scheduled: Duration,
    /// Time from there to the pair: earlier than `scheduled` if the record is held back.
    pub due: Duration,
    /// Index of the pair in the run, from 0.
    pub seq: u64,
    /// Which of the pair's two events.
    pub kind: Kind,
    /// How many records of its topic this process sends before it.
    pub place: u64,
    /// The faults in force at this record.
    pub faults: FaultSet,
    /// What becomes of it now.
    pub act: Act,
    /// Whether the same record comes again: what is held back, and what has a copy.
    pub comes_again: bool,
    begins_pair: bool,
}

/// What becomes of a record at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is sent.
    Send,
    /// It is held back, and comes again later. Its pair has its time now.
    Hold,
    /// It is dropped.
    Drop,
}

impl Emission {
    /// The record of a pair without faults.
    #[must_use]
    pub(crate) fn clean(due: Due, kind: Kind, place: u64) -> Self {
        Self {
            scheduled: due.offset,
            due: due.offset,
            seq: due.seq,
            kind,
            place,
            faults: FaultSet::NONE,
            act: Act::Send,
            comes_again: false,
            begins_pair: kind == Kind::BOTH[0],
        }
    }

    /// Whether it is the first record of its pair, or comes apart from it.
    #[must_use]
    pub fn begins_pair(&self) -> bool {
        self.begins_pair
    }

    /// Whether it comes apart from its pair, after the pair's own time.
    #[must_use]
    pub fn comes_apart(&self) -> bool {
        self.faults.has(Fault::Duplicate) || (self.act == Act::Send && self.faults.is_held())
    }
}

/// Every emission of a process: see [`Plan::emissions`](super::Plan::emissions).
pub(super) enum Emissions<'p, C> {
    /// Without faults.
    Clean(C),
    /// With faults or incidents.
    Faulty(Box<Faulty<'p>>),
}

impl<C: Iterator<Item = Emission>> Iterator for Emissions<'_, C> {
    type Item = Emission;

    fn next(&mut self) -> Option<Emission> {
        match self {
            Self::Clean(clean) => clean.next(),
            Self::Faulty(faulty) => faulty.next(),
        }
    }
}

/// The emissions of a plan with faults or incidents. What it holds back is bounded by the settings.
pub(super) struct Faulty<'p> {
    plan: &'p Plan,
    armed: &'p Armed,
    schedule: Schedule,
    /// The next pair.
    next: Option<Due>,
    /// The time of the last one.
    last: Duration,
    ready: VecDeque<Emission>,
    /// Held back until a time.
    timed: BinaryHeap<Reverse<Held<Duration>>>,
    /// Held back until a pair has passed.
    counted: BinaryHeap<Reverse<Held<u64>>>,
    /// Records of each topic that are sent so far.
    places: [u64; 2],
}

impl<'p> Faulty<'p> {
    pub(super) fn new(plan: &'p Plan, mut schedule: Schedule) -> Self {
        let next = schedule.next();
        Self {
            plan,
            armed: &plan.faults,
            schedule,
            next,
            last: Duration::ZERO,
            ready: VecDeque::new(),
            timed: BinaryHeap::new(),
            counted: BinaryHeap::new(),
            places: [0; 2],
        }
    }

    /// Makes what comes next ready; `false` if nothing does.
    fn advance(&mut self) -> bool {
        let Some(due) = self.next else {
            let until = |held: Held<u64>, last| Held { until: last, ..held.untimed() };
            return if let Some(Reverse(held)) = self.counted.pop() {
                self.release(until(held, self.last));
                true
            } else if let Some(Reverse(held)) = self.timed.pop() {
                self.release(held);
                true
            } else {
                false
            };
        };
        if let Some(held) = pop_until(&mut self.timed, &due.offset) {
            self.release(held);
            return true;
        }
        self.pair(due);
        while let Some(held) = pop_until(&mut self.counted, &due.seq) {
            self.release(Held { until: due.offset, ..held.untimed() });
        }
        (self.next, self.last) = (self.schedule.next(), due.offset);
        true
    }

    /// Makes the records of a pair ready.
    fn pair(&mut self, due: Due) {
        let sets = self.armed.of_pair(due.seq);
        let [usage, metric] = self.plan.sends(due);
        for (kind, faults) in Kind::BOTH.into_iter().zip(sets) {
            if !(if kind == Kind::Metric { metric } else { usage }) {
                continue;
            }
            let mut emission = Emission::clean(due, kind, 0);
            emission.begins_pair |= !metric;
            if !faults.is_empty() {
                emission.faults = faults.without(Fault::Duplicate);
                emission.act = self.act(due, kind, faults);
                emission.comes_again = emission.act == Act::Hold || faults.has(Fault::Duplicate);
                if emission.act == Act::Send {
                    self.plan_copy(&emission, faults);
                }
            }
            self.push(emission);
        }
    }

    /// What becomes of a record at its pair's time.
    fn act(&mut self, due: Due, kind: Kind, faults: FaultSet) -> Act {
        if faults.has(Fault::Drop) {
            return Act::Drop;
        }
        let Due { seq, offset } = due;
        match self.armed.hold(seq, kind, faults) {
            None => return Act::Send,
            Some(Hold::Time(time)) => {
                let until = offset.saturating_add(time);
                self.timed.push(Reverse(Held { until, seq, kind, is_copy: false, due: offset }));
            }
            Some(Hold::Pairs(pairs)) => {
                let until = seq.saturating_add(pairs);
                self.counted.push(Reverse(Held { until, seq, kind, is_copy: false, due: offset }));
            }
        }
        Act::Hold
    }

    /// Holds the copy of a record back that is sent now, if it has one.
    fn plan_copy(&mut self, emission: &Emission, faults: FaultSet) {
        let Emission { scheduled, due, seq, kind, .. } = *emission;
        if let Some(after) = self.armed.copy_after(seq, kind, faults) {
            let until = scheduled.saturating_add(after);
            self.timed.push(Reverse(Held { until, seq, kind, is_copy: true, due }));
        }
    }

    /// Makes a record ready that was held back.
    fn release(&mut self, held: Held<Duration>) {
        let Held { until: scheduled, seq, kind, is_copy, due } = held;
        let faults = self.armed.of_pair(seq)[kind as usize];
        let clean = Emission::clean(Due { seq, offset: due }, kind, 0);
        let mut emission = Emission { scheduled, begins_pair: true, ..clean };
        if is_copy {
            emission.faults = faults;
        } else {
            emission.faults = faults.without(Fault::Duplicate);
            emission.comes_again = faults.has(Fault::Duplicate);
            self.plan_copy(&emission, faults);
        }
        self.push(emission);
    }

    fn push(&mut self, mut emission: Emission) {
        let place = &mut self.places[emission.kind as usize];
        emission.place = *place;
        *place += u64::from(emission.act == Act::Send);
        self.ready.push_back(emission);
    }
}

impl Iterator for Faulty<'_> {
    type Item = Emission;

    fn next(&mut self) -> Option<Emission> {
        loop {
            if let Some(emission) = self.ready.pop_front() {
                return Some(emission);
            }
            if !self.advance() {
                return None;
            }
        }
    }
}
