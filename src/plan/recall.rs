//! A record of the plan again, from what was read of it.

use jiff::{SignedDuration, Timestamp};

use super::{Buffer, Plan, Record, event_time, whole_millisecond};
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};
use crate::settings::RecordKey;
use crate::workload::{GpuId, Shard};

/// When a pair happens: its event time, and the moment of the incidents at which it is due, ms since
/// 1970. In a live run the first is the clock's, and the second the schedule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// Its event time, before any fault.
    pub at: Timestamp,
    /// What [`Plan::due_at`] says.
    pub moment_ms: i64,
}

impl From<Timestamp> for When {
    fn from(at: Timestamp) -> Self {
        Self { at, moment_ms: at.as_millisecond() }
    }
}

impl Plan {
    /// Whether every record is that of a clean run: nothing is done on purpose.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_off() && self.incidents().is_none()
    }

    /// The kinds of faults in force at a record and its copy.
    #[must_use]
    pub fn faults_at(&self, seq: u64, kind: Kind) -> FaultSet {
        if self.faults.is_off() {
            return FaultSet::NONE;
        }
        self.faults.of_pair(seq)[kind as usize]
    }

    /// How far the fault `clock-skew` moves the times of a pair, where it can be in force.
    #[must_use]
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        self.faults.shift(Fault::ClockSkew.into())
    }

    /// The record of the pair `seq` with these faults: those of [`Plan::faults_at`], or none for the
    /// record of a clean run. A copy differs from its original by `duplicate` among them.
    pub fn expected<'a, 'p>(
        &'p self,
        (seq, kind): (u64, Kind),
        when: impl Into<When>,
        faults: FaultSet,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        let When { at, moment_ms } = when.into();
        let at = whole_millisecond(at);
        if buffer.pair.as_ref().is_none_or(|pair| (pair.seq, pair.at) != (seq, at)) {
            buffer.pair = Some(self.workload.pair_amid(seq, at, || moment_ms, &mut buffer.recent));
        }
        self.write(kind, faults, 0, buffer)
    }

    /// The numbers of the GPUs whose keys the records of a pair have, below [`Self::gpus`], metric first;
    /// `None` where incidents leave the record out. `moment_ms` says when the pair is due; it is asked
    /// if there are incidents.
    #[must_use]
    pub fn gpus_at(&self, seq: u64, moment_ms: impl FnOnce() -> i64) -> [Option<usize>; 2] {
        let [usage, metric] = self.workload.gpus().routes(seq, moment_ms);
        [metric, usage].map(|gpu| gpu.map(|(host, row)| host * self.gpus_of_a_host + row))
    }

    /// That of one of its records.
    #[must_use]
    pub fn gpu_at(&self, kind: Kind, seq: u64, moment_ms: impl FnOnce() -> i64) -> Option<usize> {
        self.gpus_at(seq, moment_ms)[kind as usize]
    }

    /// When a pair is due, by the schedule from the start of the run.
    #[must_use]
    pub fn due_at(&self, seq: u64) -> Option<Timestamp> {
        let start = self.event_start.unwrap_or(self.identity.started_at);
        let due = self.schedule.clone().find(|due| due.seq >= seq);
        due.filter(|due| due.seq == seq).map(|due| event_time(start, due.offset))
    }

    /// The first event time, where the user chose it (`EVENT_START`).
    #[must_use]
    pub fn event_start(&self) -> Option<Timestamp> {
        self.event_start
    }

    /// How many GPUs there are, over all hosts.
    #[must_use]
    pub fn gpus(&self) -> usize {
        self.keys.len()
    }

    /// The number of a GPU, below [`Self::gpus`].
    #[must_use]
    pub fn number_of(&self, gpu: GpuId) -> usize {
        gpu.host * self.gpus_of_a_host + gpu.row
    }

    /// The row of the seed, from 0, of a GPU by its number.
    #[must_use]
    pub fn row_of(&self, gpu: usize) -> usize {
        gpu % self.gpus_of_a_host
    }

    /// The language model that a GPU serves, by its number.
    #[must_use]
    pub fn model_of(&self, gpu: usize) -> &str {
        self.workload.model_of(self.row_of(gpu))
    }

    /// The key of a GPU by its number, `HOST/GPU_INDEX`.
    #[must_use]
    pub fn key_of(&self, gpu: usize) -> &str {
        &self.keys[gpu]
    }

    /// The part of the run that this process sends, or looks for.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.schedule.shard()
    }

    /// Whether two pairs of one GPU never have the same event time.
    #[must_use]
    pub fn keeps_pairs_apart(&self) -> bool {
        self.has_room
    }

    /// Whether records have a key.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.key == RecordKey::Gpu
    }
}
