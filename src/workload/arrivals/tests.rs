//! Arrivals against the traces, in shards and in backfills.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "the numbers of a test are small, and equal where they are the same"
)]

use super::*;
use crate::workload::tests::statistics::{cv, dispersion, mean};
use proptest::prelude::*;

/// Twenty pairs, two a second.
const LIVE: Timing = Timing {
    law: Law::Fixed,
    workload: Name::Chat,
    mean: Duration::from_millis(500),
    pairs: 20,
    until: None,
    backfill_from: None,
    shard: Shard { index: 0, count: 1 },
};

/// Gaps as in a workload's trace, so many of them that the statistics are those of the trace.
fn trace(workload: Name, mean_sec: f64) -> Timing {
    let mean = Duration::from_secs_f64(mean_sec);
    Timing { law: Law::Workload, workload, mean, pairs: 20_001, ..LIVE }
}

fn new_year() -> Option<Timestamp> {
    Some("2026-01-01T00:00:00Z".parse().unwrap())
}

fn schedule(run_seed: u64, timing: Timing) -> Vec<Due> {
    Schedule::new(&timing, run_seed, "run").collect()
}

fn seconds_of(due: &[Due]) -> Vec<f64> {
    due.iter().map(|due| due.offset.as_secs_f64()).collect()
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn chat_arrives_as_its_trace_at_the_rate_of_the_trace() {
    for run_seed in 1..=5 {
        let due = schedule(run_seed, trace(Name::Chat, 0.18083));
        let times = seconds_of(&due);
        let gaps = gaps(&times);
        let (cv, dispersion) = (cv(&gaps), dispersion(&times, 60.0));
        let mean = mean(&gaps) / 0.18083;
        eprintln!(
            "chat, seed {run_seed}: CV {cv:.3} (trace 1.094), dispersion at 60 s {dispersion:.1} \
             (trace 20.9), mean {mean:.4} of SLEEP_SEC"
        );
        assert!((1.0..=1.2).contains(&cv), "{cv}");
        assert!((10.0..=30.0).contains(&dispersion), "{dispersion}");
        assert!((mean - 1.0).abs() <= 0.02, "{mean}");
    }
}

#[test]
fn code_arrives_in_bursts() {
    for run_seed in 1..=5 {
        let due = schedule(run_seed, trace(Name::Code, 0.389));
        let times = seconds_of(&due);
        let gaps = gaps(&times);
        let (cv, mean) = (cv(&gaps), mean(&gaps) / 0.389);
        let bursts = gaps.iter().filter(|gap| **gap > 5.0).count() as f64 / times.last().unwrap();
        let longest = gaps.iter().copied().fold(0.0, f64::max);
        eprintln!(
            "code, seed {run_seed}: CV {cv:.1} (trace 13.15), {:.0} bursts an hour (trace 58), longest \
             silence {longest:.0} s (trace 217), mean {mean:.4} of SLEEP_SEC",
            bursts * 3600.0
        );
        assert!(cv > 5.0, "{cv}");
        assert!((45.0..70.0).contains(&(bursts * 3600.0)), "{bursts}");
        assert!((mean - 1.0).abs() <= 0.02, "{mean}");
    }
}

#[test]
fn sleep_sec_stays_the_mean_at_any_rate_and_of_every_workload() {
    for workload in Name::ALL {
        for law in Law::ALL {
            for sleep in [0.001, 0.5, 30.0] {
                let timing = Timing { law, ..trace(workload, sleep) };
                let mean = mean(&gaps(&seconds_of(&schedule(7, timing)))) / sleep;
                assert!((mean - 1.0).abs() <= 0.025, "{timing:?}: {mean}");
            }
        }
    }
}

#[test]
fn a_backfill_of_days_has_the_shape_of_a_day_and_keeps_its_mean() {
    let backfill_from = new_year();
    for (workload, pairs, sleep) in
        [(Name::Chat, 34_561, 10.0), (Name::Code, 345_601, 1.0), (Name::Reason, 34_561, 10.0)]
    {
        // Four days.
        let due = schedule(1, Timing { backfill_from, pairs, ..trace(workload, sleep) });
        let times = seconds_of(&due);
        let mut of_hour = [0_u32; 24];
        for time in &times {
            of_hour[(time / 3600.0) as usize % 24] += 1;
        }
        // The six hours around 15:00 against the six around 03:00, whose mean swing is 0.9 of it.
        let around = |hour: usize| (hour - 3..hour + 3).map(|h| of_hour[h]).sum::<u32>();
        let ratio = f64::from(around(15)) / f64::from(around(3));
        let mean = mean(&gaps(&times)) / sleep;
        eprintln!(
            "{workload:?}: {ratio:.2} times as many at the peak as at the trough, mean {mean:.4}"
        );
        assert!((1.25..1.55).contains(&ratio), "{ratio}");
        assert!((mean - 1.0).abs() <= 0.02, "{mean}");
    }
    let live = trace(Name::Chat, 0.5);
    assert_ne!(schedule(1, live), schedule(1, Timing { backfill_from, ..live }));
    let fixed = Timing { backfill_from, ..LIVE };
    assert_eq!(schedule(1, fixed), schedule(1, LIVE), "fixed gaps stay equal");
}

#[test]
fn fixed_arrivals_do_not_drift() {
    let due = schedule(1, Timing { mean: Duration::from_millis(100), pairs: 1_000_001, ..LIVE });
    assert_eq!(due.last(), Some(&Due { seq: 1_000_000, offset: Duration::from_secs(100_000) }));
}

#[test]
fn the_duration_ends_the_schedule() {
    let two_seconds = Timing { until: Some(Duration::from_secs(2)), ..LIVE };
    let due = schedule(1, two_seconds);
    assert_eq!(due.iter().map(|due| due.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(schedule(1, Timing { pairs: 3, ..two_seconds }).len(), 3);
}

proptest! {
    #[test]
    fn shards_together_are_the_unsharded_schedule_and_no_pair_comes_before_the_one_before(
        run_seed: u64,
        count in 1..9_u32,
        pairs in 0..6000_u64,
        workload in prop::sample::select(&[Name::Chat, Name::Code, Name::Long][..]),
        law in prop::sample::select(&Law::ALL[..]),
        is_backfill: bool,
        nanos in prop::sample::select(&[0, 1_000, 500_000_000, 86_400_000_000_000][..])
    ) {
        let backfill_from = new_year().filter(|_| is_backfill);
        let mean = Duration::from_nanos(nanos);
        let timing = Timing { law, workload, mean, pairs, backfill_from, ..LIVE };
        let sharded = |index, count| {
            schedule(run_seed, Timing { shard: Shard { index, count }, ..timing })
        };
        let whole = sharded(0, 1);
        prop_assert!(whole.is_sorted_by_key(|due| due.offset));
        prop_assert_eq!(whole.len() as u64, pairs);
        let mut union: Vec<_> = (0..count).flat_map(|index| sharded(index, count)).collect();
        union.sort_by_key(|due| due.seq);
        prop_assert_eq!(union, whole);
    }

    #[test]
    fn the_planned_pairs_are_those_that_come(
        count in 1..5_u32, index in 0..5_u32, pairs in 0..50_u64, ms in 1..20_000_u64
    ) {
        let (until, shard) = (Some(Duration::from_millis(ms)), Shard { index: index % count, count });
        let schedule = Schedule::new(&Timing { pairs, until, shard, ..LIVE }, 1, "run");
        let planned = schedule.planned_pairs().unwrap();
        prop_assert_eq!(planned, schedule.count() as u64);
    }
}
