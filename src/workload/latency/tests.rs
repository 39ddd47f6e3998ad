//! Latency against the limits of the hardware.

use crate::workload::Name;
use crate::workload::tests::statistics::{line, mean, quantile, sd, spearman};
use crate::workload::tests::{at, workload, workload_of};
use crate::workload::{Pair, Recent, Workload};

const LIVE: [Name; 4] = [Name::Chat, Name::Code, Name::Reason, Name::Long];

/// An eighth of a server that agents can use.
const AGENT_BOARD: &str = r#""name":"NVIDIA B200","utilization":0.8,"mem_used_mb":160000,"mem_total_mb":183359,"power_w":600,"model":"deepseek-r1""#;

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
            let alone = hardware.ttft_ms(f64::from(pair.tokens.uncached))
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
fn tokens_explain_most_of_a_latency_and_leave_the_spread_of_real_calls() {
    for name in LIVE {
        let workload = workload(name, 1);
        for row in [0, 1] {
            let hardware = workload.hardware(row);
            let of_row: Vec<_> = pairs(&workload).filter(|p| p.gpu.row == row).collect();
            // A request that also queues says little of its tokens.
            let short: Vec<_> =
                of_row.iter().filter(|p| f64::from(p.batch) < hardware.batch_max).collect();
            let expected = |p: &&Pair<'_>| {
                let steps = f64::from(p.tokens.completion - 1);
                hardware.ttft_ms(p.tokens.uncached.into()) + steps * hardware.tpot_ms(1.0)
            };
            let expected: Vec<f64> = short.iter().map(expected).collect();
            let latencies: Vec<f64> = short.iter().map(|p| f64::from(p.latency_ms)).collect();
            let (_, r2) = line(&expected, &latencies);
            let residuals: Vec<f64> =
                expected.iter().zip(&latencies).map(|(e, l)| (l / e).ln()).collect();
            let spread = sd(&residuals);
            eprintln!(
                "{}, row {row}, {} of {} pairs: r2 of latency given tokens {r2:.3}, spread of its \
                 logarithm {spread:.3} (39,270 real calls: 0.82 to 0.92, 0.22 to 0.26)",
                name.word(),
                short.len(),
                of_row.len()
            );
            assert!(r2 >= 0.8, "{r2}");
            assert!((0.1..=0.3).contains(&spread), "{spread}");
        }
    }
}

#[test]
fn latency_and_power_of_a_window_agree_with_its_batch() {
    for name in LIVE {
        let workload = workload(name, 1);
        for row in [0, 1] {
            let of_row: Vec<_> = pairs(&workload).filter(|p| p.gpu.row == row).collect();
            let hardware = workload.hardware(row);
            // Time per token including the queue, as an observer of the events computes it.
            let tpot: Vec<f64> = of_row
                .iter()
                .map(|p| {
                    let ttft = hardware.ttft_ms(f64::from(p.tokens.uncached));
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
        }
    }
}

#[test]
fn an_agent_waits_as_long_as_its_sessions_did() {
    let workload = workload_of(Name::Agent, AGENT_BOARD);
    let latencies: Vec<f64> = pairs(&workload).map(|p| p.latency_ms.into()).collect();
    let [median, most] = [0.5, 0.9].map(|rank| quantile(&latencies, rank));
    eprintln!(
        "agent on a B200: {median:.0} ms, one in ten above {most:.0} ms (sessions 6,140, 18,130)"
    );
    assert!((4_000.0..9_000.0).contains(&median), "{median}");
    assert!((12_000.0..40_000.0).contains(&most), "{most}");
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
