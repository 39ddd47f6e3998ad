//! The workload as a whole: order, shards, bounds, schedule.

use super::arrivals::{Due, Schedule};
use super::*;
use crate::settings::{Inputs, Settings};
use proptest::prelude::*;
use std::time::Duration;

fn settings(variables: &[(&str, &str)]) -> Settings {
    let mut environment = vec![("VM4_PRODUCER_ENV".into(), "/dev/null".into())];
    environment.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
    Settings::load(&Inputs { environment, ..Inputs::default() }).unwrap()
}

fn workload(name: WorkloadName, run_seed: u64) -> Workload {
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    Workload::new(name, &seed, "vm4", run_seed, "run")
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn offsets(variables: &[(&str, &str)]) -> Vec<Due> {
    Schedule::new(&settings(variables), 1, "run").collect()
}

const LIVE: [WorkloadName; 4] =
    [WorkloadName::Chat, WorkloadName::Code, WorkloadName::Reason, WorkloadName::Long];

proptest! {
    #[test]
    fn a_pair_does_not_depend_on_who_asks_or_in_which_order(
        run_seed: u64, seqs in prop::collection::vec(0..10_000_u64, 1..20), ms in 0..4_000_000_000_000_i64
    ) {
        let (one, other) = (workload(WorkloadName::Chat, run_seed), workload(WorkloadName::Chat, run_seed));
        let forwards: Vec<_> = seqs.iter().map(|seq| one.pair(*seq, at(ms))).collect();
        let backwards: Vec<_> = seqs.iter().rev().map(|seq| other.pair(*seq, at(ms))).collect();
        prop_assert!(forwards.iter().eq(backwards.iter().rev()));
    }

    #[test]
    fn live_values_stay_within_their_bounds(run_seed: u64, seq: u64, ms in 0..4_000_000_000_000_i64) {
        for name in LIVE {
            let workload = workload(name, run_seed);
            let pair = workload.pair(seq, at(ms));
            let row = &workload.gpus[pair.gpu].row;
            let reading = pair.reading.unwrap();
            prop_assert!(reading.utilization_percent <= 100);
            prop_assert!(reading.mem_used_mb <= row.mem_total_mb);
            let share = crate::settings::to_f64(reading.power_deciwatts) / 10.0 / row.power_w;
            prop_assert!((0.69..=1.31).contains(&share), "power at {share} of the operating point");
            prop_assert!(pair.tokens.prompt >= 1 && pair.tokens.completion >= 1);
        }
    }

    #[test]
    fn no_request_beats_its_hardware(run_seed: u64, seq in 0..1000_u64) {
        let workload = workload(WorkloadName::Chat, run_seed);
        let pair = workload.pair(seq, at(0));
        let hardware = workload.gpus[pair.gpu].hardware;
        let fastest = hardware.ttft_base_ms
            + f64::from(pair.tokens.completion - 1) * hardware.tpot_base_ms;
        prop_assert!(f64::from(pair.latency_ms) >= fastest);
    }

    #[test]
    fn shards_together_are_the_unsharded_schedule(
        count in 1..9_u32, batch in 0..200_u64, arrivals in prop::sample::select(&["fixed", "poisson", "workload"][..])
    ) {
        let common = |shard: &str| {
            offsets(&[("BATCH", &batch.to_string()), ("ARRIVALS", arrivals), ("SHARD", shard)])
        };
        let mut union: Vec<_> = (0..count).flat_map(|i| common(&format!("{i}/{count}"))).collect();
        union.sort_by_key(|due| due.seq);
        prop_assert_eq!(union, common("0/1"));
    }

    #[test]
    fn the_planned_pairs_are_those_that_come(
        count in 1..5_u32, index in 0..5_u32, batch in 0..50_u64, ms in 1..20_000_u64
    ) {
        let shard = format!("{}/{count}", index % count);
        let duration = format!("{}", Duration::from_millis(ms).as_secs_f64());
        let settings = settings(&[("BATCH", &batch.to_string()), ("DURATION_SEC", &duration), ("SHARD", &shard)]);
        let schedule = Schedule::new(&settings, 1, "run");
        let planned = schedule.planned_pairs().unwrap();
        prop_assert_eq!(planned, schedule.count() as u64);
    }
}

#[test]
fn the_uniform_workload_draws_from_its_documented_ranges() {
    let workload = workload(WorkloadName::Uniform, 7);
    let (mut prompt, mut completion, mut latency) = (Vec::new(), Vec::new(), Vec::new());
    for seq in 0..20_000 {
        let pair = workload.pair(seq, at(0));
        assert_eq!((pair.reading, pair.model), (None, "llama-3-70b"));
        prompt.push(pair.tokens.prompt);
        completion.push(pair.tokens.completion);
        latency.push(pair.latency_ms);
    }
    // 20,000 draws of at most 1793 values reach both ends.
    for (draws, from, to) in [(prompt, 256, 2048), (completion, 64, 512), (latency, 100, 800)] {
        assert_eq!((draws.iter().min(), draws.iter().max()), (Some(&from), Some(&to)));
    }
}

#[test]
fn every_gpu_gets_its_share() {
    let workload = workload(WorkloadName::Chat, 7);
    let second = (0..10_000).filter(|seq| workload.pair(*seq, at(0)).gpu == 1).count();
    assert!((4_700..5_300).contains(&second), "{second} of 10000");
}

#[test]
fn gpu_values_move_around_the_operating_point_and_without_jumps() {
    let workload = workload(WorkloadName::Chat, 7);
    let gpu = &workload.gpus[0];
    let readings: Vec<_> =
        (0..200_000).map(|s| gpu::live(&gpu.row, gpu.load.at(at(s * 1000)))).collect();
    let mean = |value: fn(&Reading) -> f64| {
        readings.iter().map(value).sum::<f64>() / crate::settings::to_f64(readings.len() as u64)
    };
    let power = mean(|r| crate::settings::to_f64(r.power_deciwatts) / 10.0);
    let utilization = mean(|r| f64::from(r.utilization_percent));
    assert!((power / 280.0 - 1.0).abs() < 0.03, "mean power {power} W");
    assert!((utilization - 70.0).abs() < 3.0, "mean utilization {utilization} %");
    let distinct: std::collections::BTreeSet<_> =
        readings.iter().map(|r| r.power_deciwatts).collect();
    assert!(distinct.len() > 500, "{} values of power", distinct.len());
}

#[test]
fn runs_with_one_seed_continue_one_series_of_a_gpu() {
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let run = |id: &str| Workload::new(WorkloadName::Chat, &seed, "vm4", 7, id);
    let (first, second) = (run("first"), run("second"));
    assert_eq!(
        first.gpus[1].load.at(at(1_000_000)).to_bits(),
        second.gpus[1].load.at(at(1_000_000)).to_bits()
    );
    let tokens = |w: &Workload| (0..50).map(|seq| w.pair(seq, at(0)).tokens).collect::<Vec<_>>();
    assert_ne!(tokens(&first), tokens(&second), "each run has its own requests");
}

#[test]
fn fixed_arrivals_do_not_drift() {
    let due = offsets(&[("SLEEP_SEC", "0.1"), ("BATCH", "1000001")]);
    assert_eq!(due.last(), Some(&Due { seq: 1_000_000, offset: Duration::from_secs(100_000) }));
}

#[test]
fn random_arrivals_keep_their_mean() {
    for arrivals in ["poisson", "workload"] {
        let due = offsets(&[("ARRIVALS", arrivals), ("SLEEP_SEC", "0.5"), ("BATCH", "100000")]);
        let mean = due.last().unwrap().offset.as_secs_f64() / 99_999.0;
        assert!((mean / 0.5 - 1.0).abs() < 0.02, "{arrivals}: mean {mean} s");
        assert!(due.is_sorted_by_key(|due| due.offset));
    }
}

#[test]
fn the_duration_ends_the_schedule() {
    let due = offsets(&[("SLEEP_SEC", "0.5"), ("DURATION_SEC", "2")]);
    assert_eq!(due.iter().map(|due| due.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(offsets(&[("BATCH", "3"), ("DURATION_SEC", "2")]).len(), 3);
}
