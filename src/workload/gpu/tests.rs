//! GPU series against fleets, the simulation of a serving GPU, and the operating point.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "the numbers of a test are small, and equal where they are the same"
)]

use super::*;
use crate::workload::Name;
use crate::workload::hardware;
use crate::workload::load::{Draws, Load};
use crate::workload::seed;
use crate::workload::tests::row;
use crate::workload::tests::statistics::{autocorrelation, mean, pearson, share, spearman};
use crate::workload::tokens::Requests;

const LIVE: [Name; 4] = [Name::Chat, Name::Code, Name::Reason, Name::Long];

/// One GPU, read once a second from midnight on.
struct Series {
    hardware: Hardware,
    utilization: Vec<f64>,
    power: Vec<f64>,
    batch: Vec<f64>,
    mem_used: Vec<u64>,
}

fn series(workload: Name, row: &Row, run_seed: u64, seconds: i64, every: i64) -> Series {
    let means = Requests::of(workload).means;
    let hardware = hardware::of(row, means.prompt + means.completion).hardware;
    let gpu = Gpu::new(row, hardware, Movement::of(workload), means);
    let load = Load::new(workload, run_seed, "vm4", 0);
    let mut draws = Draws::of(1);
    let mut series =
        Series { hardware, utilization: vec![], power: vec![], batch: vec![], mem_used: vec![] };
    for second in (0..seconds).step_by(every as usize) {
        let mut window = load.at(0, 1_767_225_600 + second, &mut draws);
        let work = gpu.work(window.level);
        let reading = gpu.reading(work, &mut window);
        series.utilization.push(f64::from(reading.utilization_percent) / 100.0);
        series.power.push(reading.power_deciwatts as f64 / 10.0);
        series.batch.push(work.batch);
        series.mem_used.push(reading.mem_used_mib);
    }
    series
}

/// The rows of the built-in seed, and others at other operating points.
fn rows() -> Vec<Row> {
    let mut rows = seed::parse(seed::BUILT_IN.as_bytes()).unwrap().rows;
    rows.push(row(r#""name":"NVIDIA H100 80GB HBM3","utilization":0.8,"mem_used_mb":72790,"mem_total_mb":81559,"power_w":480"#));
    rows.push(row(r#""name":"NVIDIA L4","utilization":0.3,"mem_used_mb":20313,"mem_total_mb":23034,"power_w":42"#));
    rows.push(row(r#""name":"NVIDIA A100-SXM4-80GB","utilization":0.9,"mem_used_mb":70000,"mem_total_mb":81920,"power_w":330"#));
    rows
}

#[test]
fn readings_are_whole_hundredths_between_idle_and_busy_and_within_the_limits_of_the_board() {
    for row in rows() {
        for workload in [Name::Chat, Name::Code] {
            let Series { hardware, utilization, power, mem_used, .. } =
                series(workload, &row, 1, 20_000, 1);
            let whole = share(&utilization, |u| ((u * 100.0).round() - u * 100.0).abs() < 1e-9);
            let (none, full) =
                (share(&utilization, |u| u == 0.0), share(&utilization, |u| u >= 0.97));
            let over = share(&power, |w| w > hardware.power_cap_w);
            let (low, high) =
                power.iter().fold((f64::MAX, 0.0_f64), |(l, h), w| (l.min(*w), h.max(*w)));
            eprintln!(
                "{}, {}: utilization 0 in {none:.2}, >= 0.97 in {full:.2}; power {low:.0} to {high:.0} W, above \
                 the limit of {:.0} W in {over:.3}",
                row.name,
                workload.word(),
                hardware.power_cap_w
            );
            assert_eq!(whole, 1.0);
            assert!(none > 0.02 && full > 0.02, "{none}, {full}");
            assert!(
                mem_used.iter().all(|used| *used == row.mem_used_mb && *used <= row.mem_total_mb)
            );
            assert!(low >= 0.9 * hardware.power_idle_w && high <= 1.5 * hardware.power_cap_w);
            assert!(over <= 0.13, "{over}");
        }
    }
}

#[test]
fn power_remembers_a_second_of_chat_and_more_of_code() {
    for row in rows() {
        for run_seed in [1, 2] {
            let chat = autocorrelation(&series(Name::Chat, &row, run_seed, 20_000, 1).power, 1);
            let code = autocorrelation(&series(Name::Code, &row, run_seed, 20_000, 1).power, 1);
            eprintln!(
                "{}, seed {run_seed}: autocorrelation of power at 1 s {chat:.2} chat, {code:.2} code",
                row.name
            );
            assert!((0.3..=0.6).contains(&chat), "{chat}");
            assert!(code > 0.75, "{code}");
        }
    }
}

#[test]
fn the_long_run_means_are_the_operating_point() {
    for row in rows() {
        for workload in LIVE {
            // Ten days, every seventh second.
            let Series { utilization, power, .. } = series(workload, &row, 1, 864_000, 7);
            let (u, w) = (mean(&utilization), mean(&power));
            let operating = f64::from(row.utilization_percent) / 100.0;
            eprintln!(
                "{}, {}: mean utilization {u:.3} of {operating}, mean power {w:.1} of {} W",
                row.name,
                workload.word(),
                row.power_w
            );
            assert!((u - operating).abs() < 0.03, "{u}");
            assert!((w / row.power_w - 1.0).abs() < 0.03, "{w}");
        }
    }
}

#[test]
fn power_and_utilization_part_as_the_load_rises() {
    let mut before = 1.0;
    for (utilization, power) in [(0.2, 230), (0.5, 330), (0.8, 450), (0.95, 520), (1.0, 570)] {
        let row = row(&format!(
            r#""name":"H100","utilization":{utilization},"mem_used_mb":72790,"mem_total_mb":81559,"power_w":{power}"#
        ));
        let Series { utilization: u, power: w, batch, .. } = series(Name::Chat, &row, 1, 20_000, 1);
        // A constant utilization correlates with nothing.
        let r = if u.iter().all(|x| *x == u[0]) { 0.0 } else { pearson(&u, &w) };
        eprintln!(
            "utilization {utilization}: correlation of power and utilization {r:.2}, of power and batch {:.2}; autocorrelation of power {:.2}",
            spearman(&w, &batch),
            autocorrelation(&w, 1)
        );
        assert!(r < before, "{r} after {before}");
        before = r;
    }
    assert!(before < 0.2, "{before} when saturated");
}

#[test]
fn an_operating_point_of_nothing_stays_nothing_and_one_above_the_limit_is_believed() {
    let idle =
        row(r#""name":"A100","utilization":0,"mem_used_mb":0,"mem_total_mb":40960,"power_w":0"#);
    let Series { utilization, power, .. } = series(Name::Chat, &idle, 1, 2000, 1);
    assert!(utilization.iter().chain(&power).all(|x| *x == 0.0));
    let over = row(
        r#""name":"RTX 3090","utilization":1,"mem_used_mb":9000,"mem_total_mb":24576,"power_w":400"#,
    );
    let power = series(Name::Chat, &over, 1, 20_000, 1).power;
    assert!((mean(&power) / 400.0 - 1.0).abs() < 0.03, "{}", mean(&power));
}
