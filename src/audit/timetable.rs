//! When the pairs of a run were due, by their place in the shard: any of them, without remembering all.
//!
//! Where the gaps are equal a formula tells. Other schedules are followed, in blocks. As long as blocks
//! are asked for in their order 2 MiB are kept of them; where one is asked for again that is gone, up to
//! 64 MiB, which is eight million pairs in any order.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use crate::plan::Plan;
use crate::workload::arrivals::Schedule;

/// Pairs of a block.
const BLOCK: u64 = LENGTH as u64;

const LENGTH: usize = 1 << 14;

/// Blocks that are kept at first: 2 MiB.
const KEPT: usize = 16;

/// Blocks that are kept at most: 64 MiB.
const MOST_KEPT: usize = 512;

/// Event times of a run's pairs, ms since 1970.
#[derive(Debug)]
pub(super) struct Timetable {
    start: Timestamp,
    /// The schedule where each block begins, as far as it was followed, with its first time.
    begins: Vec<Schedule>,
    firsts: Vec<i64>,
    /// The latest blocks that were asked for, each with the turn in which it was.
    blocks: BTreeMap<usize, (u64, Vec<i64>)>,
    turn: u64,
    kept: usize,
    /// Pairs in all, once the schedule was followed to its end.
    pairs: Option<u64>,
}

impl Timetable {
    /// The timetable of a run that starts then.
    pub(super) fn new(plan: &Plan, start: Timestamp) -> Self {
        Self {
            start,
            begins: vec![plan.schedule.clone()],
            firsts: Vec::new(),
            blocks: BTreeMap::new(),
            turn: 0,
            kept: KEPT,
            pairs: None,
        }
    }

    /// The event time of a pair; `None` behind the end of the run.
    pub(super) fn ms(&mut self, place: u64) -> Option<i64> {
        if let Some(even) = self.even() {
            return self.even_ms(even, place);
        }
        let at = usize::try_from(place % BLOCK).ok()?;
        self.block(usize::try_from(place / BLOCK).ok()?)?.get(at).copied()
    }

    /// The places of the pairs whose event time is from one time to the other.
    pub(super) fn between(&mut self, from_ms: i64, to_ms: i64) -> Range<u64> {
        let from = self.first_from(from_ms);
        from..self.first_from(to_ms.saturating_add(1)).max(from)
    }

    /// The first pair whose event time is that or later. Event times never go back.
    fn first_from(&mut self, ms: i64) -> u64 {
        if let Some(pairs) = self.even() {
            // The first of which that is so, by halving.
            let (mut low, mut high) = (0, pairs);
            while low < high {
                let middle = low + (high - low) / 2;
                let is_before = self.even_ms(pairs, middle).is_some_and(|due| due < ms);
                (low, high) = if is_before { (middle + 1, high) } else { (low, middle) };
            }
            return low;
        }
        while self.pairs.is_none() && self.firsts.last().is_none_or(|first| *first < ms) {
            if self.block(self.firsts.len()).is_none() {
                break;
            }
        }
        let index = self.firsts.partition_point(|first| *first < ms).saturating_sub(1);
        let within = self.block(index).map_or(0, |block| block.partition_point(|due| *due < ms));
        index as u64 * BLOCK + within as u64
    }

    /// How many pairs there are at most, where a formula tells when each is due.
    fn even(&self) -> Option<u64> {
        let schedule = &self.begins[0];
        schedule.is_even().then(|| schedule.most_pairs())
    }

    fn even_ms(&self, pairs: u64, place: u64) -> Option<i64> {
        if place >= pairs {
            return None;
        }
        let offset = self.begins[0].even_offset(place)?;
        Some(crate::plan::event_time(self.start, offset).as_millisecond())
    }

    fn block(&mut self, index: usize) -> Option<&[i64]> {
        self.turn += 1;
        if !self.blocks.contains_key(&index) {
            if index < self.firsts.len() {
                self.kept = (2 * self.kept).min(MOST_KEPT);
            }
            while self.begins.len() <= index && self.pairs.is_none() {
                self.follow(self.begins.len() - 1);
            }
            self.begins.get(index)?;
            self.follow(index);
        }
        let (turn, times) = self.blocks.get_mut(&index)?;
        *turn = self.turn;
        Some(times.as_slice()).filter(|times| !times.is_empty())
    }

    /// Follows the schedule through a block, and keeps it.
    fn follow(&mut self, index: usize) {
        let mut schedule = self.begins[index].clone();
        let start = self.start;
        let due = schedule.by_ref().take(LENGTH);
        let times: Vec<i64> =
            due.map(|due| crate::plan::event_time(start, due.offset).as_millisecond()).collect();
        if times.len() < LENGTH {
            self.pairs = Some(index as u64 * BLOCK + times.len() as u64);
        } else if self.begins.len() == index + 1 {
            self.begins.push(schedule);
        }
        if self.firsts.len() == index {
            self.firsts.extend(times.first());
        }
        if self.blocks.len() >= self.kept {
            let oldest = self.blocks.iter().min_by_key(|(_, (turn, _))| *turn);
            if let Some(oldest) = oldest.map(|(index, _)| *index) {
                self.blocks.remove(&oldest);
            }
        }
        self.blocks.insert(index, (self.turn, times));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties;
    use crate::plan::Identity;
    use crate::settings::{Inputs, Settings};
    use crate::workload::seed;

    fn plan(variables: &[(&str, &str)]) -> Plan {
        let all = [("VM4_PRODUCER_ENV", "/dev/null"), ("RUN_ID", "r"), ("RUN_SEED", "7")];
        let all = all.iter().chain(variables);
        let environment = all.map(|(name, value)| (name.into(), value.into())).collect();
        let inputs = Inputs { environment, ..Inputs::default() };
        let settings = Settings::load(&inputs, properties::check).unwrap();
        let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
        Plan::new(&settings, &seed, Identity::new(&settings, settings.event_start.unwrap(), 7))
    }

    /// The timetable says what the schedule does, for every place and between any two times.
    #[test]
    fn a_timetable_is_its_schedule_whether_a_formula_tells_or_not() {
        const START: (&str, &str) = ("EVENT_START", "2026-01-01T00:00:00.0005Z");
        for extra in [
            &[("SLEEP_SEC", "0.25")][..],
            &[("SLEEP_SEC", "0.25"), ("SHARD", "1/3")],
            &[("SLEEP_SEC", "0.0003")],
            &[("SLEEP_SEC", "0.25"), ("ARRIVALS", "poisson")],
            &[("SLEEP_SEC", "0")],
            &[("SLEEP_SEC", "0.25"), ("DURATION_SEC", "60")],
            &[("SLEEP_SEC", "0.01"), ("INCIDENTS", "surge=3@+2s/5s")],
        ] {
            let plan = plan(&[&[START, ("BATCH", "40000")], extra].concat());
            let start = plan.event_start().unwrap();
            let mut timetable = Timetable::new(&plan, start);
            let due = plan.schedule.clone();
            let times: Vec<_> = due
                .map(|due| crate::plan::event_time(start, due.offset).as_millisecond())
                .collect();
            for (place, ms) in times.iter().enumerate().rev().step_by(997) {
                assert_eq!(timetable.ms(place as u64), Some(*ms), "{extra:?} {place}");
            }
            assert_eq!(timetable.ms(times.len() as u64), None, "{extra:?}");
            assert_eq!(timetable.ms(u64::MAX), None, "{extra:?}");
            let (first, last) = (times[0], times[times.len() - 1]);
            for from in [first - 1, first, first + 1, i64::midpoint(first, last), last, last + 1] {
                let to = from + 777;
                let place = |ms| times.partition_point(|due| *due < ms) as u64;
                assert_eq!(timetable.between(from, to), place(from)..place(to + 1), "{extra:?}");
            }
        }
    }
}
