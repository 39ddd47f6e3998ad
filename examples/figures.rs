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
use vm4_producer::workload::{Name, Workload, seed, trace_quantiles};

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
    command.args(["generate", "--run-seed", "1", "--event-start", "2026-01-01T00:00:00Z"]);
    command.envs(variables.iter().copied()).env("VM4_PRODUCER_ENV", "/dev/null");
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "generate: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The pairs of a run of `generate`, its start as 0 s.
fn printed(variables: &[(&str, &str)]) -> Vec<Printed> {
    const START_MS: f64 = 1_767_225_600_000.0;
    let text = generated(variables);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pair = |records: &[Value]| {
        let [metric, token] = [&records[0]["value"], &records[1]["value"]];
        let number = |value: &Value| value.as_f64().unwrap();
        Printed {
            seconds: (number(&records[0]["timestamp"]) - START_MS) / 1000.0,
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

/// Draws a figure into its file.
fn figure(name: &str, size: (u32, u32), draw: impl FnOnce(&Area<'_>)) {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).unwrap();
        draw(&area);
        area.present().unwrap();
    }
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

fn quantile(mut sample: Vec<f64>, share: f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    sample[((sample.len() - 1) as f64 * share).round() as usize]
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

/// A side of a request: its name, and where a pair and a trace's quantile have it.
type Side = (&'static str, fn(&Printed) -> f64, fn(&(f64, f64, f64)) -> f64);

const PAIRS: (&str, &str) = ("BATCH", "20000");

fn lengths_against_the_quantiles_of_the_trace() {
    figure("quantiles", (840, 640), |area| {
        let panels = area.split_evenly((2, 2));
        let mut panels = panels.iter();
        for workload in [Name::Chat, Name::Code] {
            let pairs = printed(&[PAIRS, ("WORKLOAD", workload.word())]);
            let trace = trace_quantiles(workload).unwrap();
            let sides: [Side; 2] = [
                ("prompt", |pair| pair.prompt, |quantile| quantile.1),
                ("completion", |pair| pair.completion, |quantile| quantile.2),
            ];
            for (side, of_pair, of_trace) in sides {
                let inner = &trace[1..trace.len() - 1];
                let sample: Vec<f64> = pairs.iter().map(of_pair).collect();
                let points: Vec<_> =
                    inner.iter().map(|q| (of_trace(q), quantile(sample.clone(), q.0))).collect();
                let (low, high) = (points[0].0 * 0.7, points[points.len() - 1].0 * 1.4);
                let title = format!("{}, {side} tokens", workload.word());
                let axes = Axes {
                    title: &title,
                    x: ("quantile of the trace", low..high),
                    y: ("quantile of 20,000 pairs", low..high),
                };
                let equal = Series::Line("", GREY, vec![(low, low), (high, high)]);
                log_chart(
                    panels.next().unwrap(),
                    axes,
                    vec![equal, Series::LargeDots(BLUE, points)],
                );
            }
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
    let pairs = printed(&[("BATCH", "21600"), ("SLEEP_SEC", "4"), ("ARRIVALS", "workload")]);
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
    let workload = Workload::new(Name::Chat, &seed, &["vm4".into()], 1, "run");
    figure("latency", (840, 420), |area| {
        let mut series = Vec::new();
        for (row, colour) in [(0, BLUE), (1, ORANGE)] {
            let of_gpu = pairs.iter().filter(|p| p.gpu == row as u64 && p.completion <= 700.0);
            let points = of_gpu.map(|p| (p.completion, p.latency_sec)).collect();
            series.push(Series::Dots(&seed.rows[row].name, colour, points));
            let hardware = workload.hardware(row);
            let least = |tokens: f64| {
                (hardware.ttft_ms(1.0) + (tokens - 1.0) * hardware.tpot_ms(1.0)) / 1000.0
            };
            series.push(Series::Line("", colour, vec![(1.0, least(1.0)), (700.0, least(700.0))]));
        }
        let axes = Axes {
            title: "chat; the lines are the least that each GPU needs alone and without a prompt",
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
            [("chat", "0.18083"), ("code", "0.389")].iter().zip(&panels)
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

fn main() {
    lengths_against_the_quantiles_of_the_trace();
    prompt_against_completion();
    one_gpu_through_a_day();
    one_gpu_second_by_second();
    latency_against_completion();
    arrivals_of_an_hour();
}
