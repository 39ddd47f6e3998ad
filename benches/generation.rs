//! What an event costs before it is sent: the model, the JSON and the schedule, on one core.
//!
//! `make bench`. It measures the processor's time of this thread, so that what else runs on the machine
//! counts as little as it can. One iteration is 200,000 events: 20 ms are 100 ns an event.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark fails by panicking"
)]

use std::hint::black_box;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vm4_producer::kafka::properties;
use vm4_producer::plan::{Buffer, Identity, Plan};
use vm4_producer::settings::{Inputs, Settings};
use vm4_producer::workload::seed;

/// Pairs of one measured run.
const PAIRS: u64 = 100_000;

fn plan(variables: &[(&str, &str)]) -> Plan {
    let pairs = PAIRS.to_string();
    let fixed = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("BATCH", &pairs),
        ("RUN_SEED", "1"),
        ("RUN_ID", "bench"),
    ];
    let all = fixed.iter().chain(variables);
    let environment = all.map(|(name, value)| (name.into(), value.into())).collect();
    let settings = Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check)
        .expect("settings");
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).expect("a seed");
    let start = "2026-01-01T00:00:00Z".parse().expect("a time");
    let identity = Identity::new(&settings, start, 0);
    Plan::new(&settings, &seed, identity)
}

/// Processor time of this thread, ns.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds on the processor")
    }

    fn end(&self, started: u64) -> u64 {
        self.start() - started
    }

    fn add(&self, one: &u64, other: &u64) -> u64 {
        one + other
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn generation(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("generation");
    group.throughput(Throughput::Elements(2 * PAIRS)).sample_size(10);
    let every = ["chat", "code", "reason", "long", "agent", "uniform"]
        .map(|workload| ["fixed", "workload"].map(|arrivals| (workload, arrivals)));
    for (workload, arrivals) in every.into_iter().flatten() {
        let plan = plan(&[
            ("EVENT_START", "2026-01-01T00:00:00Z"),
            ("WORKLOAD", workload),
            ("ARRIVALS", arrivals),
        ]);
        let now = || plan.identity.started_at;
        group.bench_function(format!("{workload}, arrivals {arrivals}"), |bencher| {
            bencher.iter(|| {
                let mut buffer = Buffer::default();
                for emission in plan.emissions() {
                    black_box(plan.render(&emission, now, &mut buffer));
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = generation
}
criterion_main!(benches);
