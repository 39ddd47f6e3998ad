//! Arrivals against the traces, in shards and in backfills.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "the numbers of a test are small, and equal where they are the same"
)]

use super::*;
use crate::workload::tests::monday;
use crate::workload::tests::statistics::{cv, dispersion, mean};
use crate::workload::timeline::Week;
use crate::workload::traffic_share::TrafficShare;
use proptest::prelude::*;

/// Twenty pairs, two a second.
fn twenty() -> Timing {
    Timing {
        law: Law::Fixed,
        workload: Name::Chat,
        mean: Duration::from_millis(500),
        pairs: 20,
        until: None,
        start: monday(),
        shard: Shard { index: 0, count: 1 },
    }
}

/// Gaps as in a workload's trace, so many of them that the statistics are those of the trace.
fn trace(workload: Name, mean_sec: f64) -> Timing {
    let mean = Duration::from_secs_f64(mean_sec);
    Timing { law: Law::Workload, workload, mean, pairs: 20_001, ..twenty() }
}

/// Two GPUs.
fn gpus() -> Arc<Gpus> {
    let shares = TrafficShare::new(Name::Chat, (1, 2), 1, "run");
    Arc::new(Gpus { shares, indexes: vec![0, 1], incidents: None })
}

fn schedule(run_seed: u64, timing: Timing) -> Vec<Due> {
    Schedule::new(&timing, gpus(), run_seed, "run").collect()
}

fn seconds_of(due: &[Due]) -> Vec<f64> {
    due.iter().map(|due| due.offset.as_secs_f64()).collect()
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Rate of the first hour of a Monday relative to the mean: two hours are counted from there.
fn monday_rate(workload: Name) -> f64 {
    Week::of(workload).map_or(1.0, |week| week.rate(monday().as_second() + 1800))
}

#[test]
fn chat_arrives_as_its_trace_at_the_rate_of_the_trace() {
    for run_seed in 1..=5 {
        // The rate of the trace's hour, in the first hour of the week.
        let mean_sec = 0.18083 * monday_rate(Name::Chat);
        let times = seconds_of(&schedule(run_seed, trace(Name::Chat, mean_sec)));
        let gaps = gaps(&times);
        let (cv, dispersion) = (cv(&gaps), dispersion(&times, 60.0));
        eprintln!(
            "chat, seed {run_seed}: CV {cv:.3} (trace 1.094), dispersion at 60 s {dispersion:.1} \
             (trace 20.9)"
        );
        assert!((1.0..=1.2).contains(&cv), "{cv}");
        assert!((10.0..=30.0).contains(&dispersion), "{dispersion}");
    }
}

#[test]
fn code_arrives_in_bursts_whose_rate_wanders() {
    for run_seed in 1..=5 {
        let mean_sec = 0.408 * monday_rate(Name::Code);
        let times = seconds_of(&schedule(run_seed, trace(Name::Code, mean_sec)));
        let gaps = gaps(&times);
        let bursts = gaps.iter().filter(|gap| **gap > 5.0).count() as f64 / times.last().unwrap();
        let longest = gaps.iter().copied().fold(0.0, f64::max);
        let [second, ten, minute] = [1.0, 10.0, 60.0].map(|window| dispersion(&times, window));
        let mut counts = std::collections::HashMap::<u64, u32>::new();
        times.iter().for_each(|time| *counts.entry(*time as u64).or_default() += 1);
        let most = counts.values().max().unwrap();
        eprintln!(
            "code, seed {run_seed}: dispersion at 1, 10 and 60 s {second:.1}, {ten:.0}, {minute:.0} (trace \
             13, 72, 164), most in a second {most} (67), CV {:.1} (13.2), {:.0} bursts an hour (58), \
             longest silence {longest:.0} s (217)",
            cv(&gaps),
            bursts * 3600.0
        );
        assert!((10.0..=17.0).contains(&second), "{second}");
        assert!((110.0..=220.0).contains(&minute), "{minute}");
        assert!(*most >= 40, "{most}");
        assert!((45.0..70.0).contains(&(bursts * 3600.0)), "{bursts}");
    }
}

#[test]
fn sleep_sec_stays_the_mean_of_a_week_at_any_rate_and_of_every_workload() {
    for workload in Name::ALL {
        for law in Law::ALL {
            let week = Some(Duration::from_secs(7 * 86_400));
            let mean = Duration::from_secs(10);
            let timing = Timing { law, mean, until: week, pairs: u64::MAX, ..trace(workload, 1.0) };
            let pairs = schedule(7, timing).len() as f64;
            assert!((pairs / 60_480.0 - 1.0).abs() <= 0.02, "{timing:?}: {pairs}");
        }
    }
}

#[test]
fn runs_of_minutes_at_a_thousand_pairs_a_second_keep_the_mean_of_their_hour() {
    for workload in Name::ALL {
        // Some ten hours of the timeline, the first and the last of them in part.
        let timing = Timing { pairs: 200_001, ..trace(workload, 0.001) };
        let mean = mean(&gaps(&seconds_of(&schedule(7, timing)))) / 0.001;
        let meant = Week::of(workload).map_or(1.0, |week| 1.0 / week.rate(monday().as_second()));
        assert!((mean / meant - 1.0).abs() <= 0.06, "{workload:?}: {mean}, not {meant}");
    }
}

#[test]
fn a_week_has_the_days_and_the_hours_of_its_trace() {
    for (workload, hours, sunday) in [
        (Name::Code, 7.0..12.0, 0.25..0.45),
        (Name::Chat, 1.6..2.2, 0.5..0.63),
        (Name::Reason, 3.8..5.5, 0.5..0.63),
    ] {
        let mean = Duration::from_secs(1);
        let until = Some(Duration::from_secs(7 * 86_400));
        let due = schedule(1, Timing { mean, until, pairs: u64::MAX, ..trace(workload, 1.0) });
        let (mut of_hour, mut of_day) = ([0_u32; 24], [0_u32; 7]);
        for time in seconds_of(&due) {
            let (day, hour) = ((time / 86_400.0) as usize, (time / 3600.0) as usize % 24);
            of_day[day] += 1;
            of_hour[hour] += u32::from(day < 5);
        }
        let [most, least] = [of_hour.iter().max(), of_hour.iter().min()].map(Option::unwrap);
        let ratio = f64::from(*most) / f64::from(*least);
        let weekend = f64::from(of_day[6]) / f64::from(of_day[2]);
        eprintln!(
            "{}: hour of a weekday, peak over trough {ratio:.1}; Sunday over Wednesday {weekend:.2}",
            workload.word()
        );
        assert!(hours.contains(&ratio), "{ratio}");
        assert!(sunday.contains(&weekend), "{weekend}");
    }
}

#[test]
fn fixed_arrivals_do_not_drift() {
    let due =
        schedule(1, Timing { mean: Duration::from_millis(100), pairs: 1_000_001, ..twenty() });
    assert_eq!(due.last(), Some(&Due { seq: 1_000_000, offset: Duration::from_secs(100_000) }));
}

#[test]
fn the_duration_ends_the_schedule() {
    let two_seconds = Timing { until: Some(Duration::from_secs(2)), ..twenty() };
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
        nanos in prop::sample::select(&[0, 1_000, 500_000_000, 86_400_000_000_000][..])
    ) {
        let mean = Duration::from_nanos(nanos);
        let timing = Timing { law, workload, mean, pairs, ..twenty() };
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
        let schedule = Schedule::new(&Timing { pairs, until, shard, ..twenty() }, gpus(), 1, "run");
        let planned = schedule.planned_pairs().unwrap();
        prop_assert_eq!(planned, schedule.count() as u64);
    }

    #[test]
    fn the_pairs_that_are_counted_are_those_that_come(
        law in prop::sample::select(&Law::ALL[..]), count in 1..5_u32, index in 0..5_u32, ms in 1..20_000_u64
    ) {
        let (until, shard) = (Some(Duration::from_millis(ms)), Shard { index: index % count, count });
        let timing = Timing { law, pairs: u64::MAX, until, shard, ..twenty() };
        let schedule = Schedule::new(&timing, gpus(), 1, "run");
        prop_assert_eq!(schedule.count_pairs(), Some(schedule.clone().count() as u64));
        let at_once = Timing { mean: Duration::ZERO, ..timing };
        prop_assert_eq!(Schedule::new(&at_once, gpus(), 1, "run").count_pairs(), None);
    }
}
