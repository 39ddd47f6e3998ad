//! The same settings give the same bytes in Kafka and on stdout.

use std::ops::RangeInclusive;

use super::records::{Fields, Message, generated, read_back};
use crate::cluster::{self, Topics};
use crate::common::Producer;

/// Pairs of each run here.
const PAIRS: &str = "300";

/// Settings that leave nothing about the bytes to chance.
pub fn reproducible(run: Producer) -> Producer {
    run.set("RUN_SEED", "7351")
        .set("RUN_ID", "again")
        .set("EVENT_START", "2026-03-01T08:00:00.250Z")
}

#[test]
fn a_run_sends_what_generate_prints_for_the_same_settings() {
    for (label, settings) in [
        ("plain", [("WORKLOAD", "chat"), ("ARRIVALS", "fixed")]),
        ("bursty", [("WORKLOAD", "code"), ("ARRIVALS", "workload")]),
        ("random", [("WORKLOAD", "uniform"), ("ARRIVALS", "poisson")]),
    ] {
        let topics = Topics::create(cluster::plain(), &format!("same-{label}"));
        let with = |run| {
            let run = reproducible(topics.direct(run)).set("BATCH", PAIRS).set("HOSTNAME", "b7");
            settings.iter().fold(run, |run, (name, value)| run.set(name, value))
        };
        let printed = with(Producer::new(["generate"])).finish();
        let finished = with(Producer::run(&topics.bootstrap)).finish();
        printed.exits(0);
        finished.exits(0);
        let (expected, read) = (generated(&printed.stdout, &topics), read_back(&topics));
        assert_eq!(read.len(), 600);
        assert_eq!(read, expected);
        println!("{label}: {} records as printed, in {:?}", read.len(), finished.elapsed);
    }
}

/// Fails unless every value lies in the range, and the values reach into both ends of it.
#[track_caller]
fn assert_drawn_from(range: RangeInclusive<i64>, values: &[i64]) {
    let (low, high) = (values.iter().min().unwrap(), values.iter().max().unwrap());
    println!("uniform: {} draws from {range:?} lie in {low}..={high}", values.len());
    assert!(range.contains(low) && range.contains(high), "{low}..={high}");
    let margin = (range.end() - range.start()) / 50;
    assert!(low - range.start() <= margin && range.end() - high <= margin, "{low}..={high}");
}

#[test]
fn the_uniform_workload_keeps_the_seed_rows_bytes_and_draws_its_ranges() {
    let topics = Topics::create(cluster::plain(), "uniform");
    // Numbers in odd forms, and fields that the program does not know.
    let row = |index, name| {
        format!(
            "\"rack\":{{\"u\":[7,1.50]}},\"gpu_index\":{index},\"name\":\"{name}\",\
             \"utilization\":0.70,\"mem_used_mb\":9000,\"mem_total_mb\":24576,\"power_w\":2.80e2,\
             \"note\":\"\\u00e9 \\/\",\"price_per_hour_usd\":0.850"
        )
    };
    let rows = [row(4, "RTX 3090"), row(9, "A100 40GB")];
    let run = topics.run();
    let seed = run.file("seed.json", format!("[{{{}}},{{{}}}]", rows[0], rows[1]));
    let run = run.set("GPU_SEED", seed).set("WORKLOAD", "uniform");
    run.set("BATCH", "2000").set("SLEEP_SEC", "0").finish().exits(0);

    let (metrics, tokens): (Vec<Message>, Vec<_>) =
        read_back(&topics).into_iter().partition(|message| message.kind == 0);
    assert_eq!([metrics.len(), tokens.len()], [2000, 2000]);
    for metric in &metrics {
        let ts = Fields::of(&metric.value).text("ts");
        let expected =
            rows.each_ref().map(|row| format!("{{{row},\"ts\":\"{ts}\",\"host\":\"vm4\"}}"));
        assert!(expected.contains(&metric.value), "{}", metric.value);
    }
    let tokens: Vec<_> = tokens.iter().map(|message| Fields::of(&message.value)).collect();
    let drawn = |field| tokens.iter().map(|token| token.integer(field)).collect::<Vec<_>>();
    assert_drawn_from(256..=2048, &drawn("prompt_tokens"));
    assert_drawn_from(64..=512, &drawn("completion_tokens"));
    assert_drawn_from(100..=800, &drawn("latency_ms"));
}
