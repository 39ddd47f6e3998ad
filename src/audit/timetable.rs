//! When the pairs of a run were due, by their place in the shard: any of them, without remembering all.

use jiff::Timestamp;

use crate::plan::Plan;
use crate::workload::arrivals::Schedule;

/// Pairs of a block.
const BLOCK: u64 = LENGTH as u64;

const LENGTH: usize = 1 << 14;

/// Blocks that are kept: 2 MiB.
const KEPT: usize = 16;

/// Event times of a run's pairs, ms since 1970, block by block.
#[derive(Debug)]
pub(super) struct Timetable {
    start: Timestamp,
    /// The schedule where each block begins, as far as it was followed, with its first time.
    begins: Vec<Schedule>,
    firsts: Vec<i64>,
    /// The latest blocks that were asked for.
    blocks: Vec<(usize, Vec<i64>)>,
    /// Pairs in all, once the schedule was followed to its end.
    pairs: Option<u64>,
}

impl Timetable {
    /// The timetable of a run that starts then.
    pub(super) fn new(plan: &Plan, start: Timestamp) -> Self {
        let begins = vec![plan.schedule.clone()];
        Self { start, begins, firsts: Vec::new(), blocks: Vec::new(), pairs: None }
    }

    /// The event time of a pair; `None` behind the end of the run.
    pub(super) fn ms(&mut self, place: u64) -> Option<i64> {
        let at = usize::try_from(place % BLOCK).ok()?;
        self.block(usize::try_from(place / BLOCK).ok()?)?.get(at).copied()
    }

    /// The places of the pairs whose event time is from one time to the other, at most so many.
    pub(super) fn between(&mut self, from_ms: i64, to_ms: i64, most: usize) -> Vec<u64> {
        // Event times never go back, so the block is found by its first one.
        while self.pairs.is_none() && self.firsts.last().is_none_or(|first| *first < from_ms) {
            if self.block(self.firsts.len()).is_none() {
                break;
            }
        }
        let mut index = self.firsts.partition_point(|first| *first < from_ms).saturating_sub(1);
        let mut found = Vec::new();
        while let Some(block) = self.block(index) {
            let begin = block.partition_point(|ms| *ms < from_ms);
            let end = block.partition_point(|ms| *ms <= to_ms);
            let is_last = end < block.len();
            found.extend((begin..end).map(|at| index as u64 * BLOCK + at as u64));
            if is_last || found.len() >= most {
                break;
            }
            index += 1;
        }
        found.truncate(most);
        found
    }

    fn block(&mut self, index: usize) -> Option<&[i64]> {
        if let Some(kept) = self.blocks.iter().position(|(kept, _)| *kept == index) {
            let last = self.blocks.len() - 1;
            self.blocks.swap(kept, last);
        } else {
            while self.begins.len() <= index && self.pairs.is_none() {
                self.follow(self.begins.len() - 1);
            }
            self.begins.get(index)?;
            self.follow(index);
        }
        self.blocks.last().map(|(_, times)| times.as_slice()).filter(|times| !times.is_empty())
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
        if self.blocks.len() == KEPT {
            self.blocks.remove(0);
        }
        self.blocks.push((index, times));
    }
}
