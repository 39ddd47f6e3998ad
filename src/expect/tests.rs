use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::kafka::properties;
use crate::plan::Identity;
use crate::settings::{Inputs, Settings};
use crate::workload::prices_micro_usd_per_hour;
use crate::workload::seed::{self, Seed};

/// Every kind, with times that cross windows of 10 s.
const FAULTS: &str = "duplicate=0.05:20s,late=0.05:30s,out-of-order=0.05:99,clock-skew=0.02:-40s,\
    drop=0.05,tombstone=0.05,malformed=0.05,missing-field=0.05,null-field=0.05,wrong-type=0.05,\
    extra-field=0.05,renamed-field=0.05,duplicate-key=0.05,sentinel=0.05,failed-request=0.05,\
    oversize=0.02:2000";

const INCIDENTS: &str = "gpu-lost@+60/60:gpu01/0,exporter-silent@+200/30:gpu02/*";

fn built_in() -> Seed {
    seed::parse(seed::BUILT_IN.as_bytes()).unwrap()
}

fn plan(settings: &[(&str, &str)]) -> Plan {
    plan_with(settings, &built_in())
}

fn plan_with(settings: &[(&str, &str)], seed: &Seed) -> Plan {
    let base = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("RUN_SEED", "7"),
        ("RUN_ID", "run"),
        ("EVENT_START", "2026-01-05T00:00:03.5Z"),
        ("BATCH", "4000"),
        ("SLEEP_SEC", "0.1"),
        ("HOSTNAME", "gpu[01-04]"),
    ];
    let environment = base.iter().chain(settings);
    let environment = environment.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let settings =
        Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap();
    let start = settings.event_start.unwrap();
    Plan::new(&settings, seed, Identity::new(&settings, start, 0))
}

fn question(by: By) -> Question {
    Question {
        window_ms: 10_000,
        lateness_ms: 2_000,
        by,
        partitions: [3, 2],
        prices: prices_micro_usd_per_hour(&built_in()),
        sent: None,
    }
}

const BY_GPU: By = By { gpu: true, model: false, host: false };

/// What stands in each row, by its view, its window and its key.
type Table = BTreeMap<(&'static str, i64, Option<String>), Figures>;

fn table<'p>(rows: impl Iterator<Item = Row<'p>>) -> Table {
    let mut table = Table::new();
    for row in rows {
        assert_eq!(row.end_ms - row.start_ms, 10_000);
        let key = (row.view.word(), row.start_ms, row.group.gpu.map(str::to_owned));
        assert_eq!(table.insert(key, row.figures), None, "a window comes once");
    }
    table
}

/// A consumer that remembers all, and reads values with another reader of JSON.
fn remembered(plan: &Plan, question: &Question) -> Table {
    let mut table = Table::new();
    let mut buffer = Buffer::default();
    let mut seen = BTreeSet::new();
    let mut stream_time: BTreeMap<(Kind, i32), i64> = BTreeMap::new();
    let mut pairs: BTreeMap<_, [BTreeSet<u64>; 2]> = BTreeMap::new();
    for emission in plan.emissions() {
        let record = plan.render(&emission, || Timestamp::UNIX_EPOCH, &mut buffer);
        if emission.act != Act::Send {
            continue;
        }
        let (key, topic) = (record.key.unwrap(), record.kind as usize);
        let partition = partition_of(key.as_bytes(), question.partitions[topic]);
        let stream_time = stream_time.entry((record.kind, partition)).or_insert(i64::MIN);
        *stream_time = record.timestamp_ms.max(*stream_time);
        let start = record.timestamp_ms / question.window_ms * question.window_ms;
        let is_in_time = start + question.window_ms + question.lateness_ms > *stream_time;
        let is_first = seen.insert((record.kind, record.seq));
        // The value of this crate cannot hold the number, which a consumer would not count either.
        let text = record.value.and_then(|value| std::str::from_utf8(value).ok());
        let text = text.map(|text| text.replace("1e400", "1e300"));
        let value: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
        for (view, counts) in
            [("all", true), ("late_dropped", is_in_time), ("deduplicated", is_first)]
        {
            let place = (view, start, Some(key.to_owned()));
            // A window of which every record is late is shown, with nothing in it.
            let figures = table.entry(place.clone()).or_default();
            if !counts {
                continue;
            }
            figures.records[topic] += 1;
            let Some(value) = &value else {
                figures.unreadable[topic] += 1;
                continue;
            };
            let both = pairs.entry(place).or_default();
            both[topic].insert(record.seq);
            figures.pairs = both[0].intersection(&both[1]).count() as u64;
            let whole = |name: &str| value[name].as_u64().filter(|n| *n <= u64::from(u32::MAX));
            if record.kind == Kind::Token {
                figures.prompt_tokens += whole("prompt_tokens").unwrap_or(0);
                figures.completion_tokens += whole("completion_tokens").unwrap_or(0);
                let latency = whole("latency_ms").map(|ms| u32::try_from(ms).unwrap());
                figures.latency_ms_max = figures.latency_ms_max.max(latency);
                // Prices of the shipped seed, by the index that ends the key.
                let micro_usd: u64 = if key.ends_with("/0") { 850_000 } else { 3_200_000 };
                let cost = |ms| (micro_usd * u64::from(ms) + 1_800_000) / 3_600_000;
                figures.cost_micro_usd += latency.map_or(0, cost);
            } else {
                for (name, most, readings) in [
                    ("utilization", 1.0, &mut figures.utilization),
                    ("power_w", 1e6, &mut figures.power_w),
                ] {
                    let reading = value[name].as_f64().filter(|n| (0.0..=most).contains(n));
                    if let Some(reading) = reading {
                        readings.count += 1;
                        readings.sum += Millionths::parse(&format!("{reading:.6}")).unwrap();
                    }
                }
            }
        }
    }
    table
}

#[test]
fn every_figure_is_that_of_a_consumer_that_remembers_all() {
    let plan = plan(&[("FAULTS", FAULTS), ("INCIDENTS", INCIDENTS)]);
    let question = question(BY_GPU);
    let expected = remembered(&plan, &question);
    let table = table(Windows::new(&plan, question));
    for (key, figures) in &expected {
        assert_eq!(table.get(key), Some(figures), "{key:?}");
    }
    assert_eq!(table.len(), expected.len());
    let sum = |view| {
        let of_view = table.iter().filter(|((of, ..), _)| *of == view);
        of_view.map(|(_, figures)| figures.records[0]).sum::<u64>()
    };
    let [all, in_time, first] = View::ALL.map(|view| sum(view.word()));
    // Dropping and copying are both at 5 %, so that each view has its own figure.
    assert!(
        in_time + 300 < all && first + 100 < all && in_time != first,
        "{all} {in_time} {first}"
    );
}

#[test]
fn in_a_clean_run_the_three_views_are_one_and_nothing_is_left_out() {
    let plan = plan(&[]);
    let table = table(Windows::new(&plan, question(BY_GPU)));
    for ((_, start, gpu), figures) in &table {
        assert_eq!(table[&("all", *start, gpu.clone())], *figures);
        assert_eq!(figures.records, [figures.pairs; 2]);
    }
    let all = table.iter().filter(|((view, ..), _)| *view == "all");
    assert_eq!(all.map(|(_, figures)| figures.pairs).sum::<u64>(), 4000);
}

#[test]
fn windows_come_in_their_order_and_few_are_open() {
    let day = plan(&[("BATCH", "86400"), ("SLEEP_SEC", "1"), ("FAULTS", FAULTS)]);
    let mut windows = Windows::new(&day, question(By::default()));
    let mut last = i64::MIN;
    let mut most_open = 0;
    while let Some(row) = windows.next() {
        assert!(row.start_ms >= last, "{} after {last}", row.start_ms);
        last = row.start_ms;
        most_open = most_open.max(windows.open.len());
    }
    // Held back for 30 s or 99 pairs, copied 20 s later, and stamped 40 s before.
    assert!(most_open <= 20, "{most_open}");
}

#[test]
fn shards_add_up_to_the_whole_run() {
    let of = |settings: &[(&str, &str)]| {
        table(Windows::new(&plan(settings), question(BY_GPU)))
            .into_iter()
            .filter(|((view, ..), _)| *view == "deduplicated")
    };
    let mut sum: BTreeMap<_, (u64, u64, u64)> = BTreeMap::new();
    for shard in ["0/3", "1/3", "2/3"] {
        for (key, figures) in of(&[("SHARD", shard), ("FAULTS", "duplicate=0.1:20s")]) {
            let sum = sum.entry(key).or_default();
            sum.0 += figures.pairs;
            sum.1 += figures.prompt_tokens;
            sum.2 += figures.cost_micro_usd;
        }
    }
    let whole = of(&[("FAULTS", "duplicate=0.1:20s")]).map(|(key, figures)| {
        (key, (figures.pairs, figures.prompt_tokens, figures.cost_micro_usd))
    });
    assert_eq!(sum, whole.collect());
}

#[test]
fn of_a_run_that_was_stopped_only_what_was_sent_counts() {
    let plan = plan(&[("FAULTS", "duplicate=0.1:20s")]);
    let question = Question { sent: Some([60, 59]), ..question(By::default()) };
    let all = Windows::new(&plan, question).filter(|row| row.view == View::All);
    let records = all.fold([0, 0], |[metric, usage], row| {
        [metric + row.figures.records[0], usage + row.figures.records[1]]
    });
    assert_eq!(records, [60, 59]);
}

#[test]
fn rows_are_grouped_by_what_was_asked_for() {
    let plan = plan(&[("BATCH", "200")]);
    let groups = |gpu, model, host| {
        let windows = Windows::new(&plan, question(By { gpu, model, host }));
        let all = windows.map(|row| (row.group.host, row.group.gpu, row.group.model));
        all.collect::<BTreeSet<_>>()
    };
    assert_eq!(groups(false, false, false), BTreeSet::from([(None, None, None)]));
    let models = ["llama-3.1-8b-w8a8", "llama-3.2-3b"];
    assert_eq!(groups(false, true, false), models.map(|model| (None, None, Some(model))).into());
    let hosts = ["gpu01", "gpu02", "gpu03", "gpu04"];
    assert_eq!(groups(false, false, true), hosts.map(|host| (Some(host), None, None)).into());
    let all = groups(true, true, true);
    assert_eq!(all.len(), 8);
    assert!(all.contains(&(Some("gpu03"), Some("gpu03/1"), Some(models[0]))), "{all:?}");
}

#[test]
fn rows_of_the_seed_that_share_an_index_are_one_gpu_each_request_at_its_own_price() {
    let rows = r#"[{"gpu_index":0,"name":"A","utilization":0.7,"mem_used_mb":9000,"mem_total_mb":24576,
        "power_w":280,"price_per_hour_usd":0.85},
        {"gpu_index":0,"name":"B","utilization":0.5,"mem_used_mb":12000,"mem_total_mb":40960,
        "power_w":210,"price_per_hour_usd":3.2}]"#;
    let seed = seed::parse(rows.as_bytes()).unwrap();
    let prices = prices_micro_usd_per_hour(&seed);
    let plan = plan_with(&[("HOSTNAME", "vm4"), ("BATCH", "400")], &seed);
    let ask = |by| Question { prices: prices.clone(), ..question(by) };
    let by_gpu = table(Windows::new(&plan, ask(BY_GPU)));
    assert!(by_gpu.keys().all(|(_, _, gpu)| gpu.as_deref() == Some("vm4/0")), "{by_gpu:?}");
    let all = table(Windows::new(&plan, ask(By::default())));
    // All records are of the one GPU, so both questions have the same answer.
    let figures = |table: &Table| table.values().copied().collect::<Vec<_>>();
    assert_eq!(figures(&by_gpu), figures(&all));
    let mut cost = 0;
    let mut buffer = Buffer::default();
    for emission in plan.emissions().filter(|emission| emission.kind == Kind::Token) {
        let record = plan.render(&emission, || Timestamp::UNIX_EPOCH, &mut buffer);
        let pair = record.pair.unwrap();
        cost += cost_micro_usd(prices[pair.gpu.row], pair.latency_ms);
    }
    let of_all = by_gpu.iter().filter(|((view, ..), _)| *view == "all");
    assert_eq!(of_all.map(|(_, figures)| figures.cost_micro_usd).sum::<u64>(), cost);
}
