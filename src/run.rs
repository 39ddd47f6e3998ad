//! The loop of a run: wait for the next pair or a signal, generate, queue, drain.
//!
//! It takes its sink, its clock and its stop signal as arguments and knows nothing of Kafka.

mod sink;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::event::Kind;
use crate::exit::Signal;
use crate::host::reporter::Pulse;
use crate::host::signals::Stop;
use crate::latency::Times;
use crate::plan::Plan;
use crate::workload::arrivals::Due;

pub use sink::{GRACE, Offer, Sink};
use sink::{awake_for, hopeless, no_hope};

/// Pairs sent in one go at full speed before signals are looked at.
const PAIRS_AT_A_STRETCH: u64 = 64;

/// Why a run stopped generating, or waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The plan was carried out.
    Completed,
    /// A signal came.
    Signalled(Signal),
    /// No answer came for the whole delivery timeout.
    Silence,
    /// The client can send nothing any more.
    Fatal,
}

/// What a run did.
#[derive(Debug)]
pub struct Ran {
    /// Why it stopped.
    pub ending: Ending,
    /// Pairs generated.
    pub pairs: u64,
    /// Whether all of the plan was generated.
    pub planned: bool,
    /// How late pairs were, where the run waits for their time.
    pub lateness: Times,
    /// How long it waited for answers after the last pair.
    pub drained_for: Duration,
}

/// A run on its way.
struct Run<'a, S> {
    plan: &'a Plan,
    sink: &'a S,
    stop: Stop,
    pulse: Arc<Pulse>,
    delivery_timeout: Duration,
    /// Whether each pair waits for its time.
    waits: bool,
    /// Wall-clock bound where pairs do not wait and have no time of their own.
    deadline: Option<Instant>,
    start: Instant,
    lateness: Times,
    pairs: u64,
    buffer: Vec<u8>,
}

/// How a run is paced and bounded.
#[derive(Debug, Clone)]
pub struct Pacing {
    /// Whether each pair waits for its time.
    pub waits: bool,
    /// Bound on the wall clock, for a run whose pairs are due when they are sent.
    pub wall_limit: Option<Duration>,
    /// How long a record may wait for its acknowledgement.
    pub delivery_timeout: Duration,
}

/// Sends the plan's pairs to the sink, and waits for every answer within the delivery timeout.
pub async fn run<S: Sink>(
    plan: &Plan,
    sink: &S,
    pacing: Pacing,
    stop: Stop,
    pulse: Arc<Pulse>,
    now: impl Fn() -> Timestamp,
) -> Ran {
    let start = Instant::now();
    let Pacing { waits, wall_limit, delivery_timeout } = pacing;
    let mut run = Run {
        plan,
        sink,
        stop,
        pulse,
        delivery_timeout,
        waits,
        deadline: wall_limit.map(|limit| start + limit),
        start,
        lateness: Times::default(),
        pairs: 0,
        buffer: Vec::with_capacity(1024),
    };
    let generated = run.generate(now).await;
    sink.seal();
    let sealed = Instant::now();
    let drained = run.drain(generated).await;
    // What ended the generation is the reason, unless the drain was cut short after a full plan.
    let ending = if generated == Ending::Completed { drained } else { generated };
    let planned = generated == Ending::Completed;
    let drained_for = sealed.elapsed();
    Ran { ending, pairs: run.pairs, planned, lateness: run.lateness, drained_for }
}

impl<S: Sink> Run<'_, S> {
    async fn generate(&mut self, now: impl Fn() -> Timestamp) -> Ending {
        let mut latest = Timestamp::MIN;
        for due in self.plan.schedule.clone() {
            if let Some(ending) = self.wait_for(due).await {
                return ending;
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            // A wall clock that is set back must not turn the order within a key around.
            latest = latest.max(now());
            if let Some(ending) = self.send_pair(due, latest).await {
                return ending;
            }
        }
        Ending::Completed
    }

    /// Waits until the pair is due; returns the reason to stop instead.
    async fn wait_for(&mut self, due: Due) -> Option<Ending> {
        let at = self.intended(due);
        if !self.waits || at <= Instant::now() {
            if !self.pairs.is_multiple_of(PAIRS_AT_A_STRETCH) {
                return None;
            }
            // Lets the runtime see signals.
            tokio::task::yield_now().await;
            return self.reason_to_stop();
        }
        self.pulse.waits_until(Some(at.into_std()));
        let sink = self.sink;
        let limit = self.delivery_timeout;
        let ending = tokio::select! {
            biased;
            signal = self.stop.first() => Some(Ending::Signalled(signal)),
            ending = no_hope(sink, limit) => Some(ending),
            () = tokio::time::sleep_until(at) => None,
        };
        self.pulse.waits_until(None);
        ending
    }

    fn intended(&self, due: Due) -> Instant {
        // An instant further away than this would overflow.
        const CENTURY: Duration = Duration::from_secs(100 * 31_536_000);
        self.start + due.offset.min(CENTURY)
    }

    fn reason_to_stop(&self) -> Option<Ending> {
        if let Some(signal) = self.stop.received().first {
            return Some(Ending::Signalled(signal));
        }
        hopeless(self.sink, self.delivery_timeout)
    }

    /// Sends both records of a pair; a signal between the two lets the second follow.
    async fn send_pair(&mut self, due: Due, now: Timestamp) -> Option<Ending> {
        let pair = self.plan.pair(due, now);
        let intended = if self.waits { self.intended(due) } else { Instant::now() };
        if self.waits {
            self.lateness.record(Instant::now().saturating_duration_since(intended));
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut ending = None;
        for kind in Kind::BOTH {
            let record = self.plan.record(kind, &pair, &mut buffer);
            while self.sink.offer(&record, intended) == Offer::Full {
                ending = self.wait_for_room(kind).await;
                if ending.is_some() {
                    return ending;
                }
            }
        }
        self.buffer = buffer;
        self.pairs += 1;
        ending
    }

    /// Waits for an answer, after which there may be room in the queue.
    async fn wait_for_room(&mut self, kind: Kind) -> Option<Ending> {
        let (sink, limit) = (self.sink, self.delivery_timeout);
        let began_pair = kind != Kind::BOTH[0];
        tokio::select! {
            biased;
            signal = self.stop.first(), if !began_pair => Some(Ending::Signalled(signal)),
            () = self.stop.again() => self.stop.received().first.map(Ending::Signalled),
            ending = no_hope(sink, limit) => Some(ending),
            () = sink.answered() => None,
        }
    }

    /// Waits for every answer: until all are there, a second signal, or no hope is left.
    async fn drain(&mut self, generated: Ending) -> Ending {
        if matches!(generated, Ending::Silence | Ending::Fatal) {
            return generated;
        }
        let (sink, delivery_timeout) = (self.sink, self.delivery_timeout);
        let settled = async {
            while sink.open() > 0 {
                sink.answered().await;
            }
        };
        let stop = &self.stop;
        tokio::select! {
            biased;
            () = settled => Ending::Completed,
            () = stop.again() => stop.received().first.map_or(Ending::Completed, Ending::Signalled),
            ending = no_hope(sink, delivery_timeout) => ending,
            () = awake_for(delivery_timeout + GRACE) => Ending::Silence,
        }
    }
}

#[cfg(test)]
mod tests;
