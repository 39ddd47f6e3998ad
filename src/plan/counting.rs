//! Counts and names of records that differ from those of pairs where faults are on.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use super::{Act, Plan};
use crate::delivery::{COPY, Doubts};
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};

/// Most pairs whose records are counted before a run: a tenth of a second.
const MOST_COUNTED: u64 = 5_000_000;

impl Plan {
    /// How many records of each topic this process will send; `None` if that is known only at the end
    /// of the run, or would take long to count.
    #[must_use]
    pub fn planned_records(&self) -> [Option<u64>; 2] {
        let leaves_out = |kind| {
            self.incidents().is_some_and(|incidents| incidents.leave_out(kind == Kind::Metric))
        };
        let [metrics, usages] = Kind::BOTH.map(|kind| !leaves_out(kind));
        let [metric, token] = self.records_of_pairs();
        [metric.filter(|_| metrics), token.filter(|_| usages)]
    }

    /// How many records of each topic this process would send if incidents left none out.
    fn records_of_pairs(&self) -> [Option<u64>; 2] {
        let pairs = self.schedule.planned_pairs();
        if !self.faults.change_the_number_of_records() {
            return [pairs; 2];
        }
        let Some(pairs) = pairs.filter(|pairs| *pairs <= MOST_COUNTED) else { return [None; 2] };
        let sets = (0..pairs).map(|place| self.faults.of_pair(self.schedule.shard().seq_at(place)));
        let records = |faults: FaultSet| {
            u64::from(!faults.has(Fault::Drop)) + u64::from(faults.has(Fault::Duplicate))
        };
        let sum = sets.fold([0, 0], |[metric, token], [of_metric, of_token]| {
            [metric + records(of_metric), token + records(of_token)]
        });
        sum.map(Some)
    }

    /// Names records without an acknowledgement by the index of their pair instead of by their place
    /// among those that were sent, which differ where faults are on or incidents leave records out.
    pub fn name_doubts(&self, doubts: &mut [Doubts; 2]) {
        let open = doubts.each_ref().map(Doubts::all);
        let all_there = self.incidents().is_none_or(|incidents| !incidents.leave_out(true));
        if (self.faults.is_off() && all_there) || open.iter().all(RoaringTreemap::is_empty) {
            return;
        }
        // The order is made again, not remembered: few runs need it.
        let mut names = [BTreeMap::new(), BTreeMap::new()];
        let last = open.each_ref().map(RoaringTreemap::max);
        let mut left = last.map(|last| last.is_some());
        for emission in self.emissions().filter(|emission| emission.act == Act::Send) {
            let (slot, place) = (emission.kind as usize, emission.place);
            if open[slot].contains(place)
                && let Some(index) = self.schedule.shard().place_of(emission.seq)
            {
                let is_copy = emission.faults.has(Fault::Duplicate);
                names[slot].insert(place, if is_copy { index + COPY } else { index });
            }
            left[slot] &= Some(place) < last[slot];
            if left == [false; 2] {
                break;
            }
        }
        for (doubts, names) in doubts.iter_mut().zip(names) {
            doubts.rename(|place| names.get(&place).copied());
        }
    }
}
