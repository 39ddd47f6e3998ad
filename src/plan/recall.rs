//! A record of the plan again, from what was read of it.

use jiff::Timestamp;

use super::{Buffer, Plan, Record, event_time, whole_millisecond};
use crate::event::Kind;
use crate::faults::FaultSet;
use crate::settings::RecordKey;
use crate::workload::Shard;

impl Plan {
    /// The record of a clean run of a pair whose event time is known, as from the record that was read
    /// back.
    pub fn record_at<'a, 'p>(
        &'p self,
        kind: Kind,
        seq: u64,
        at: Timestamp,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        self.expected((seq, kind), whole_millisecond(at), FaultSet::NONE, buffer)
    }

    /// The record of the pair `seq` at `at` with these faults: those of [`Plan::declared`], or none
    /// for the record of a clean run. A copy differs from its original by `duplicate` among them.
    ///
    /// Incidents are those of `at`. In a live run that is the time of the clock, and the schedule's is
    /// another: a pair at the edge of an incident may be taken for one on its other side.
    pub fn expected<'a, 'p>(
        &'p self,
        (seq, kind): (u64, Kind),
        at: Timestamp,
        faults: FaultSet,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        if buffer.pair.as_ref().is_none_or(|pair| (pair.seq, pair.at) != (seq, at)) {
            let moment = || at.as_millisecond();
            buffer.pair = Some(self.workload.pair_amid(seq, at, moment, &mut buffer.recent));
        }
        self.write(kind, faults, 0, buffer)
    }

    /// Whether incidents leave the record of a kind of a pair that is due at `at`.
    #[must_use]
    pub fn has_record(&self, kind: Kind, seq: u64, at: Timestamp) -> bool {
        let [usage, metric] = self.workload.gpus().sends(seq, || at.as_millisecond());
        if kind == Kind::Metric { metric } else { usage }
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

    /// The number of a pair's GPU, below [`Self::gpus`].
    #[must_use]
    pub fn gpu_of(&self, seq: u64) -> usize {
        let (host, row) = self.workload.gpus().shares.of(seq);
        host * self.gpus_of_a_host + row
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

    /// Whether records have a key.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.key == RecordKey::Gpu
    }

    /// Whether a pair is from the GPU with this host, if it is known, and index.
    #[must_use]
    pub fn has_gpu(&self, seq: u64, (host, index): &(Option<String>, u64)) -> bool {
        let key = self.key_of(self.gpu_of(seq));
        key.rsplit_once('/').is_some_and(|(own, number)| {
            number.parse() == Ok(*index) && host.as_ref().is_none_or(|host| host == own)
        })
    }
}
