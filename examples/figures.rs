//! Draws the figures of `docs/workload.md` from what `generate` prints: `make figures`.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "it is run by hand, and pixels are whole"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;
use vm4_producer::workload::{Name, hardware_of, seed, trace_quantiles};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(214, 96, 20);
const GREY: RGBColor = RGBColor(120, 120, 120);

/// One pair as it was printed.
struct Printed {
    seconds: f64,
    gpu: u64,
    utilization: f64,
    power_w: f64,
    prompt: f64,
    completion: f64,
    latency_sec: f64,
}

/// What `generate` prints with these settings: the same today and on any other day.
fn generated(variables: &[(&str, &str)]) -> String {
    // Cargo puts an example into a directory beside the program.
    let example = std::env::current_exe().unwrap();
    let mut command = Command::new(example.ancestors().nth(2).unwrap().join("vm4-producer"));
    command.args(["generate", "--run-seed", "1"]).env("VM4_PRODUCER_ENV", "/dev/null");
    command.env("EVENT_START", "2026-01-01T00:00:00Z").envs(variables.iter().copied());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "generate: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The pairs of a run of `generate`, the time of its first event as 0 s.
fn printed(variables: &[(&str, &str)]) -> Vec<Printed> {
    let text = generated(variables);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let start_ms = lines[0]["timestamp"].as_f64().unwrap();
    let pair = |records: &[Value]| {
        let [metric, token] = [&records[0]["value"], &records[1]["value"]];
        let number = |value: &Value| value.as_f64().unwrap();
        Printed {
            seconds: (number(&records[0]["timestamp"]) - start_ms) / 1000.0,
            gpu: metric["gpu_index"].as_u64().unwrap(),
            utilization: number(&metric["utilization"]),
            power_w: number(&metric["power_w"]),
            prompt: number(&token["prompt_tokens"]),
            completion: number(&token["completion_tokens"]),
            latency_sec: number(&token["latency_ms"]) / 1000.0,
        }
    };
    lines.chunks(2).map(pair).collect()
}

/// Where the page is dark, so is the figure. Selectors, because a viewer that knows no style sheet still
/// shows the light one.
const DARK: &str = "<style>@media (prefers-color-scheme: dark) { \
    [fill=\"#FFFFFF\"] { fill: #0d1117 } [stroke=\"#FFFFFF\"] { stroke: #0d1117 } \
    [fill=\"#000000\"] { fill: #e6edf3 } [stroke=\"#000000\"] { stroke: #e6edf3 } \
    [stroke=\"#E1E1E1\"] { stroke: #30363d } \
    [fill=\"#1F77B4\"] { fill: #58a6ff } [stroke=\"#1F77B4\"] { stroke: #58a6ff } \
    [fill=\"#D66014\"] { fill: #f0883e } [stroke=\"#D66014\"] { stroke: #f0883e } }</style>";

/// Draws a figure into its file.
fn figure(name: &str, size: (u32, u32), draw: impl FnOnce(&Area<'_>)) {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).unwrap();
        draw(&area);
        area.present().unwrap();
    }
    svg.insert_str(svg.find('>').unwrap() + 1, DARK);
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/figures");
    fs::write(directory.join(format!("{name}.svg")), svg).unwrap();
}

/// What a chart shows: its title and its axes.
struct Axes<'a> {
    title: &'a str,
    x: (&'a str, std::ops::Range<f64>),
    y: (&'a str, std::ops::Range<f64>),
}

/// A series of a chart, with its name where there is more than one.
enum Series<'a> {
    Line(&'a str, RGBColor, Vec<(f64, f64)>),
    Dots(&'a str, RGBColor, Vec<(f64, f64)>),
    LargeDots(RGBColor, Vec<(f64, f64)>),
    /// A stretch of the x axis, from here to there, up to this height.
    Shade(f64, f64, f64),
}

/// A number on an axis: three places at most, and no more than it needs. Sums of steps such as 0.1
/// are off by their last bit.
fn number(value: &f64) -> String {
    format!("{}", (value * 1e3).round() / 1e3)
}

macro_rules! draw_chart {
    ($area:expr, $axes:expr, $series:expr, $x:expr, $y:expr) => {{
        let mut chart = ChartBuilder::on($area)
            .caption($axes.title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(58)
            .build_cartesian_2d($x, $y)
            .unwrap();
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(225, 225, 225))
            .x_desc($axes.x.0)
            .y_desc($axes.y.0)
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .label_style(("sans-serif", 12))
            .axis_desc_style(("sans-serif", 13))
            .draw()
            .unwrap();
        let mut named = false;
        for series in $series {
            let (name, colour, drawn) = match series {
                Series::Line(name, colour, points) => {
                    (name, colour, chart.draw_series(LineSeries::new(points, &colour)).unwrap())
                }
                Series::Dots(name, colour, points) => {
                    let dot = |at| Circle::new(at, 1, colour.mix(0.6).filled());
                    (name, colour, chart.draw_series(points.into_iter().map(dot)).unwrap())
                }
                Series::LargeDots(colour, points) => {
                    let dot = |at| Circle::new(at, 3, colour.filled());
                    ("", colour, chart.draw_series(points.into_iter().map(dot)).unwrap())
                }
                Series::Shade(from, to, height) => {
                    let shade =
                        Rectangle::new([(from, 0.0), (to, height)], ORANGE.mix(0.2).filled());
                    ("", ORANGE, chart.draw_series([shade]).unwrap())
                }
            };
            if !name.is_empty() {
                named = true;
                drawn.label(name).legend(move |(x, y)| {
                    Rectangle::new([(x, y - 4), (x + 8, y + 4)], colour.filled())
                });
            }
        }
        if named {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(GREY.mix(0.4))
                .label_font(("sans-serif", 12))
                .draw()
                .unwrap();
        }
    }};
}

/// A chart with linear axes.
fn chart(area: &Area<'_>, axes: Axes<'_>, series: Vec<Series<'_>>) {
    draw_chart!(area, axes, series, axes.x.1.clone(), axes.y.1.clone());
}

/// A chart with logarithmic axes.
fn log_chart(area: &Area<'_>, axes: Axes<'_>, series: Vec<Series<'_>>) {
    draw_chart!(area, axes, series, axes.x.1.clone().log_scale(), axes.y.1.clone().log_scale());
}

/// Means of the values in each step of the time, at the middle of the step.
fn means(points: &[(f64, f64)], step: f64) -> Vec<(f64, f64)> {
    let last = points.iter().map(|(t, _)| (t / step) as usize).max().unwrap();
    let of = |i: usize| {
        let within: Vec<f64> =
            points.iter().filter(|(t, _)| (t / step) as usize == i).map(|(_, v)| *v).collect();
        let mean = within.iter().sum::<f64>() / within.len() as f64;
        ((i as f64 + 0.5) * step, mean)
    };
    (0..=last).map(of).filter(|(_, mean)| mean.is_finite()).collect()
}

/// How many fall in each step of the time up to `until`.
fn counts(times: &[f64], step: f64, until: f64) -> Vec<(f64, f64)> {
    let steps = (until / step) as usize;
    let count = |i: usize| times.iter().filter(|t| (**t / step) as usize == i).count() as f64;
    (0..steps).map(|i| ((i as f64 + 0.5) * step, count(i))).collect()
}

/// Quantiles of the whole Azure LLM inference trace 2023 (CC-BY-4.0) at these probabilities: prompt
/// and completion tokens of conversation, then of code. The model is made from half of its rows.
const PROBABILITIES: [f64; 22] = [
    0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9,
    0.95, 0.98, 0.99, 0.995, 0.999,
];
const WHOLE_TRACE: [[f64; 22]; 4] = [
    [
        8.0, 29.0, 91.0, 181.0, 207.0, 372.0, 387.0, 396.0, 403.0, 703.0, 1020.0, 1071.0, 1130.0,
        1189.0, 1315.0, 1876.25, 2734.5, 4083.0, 4098.0, 4142.0, 4831.0, 6179.15,
    ],
    [
        12.0, 16.0, 24.0, 41.0, 54.0, 67.0, 77.0, 85.0, 91.0, 103.0, 129.0, 177.0, 384.0, 395.0,
        400.0, 411.0, 424.0, 451.0, 540.0, 601.0, 643.17, 954.0,
    ],
    [
        7.0, 17.0, 35.0, 75.0, 147.0, 232.0, 385.6, 578.0, 770.0, 1075.0, 1469.0, 1909.0, 2433.0,
        2744.5, 3192.4, 3920.2, 5187.6, 7303.3, 7436.0, 7436.0, 7436.0, 7437.0,
    ],
    [
        6.0, 6.0, 6.0, 6.0, 7.0, 7.0, 8.0, 9.0, 9.0, 11.0, 13.0, 16.0, 20.0, 24.0, 29.0, 39.0,
        55.0, 90.0, 170.92, 251.46, 359.38, 825.27,
    ],
];

/// A side of a request: its name, and where a pair and a quantile of the model's half have it.
type Side = (&'static str, fn(&Printed) -> f64, fn(&(f64, f64, f64)) -> f64);

const PAIRS: (&str, &str) = ("BATCH", "20000");

/// Shares of the other half of the trace: that of the whole is the mean of both halves.
fn of_other_half(whole: f64, tokens: f64, half: &[(f64, f64)]) -> f64 {
    let above = half.partition_point(|(known, _)| *known <= tokens).clamp(1, half.len() - 1);
    let ((from, low), (to, high)) = (half[above - 1], half[above]);
    let share = ((tokens - from) / (to - from)).clamp(0.0, 1.0);
    2.0 * whole - (low + (high - low) * share)
}

fn lengths_against_the_half_of_the_trace_that_the_model_has_not_seen() {
    figure("quantiles", (840, 640), |area| {
        let panels = area.split_evenly((2, 2));
        let mut panels = panels.iter().zip(WHOLE_TRACE);
        // Ten hours at the rate of the trace.
        for (workload, pairs, sleep) in
            [(Name::Chat, "193660", "0.1859"), (Name::Code, "88190", "0.408")]
        {
            let settings = [("BATCH", pairs), ("SLEEP_SEC", sleep), ("WORKLOAD", workload.word())];
            let pairs = printed(&settings);
            let half = trace_quantiles(workload).unwrap();
            let sides: [Side; 2] = [
                ("prompt", |pair| pair.prompt, |quantile| quantile.1),
                ("completion", |pair| pair.completion, |quantile| quantile.2),
            ];
            for (side, of_pair, of_half) in sides {
                let (panel, whole) = panels.next().unwrap();
                let half: Vec<_> = half.iter().map(|q| (of_half(q), q.0)).collect();
                let mut sample: Vec<f64> = pairs.iter().map(of_pair).collect();
                sample.sort_by(f64::total_cmp);
                let points: Vec<_> = PROBABILITIES
                    .iter()
                    .zip(whole)
                    .map(|(p, tokens)| (tokens, of_other_half(*p, tokens, &half)))
                    .filter(|(_, share)| (0.001..=0.999).contains(share))
                    .map(|(tokens, share)| {
                        (tokens, sample[((sample.len() - 1) as f64 * share).round() as usize])
                    })
                    .collect();
                let (low, high) = (points[0].0 * 0.7, points[points.len() - 1].0 * 1.4);
                let title = format!("{}, {side} tokens", workload.word());
                let axes = Axes {
                    title: &title,
                    x: ("quantile of the unseen half", low..high),
                    y: ("quantile of ten hours", low..high),
                };
                let equal = Series::Line("", GREY, vec![(low, low), (high, high)]);
                log_chart(panel, axes, vec![equal, Series::LargeDots(BLUE, points)]);
            }
        }
    });
}

fn what_a_classifier_can_tell() {
    let judged = ["single requests", "windows of 20", "windows of 50"];
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/figures/discriminator.csv");
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split(',').collect()).collect();
    figure("discriminator", (840, 300), |area| {
        let panels = area.split_evenly((1, 2));
        for (workload, panel) in ["chat", "code"].iter().zip(&panels) {
            let of = |row: &Vec<&str>| {
                let place = judged.iter().position(|what| *what == row[2])?;
                (row[0] == *workload).then(|| (place as f64 + 1.0, row[3].parse().unwrap()))
            };
            let points: Vec<(f64, f64)> = rows.iter().filter_map(of).collect();
            let title = format!("{workload}: what a classifier can tell, by hour");
            let axes = Axes {
                title: &title,
                x: ("1: single requests, 2: windows of 20, 3: windows of 50", 0.5..3.5),
                y: ("AUC", 0.3..1.0),
            };
            let guess = Series::Line("a guess", GREY, vec![(0.5, 0.5), (3.5, 0.5)]);
            chart(panel, axes, vec![guess, Series::LargeDots(BLUE, points)]);
        }
    });
}

fn prompt_against_completion() {
    figure("lengths", (840, 360), |area| {
        let panels = area.split_evenly((1, 2));
        for (workload, panel) in ["chat", "code"].iter().zip(&panels) {
            let pairs = printed(&[("BATCH", "1500"), ("WORKLOAD", workload)]);
            let points = pairs.iter().map(|p| (p.prompt, p.completion)).collect();
            let axes = Axes {
                title: workload,
                x: ("prompt tokens", 1.0..20_000.0),
                y: ("completion tokens", 1.0..3_000.0),
            };
            log_chart(panel, axes, vec![Series::Dots("", BLUE, points)]);
        }
    });
}

fn one_gpu_through_a_day() {
    let pairs = printed(&[("BATCH", "26000"), ("SLEEP_SEC", "4"), ("ARRIVALS", "workload")]);
    let gpu: Vec<&Printed> = pairs.iter().filter(|p| p.gpu == 0 && p.seconds < 86_400.0).collect();
    let hours = |value: fn(&Printed) -> f64| -> Vec<(f64, f64)> {
        gpu.iter().map(|p| (p.seconds / 3600.0, value(p))).collect()
    };
    let times: Vec<f64> = gpu.iter().map(|p| p.seconds / 3600.0).collect();
    let thin = |points: &[(f64, f64)]| points.iter().step_by(12).copied().collect::<Vec<_>>();
    figure("day", (840, 640), |area| {
        let panels = area.split_evenly((3, 1));
        let load = counts(&times, 0.25, 24.0);
        let most = load.iter().map(|(_, n)| *n).fold(0.0, f64::max);
        let axes = Axes {
            title: "RTX 3090 of the built-in seed, chat, one day: requests in 15 minutes",
            x: ("", 0.0..24.0),
            y: ("requests", 0.0..most * 1.1),
        };
        chart(&panels[0], axes, vec![Series::Line("", BLUE, load)]);
        let panel = |area, title, y, points: Vec<(f64, f64)>, x| {
            let mean = means(&points, 0.25);
            let series =
                vec![Series::Dots("", GREY, thin(&points)), Series::Line("", ORANGE, mean)];
            chart(area, Axes { title, x: (x, 0.0..24.0), y }, series);
        };
        // Named in the title: a legend would lie on the readings.
        let title = "utilization: readings (grey) and their mean over 15 minutes (orange)";
        panel(&panels[1], title, ("share", 0.0..1.05), hours(|p| p.utilization), "");
        let title = "power: readings (grey) and their mean over 15 minutes (orange)";
        panel(&panels[2], title, ("W", 0.0..450.0), hours(|p| p.power_w), "hour, UTC");
    });
}

fn one_gpu_second_by_second() {
    figure("seconds", (840, 420), |area| {
        let panels = area.split_evenly((2, 1));
        for (workload, panel) in ["chat", "code"].iter().zip(&panels) {
            let settings = [("BATCH", "3000"), ("SLEEP_SEC", "0.1"), ("WORKLOAD", workload)];
            let pairs = printed(&settings);
            let gpu: Vec<_> =
                pairs.iter().filter(|p| p.gpu == 0).map(|p| (p.seconds, p.power_w)).collect();
            let x = if *workload == "code" { "seconds" } else { "" };
            let title = format!("{workload}: power of the RTX 3090 for five minutes");
            let axes = Axes { title: &title, x: (x, 0.0..300.0), y: ("W", 0.0..450.0) };
            chart(panel, axes, vec![Series::Line("", BLUE, means(&gpu, 1.0))]);
        }
    });
}

fn latency_against_completion() {
    let pairs = printed(&[("BATCH", "3000")]);
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    figure("latency", (840, 420), |area| {
        let mut series = Vec::new();
        for (row, colour) in [(0, BLUE), (1, ORANGE)] {
            let of_gpu = pairs.iter().filter(|p| p.gpu == row as u64 && p.completion <= 700.0);
            let points = of_gpu.map(|p| (p.completion, p.latency_sec)).collect();
            series.push(Series::Dots(&seed.rows[row].name, colour, points));
            let hardware = hardware_of(&seed.rows[row], Name::Chat);
            let least = |tokens: f64| {
                (hardware.ttft_ms(1.0) + (tokens - 1.0) * hardware.tpot_ms(1.0)) / 1000.0
            };
            series.push(Series::Line("", colour, vec![(1.0, least(1.0)), (700.0, least(700.0))]));
        }
        let axes = Axes {
            title: "chat: latency against completion tokens; lines: one request alone, with an empty prompt",
            x: ("completion tokens", 0.0..700.0),
            y: ("latency, s", 0.0..8.0),
        };
        chart(area, axes, series);
    });
}

fn arrivals_of_an_hour() {
    figure("arrivals", (840, 420), |area| {
        let panels = area.split_evenly((2, 1));
        for ((workload, sleep), panel) in
            [("chat", "0.1846"), ("code", "0.357")].iter().zip(&panels)
        {
            let settings =
                [("ARRIVALS", "workload"), PAIRS, ("SLEEP_SEC", sleep), ("WORKLOAD", workload)];
            let times: Vec<f64> =
                printed(&settings).iter().map(|p| p.seconds).take_while(|t| *t < 3600.0).collect();
            let counts = counts(&times, 10.0, 3600.0);
            let most = counts.iter().map(|(_, n)| *n).fold(0.0, f64::max);
            let x = if *workload == "code" { "seconds" } else { "" };
            let title = format!("{workload} at the rate of its trace");
            let axes =
                Axes { title: &title, x: (x, 0.0..3600.0), y: ("pairs in 10 s", 0.0..most * 1.1) };
            chart(panel, axes, vec![Series::Line("", BLUE, counts)]);
        }
    });
}

/// The recipe of the README that tests an alert, with the settings of the figures below it.
fn a_throttled_gpu() {
    let settings = [
        ("EVENT_START", "2026-01-05T12:00:00Z"),
        ("BATCH", "1800"),
        ("INCIDENTS", "throttle@+5m/5m:vm4/0"),
    ];
    let pairs = printed(&settings);
    let minutes = |value: fn(&Printed) -> f64| -> Vec<(f64, f64)> {
        pairs.iter().filter(|p| p.gpu == 0).map(|p| (p.seconds / 60.0, value(p))).collect()
    };
    figure("incident", (840, 380), |area| {
        let (upper, lower) = area.split_vertically(190);
        let panel = |area, title, y: (&str, std::ops::Range<f64>), x, points: Vec<(f64, f64)>| {
            let mean = Series::Line("", BLUE, means(&points, 0.5));
            let shade = Series::Shade(5.0, 10.0, y.1.end);
            let series = vec![shade, Series::Dots("", GREY, points), mean];
            chart(area, Axes { title, x: (x, 0.0..15.0), y }, series);
        };
        let title = "power of vm4/0, throttled in the shaded minutes: readings (grey), their mean over 30 s (blue)";
        panel(&upper, title, ("W", 0.0..400.0), "", minutes(|p| p.power_w));
        let title = "the requests beside them: latency per completion token";
        let per_token = minutes(|p| 1000.0 * p.latency_sec / p.completion);
        panel(&lower, title, ("ms", 0.0..60.0), "minute", per_token);
    });
}

fn main() {
    a_throttled_gpu();
    lengths_against_the_half_of_the_trace_that_the_model_has_not_seen();
    what_a_classifier_can_tell();
    prompt_against_completion();
    one_gpu_through_a_day();
    one_gpu_second_by_second();
    latency_against_completion();
    arrivals_of_an_hour();
}
