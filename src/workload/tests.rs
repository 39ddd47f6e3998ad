//! The workload as a whole: order, shards, bounds, schedule.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "the numbers of a test are small, and equal where they are the same"
)]

use super::arrivals::{Due, Law, Schedule};
use super::*;
use proptest::prelude::*;

pub(in crate::workload) mod statistics;

/// A Monday, at midnight.
pub(in crate::workload) fn monday() -> Timestamp {
    "2026-01-05T00:00:00Z".parse().unwrap()
}

/// Pairs from a Monday on.
pub(in crate::workload) fn timing(workload: Name, law: Law, mean_sec: f64, pairs: u64) -> Timing {
    let mean = Duration::from_secs_f64(mean_sec);
    let shard = Shard { index: 0, count: 1 };
    Timing { law, workload, mean, pairs, until: None, start: monday(), shard }
}

/// The pairs of a run, in their order, at the times of its schedule.
pub(in crate::workload) fn pairs<'w>(workload: &'w Workload, timing: &Timing) -> Vec<Pair<'w>> {
    let mut recent = Recent::default();
    let schedule = Schedule::new(timing, Arc::clone(workload.gpus()), 1, "run");
    let pair = |due: Due| {
        let ms = timing.start.as_millisecond() + due.offset.as_millis() as i64;
        workload.pair(due.seq, at(ms), &mut recent)
    };
    schedule.map(pair).collect()
}

pub(in crate::workload) fn hosts(number: usize) -> Vec<String> {
    (1..=number).map(|host| format!("gpu{host:02}")).collect()
}

pub(in crate::workload) fn built_in() -> Seed {
    seed::parse(seed::BUILT_IN.as_bytes()).unwrap()
}

/// The built-in seed on one host.
pub(in crate::workload) fn workload(name: Name, run_seed: u64) -> Workload {
    let timing = timing(name, Law::Fixed, 0.5, 20);
    Workload::new(&timing, &built_in(), &["vm4".into()], run_seed, "run")
}

pub(in crate::workload) fn seed_of(fields: &str) -> Seed {
    let row = format!(r#"[{{"gpu_index":0,"price_per_hour_usd":1,{fields}}}]"#);
    seed::parse(row.as_bytes()).unwrap()
}

/// A seed of one row, and its workload.
pub(in crate::workload) fn workload_of(name: Name, fields: &str) -> Workload {
    let timing = timing(name, Law::Fixed, 0.5, 20);
    Workload::new(&timing, &seed_of(fields), &["vm4".into()], 1, "run")
}

/// A row of a seed, from its fields other than index and price.
pub(in crate::workload) fn row(fields: &str) -> Row {
    seed_of(fields).rows.remove(0)
}

pub(in crate::workload) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

const LIVE: [Name; 5] = [Name::Chat, Name::Code, Name::Reason, Name::Long, Name::Agent];

proptest! {
    #[test]
    fn a_pair_depends_neither_on_what_was_asked_before_nor_on_what_is_remembered_of_it(
        run_seed: u64,
        calls in prop::collection::vec((0..2_usize, 0..10_000_u64, 0..20_000_i64), 1..60),
        start in 0..4_000_000_000_000_i64
    ) {
        for name in LIVE {
            // Two runs share what is remembered: each must forget what the other left.
            let timing = timing(name, Law::Workload, 0.5, 20);
            let runs = ["one", "other"]
                .map(|id| Workload::new(&timing, &built_in(), &hosts(2), run_seed, id));
            let mut used = Recent::default();
            for &(run, seq, ms) in &calls {
                let run = &runs[run];
                let at = at(start + ms);
                let fresh = run.pair(seq, at, &mut Recent::default());
                prop_assert_eq!(run.pair(seq, at, &mut used), fresh);
            }
        }
    }

    #[test]
    fn live_values_stay_within_their_bounds(run_seed: u64, seq: u64, ms in 0..4_000_000_000_000_i64) {
        for name in LIVE {
            let workload = workload(name, run_seed);
            let pair = workload.pair(seq, at(ms), &mut Recent::default());
            let hardware = workload.hardware(pair.gpu.row);
            let reading = pair.reading.unwrap();
            prop_assert!((1..=100).contains(&reading.utilization_percent));
            let power_w = reading.power_deciwatts as f64 / 10.0;
            prop_assert!(power_w >= 0.9 * hardware.power_idle_w - 0.05, "{power_w} W");
            prop_assert!(power_w <= 1.5 * hardware.power_cap_w + 0.05, "{power_w} W");
            prop_assert!(pair.tokens.prompt >= 1 && pair.tokens.completion >= 1 && pair.batch >= 1);
        }
    }
}

#[test]
fn the_uniform_workload_draws_from_its_documented_ranges() {
    let workload = workload(Name::Uniform, 7);
    let (mut prompt, mut completion, mut latency) = (Vec::new(), Vec::new(), Vec::new());
    let mut recent = Recent::default();
    for seq in 0..20_000 {
        let pair = workload.pair(seq, at(0), &mut recent);
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
fn some_gpus_and_some_hosts_get_more_than_others_and_none_gets_nothing() {
    let shares = |run_seed: u64, run_id: &str, name| {
        let timing = timing(name, Law::Fixed, 0.5, 20);
        let workload = Workload::new(&timing, &built_in(), &hosts(8), run_seed, run_id);
        let (mut counts, mut recent) = ([0_u32; 16], Recent::default());
        for seq in 0..20_000 {
            let pair = workload.pair(seq, at(0), &mut recent);
            counts[pair.gpu.host * 2 + pair.gpu.row] += 1;
        }
        counts
    };
    let counts = shares(7, "run", Name::Chat);
    let (least, most) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
    assert!(least > 100 && most > 2 * least, "{counts:?}");
    // the favourites are those of the seed, not of the run
    let other_run = shares(7, "other", Name::Chat);
    for (one, other) in counts.iter().zip(other_run) {
        assert!(one.abs_diff(other) < 250, "{counts:?}, {other_run:?}");
    }
    assert_ne!(shares(8, "run", Name::Chat), counts);
    let even = shares(7, "run", Name::Uniform);
    assert!(even.iter().all(|n| (1_050..1_450).contains(n)), "{even:?}");
}

#[test]
fn runs_with_one_seed_continue_one_series_of_a_gpu() {
    let timing = timing(Name::Chat, Law::Fixed, 0.5, 20);
    let run = |id: &str| Workload::new(&timing, &built_in(), &hosts(2), 7, id);
    let (first, second) = (run("first"), run("second"));
    let mut readings = std::collections::HashMap::new();
    let (mut met, mut recent) = (0, Recent::default());
    for (workload, from) in [(&first, 0), (&second, 0), (&first, 500)] {
        for seq in from..from + 1000 {
            // three pairs a second: within a second, all of a GPU's readings are the same
            let pair = workload.pair(seq, at(1_000_000 + seq as i64 * 300), &mut recent);
            let second = pair.at.as_millisecond().div_euclid(1000);
            let reading =
                readings.entry((pair.gpu.host, pair.gpu.row, second)).or_insert(pair.reading);
            met += u32::from(reading == &pair.reading);
            assert_eq!(*reading, pair.reading);
        }
    }
    assert_eq!(met, 3000);
    assert!(readings.len() < 2500, "some were met again");
    let pair = |w: &Workload, seq| w.pair(seq, at(0), &mut Recent::default()).tokens;
    let tokens = |w: &Workload| (0..50).map(|seq| pair(w, seq)).collect::<Vec<_>>();
    assert_ne!(tokens(&first), tokens(&second), "each run has its own requests");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn key_and_time_name_a_pair_in_any_shard_where_the_rate_leaves_room(
        run_seed: u64,
        name in prop::sample::select(&Name::ALL[..]),
        law in prop::sample::select(&Law::ALL[..]),
        hosts_number in 1..20_usize,
        micros in prop::sample::select(&[1_000_u64, 2_500, 20_000, 500_000][..]),
        shards in 1..8_u32,
    ) {
        let mean_sec = micros as f64 / 1e6;
        let timing = timing(name, law, mean_sec, 2_000);
        let workload = Workload::new(&timing, &built_in(), &hosts(hosts_number), run_seed, "run");
        prop_assume!(workload.gpus().have_room(timing.mean));
        let mut met = std::collections::HashSet::new();
        for index in 0..shards {
            let timing = Timing { shard: Shard { index, count: shards }, ..timing };
            for due in Schedule::new(&timing, Arc::clone(workload.gpus()), run_seed, "run") {
                let ms = due.offset.as_millis();
                prop_assert!(met.insert((workload.gpus().of(due.seq, || 0), ms)), "{due:?}");
            }
        }
        prop_assert_eq!(met.len(), 2_000);
    }
}

#[test]
fn two_hundred_thousand_pairs_of_code_in_bursts_have_each_a_key_and_a_time_of_their_own() {
    for shards in [1, 7] {
        let timing = timing(Name::Code, Law::Workload, 0.5, 200_000);
        let workload = Workload::new(&timing, &built_in(), &["vm4".into()], 1, "run");
        let mut met = std::collections::HashSet::new();
        for index in 0..shards {
            let timing = Timing { shard: Shard { index, count: shards }, ..timing };
            let of_shard = pairs(&workload, &timing);
            met.extend(of_shard.iter().map(|pair| (pair.gpu.host, pair.gpu.index, pair.at)));
        }
        eprintln!(
            "{} of 200,000 pairs in {shards} shards have a (key, ts) of their own",
            met.len()
        );
        assert_eq!(met.len(), 200_000);
    }
}

#[test]
fn a_model_that_the_row_names_stands_in_every_workload() {
    let fields = r#""name":"H100","utilization":0.9,"mem_used_mb":72000,"mem_total_mb":81559,"power_w":500,"model":"mine""#;
    for name in [Name::Chat, Name::Uniform] {
        let workload = workload_of(name, fields);
        assert_eq!(workload.pair(0, at(0), &mut Recent::default()).model, "mine");
    }
}

#[test]
fn threads_can_share_a_workload() {
    fn is_shared<T: Sync>(_: &T) {}
    is_shared(&workload(Name::Chat, 1));
}
