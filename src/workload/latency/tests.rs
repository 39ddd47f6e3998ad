//! Latency against the limits of the hardware.

use crate::workload::Name;
use crate::workload::tests::statistics::{line, mean, spearman};
use crate::workload::tests::{at, workload, workload_of};
use crate::workload::{Pair, Recent, Workload};

const LIVE: [Name; 4] = [Name::Chat, Name::Code, Name::Reason, Name::Long];

/// 20,000 pairs, one a second.
fn pairs(workload: &Workload) -> impl Iterator<Item = Pair<'_>> {
    let mut recent = Recent::default();
    (0..20_000)
        .map(move |seq| workload.pair(seq, at(1_767_225_600_000 + seq as i64 * 1000), &mut recent))
}

#[test]
fn no_request_is_faster_than_its_hardware_allows() {
    for name in LIVE {
        let workload = workload(name, 1);
        for pair in pairs(&workload) {
            let hardware = workload.hardware(pair.gpu.row);
            let alone = hardware.ttft_ms(f64::from(pair.tokens.prompt))
                + f64::from(pair.tokens.completion - 1) * hardware.tpot_ms(1.0);
            assert!(f64::from(pair.latency_ms) >= alone, "{pair:?} against {alone} ms");
        }
    }
    // An H100 with 8B: 50 ms and 4.5 ms a token are the best that NVIDIA lists for one request.
    let h100 = workload_of(
        Name::Chat,
        r#""name":"H100","utilization":0.8,"mem_used_mb":72790,"mem_total_mb":81559,"power_w":480"#,
    );
    for pair in pairs(&h100) {
        let best = 50.0 + 4.5 * f64::from(pair.tokens.completion);
        assert!(f64::from(pair.latency_ms) >= best, "{pair:?}");
    }
}

#[test]
fn within_a_batch_each_token_takes_its_time() {
    // If the prompt takes longer than the completion, r2 is that of the latency after the prompt.
    for name in LIVE {
        let behind_prompt = matches!(name, Name::Code | Name::Long);
        let workload = workload(name, 1);
        for row in [0, 1] {
            let hardware = workload.hardware(row);
            for batch in 1..=5 {
                let alike: Vec<_> =
                    pairs(&workload).filter(|p| p.gpu.row == row && p.batch == batch).collect();
                // Requests also queue for a full batch.
                let full = f64::from(batch) >= hardware.batch_max;
                if full || alike.len() < 200 {
                    continue;
                }
                let completions: Vec<f64> =
                    alike.iter().map(|p| p.tokens.completion.into()).collect();
                let prompt_ms = |prompt: u32| {
                    if behind_prompt { hardware.ttft_ms(prompt.into()) } else { 0.0 }
                };
                let latency = |p: &Pair<'_>| f64::from(p.latency_ms) - prompt_ms(p.tokens.prompt);
                let latencies: Vec<f64> = alike.iter().map(latency).collect();
                let (slope, r2) = line(&completions, &latencies);
                let tpot = hardware.tpot_ms(batch.into());
                eprintln!(
                    "{}, row {row}, batch {batch} ({} pairs): {slope:.2} ms a token of TPOT {tpot:.2}, r2 {r2:.3}",
                    name.word(),
                    alike.len()
                );
                assert!((slope / tpot - 1.0).abs() <= 0.10, "{slope} of {tpot}");
                assert!(r2 >= 0.9, "{r2}");
            }
        }
    }
}

#[test]
fn latency_power_and_utilization_of_a_window_agree() {
    for name in LIVE {
        let workload = workload(name, 1);
        for row in [0, 1] {
            let of_row: Vec<_> = pairs(&workload).filter(|p| p.gpu.row == row).collect();
            let hardware = workload.hardware(row);
            // Time per token including the queue, as an observer of the events computes it.
            let tpot: Vec<f64> = of_row
                .iter()
                .map(|p| {
                    let ttft = hardware.ttft_ms(f64::from(p.tokens.prompt));
                    (f64::from(p.latency_ms) - ttft) / f64::from(p.tokens.completion.max(2) - 1)
                })
                .collect();
            let power: Vec<f64> =
                of_row.iter().map(|p| p.reading.unwrap().power_deciwatts as f64).collect();
            let batch: Vec<f64> = of_row.iter().map(|p| p.batch.into()).collect();
            let (with_power, with_batch) = (spearman(&tpot, &power), spearman(&tpot, &batch));
            eprintln!(
                "{}, row {row}: time per token with power {with_power:.2}, with batch {with_batch:.2}",
                name.word()
            );
            assert!(with_power > 0.0 && with_batch > 0.0, "{with_power}, {with_batch}");
            for pair in of_row.iter().filter(|p| p.reading.unwrap().utilization_percent == 0) {
                assert_eq!(pair.batch, 1, "an idle GPU has nothing but the request that comes");
            }
        }
    }
}

#[test]
fn requests_wait_where_more_come_than_fit_in_the_batch() {
    let latency = |batch_max: u32| {
        let workload = workload_of(
            Name::Chat,
            &format!(
                r#""name":"H100","utilization":1,"mem_used_mb":72790,"mem_total_mb":81559,"power_w":600,"batch_max":{batch_max}"#
            ),
        );
        let latencies: Vec<f64> = pairs(&workload).map(|p| p.latency_ms.into()).collect();
        mean(&latencies)
    };
    let (free, full) = (latency(256), latency(2));
    eprintln!("mean latency {free:.0} ms with room for 256, {full:.0} ms with room for 2");
    assert!(full > 2.0 * free);
}
