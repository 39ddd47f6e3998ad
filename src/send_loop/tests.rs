//! The loop in virtual time, against a sink made for the test.

use super::*;
use crate::delivery::{Counts, Failure, FailureClass};
use crate::event::Kind;
use crate::exit::Signal;
use crate::host::signals::Stopper;
use crate::kafka::properties;
use crate::plan::{Identity, Record};
use crate::settings::{Inputs, Settings};
use crate::workload::seed;
use std::cell::{Cell, RefCell};
use tokio::sync::Notify;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Acknowledges at once, never, or when told to; has room for `room` open records.
struct FakeSink {
    counts: RefCell<Counts>,
    answers: Cell<bool>,
    room: u64,
    answered: Notify,
    silent_since: Cell<Option<Instant>>,
    sent: RefCell<Vec<(u64, Instant, Instant)>>,
    fatal: Cell<bool>,
}

impl FakeSink {
    fn new(answers: bool, room: u64) -> Self {
        Self {
            counts: RefCell::default(),
            answers: Cell::new(answers),
            room,
            answered: Notify::new(),
            silent_since: Cell::new(None),
            sent: RefCell::default(),
            fatal: Cell::new(false),
        }
    }

    fn answer_all(&self, acknowledge: bool) {
        let mut counts = self.counts.borrow_mut();
        for kind in Kind::BOTH {
            while counts.topic(kind).in_flight() > 0 {
                if acknowledge {
                    counts.acknowledged(kind, 0, (0, 0));
                } else {
                    let class = FailureClass::Silence;
                    counts.failed(kind, Failure { kind: "timed out".into(), class });
                }
            }
        }
        self.silent_since.set(None);
        self.answered.notify_one();
    }

    fn pairs(&self) -> usize {
        self.sent.borrow().len() / 2
    }

    fn pairs_sent_at(&self, start: Instant) -> Vec<Duration> {
        self.sent.borrow().iter().step_by(2).map(|(_, at, _)| *at - start).collect()
    }
}

impl Sink for FakeSink {
    fn try_send(&self, record: &Record<'_>, late_by: Duration) -> Result<(), QueueFull> {
        if self.in_flight() >= self.room {
            return Err(QueueFull);
        }
        self.counts.borrow_mut().generated(record.kind, record.seq + 1);
        let now = Instant::now();
        self.sent.borrow_mut().push((record.seq, now, now - late_by));
        if self.answers.get() {
            self.answer_all(true);
        } else if self.silent_since.get().is_none() {
            self.silent_since.set(Some(Instant::now()));
        }
        Ok(())
    }

    fn answered(&self) -> impl Future<Output = ()> {
        self.answered.notified()
    }

    fn in_flight(&self) -> u64 {
        self.counts.borrow().total_in_flight()
    }

    fn silent_for(&self) -> Duration {
        self.silent_since.get().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn is_fatal(&self) -> bool {
        self.fatal.get()
    }
}

fn plan(variables: &[(&str, &str)]) -> (Plan, Limits) {
    let mut environment = vec![("VM4_PRODUCER_ENV".into(), "/dev/null".into())];
    environment.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
    let settings =
        Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap();
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let identity = Identity::new(&settings, Timestamp::UNIX_EPOCH, 1);
    let limits = Limits {
        waits: settings.waits(),
        wall_limit: settings.wall_limit(),
        delivery_timeout: TIMEOUT,
    };
    (Plan::new(&settings, &seed, identity), limits)
}

async fn carried_out(sink: &FakeSink, stop: Stop, variables: &[(&str, &str)]) -> LoopEnd {
    let (plan, limits) = plan(variables);
    send(&plan, sink, limits, &stop, Arc::default(), Timestamp::now).await
}

/// Runs while `act` goes on beside it; both in virtual time.
async fn beside<A: Future<Output = ()>>(
    sink: &FakeSink,
    variables: &[(&str, &str)],
    act: impl FnOnce(Stopper) -> A,
) -> (LoopEnd, Duration) {
    let (stopper, stop) = Stop::channel();
    let start = Instant::now();
    let (end, ()) = tokio::join!(
        async {
            let end = carried_out(sink, stop, variables).await;
            (end, start.elapsed())
        },
        act(stopper)
    );
    end
}

#[tokio::test(start_paused = true)]
async fn a_default_run_sends_a_pair_each_half_second_and_ends_with_the_last_answer() {
    let sink = FakeSink::new(true, 100);
    let start = Instant::now();
    let (end, elapsed) = beside(&sink, &[], |_| async {}).await;
    assert_eq!((end.ending, sink.pairs()), (Ending::Completed, 20));
    let expected: Vec<_> = (0..20).map(|i| Duration::from_millis(500) * i).collect();
    let sent = sink.pairs_sent_at(start);
    for (sent, expected) in sent.iter().zip(&expected) {
        assert!(*sent >= *expected && *sent - *expected <= Duration::from_millis(1), "{sent:?}");
    }
    assert_eq!(sent.len(), 20);
    assert!(elapsed < Duration::from_millis(9_510), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fell_behind_catches_up_with_its_schedule() {
    // Room for one pair: the second waits until the first is answered, three seconds late.
    let sink = FakeSink::new(false, 2);
    let start = Instant::now();
    let (end, elapsed) = beside(&sink, &[], |_| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        sink.answers.set(true);
        sink.answer_all(true);
    })
    .await;
    assert_eq!((end.ending, sink.pairs()), (Ending::Completed, 20));
    assert!(elapsed < Duration::from_millis(9_510), "{elapsed:?}");
    let sent = sink.pairs_sent_at(start);
    assert!(
        sent[1] >= Duration::from_secs(3) && sent[6] < Duration::from_millis(3_010),
        "{sent:?}"
    );
    assert!(end.lateness.quantiles().unwrap().max >= 2_000.0);
    // The intended time is reported, not the time at which there was room.
    let (_, at, due) = sink.sent.borrow()[2];
    assert!(at - due >= Duration::from_millis(2_490), "{:?}", at - due);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_slows_down_and_drops_nothing() {
    let sink = FakeSink::new(false, 1);
    let (end, _) = beside(&sink, &[("SLEEP_SEC", "0"), ("BATCH", "50")], |_| async {
        while sink.counts.borrow().total_acknowledged() < 100 {
            tokio::task::yield_now().await;
            sink.answer_all(true);
        }
    })
    .await;
    assert_eq!((end.ending, sink.pairs()), (Ending::Completed, 50));
    let seqs: Vec<_> = sink.sent.borrow().iter().map(|(seq, _, _)| *seq).collect();
    assert_eq!(seqs, (0..50).flat_map(|seq| [seq, seq]).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_short_run_at_full_speed_waits_for_its_answers() {
    let sink = FakeSink::new(false, 100);
    let (end, elapsed) = beside(&sink, &[("SLEEP_SEC", "0"), ("BATCH", "5")], |_| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        sink.answer_all(true);
    })
    .await;
    assert_eq!((end.ending, sink.pairs()), (Ending::Completed, 5));
    assert_eq!(sink.counts.borrow().total_acknowledged(), 10);
    assert!(elapsed >= Duration::from_secs(3), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_signal_stops_generation_at_once_and_waits_for_what_was_generated() {
    let sink = FakeSink::new(false, 100);
    let (end, elapsed) = beside(&sink, &[], |stopper| {
        let sink = &sink;
        async move {
            tokio::time::sleep(Duration::from_millis(1_250)).await;
            stopper.send(Signal::Terminate);
            tokio::time::sleep(Duration::from_secs(2)).await;
            sink.answer_all(true);
        }
    })
    .await;
    assert_eq!((end.ending, sink.pairs()), (Ending::Signalled(Signal::Terminate), 3));
    assert_eq!(sink.counts.borrow().total_acknowledged(), 6);
    assert!(elapsed < Duration::from_millis(3_300), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_the_wait_at_once() {
    let sink = FakeSink::new(false, 100);
    let (end, elapsed) = beside(&sink, &[], |stopper| async move {
        tokio::time::sleep(Duration::from_millis(1_250)).await;
        stopper.send(Signal::Interrupt);
        tokio::time::sleep(Duration::from_millis(100)).await;
        stopper.send(Signal::Terminate);
    })
    .await;
    assert_eq!(end.ending, Ending::Signalled(Signal::Interrupt));
    assert_eq!(sink.in_flight(), 6);
    assert!(elapsed < Duration::from_millis(1_400), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_signal_between_the_two_records_of_a_pair_lets_the_second_follow() {
    let sink = FakeSink::new(false, 1);
    let (end, _) = beside(&sink, &[], |stopper| {
        let sink = &sink;
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stopper.send(Signal::Terminate);
            tokio::time::sleep(Duration::from_millis(100)).await;
            sink.answer_all(true);
            tokio::time::sleep(Duration::from_millis(100)).await;
            sink.answer_all(true);
        }
    })
    .await;
    assert_eq!((end.ending, sink.pairs()), (Ending::Signalled(Signal::Terminate), 1));
    assert_eq!(sink.counts.borrow().total_acknowledged(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_falls_silent_ends_the_run_soon_after_the_delivery_timeout() {
    let sink = FakeSink::new(true, 1_000);
    let (end, elapsed) = beside(&sink, &[("BATCH", "1000")], |_| async {
        tokio::time::sleep(Duration::from_millis(5_100)).await;
        sink.answers.set(false);
    })
    .await;
    assert_eq!(end.ending, Ending::Silence);
    // The first record without an answer was sent at 5.5 s.
    let silence = elapsed - Duration::from_millis(5_500);
    assert!(silence > TIMEOUT && silence < TIMEOUT + Duration::from_secs(2), "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn the_drain_is_bounded_though_answers_trickle() {
    let sink = FakeSink::new(false, 1_000);
    let (end, elapsed) = beside(&sink, &[("SLEEP_SEC", "0"), ("BATCH", "300")], |_| async {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sink.counts.borrow_mut().acknowledged(Kind::Metric, 0, (0, 0));
            sink.silent_since.set(Some(Instant::now()));
            sink.answered.notify_one();
        }
    })
    .await;
    assert_eq!(end.ending, Ending::Silence);
    assert!(elapsed < TIMEOUT + Duration::from_secs(2), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_record_sent_as_the_time_ends_is_waited_for() {
    let sink = FakeSink::new(false, 1);
    let (end, elapsed) = beside(&sink, &[("SLEEP_SEC", "0"), ("DURATION_SEC", "1")], |_| async {
        // The first of a pair waits, and the second has no room. By the answer the time is over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        sink.answer_all(true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        sink.answer_all(true);
    })
    .await;
    assert_eq!((end.ending, sink.pairs(), sink.in_flight()), (Ending::Completed, 1, 0));
    assert!(elapsed >= Duration::from_secs(3), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_can_send_nothing_any_more_stops_the_run() {
    let sink = FakeSink::new(false, 100);
    let (end, elapsed) = beside(&sink, &[], |_| async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        sink.fatal.set(true);
    })
    .await;
    assert_eq!(end.ending, Ending::Fatal);
    assert!(elapsed < Duration::from_millis(900), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_records_all_fail_completes_its_plan() {
    let sink = FakeSink::new(false, 1_000);
    let (end, _) = beside(&sink, &[], |_| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        sink.answer_all(false);
    })
    .await;
    assert_eq!((end.ending, sink.pairs()), (Ending::Completed, 20));
    assert_eq!(sink.counts.borrow().total_failed(), 40);
}

#[tokio::test(start_paused = true)]
async fn no_pairs_are_no_run() {
    let sink = FakeSink::new(true, 100);
    let (end, elapsed) = beside(&sink, &[("BATCH", "0")], |_| async {}).await;
    assert_eq!((end.ending, sink.pairs(), elapsed), (Ending::Completed, 0, Duration::ZERO));
}
