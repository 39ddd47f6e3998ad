use super::*;
use crate::event::Kind;
use crate::exit::Signal;
use crate::host::signals::Stop;
use crate::workload::arrivals::Due;

const TIMEOUT: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// The signals of a run that got so many.
fn signals(count: usize) -> Received {
    let (stopper, stop) = Stop::channel();
    for signal in [Signal::Terminate, Signal::Interrupt].into_iter().take(count) {
        stopper.send(signal);
    }
    stop.received()
}

fn emission(kind: Kind) -> Option<Emission> {
    Some(Emission::clean(Due { seq: 10, offset: 5 * SECOND }, kind, 10))
}

fn pacing(waits: bool, wall_limit: Option<Duration>, start: Instant) -> Pacing {
    Pacing::new(Limits { waits, wall_limit, delivery_timeout: TIMEOUT }, start)
}

#[test]
fn the_next_step_follows_from_what_is_seen() {
    use Ending::{Completed, Fatal, Signalled, Silence};
    let start = Instant::now();
    let at = |secs: u64| start + Duration::from_secs(secs);
    let metric = emission(Kind::Metric);
    let usual = Seen {
        now: at(5),
        signals: signals(0),
        in_flight: 2,
        silent_for: Duration::ZERO,
        is_fatal: false,
        has_room: true,
        next: metric,
    };
    let stopped = Signalled(Signal::Terminate);
    let late = Seen { silent_for: TIMEOUT + 2 * SECOND, ..usual };
    let drain = |from: u64| Step::Drain(at(from) + TIMEOUT + GRACE);
    for (what, seen, step) in [
        ("its time has come", usual, Step::Send),
        ("its time has not come", Seen { now: at(4), ..usual }, Step::Wait(at(5))),
        ("the queue is full", Seen { has_room: false, ..usual }, Step::Wait(at(5) + WATCH_EVERY)),
        ("all is sent", Seen { next: None, ..usual }, drain(5)),
        ("all is answered", Seen { next: None, in_flight: 0, ..usual }, Step::End(Completed)),
        ("a signal", Seen { signals: signals(1), ..usual }, drain(5)),
        (
            "a signal, and nothing in flight",
            Seen { signals: signals(1), in_flight: 0, ..usual },
            Step::End(stopped),
        ),
        (
            "a signal within a pair",
            Seen { signals: signals(1), next: emission(Kind::Token), ..usual },
            Step::Send,
        ),
        (
            "two signals within a pair",
            Seen { signals: signals(2), next: emission(Kind::Token), ..usual },
            Step::End(stopped),
        ),
        ("nobody answers", late, Step::End(Silence)),
        ("nobody answers the last", Seen { next: None, ..late }, Step::End(Silence)),
        ("a signal, and nobody answers", Seen { signals: signals(1), ..late }, Step::End(stopped)),
        ("nothing can be sent", Seen { is_fatal: true, ..usual }, Step::End(Fatal)),
        (
            "nothing can be sent, and all is answered",
            Seen { is_fatal: true, next: None, in_flight: 0, ..usual },
            Step::End(Completed),
        ),
    ] {
        assert_eq!(pacing(true, None, start).step(&seen), step, "{what}");
    }
    let unpaced = Seen { now: at(1), ..usual };
    assert_eq!(pacing(false, None, start).step(&unpaced), Step::Send);
    assert_eq!(pacing(false, Some(SECOND), start).step(&unpaced), drain(1));
}

#[test]
fn a_wait_for_answers_is_as_long_as_the_process_runs() {
    let start = Instant::now();
    let mut pacing = pacing(true, None, start);
    let mut seen = Seen {
        now: start,
        signals: signals(0),
        in_flight: 2,
        silent_for: Duration::ZERO,
        is_fatal: false,
        has_room: true,
        next: None,
    };
    let mut pass = |time: Duration| {
        seen.now += time;
        pacing.step(&seen)
    };
    let deadline = start + TIMEOUT + GRACE;
    assert_eq!(pass(Duration::ZERO), Step::Drain(deadline));
    assert_eq!(pass(WATCH_EVERY), Step::Drain(deadline));
    // A process that was stopped for an hour has not waited for an hour.
    let Step::Drain(later) = pass(3600 * SECOND) else { panic!("it gave up") };
    assert!(later > deadline + 3500 * SECOND);
    let steps = (0..1000).map(|_| pass(WATCH_EVERY));
    let end = steps.into_iter().find(|step| !matches!(step, Step::Drain(_)));
    assert_eq!(end, Some(Step::End(Ending::Silence)));
    let end = pacing.end(Ending::Silence, Times::default(), FaultCounts::default());
    assert!(end.sent_all && end.drained_for >= TIMEOUT);
}
