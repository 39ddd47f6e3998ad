//! The time of a pair: by the schedule from `EVENT_START` on, or by the wall clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Buffer, Emission, Plan};
use crate::settings::Settings;
use crate::workload::arrivals::{Due, Spacing, Timing};
use crate::workload::incidents::later;

impl Plan {
    /// The time of a pair without `EVENT_START`: that of the clock, or the one that it had before.
    pub(super) fn wall_time(
        &self,
        emission: &Emission,
        now: impl FnOnce() -> Timestamp,
        buffer: &mut Buffer<'_>,
    ) -> Timestamp {
        let Buffer { latest, spacing, times, .. } = buffer;
        if emission.comes_apart() {
            let place = (emission.seq, emission.kind);
            let had = if emission.comes_again {
                times.get(&place).copied()
            } else {
                times.remove(&place)
            };
            // Of a pair that nobody rendered at its time: when that was by the schedule.
            let ago = emission.scheduled.saturating_sub(emission.due);
            return had.unwrap_or_else(|| earlier(now(), ago));
        }
        *latest = self.stamp(emission, now().max(*latest), spacing);
        *latest
    }

    /// The timestamp of a record in a run with `EVENT_START`, and when its pair is due, ms since 1970.
    /// They differ if a fault shifts the record's.
    #[must_use]
    pub fn timestamps_ms(&self, emission: &Emission) -> (i64, i64) {
        let due = event_time(self.start, emission.due);
        let shift = self.faults.shift(emission.faults);
        let at = shift.map_or(due, |shift| shifted(due, shift));
        (at.as_millisecond(), due.as_millisecond())
    }

    /// How far at most a fault sets the timestamp of a record back, ms.
    #[must_use]
    pub fn most_set_back_ms(&self) -> i64 {
        let shift = self.clock_skew().unwrap_or_default();
        i64::try_from(shift.as_millis()).map_or(i64::MAX, |ms| (-ms).max(0))
    }

    /// The moment of the incidents at which a pair is due, ms since 1970. That is its event time; in a
    /// live run the clock may say something else, but what happens to a pair is the schedule's.
    pub(crate) fn moment(&self, due: Duration) -> i64 {
        later(self.start, due).as_millisecond()
    }

    /// Which records of a pair incidents leave: its usage, and its metric.
    pub(super) fn sends(&self, due: Due) -> [bool; 2] {
        let routes = self.workload.gpus().routes(due.seq, || self.moment(due.offset));
        routes.map(|gpu| gpu.is_some())
    }

    /// The first millisecond from `now` on in which the pair's GPU has no other, if the rate leaves
    /// room for it. A run that makes up for a delay may be this far ahead of its clock, no further.
    fn stamp(&self, emission: &Emission, now: Timestamp, spacing: &mut Spacing) -> Timestamp {
        const AHEAD_MS: i64 = 100;
        let ms = now.as_millisecond();
        let gpus = |_| self.workload.gpus().of(emission.seq, || self.moment(emission.due));
        let taken = if self.has_room { spacing.take(ms, gpus) } else { ms };
        if taken == ms || taken > ms + AHEAD_MS {
            return now;
        }
        Timestamp::from_millisecond(taken).unwrap_or(now)
    }
}

/// The event time of a pair that is due so long after the start.
pub(crate) fn event_time(start: Timestamp, offset: Duration) -> Timestamp {
    whole_millisecond(later(start, offset))
}

/// `at - ago`, not before 1970.
pub(super) fn earlier(at: Timestamp, ago: Duration) -> Timestamp {
    let ago = SignedDuration::try_from(ago).unwrap_or(SignedDuration::MAX);
    at.saturating_sub(ago).unwrap_or(at).max(Timestamp::UNIX_EPOCH)
}

/// `at + shift`, from 1970 on.
pub(super) fn shifted(at: Timestamp, shift: SignedDuration) -> Timestamp {
    at.saturating_add(shift).unwrap_or(at).max(Timestamp::UNIX_EPOCH)
}

pub(super) fn whole_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// When the pairs of these settings are due.
pub(super) fn timing(settings: &Settings, now: Timestamp) -> Timing {
    Timing {
        law: settings.arrivals,
        workload: settings.workload,
        mean: settings.sleep,
        pairs: settings.batch,
        until: settings.duration,
        start: settings.event_start.unwrap_or(now),
        shard: settings.shard,
    }
}
