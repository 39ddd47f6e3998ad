//! Counts and names of records that differ from those of pairs where faults are on.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use super::{Act, Emission, Plan};
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

    /// Whether the place of a record among those that are sent is not the index of its pair: faults are
    /// on, or incidents leave records out.
    fn is_renamed(&self) -> bool {
        let all_there = self.incidents().is_none_or(|incidents| !incidents.leave_out(true));
        !self.faults.is_off() || !all_there
    }

    /// The first so many records of each topic that this process sends, named as in
    /// [`Plan::name_doubts`].
    #[must_use]
    pub fn sent(&self, generated: [u64; 2]) -> [RoaringTreemap; 2] {
        let mut sent = [RoaringTreemap::new(), RoaringTreemap::new()];
        if !self.is_renamed() {
            for (sent, generated) in sent.iter_mut().zip(generated) {
                sent.insert_range(0..generated);
            }
            return sent;
        }
        let mut left = generated.map(|generated| generated > 0);
        for emission in self.emissions().filter(|emission| emission.act == Act::Send) {
            let slot = emission.kind as usize;
            if emission.place < generated[slot] {
                sent[slot].extend(self.name(&emission));
            }
            left[slot] &= emission.place + 1 < generated[slot];
            if left == [false; 2] {
                break;
            }
        }
        sent
    }

    /// The name of a record: the index of its pair, and whether it is a copy.
    fn name(&self, emission: &Emission) -> Option<u64> {
        let index = self.schedule.shard().place_of(emission.seq)?;
        Some(if emission.faults.has(Fault::Duplicate) { index + COPY } else { index })
    }

    /// Names records without an acknowledgement by the index of their pair instead of by their place
    /// among those that were sent, which differ where faults are on or incidents leave records out.
    pub fn name_doubts(&self, doubts: &mut [Doubts; 2]) {
        let open = doubts.each_ref().map(Doubts::all);
        if !self.is_renamed() || open.iter().all(RoaringTreemap::is_empty) {
            return;
        }
        // The order is made again, not remembered: few runs need it.
        let mut names = [BTreeMap::new(), BTreeMap::new()];
        let last = open.each_ref().map(RoaringTreemap::max);
        let mut left = last.map(|last| last.is_some());
        for emission in self.emissions().filter(|emission| emission.act == Act::Send) {
            let (slot, place) = (emission.kind as usize, emission.place);
            if open[slot].contains(place)
                && let Some(name) = self.name(&emission)
            {
                names[slot].insert(place, name);
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
