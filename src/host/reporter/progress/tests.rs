//! What the line says, by phase and width.

use std::sync::Arc;

use super::super::ScheduleState;
use super::*;
use crate::event::Kind;

/// A run of 20 pairs, one each 30 s, that began this long ago and has sent so many.
fn paced(begun_for: Duration, sent: u64) -> (View, Counts, Instant) {
    let now = Instant::now();
    let started = now.checked_sub(begun_for).unwrap();
    let schedule = ScheduleState::default();
    schedule.begins(started);
    let view = View {
        planned_records: Some(40),
        delivery_timeout: Duration::from_secs(30),
        counts: Box::new(Counts::default),
        schedule: Arc::new(schedule),
        started,
        servers: "127.0.0.1:39492".into(),
        connect_within: Duration::from_secs(27),
        gap: Some(Duration::from_secs(30)),
        duration: None,
    };
    let mut counts = Counts::default();
    for kind in Kind::BOTH {
        counts.generated(kind, sent);
        (0..sent).for_each(|index| {
            counts.acknowledged(kind, index, (0, index.try_into().unwrap()));
        });
    }
    (view, counts, now)
}

fn said(run: &(View, Counts, Instant), columns: usize) -> String {
    let line = line(&run.0, &run.1, run.2, columns);
    line.trim_start_matches(['█', '░', '#', '.', ' ']).to_owned()
}

#[test]
fn the_time_left_of_a_paced_run_is_that_of_its_schedule() {
    // One pair after two seconds: 19 pairs are 9.5 minutes, whatever the rate.
    let run = paced(Duration::from_secs(2), 1);
    assert_eq!(said(&run, 80), "2/40 records, 9 min 30 s left, 1/s");
    let run = paced(Duration::from_secs(569), 19);
    assert_eq!(said(&run, 80), "38/40 records, 30 s left, 0/s");
}

#[test]
fn the_time_left_at_full_speed_is_that_of_the_rate() {
    let (view, counts, now) = paced(Duration::from_secs(10), 5);
    let run = (View { gap: None, ..view }, counts, now);
    assert_eq!(said(&run, 80), "10/40 records, 30 s left, 1/s");
}

#[test]
fn a_run_that_only_its_duration_ends_counts_down() {
    let (view, counts, now) = paced(Duration::from_secs(600), 5);
    let duration = Some(Duration::from_secs(86_400));
    let run = (View { planned_records: None, duration, ..view }, counts, now);
    assert_eq!(said(&run, 80), "10 records, 23 h 50 min left, 0/s");
}

#[test]
fn a_run_that_has_not_begun_says_to_whom_it_connects_and_how_long() {
    let (view, counts, now) = paced(Duration::from_secs(6), 0);
    let run = (View { schedule: Arc::default(), ..view }, counts, now);
    assert_eq!(said(&run, 80), "connecting to 127.0.0.1:39492 (6 s of 27 s)");
    assert_eq!(said(&run, 30), "connecting (6 s of 27 s)");
}

#[test]
fn a_run_that_is_told_to_stop_says_what_it_waits_for() {
    let mut run = paced(Duration::from_secs(6), 2);
    run.1.generated(Kind::Metric, 22);
    run.0.schedule.stops();
    assert_eq!(said(&run, 80), "stopping, 20 waiting; Ctrl-C ends the wait");
    assert_eq!(said(&run, 30), "stopping, 20 waiting");
}

#[test]
fn a_narrow_terminal_gets_the_figures_without_the_bar() {
    let run = paced(Duration::from_secs(2), 1);
    for columns in [20, 35, 40, 58, 80, 120] {
        let whole = line(&run.0, &run.1, run.2, columns);
        assert!(whole.chars().count() <= columns, "{columns}: {whole}");
        assert!(whole.contains("2/40 records"), "{columns}: {whole}");
    }
    assert!(!line(&run.0, &run.1, run.2, 40).contains(['█', '░', '.']));
}
