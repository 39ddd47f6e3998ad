//! The timeline's hours, and its clock.

use super::*;
use crate::workload::tests::statistics::{autocorrelation, mean, sd};

const MONDAY_MS: i64 = 1_767_571_200_000;

fn timeline(workload: Name, mean_ms: u64, paces_pairs: bool) -> Timeline {
    Timeline::new(workload, Duration::from_millis(mean_ms), paces_pairs, 1)
}

#[test]
fn every_hour_has_the_mean_rate_and_a_load_that_is_standard_normal_over_its_pairs() {
    for workload in [Name::Chat, Name::Code, Name::Reason] {
        for paces_pairs in [true, false] {
            let timeline = timeline(workload, 500, paces_pairs);
            for index in 0..20 {
                let hour = timeline.rates(index);
                let drive = drive(&hour, paces_pairs);
                assert!((mean(&hour.rates) - 1.0).abs() < 1e-9);
                let rate = |second: usize| hour.rates[second / hour.step_sec];
                let weight = |block: usize| -> f64 {
                    let seconds = block * BLOCK_SEC..(block + 1) * BLOCK_SEC;
                    if paces_pairs { seconds.map(rate).sum() } else { 1.0 }
                };
                let weights: Vec<f64> = (0..BLOCKS).map(weight).collect();
                let total: f64 = weights.iter().sum();
                let moment = |power: i32| {
                    let of = |(x, w): (&f64, &f64)| x.powi(power) * w;
                    drive.iter().zip(&weights).map(of).sum::<f64>() / total
                };
                assert!(moment(1).abs() < 1e-9, "{}", moment(1));
                assert!((moment(2) - 1.0).abs() < 1e-9, "{}", moment(2));
                assert!(moment(3).abs() < 0.1, "{}", moment(3));
                assert!((moment(4) - 3.0).abs() < 0.3, "{}", moment(4));
            }
        }
    }
}

#[test]
fn the_minutes_of_chat_drift_as_those_of_its_trace() {
    let timeline = timeline(Name::Chat, 180, true);
    let (mut spread, mut next) = (Vec::new(), Vec::new());
    for index in 0..200 {
        let hour = timeline.rates(index);
        let minutes: Vec<f64> = hour.rates.iter().map(|rate| rate.ln()).collect();
        spread.push(sd(&minutes));
        next.push(autocorrelation(&minutes, 1));
    }
    eprintln!(
        "chat: log rate by minute, spread {:.3} (trace 0.22), autocorrelation after a minute {:.2} \
         (trace 0.78)",
        mean(&spread),
        mean(&next)
    );
    assert!((0.19..=0.24).contains(&mean(&spread)));
    assert!((0.7..=0.86).contains(&mean(&next)));
}

#[test]
fn the_clock_counts_a_week_and_never_runs_backwards() {
    let week_sec = 7.0 * 86_400.0;
    let mut clock = Clock::starting(timeline(Name::Chat, 500, true), MONDAY_MS);
    let passed = clock.count(week_sec);
    assert!((passed / week_sec - 1.0).abs() < 0.005, "{passed}");
    let mut clock = Clock::starting(timeline(Name::Code, 500, true), MONDAY_MS + 12_345_678);
    let steps: Vec<f64> = (0..20_000).map(|_| clock.count(5.0)).collect();
    assert!(steps.iter().all(|step| *step > 0.0));
}

#[test]
fn at_rates_above_the_traces_the_timeline_is_played_faster() {
    // A thousand pairs a second: the trace's hour of bursts is over in nine seconds.
    let mut clock = Clock::starting(timeline(Name::Code, 1, true), MONDAY_MS);
    let night = Week::of(Name::Code).unwrap().rate(MONDAY_MS / 1000);
    let passed = clock.count(180.0 * night);
    assert!((passed / 180.0 - 1.0).abs() < 0.1, "{passed}");
}

#[test]
fn what_is_remembered_of_an_hour_changes_no_answer() {
    let timeline = timeline(Name::Code, 500, true);
    let mut recent = Last::default();
    for second in [0, 3_599, 3_600, 7, 1_000_000, 7_200, 1_000_003] {
        let fresh = timeline.drive(second, &mut Last::default());
        assert!((timeline.drive(second, &mut recent) - fresh).abs() < 1e-12);
    }
}
