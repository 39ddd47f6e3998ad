//! The loop of a run: it sends each record of the plan at its time, and waits for the answers.
//!
//! `pacing` decides what to do next, from readings of clock, signals and sink. The loop takes these
//! readings, does it, and waits in one place.

mod pacing;
mod sink;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::info;

use crate::delivery::Ending;
use crate::exit::Signal;
use crate::faults::FaultCounts;
use crate::histogram::Times;
use crate::host::reporter::ScheduleState;
use crate::host::signals::Stop;
use crate::plan::{Act, Buffer, Emission, Plan, Record};
use pacing::{Pacing, Seen, Step, WATCH_EVERY};

pub use pacing::{GRACE, Limits};
pub use sink::{QueueFull, Sink};

/// Records sent in one go at full speed before signals are looked at.
const RECORDS_AT_A_STRETCH: u32 = 128;

/// How the loop ended.
#[derive(Debug)]
pub struct LoopEnd {
    /// Why.
    pub ending: Ending,
    /// Whether all of the plan was sent.
    pub sent_all: bool,
    /// How late pairs were, if the run waits for their time.
    pub lateness: Times,
    /// The faults of the records that were sent or dropped.
    pub faults: FaultCounts,
    /// Records that were sent in each incident, in the order of the setting.
    pub incidents: Vec<u64>,
    /// The latest record timestamp that was sent, ms since 1970.
    pub latest_ms: Option<i64>,
    /// How long it waited for answers after the last record.
    pub drained_for: Duration,
}

/// Sends the plan's records to the sink, and waits for every answer within the delivery timeout.
pub async fn send<S: Sink>(
    plan: &Plan,
    sink: &S,
    limits: Limits,
    stop: &Stop,
    schedule: Arc<ScheduleState>,
    now: impl Fn() -> Timestamp,
) -> LoopEnd {
    let mut pacing = Pacing::new(limits, Instant::now());
    let mut emissions = plan.emissions();
    let mut next = emissions.next();
    let (mut buffer, mut lateness) = (Buffer::default(), Times::default());
    let mut seen = look(sink, stop, next);
    let (mut faults, mut latest_ms) = (FaultCounts::default(), None);
    let planned = plan.incidents().map_or(0, |incidents| incidents.planned().len());
    let mut incidents = vec![0; planned];
    let (mut stretch, mut stopping) = (0, false);
    let ending = loop {
        if let Some(signal) = seen.signals.first.filter(|_| !stopping) {
            stopping = true;
            announce_stop(signal, &schedule);
        }
        let until = match pacing.step(&seen) {
            Step::Send => {
                let Some(emission) = next else { continue };
                let late_by = pacing.late_by(&emission, seen.now);
                let record = plan.render(&emission, &now, &mut buffer);
                let at_ms = (emission.act == Act::Send).then_some(record.timestamp_ms);
                if hand_over(sink, &emission, &record, late_by).is_err() {
                    seen = Seen { has_room: false, ..look(sink, stop, next) };
                    continue;
                }
                count(&mut faults, &emission);
                if planned > 0 && emission.act == Act::Send {
                    plan.incidents_at(&emission).for_each(|number| incidents[number] += 1);
                }
                latest_ms = latest_ms.max(at_ms);
                if pacing.waits() && emission.begins_pair() {
                    lateness.record(late_by);
                }
                next = emissions.next();
                stretch += 1;
                if let Some(following) = next.filter(|_| stretch < RECORDS_AT_A_STRETCH) {
                    // One reading of the clock a pair, and none where nothing is scheduled.
                    let reads = pacing.waits() && following.begins_pair();
                    let now = if reads { Instant::now() } else { seen.now };
                    // The record just sent is in flight, or was refused, which the next look tells.
                    seen = Seen { now, next, in_flight: seen.in_flight + 1, ..seen };
                    continue;
                }
                // The runtime has other work, too.
                tokio::task::yield_now().await;
                None
            }
            Step::Wait(until) => {
                schedule.waits_until(Some(until.into_std()));
                Some(until)
            }
            Step::Drain(until) => Some(until),
            Step::End(ending) => break ending,
        };
        if let Some(until) = until {
            wait(sink, stop, &seen, until).await;
            schedule.waits_until(None);
        }
        stretch = 0;
        seen = look(sink, stop, next);
    };
    LoopEnd { latest_ms, incidents, ..pacing.end(ending, lateness, faults) }
}

/// Sends a record, unless a fault keeps it from being sent.
fn hand_over<S: Sink>(
    sink: &S,
    emission: &Emission,
    record: &Record<'_>,
    late_by: Duration,
) -> Result<(), QueueFull> {
    if emission.act == Act::Send {
        sink.try_send(record, late_by)?;
    }
    sink.had_turn(emission, record);
    Ok(())
}

/// Counts the faults of a record that was sent or dropped.
fn count(faults: &mut FaultCounts, emission: &Emission) {
    if !emission.faults.is_empty() && emission.act != Act::Hold {
        faults.add(emission.kind, emission.faults);
    }
}

/// Says that a signal was understood: the wait that follows may take the whole delivery timeout.
fn announce_stop(signal: Signal, schedule: &ScheduleState) {
    schedule.stops();
    let name = signal.name();
    info!("{name}: stopping, waiting for what was sent; a second signal ends the wait");
}

/// Waits until something happens: a signal, an answer, or that time.
async fn wait(sink: &impl Sink, stop: &Stop, seen: &Seen, until: Instant) {
    tokio::select! {
        biased;
        _ = stop.beyond(seen.signals.count()) => {}
        () = sink.answered() => {}
        () = tokio::time::sleep_until(until.min(seen.now + WATCH_EVERY)) => {}
    }
}

fn look(sink: &impl Sink, stop: &Stop, next: Option<Emission>) -> Seen {
    sink.take_in();
    Seen {
        now: Instant::now(),
        signals: stop.received(),
        in_flight: sink.in_flight(),
        silent_for: sink.silent_for(),
        is_fatal: sink.is_fatal(),
        has_room: true,
        next,
    }
}

#[cfg(test)]
mod tests;
