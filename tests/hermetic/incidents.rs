//! Incidents as a consumer of the two topics sees them: at three loads, inside their interval and
//! nowhere else, in any shards, and in the words of the settings' errors.

#![allow(clippy::print_stderr, reason = "the figures are for whoever reads the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use crate::common::Producer;
use jiff::Timestamp;
use serde_json::{Value, json};
use vm4_producer::event::Kind;
use vm4_producer::kafka::properties;
use vm4_producer::plan::{Buffer, Figures, Identity, IncidentLine, IncidentLog, Plan};
use vm4_producer::settings::{Inputs, Settings};
use vm4_producer::workload::seed::{self, Seed};

/// Utilization and power of the three GPUs of each host, A100 with 400 W, and how much longer a token
/// takes in a surge at the least.
const LOADS: [Load; 3] =
    [("low", 0.2, 140.0, 1.02), ("middle", 0.5, 210.0, 1.05), ("high", 0.9, 320.0, 1.15)];

type Load = (&'static str, f64, f64, f64);

/// The incidents last from ten minutes after the first event to twenty.
const FROM_MS: i64 = 600_000;
const TO_MS: i64 = 1_200_000;

/// The key that most of them are about.
const HIT: &str = "gpu1/0";

fn seed_of(utilization: f64, power_w: f64) -> Seed {
    let row = |index: u32| {
        json!({
            "gpu_index": index, "name": "A100 40GB", "utilization": utilization,
            "mem_used_mb": 36_000, "mem_total_mb": 40_960, "power_w": power_w,
            "price_per_hour_usd": 3.2,
        })
    };
    let rows = Value::from((0..3).map(row).collect::<Vec<_>>());
    seed::parse(rows.to_string().as_bytes()).unwrap()
}

fn start() -> Timestamp {
    "2026-01-05T12:00:00Z".parse().unwrap()
}

fn plan(more: &[(&str, &str)], seed: &Seed) -> Plan {
    let variables = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("HOSTNAME", "gpu[1-2]"),
        ("EVENT_START", "2026-01-05T12:00:00Z"),
        ("DURATION_SEC", "1800"),
        ("BATCH", "200000"),
        ("SLEEP_SEC", "0.05"),
        ("ARRIVALS", "poisson"),
        ("RUN_SEED", "1"),
        ("RUN_ID", "run"),
    ];
    let mut environment: BTreeMap<_, _> = variables.into_iter().collect();
    environment.extend(more.iter().copied());
    let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
    let inputs = Inputs { environment: environment.collect(), ..Inputs::default() };
    let settings = Settings::load(&inputs, properties::check).unwrap();
    Plan::new(&settings, seed, Identity::new(&settings, start(), 1))
}

/// A record as it is in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    key: String,
    /// Event time from the start, ms.
    ms: i64,
    value: Vec<u8>,
}

type Records = BTreeMap<(u64, Kind), Seen>;

/// Every record of a plan, and what its incidents showed.
fn carried_out(plan: &Plan) -> (Records, Vec<IncidentLine>) {
    let (mut records, mut buffer) = (Records::new(), Buffer::default());
    let mut log = IncidentLog::new(plan);
    for emission in plan.emissions() {
        let record = plan.render(&emission, || start() + emission.scheduled, &mut buffer);
        let seen = Seen {
            key: record.key.unwrap().to_owned(),
            ms: record.timestamp_ms - start().as_millisecond(),
            value: record.value.unwrap().to_vec(),
        };
        log.see(&emission, &record);
        assert!(records.insert((emission.seq, emission.kind), seen).is_none());
    }
    (records, log.lines().collect())
}

fn is_inside(seen: &Seen) -> bool {
    (FROM_MS..TO_MS).contains(&seen.ms)
}

/// What a consumer makes of the records of some keys in a stretch of time.
fn figures(records: &Records, is_of: impl Fn(&str) -> bool, from: i64, to: i64) -> Figures {
    let mut sums = BTreeMap::<&str, f64>::new();
    let mut figures = Figures::default();
    for ((_, kind), seen) in records {
        if !(from..to).contains(&seen.ms) {
            continue;
        }
        figures.all_usages += u64::from(*kind == Kind::Token);
        if !is_of(&seen.key) {
            continue;
        }
        let value: Value = serde_json::from_slice(&seen.value).unwrap();
        let fields = match kind {
            Kind::Metric => {
                figures.metrics += 1;
                &["utilization", "power_w", "mem_used_mb"][..]
            }
            Kind::Token => {
                figures.usages += 1;
                figures.completion_tokens += value["completion_tokens"].as_u64().unwrap();
                &["latency_ms"][..]
            }
        };
        for field in fields {
            *sums.entry(field).or_default() += value[*field].as_f64().unwrap();
        }
    }
    let mean = |sum: &str, count: f64| {
        let mean = sums.get(sum).map_or(0.0, |sum| sum / count);
        (count > 0.0).then_some((mean * 1e4).round() / 1e4)
    };
    let (metrics, usages) = (figures.metrics as f64, figures.usages as f64);
    let (all, completion) = (figures.all_usages as f64, figures.completion_tokens as f64);
    Figures {
        usage_share: (all > 0.0).then_some((usages / all * 1e4).round() / 1e4),
        utilization: mean("utilization", metrics),
        power_w: mean("power_w", metrics),
        mem_used_mb: mean("mem_used_mb", metrics),
        latency_ms: mean("latency_ms", usages),
        ms_per_completion_token: mean("latency_ms", completion),
        ..figures
    }
}

/// The same, at whole and hundredths where a float may be rounded one way or the other.
fn rounded(figures: Figures) -> Figures {
    let round = |value: Option<f64>| value.map(|value| (value * 100.0).round() / 100.0);
    Figures {
        usage_share: round(figures.usage_share),
        utilization: round(figures.utilization),
        power_w: round(figures.power_w),
        mem_used_mb: round(figures.mem_used_mb),
        latency_ms: round(figures.latency_ms),
        ms_per_completion_token: round(figures.ms_per_completion_token),
        ..figures
    }
}

fn show(what: &str, figures: &Figures) {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    eprintln!(
        "  {what:6}  {:>5} metrics  {:>5} usages  share {:>4}  u {:>4}  {:>6} W  {:>8} MiB  latency {:>8} ms  \
         {:>6} ms/token",
        figures.metrics,
        figures.usages,
        number(figures.usage_share),
        number(figures.utilization),
        number(figures.power_w),
        number(figures.mem_used_mb),
        number(figures.latency_ms),
        number(figures.ms_per_completion_token),
    );
}

/// A run with one incident, the same without it, and what the incident's line says.
struct Compared {
    clean: Records,
    hit: Records,
    line: IncidentLine,
}

impl Compared {
    /// Prints the figures of the keys that the incident is about, and checks that its line has those
    /// that a consumer finds in the topics.
    fn at(incident: &str, (name, utilization, power_w, _): Load) -> Self {
        let seed = seed_of(utilization, power_w);
        let (clean, none) = carried_out(&plan(&[], &seed));
        assert_eq!(none, []);
        let (hit, lines) = carried_out(&plan(&[("INCIDENTS", incident)], &seed));
        let [line] = <[_; 1]>::try_from(lines).unwrap();
        let keys: BTreeSet<_> = line.keys.iter().map(String::as_str).collect();
        let length = TO_MS - FROM_MS;
        eprintln!("{incident}, {name} load ({utilization}, {power_w} W):");
        for (what, figures_of_line, from) in [
            ("before", line.before, FROM_MS - length),
            ("during", line.during, FROM_MS),
            ("after", line.after, TO_MS),
        ] {
            show(what, &figures_of_line);
            let seen = figures(&hit, |key| keys.contains(key), from, from + length);
            assert_eq!(rounded(seen), rounded(figures_of_line), "{incident} {what}");
        }
        assert_eq!(line.from, "2026-01-05T12:10:00.000Z");
        assert_eq!(line.to, "2026-01-05T12:20:00.000Z");
        Self { clean, hit, line }
    }

    /// Every record outside the interval, and every one of other keys inside, is that of a clean run.
    fn differs_only_inside_and_for(&self, may_differ: impl Fn(&str) -> bool) {
        let mut same = [0, 0];
        let all: BTreeSet<_> = self.clean.keys().chain(self.hit.keys()).collect();
        for place in all {
            let (clean, hit) = (self.clean.get(place), self.hit.get(place));
            if clean == hit {
                same[usize::from(is_inside(clean.unwrap()))] += 1;
                continue;
            }
            for seen in [clean, hit].into_iter().flatten() {
                assert!(is_inside(seen) && may_differ(&seen.key), "{place:?}: {clean:?}, {hit:?}");
            }
        }
        eprintln!("  {} records outside and {} inside are those of a clean run", same[0], same[1]);
        assert!(same[0] > 40_000, "{same:?}");
    }

    /// What the tokens of the pairs of a stretch are, whoever serves them.
    fn tokens(records: &Records) -> Vec<(u64, Value, Value)> {
        let usages = records.iter().filter(|((_, kind), _)| *kind == Kind::Token);
        let tokens = usages.map(|((seq, _), seen)| {
            let value: Value = serde_json::from_slice(&seen.value).unwrap();
            (*seq, value["prompt_tokens"].clone(), value["completion_tokens"].clone())
        });
        tokens.collect()
    }

    fn values<'a>(
        &'a self,
        key: &'a str,
        kind: Kind,
        field: &'a str,
    ) -> impl Iterator<Item = Value> + 'a {
        let of_key = move |place: &(u64, Kind), seen: &Seen| {
            place.1 == kind && seen.key == key && is_inside(seen)
        };
        let records = self.hit.iter().filter(move |(place, seen)| of_key(place, seen));
        records.map(move |(_, seen)| {
            serde_json::from_slice::<Value>(&seen.value).unwrap()[field].clone()
        })
    }
}

fn ratio(of: Option<f64>, to: Option<f64>) -> f64 {
    of.unwrap() / to.unwrap()
}

#[test]
fn a_throttle_lowers_the_power_and_raises_the_time_per_token() {
    for load in LOADS {
        let run = Compared::at("throttle@+10m/10m:gpu1/0", load);
        run.differs_only_inside_and_for(|key| key == HIT);
        let (before, during, after) = (run.line.before, run.line.during, run.line.after);
        assert!(ratio(during.power_w, before.power_w) < 0.85, "{load:?}");
        assert!(ratio(during.power_w, after.power_w) < 0.85, "{load:?}");
        assert!(ratio(during.ms_per_completion_token, before.ms_per_completion_token) > 1.1);
        assert!(ratio(during.ms_per_completion_token, after.ms_per_completion_token) > 1.1);
        let [limit_w] = run.line.power_limit_w[..] else { panic!("{:?}", run.line) };
        // Spikes go beyond the limit, as those of every board do.
        let watts: Vec<_> = run.values(HIT, Kind::Metric, "power_w").collect();
        let above = watts.iter().filter(|watts| watts.as_f64().unwrap() > limit_w).count();
        eprintln!("  limit {limit_w} W: {above} of {} readings above it", watts.len());
        assert!(above * 8 < watts.len(), "{above} of {}", watts.len());
        assert!(watts.iter().all(|watts| watts.as_f64().unwrap() <= 1.5 * limit_w + 0.1));
        assert_eq!(Compared::tokens(&run.clean), Compared::tokens(&run.hit));
    }
}

#[test]
fn a_lost_gpu_is_silent_and_its_siblings_serve_the_same_requests() {
    for load in LOADS {
        let run = Compared::at("gpu-lost@+10m/10m:gpu1/0", load);
        run.differs_only_inside_and_for(|key| key.starts_with("gpu1/"));
        let (before, during, after) = (run.line.before, run.line.during, run.line.after);
        assert_eq!((during.metrics, during.usages), (0, 0));
        assert!(before.usages > 500 && after.usages > 500);
        assert_eq!(run.clean.len(), run.hit.len());
        assert_eq!(Compared::tokens(&run.clean), Compared::tokens(&run.hit));
        let siblings =
            |records| figures(records, |key| matches!(key, "gpu1/1" | "gpu1/2"), FROM_MS, TO_MS);
        let (usual, more) = (siblings(&run.clean), siblings(&run.hit));
        show("usual", &usual);
        show("more", &more);
        let lost = figures(&run.clean, |key| key == HIT, FROM_MS, TO_MS).usages;
        assert_eq!(more.usages, usual.usages + lost);
        assert!(ratio(more.utilization, usual.utilization) > 1.01);
        assert!(ratio(more.ms_per_completion_token, usual.ms_per_completion_token) > 1.0);
    }
}

#[test]
fn a_gpu_that_restarts_shows_nothing_running_and_its_memory_grow_again() {
    for load in LOADS {
        let run = Compared::at("ecc-restart@+10m/10m:gpu1/0", load);
        run.differs_only_inside_and_for(|key| key.starts_with("gpu1/"));
        let during = run.line.during;
        let lost = figures(&run.clean, |key| key == HIT, FROM_MS, TO_MS);
        assert_eq!((during.usages, during.metrics), (0, lost.metrics));
        assert_eq!(during.utilization, Some(0.0));
        assert!(during.power_w.unwrap() < 70.0, "{during:?}");
        assert_eq!(Compared::tokens(&run.clean), Compared::tokens(&run.hit));
        let memory: Vec<_> = run.values(HIT, Kind::Metric, "mem_used_mb").collect();
        let memory: Vec<_> = memory.iter().map(|mib| mib.as_u64().unwrap()).collect();
        assert!(memory.is_sorted() && memory[0] == 0 && memory.last() > Some(&30_000));
        let freed = memory.iter().filter(|mib| **mib == 0).count() as f64 / memory.len() as f64;
        eprintln!("  memory is freed for {freed:.2} of it, then grows to {:?} MiB", memory.last());
        assert!((0.55..0.78).contains(&freed), "{freed}");
    }
}

#[test]
fn a_noisy_neighbour_raises_utilization_memory_and_the_time_per_token() {
    for load in LOADS {
        let run = Compared::at("noisy-neighbour@+10m/10m:gpu1/0", load);
        run.differs_only_inside_and_for(|key| key == HIT);
        let (before, during, after) = (run.line.before, run.line.during, run.line.after);
        for other in [before, after] {
            assert!(ratio(during.utilization, other.utilization) > 1.02, "{load:?}");
            assert!(ratio(during.ms_per_completion_token, other.ms_per_completion_token) > 1.3);
        }
        assert_eq!(during.mem_used_mb, Some(36_000.0 + 1_984.0));
        assert_eq!(Compared::tokens(&run.clean), Compared::tokens(&run.hit));
    }
}

#[test]
fn a_surge_multiplies_the_arrivals_of_every_law_and_the_latency_shows_the_queue() {
    for load in LOADS {
        for arrivals in ["fixed", "poisson", "workload"] {
            let run = |incidents: &str| {
                let variables = [("INCIDENTS", incidents), ("ARRIVALS", arrivals)];
                carried_out(&plan(&variables, &seed_of(load.1, load.2)))
            };
            let ((clean, _), (hit, lines)) = (run(""), run("surge=4@+10m/10m"));
            let line = &lines[0];
            eprintln!("surge=4@+10m/10m, ARRIVALS={arrivals}, {} load:", load.0);
            show("before", &line.before);
            show("during", &line.during);
            show("after", &line.after);
            let usual = figures(&clean, |_| true, FROM_MS, TO_MS);
            show("usual", &usual);
            let times = line.during.usages as f64 / usual.usages as f64;
            assert!((3.85..4.15).contains(&times), "{arrivals}: {times}");
            let slower = ratio(line.during.ms_per_completion_token, usual.ms_per_completion_token);
            eprintln!("  {slower:.3} times the time per token");
            assert!(slower > load.3, "{arrivals}: {slower}");
            assert!(ratio(line.during.utilization, usual.utilization) > 1.03, "{arrivals}");
            assert_eq!(line.keys.len(), 6);
            // Before it every record is that of a clean run; behind it there are other pairs.
            for (place, seen) in clean.iter().filter(|(_, seen)| seen.ms < FROM_MS) {
                assert_eq!(hit.get(place), Some(seen), "{arrivals}");
            }
            let rate = line.after.usages as f64
                / figures(&clean, |_| true, TO_MS, 1_800_000).usages as f64;
            assert!((0.9..1.1).contains(&rate), "{arrivals}: {rate} behind it");
        }
    }
}

#[test]
fn a_stuck_gauge_repeats_its_first_values_while_requests_go_on() {
    for load in LOADS {
        let run = Compared::at("stuck-gauge@+10m/10m:gpu1/0", load);
        run.differs_only_inside_and_for(|key| key == HIT);
        for field in ["utilization", "power_w", "mem_used_mb"] {
            let values: BTreeSet<_> =
                run.values(HIT, Kind::Metric, field).map(|value| value.to_string()).collect();
            assert_eq!(values.len(), 1, "{field}: {values:?}");
        }
        for ((seq, kind), seen) in &run.hit {
            if *kind == Kind::Token {
                assert_eq!(run.clean.get(&(*seq, *kind)), Some(seen));
            }
        }
    }
}

#[test]
fn a_stuck_gauge_shows_what_it_read_in_the_second_of_its_beginning() {
    // At ten pairs a millisecond each GPU has one in every second.
    let seed = seed_of(0.5, 210.0);
    let variables = [("SLEEP_SEC", "0.005"), ("DURATION_SEC", "4")];
    let stuck = [variables[0], variables[1], ("INCIDENTS", "stuck-gauge@+2s/1s")];
    let ((clean, _), (hit, _)) =
        (carried_out(&plan(&variables, &seed)), carried_out(&plan(&stuck, &seed)));
    let readings = |records: &Records| {
        let mut readings = BTreeMap::new();
        for ((_, kind), seen) in records {
            if *kind == Kind::Metric && (2000..3000).contains(&seen.ms) {
                let value: Value = serde_json::from_slice(&seen.value).unwrap();
                readings.insert(
                    seen.key.clone(),
                    (value["utilization"].clone(), value["power_w"].clone()),
                );
            }
        }
        readings
    };
    assert_eq!(readings(&clean).len(), 6);
    assert_eq!(readings(&clean), readings(&hit));
}

#[test]
fn a_silent_exporter_sends_no_metric_of_its_host_and_the_usages_go_on() {
    for load in LOADS {
        let run = Compared::at("exporter-silent@+10m/10m:gpu1", load);
        run.differs_only_inside_and_for(|key| key.starts_with("gpu1/"));
        assert_eq!(run.line.keys, ["gpu1/0", "gpu1/1", "gpu1/2"]);
        assert_eq!(run.line.during.metrics, 0);
        assert!(run.line.during.usages > 2_000);
        let usages = |records: &Records| {
            let usages = records.iter().filter(|((_, kind), _)| *kind == Kind::Token);
            usages.map(|(place, seen)| (*place, seen.clone())).collect::<Vec<_>>()
        };
        assert_eq!(usages(&run.clean), usages(&run.hit));
    }
}

/// Several of all kinds, which overlap.
const ALL: &str = "throttle=0.6@+1m/3m:gpu*/1,gpu-lost@+2m/2m:gpu1/0,ecc-restart@+3m/4m:gpu2/0,\
                   noisy-neighbour@+5m/1m:*/2,surge=2.5@+2m/90s,stuck-gauge@+150s/3m:gpu2/*,\
                   exporter-silent@+6m/1m:gpu1,gpu-lost@2026-01-05T12:08:00Z/10s";

#[test]
fn shards_together_see_the_incidents_of_the_whole_run_and_no_key_has_two_pairs_in_a_millisecond() {
    let seed = seed_of(0.5, 210.0);
    for arrivals in ["fixed", "poisson", "workload"] {
        let variables = |shard| {
            let base = [("INCIDENTS", ALL), ("ARRIVALS", arrivals), ("DURATION_SEC", "540")];
            carried_out(&plan(&[base[0], base[1], base[2], ("SHARD", shard)], &seed))
        };
        let (whole, lines) = variables("0/1");
        let shards = ["0/3", "1/3", "2/3"].map(variables);
        let mut together = Records::new();
        for (records, _) in &shards {
            together.extend(records.clone());
        }
        assert_eq!(together, whole, "{arrivals}");
        for (number, line) in lines.iter().enumerate() {
            let parts = shards.iter().map(|(_, lines)| &lines[number]);
            let count = |of: fn(&Figures) -> u64| parts.clone().map(|l| of(&l.during)).sum::<u64>();
            assert_eq!(count(|figures| figures.usages), line.during.usages);
            assert_eq!(count(|figures| figures.metrics), line.during.metrics);
            assert_eq!(parts.clone().filter_map(|l| l.first_seq).min(), line.first_seq);
            assert_eq!(parts.clone().filter_map(|l| l.last_seq).max(), line.last_seq);
        }
        let mut met = BTreeSet::new();
        for ((_, kind), seen) in &whole {
            assert!(met.insert((*kind, seen.key.clone(), seen.ms)), "{arrivals}: {seen:?}");
        }
    }
}

#[test]
fn a_record_amid_incidents_depends_neither_on_order_nor_on_what_was_rendered_before() {
    let seed = seed_of(0.5, 210.0);
    let plan = plan(&[("INCIDENTS", ALL), ("DURATION_SEC", "540")], &seed);
    let (in_order, _) = carried_out(&plan);
    let mut emissions: Vec<_> = plan.emissions().collect();
    assert_eq!(emissions.len(), in_order.len());
    emissions.reverse();
    let mut buffer = Buffer::default();
    for emission in emissions {
        let record = plan.render(&emission, start, &mut buffer);
        let seen = &in_order[&(emission.seq, emission.kind)];
        assert_eq!((record.key, record.value), (Some(seen.key.as_str()), Some(&seen.value[..])));
    }
}

#[test]
fn planned_records_are_those_that_come_or_are_not_known_before() {
    let seed = seed_of(0.5, 210.0);
    for (incidents, known) in [
        ("throttle@+1m/1m", [true, true]),
        ("gpu-lost@+1m/1m:gpu1", [true, true]),
        ("gpu-lost@+1m/1m", [false, false]),
        ("exporter-silent@+1m/1m:gpu1", [false, true]),
        ("surge@+1m/1m", [true, true]),
    ] {
        let batch =
            plan(&[("INCIDENTS", incidents), ("BATCH", "4000"), ("DURATION_SEC", "")], &seed);
        let (records, _) = carried_out(&batch);
        for (kind, known) in Kind::BOTH.into_iter().zip(known) {
            let came = records.keys().filter(|(_, of)| *of == kind).count() as u64;
            let planned = batch.planned_records()[kind as usize];
            assert_eq!(planned, known.then_some(came), "{incidents}");
            assert_eq!(came == 4000, known, "{incidents}");
        }
        let first = batch.emissions().filter(|emission| emission.begins_pair()).count();
        let pairs: BTreeSet<_> = records.keys().map(|(seq, _)| seq).collect();
        assert_eq!(first, pairs.len(), "{incidents}");
    }
}

#[test]
fn in_a_live_run_an_offset_counts_from_the_first_event() {
    let seed = seed_of(0.5, 210.0);
    let live =
        [("INCIDENTS", "exporter-silent@+1m/1m"), ("EVENT_START", ""), ("DURATION_SEC", "180")];
    let plan = plan(&live, &seed);
    // The cluster took 20 s to answer: the run's clock is that much ahead of its start.
    let first = start() + Duration::from_secs(20);
    let (mut buffer, mut metrics) = (Buffer::default(), Vec::new());
    let mut log = IncidentLog::new(&plan);
    for emission in plan.emissions() {
        let record = plan.render(&emission, || first + emission.scheduled, &mut buffer);
        if emission.kind == Kind::Metric {
            metrics.push(record.timestamp_ms - first.as_millisecond());
        }
        log.see(&emission, &record);
    }
    assert!(metrics.iter().all(|ms| !(60_000..120_000).contains(ms)));
    assert!(metrics.iter().filter(|ms| **ms < 60_000).count() > 1_000);
    assert!(metrics.iter().filter(|ms| **ms >= 120_000).count() > 1_000);
    let line = log.lines().next().unwrap();
    assert_eq!(
        (line.from.as_str(), line.to.as_str()),
        ("2026-01-05T12:01:20.000Z", "2026-01-05T12:02:20.000Z")
    );
    assert_eq!(line.during.metrics, 0);
}

const NOT_VALID: &str = "INCIDENTS: \"VALUE\" from the environment is not valid: ";
const EXPECTED: &str = "; expected kind[=PARAMETER]@START/LENGTH[:HOST/GPU][,...], as in \
                        throttle@+10m/5m:vm4/0 or surge=3@2026-01-01T12:00:00Z/10m";

#[test]
fn incidents_that_make_no_sense_are_refused_with_the_part_and_the_reason() {
    for (value, more, because) in [
        (
            "throtle@+1m/1m",
            &[][..],
            "in \"throtle@+1m/1m\", there is no kind \"throtle\"; the nearest is throttle",
        ),
        (
            "throttle@+1m/1m",
            &[("SLEEP_SEC", "0")],
            "SLEEP_SEC is 0, so no time passes in which anything could happen",
        ),
        (
            "throttle@+1m/1m",
            &[("PACE", "none"), ("EVENT_START", "")],
            "without EVENT_START events have the time of the clock, and with PACE=none no pair waits for it",
        ),
        (
            "stuck-gauge@+1m/1m",
            &[("WORKLOAD", "uniform")],
            "\"stuck-gauge@+1m/1m\" needs a load, and WORKLOAD=uniform has none",
        ),
        (
            "throttle@+1m/1m:gpu*/0",
            &[],
            "the host of \"throttle@+1m/1m:gpu*/0\" is none of HOSTNAME, vm4",
        ),
        (
            "throttle@+1m/1m:vm4/7",
            &[],
            "no GPU of the seed has the index in \"throttle@+1m/1m:vm4/7\"",
        ),
        (
            "throttle@+1m/1m",
            &[("EVENT_START", "")],
            "generate waits for no pair, so without EVENT_START no time would pass",
        ),
    ] {
        let generate = Producer::new(["generate"])
            .set("EVENT_START", "2026-01-01T00:00:00Z")
            .set("INCIDENTS", value);
        let finished = more
            .iter()
            .fold(generate, |generate, (name, value)| generate.set(name, value))
            .finish();
        finished
            .exits(78)
            .says(&format!("{}{because}{EXPECTED}", NOT_VALID.replace("VALUE", value)));
    }
}

#[test]
fn doctor_shows_incidents_and_names_one_that_is_about_no_gpu() {
    let doctor = |incidents| {
        Producer::new(["doctor"])
            .set("KAFKA_BOOTSTRAP", "127.0.0.1:1")
            .set("INCIDENTS", incidents)
            .finish()
            .stdout
    };
    let fine = doctor("throttle@+1s/1m:vm4/0");
    assert!(fine.contains("ok    incidents: throttle@+1s/1m:vm4/0\n"), "{fine}");
    let idle = doctor("throttle@+1m/1m:vm4/0");
    let says = "warn  incidents: incident throttle@+1m/1m:vm4/0 reaches no pair: the last one is at +9.5 s";
    assert!(idle.contains(says), "{idle}");
    let none = doctor("throttle@+1m/1m:vm4/9");
    assert!(none.contains("FAIL  incidents: INCIDENTS: \"throttle@+1m/1m:vm4/9\""), "{none}");
}

#[test]
fn a_demo_with_incidents_delivers_what_there_is_and_its_report_says_how_much_that_was() {
    let demo = Producer::new(["demo"]);
    let report = demo.directory().join("report.json");
    let finished = demo
        .set("REPORT_FILE", report)
        .set("BATCH", "40")
        .set("SLEEP_SEC", "0.01")
        .set("RUN_SEED", "1")
        .set("EVENT_START", "2026-01-01T00:00:00Z")
        .set("INCIDENTS", "exporter-silent@+100ms/100ms")
        .finish();
    finished.exits(0);
    let topics = &finished.report()["topics"];
    for (topic, records) in [(0, 30), (1, 40)] {
        for count in ["planned", "generated", "acknowledged"] {
            assert_eq!(topics[topic][count], records, "{count} of {topic}");
        }
    }
}

#[test]
fn the_documentation_lists_every_kind_with_its_parameter() {
    use vm4_producer::workload::incidents::IncidentKind;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/incidents.md");
    let text = fs::read_to_string(path).unwrap();
    for kind in IncidentKind::ALL {
        let parameter = match kind.parameter() {
            Some(parameter) => format!(
                "{} ({} to {}; {})",
                parameter.meaning, parameter.least, parameter.most, parameter.default
            ),
            None => "-".to_owned(),
        };
        let row = format!("| `{}` | {parameter} |", kind.word());
        assert!(text.contains(&row), "docs/incidents.md has no row that begins with {row}");
    }
}

#[test]
fn the_example_of_the_readme_shows_what_the_program_generates() {
    // What the recipe sends, at a time of which it shows the figures.
    const START: &str = "--run-seed 1 --event-start 2026-01-05T12:00:00Z";
    const RECIPE: &str = "--event-start -15m --batch 1800 --incidents throttle@+5m/5m:vm4/0";
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    assert!(readme.contains(RECIPE) && readme.contains(&format!("With `{START}`")), "the command");
    let fixed = RECIPE.replace("--event-start -15m", START);
    let generate = Producer::new(["generate"].into_iter().chain(fixed.split(' '))).finish();
    generate.exits(0);
    let mut windows: BTreeMap<u64, (Vec<f64>, f64, f64)> = BTreeMap::new();
    for line in generate.stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["key"] != "vm4/0" {
            continue;
        }
        let since = record["timestamp"].as_u64().unwrap() - start().as_millisecond().unsigned_abs();
        let (watts, latency, tokens) = windows.entry(since / 300_000).or_default();
        let value = &record["value"];
        watts.extend(value["power_w"].as_f64());
        *latency += value["latency_ms"].as_f64().unwrap_or_default();
        *tokens += value["completion_tokens"].as_f64().unwrap_or_default();
    }
    assert_eq!(windows.len(), 3);
    for (window, (watts, latency, tokens)) in windows {
        let mean = watts.iter().sum::<f64>() / watts.len() as f64;
        let highest = watts.iter().copied().fold(0.0, f64::max);
        let row = format!(
            "| 12:{:02} | {mean:.0} W | {highest:.0} W | {:.1} ms |",
            window * 5,
            latency / tokens
        );
        assert!(readme.contains(&row), "the README has no row {row}");
    }
}

#[test]
fn an_incident_that_reaches_no_pair_is_a_warning_and_the_summary_counts_the_others() {
    let incidents = "throttle@+1s/3s,throttle@+5m/5m";
    let warning = "WARN incident throttle@+5m/5m reaches no pair: the last one is at +9.5 s";
    let base = |command: &[&str]| {
        let producer = Producer::new(command).set("INCIDENTS", incidents).set("BATCH", "20");
        let producer = producer.set("EVENT_START", "2026-01-01T00:00:00Z");
        producer.set("HOSTNAME", "vm4").set("RUN_SEED", "1")
    };
    base(&["generate"]).finish().exits(0).says(warning);
    base(&["expect", "--window", "1m"]).finish().exits(0).says(warning);
    let demo = base(&["demo"]);
    let report = demo.directory().join("report.json");
    let demo = demo.set("REPORT_FILE", report).finish();
    // Six pairs are due from +1 s to +3.5 s.
    demo.exits(0).says(warning).says("; incidents: throttle 12 records");
    let counted = demo.report()["incidents"].as_array().unwrap().iter();
    let counted: Vec<_> = counted.map(|incident| incident["records"].as_u64().unwrap()).collect();
    assert_eq!(counted, [12, 0]);
}
