//! The workload as a whole: whatever the seed and the settings, the events are valid, and they are
//! the same in any number of shards and any order of evaluation.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::common::validator;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use vm4_producer::event::Kind;
use vm4_producer::kafka::properties;
use vm4_producer::plan::{Buffer, Emission, Identity, Plan};
use vm4_producer::settings::{Inputs, Settings};
use vm4_producer::workload::seed::{self, Seed};

/// How many seeds and settings are tried.
const CASES: u32 = 10_000;

/// The constants of the hardware that a row may set, with what they may at least be.
const CONSTANTS: [(&str, f64); 12] = [
    ("power_idle_w", 0.0),
    ("power_loaded_idle_w", 0.0),
    ("power_scatter", 0.0),
    ("decode_power_share", 0.0),
    ("decode_power_share_per_doubling", 0.0),
    ("ttft_floor_ms", 0.0),
    ("ttft_base_ms", 0.0),
    ("ttft_per_token_ms", 0.0),
    ("ttft_per_token_squared_ms", 0.0),
    ("tpot_base_ms", 0.0),
    ("tpot_per_batch_ms", 0.0),
    ("batch_max", 1.0),
];

prop_compose! {
    fn row()(
        gpu_index in 0..16_u32,
        name in prop::sample::select(&[
            "RTX 3090", "A100 40GB", "NVIDIA H100 80GB HBM3", "NVIDIA L4", "NVIDIA B200", "Foo \"9\"",
            "NVIDIA GeForce RTX 4090", "é\u{1}\\",
        ][..]),
        utilization in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
        memory in prop_oneof![Just((0_u64, 0_u64)), (0..=1000_u64, 0..200_000_u64)],
        power_w in prop_oneof![Just(0.0), 0.0..1500.0_f64],
        model in prop_oneof![Just(None), Just(None), Just(Some("llama-3-70b")), Just(Some("a \"b\" \\"))],
        constants in prop::collection::vec((prop::sample::select(&CONSTANTS[..]), 0.0..1000.0_f64), 0..3),
        power_cap_w in prop::option::of(0.0..1000.0_f64),
    ) -> Value {
        let (share, mem_total_mb) = memory;
        let mut row = json!({
            "gpu_index": gpu_index, "name": name, "utilization": utilization,
            "mem_used_mb": mem_total_mb * share / 1000, "mem_total_mb": mem_total_mb,
            "power_w": power_w, "price_per_hour_usd": 1.5, "rack": {"row": [1, null]},
        });
        if let Some(model) = model {
            row["model"] = model.into();
        }
        for ((constant, least), value) in constants {
            row[constant] = value.max(least).into();
        }
        if let Some(more) = power_cap_w {
            row["power_cap_w"] = (power_w + more).into();
        }
        row
    }
}

prop_compose! {
    fn variables()(
        run_seed: u64,
        workload in prop::sample::select(&["chat", "code", "reason", "long", "agent", "uniform"][..]),
        arrivals in prop::sample::select(&["fixed", "poisson", "workload"][..]),
        hosts in prop::sample::select(&["vm4", "gpu[01-16]", "a,b[1-3]"][..]),
        start in prop::sample::select(&["", "1970-01-01T00:00:00Z", "2026-06-30T23:59:59.999Z"][..]),
        sleep in prop::sample::select(&["0", "0.00001", "0.5", "7200"][..]),
        batch in 0..12_u32,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("VM4_PRODUCER_ENV", "/dev/null".into()),
            ("RUN_SEED", run_seed.to_string()), ("RUN_ID", "run".into()),
            ("WORKLOAD", workload.into()), ("ARRIVALS", arrivals.into()), ("HOSTNAME", hosts.into()),
            ("EVENT_START", start.into()), ("SLEEP_SEC", sleep.into()), ("BATCH", batch.to_string()),
        ]
    }
}

/// Key, timestamp and value of every record of a plan by pair and kind; the later pairs first where
/// `backwards`.
fn records(
    variables: &[(&str, String)],
    shard: String,
    seed: &Seed,
    backwards: bool,
) -> BTreeMap<(u64, Kind), (String, i64, Vec<u8>)> {
    let mut environment: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).into(), value.into())).collect();
    environment.push(("SHARD".into(), shard.into()));
    let settings =
        Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap();
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let plan = Plan::new(&settings, seed, Identity::new(&settings, start, 0));
    let mut emissions: Vec<_> = plan.emissions().collect();
    // A live run is stamped by a clock, which only goes forwards.
    if backwards && settings.event_start.is_some() {
        emissions.reverse();
    }
    let mut buffer = Buffer::default();
    let render = |emission: Emission| {
        let record = plan.render(&emission, || start + emission.scheduled, &mut buffer);
        let (key, value) = (record.key.unwrap().to_owned(), record.value.unwrap().to_vec());
        ((emission.seq, emission.kind), (key, record.timestamp_ms, value))
    };
    emissions.into_iter().map(render).collect()
}

#[test]
fn ten_thousand_seeds_and_settings_give_valid_events_and_the_same_in_any_shards_and_order() {
    let schemas = Kind::BOTH.map(|kind| (kind, validator(kind.schema())));
    let config = Config { cases: CASES, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = (variables(), prop::collection::vec(row(), 1..4), 1..4_u32);
    let (cases, events) = (Cell::new(0), Cell::new(0));
    runner
        .run(&strategy, |(variables, rows, shards)| {
            let seed = seed::parse(Value::from(rows).to_string().as_bytes()).unwrap();
            let whole = records(&variables, "0/1".into(), &seed, false);
            let mut sharded = BTreeMap::new();
            for shard in 0..shards {
                sharded.extend(records(&variables, format!("{shard}/{shards}"), &seed, true));
            }
            prop_assert_eq!(&whole, &sharded);
            let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
            for ((_, kind), (key, timestamp_ms, value)) in &whole {
                let (_, schema) = &schemas[usize::from(*kind == Kind::Token)];
                let value: Value = serde_json::from_slice(value).unwrap();
                let errors: Vec<_> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
                prop_assert_eq!(errors, Vec::<String>::new(), "{}", value);
                let before = latest.insert(key, *timestamp_ms).unwrap_or(i64::MIN);
                prop_assert!(before <= *timestamp_ms, "order within a key");
            }
            cases.set(cases.get() + 1);
            events.set(events.get() + whole.len());
            Ok(())
        })
        .unwrap();
    let (cases, events) = (cases.get(), events.get());
    eprintln!("{cases} seeds and settings, {events} events");
    assert!(cases >= CASES && events > 50_000, "{cases}, {events}");
}
