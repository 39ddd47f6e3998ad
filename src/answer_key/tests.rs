//! The answer key against the plan, by another way of counting.

use super::*;
use crate::faults::FaultSet;
use crate::kafka::properties;
use crate::plan::{Buffer, Identity};
use crate::settings::Inputs;
use crate::workload::seed;
use serde_json::Value;

const ALL: &str = "duplicate=0.1:2s,late=0.1:3s,out-of-order=0.1:9,clock-skew=0.1,drop=0.1,\
    tombstone=0.1,malformed=0.1,missing-field=0.1,null-field=0.1,wrong-type=0.1,extra-field=0.1,\
    renamed-field=0.1,duplicate-key=0.1,sentinel=0.1,failed-request=0.1,oversize=0.1:2000";

fn settings(more: &[(&str, &str)]) -> Settings {
    let base = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("RUN_SEED", "7"),
        ("RUN_ID", "run"),
        ("BATCH", "400"),
        ("EVENT_START", "2026-01-01T00:00:00Z"),
        ("RDKAFKA_SASL_PASSWORD", "hunter2"),
    ];
    let is_other = |(name, _): &&(&str, &str)| more.iter().all(|(other, _)| other != name);
    let environment = base.iter().filter(is_other).chain(more);
    let environment = environment.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap()
}

/// The key of what is rendered of the first `most` emissions.
fn key(settings: &Settings, most: usize) -> Vec<Value> {
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let plan = Plan::new(settings, &seed, Identity::new(settings, now, 0));
    let mut key = AnswerKey::begin(&plan, settings, &seed, Vec::new()).unwrap();
    let mut buffer = Buffer::default();
    for emission in plan.emissions().take(most) {
        let record = plan.render(&emission, || now, &mut buffer);
        key.see(&emission, &record).unwrap();
    }
    let text = key.finish().unwrap();
    text.split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect()
}

fn of_type<'a>(key: &'a [Value], line: &str) -> Vec<&'a Value> {
    key.iter().filter(|l| l["type"] == line).collect()
}

#[test]
fn every_line_is_of_its_schema_and_none_holds_a_secret() {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let key = key(&settings(&[("FAULTS", ALL)]), usize::MAX);
    for line in &key {
        let errors: Vec<_> = validator.iter_errors(line).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{line}");
        assert!(!line.to_string().contains("hunter2"), "{line}");
    }
    assert_eq!(key.last().unwrap()["lines"], key.len());
    assert_eq!(key[0]["settings"]["FAULTS"], ALL);
    assert_eq!(of_type(&key, "gpu").len(), 2);
}

#[test]
fn a_clean_run_has_no_record_line_and_four_equal_totals() {
    let key = key(&settings(&[]), usize::MAX);
    assert!(of_type(&key, "record").is_empty());
    let totals = of_type(&key, "total");
    for total in &totals {
        assert_eq!(total["records"]["token.usage.v1"], 400);
        assert_eq!(total["cost_micro_usd"], totals[0]["cost_micro_usd"]);
        assert_eq!(total["completion_tokens"], totals[0]["completion_tokens"]);
    }
    assert!(totals[0]["cost_micro_usd"].as_u64() > Some(0));
}

#[test]
fn the_truth_is_that_of_a_clean_run_but_for_the_requests_that_failed() {
    let others = ALL.replace("failed-request=0.1", "failed-request=0");
    let total = |settings: &Settings| of_type(&key(settings, usize::MAX), "total")[0].clone();
    let (clean, faulty) = (total(&settings(&[])), total(&settings(&[("FAULTS", &others)])));
    assert_eq!(faulty, clean);
    let failed = total(&settings(&[("FAULTS", ALL)]));
    assert!(failed["completion_tokens"].as_u64() < clean["completion_tokens"].as_u64());
    assert_eq!(failed["prompt_tokens"], clean["prompt_tokens"]);
}

#[test]
fn the_lines_lead_from_what_can_be_read_to_what_is_true() {
    let key = key(&settings(&[("FAULTS", ALL)]), usize::MAX);
    let total =
        |name: &str| of_type(&key, "total").into_iter().find(|t| t["name"] == name).unwrap();
    for sum in ["prompt_tokens", "completion_tokens", "cost_micro_usd"] {
        let mut truth = total("readable")[sum].as_i64().unwrap();
        let mut once = truth;
        for line in of_type(&key, "record").into_iter().filter(|l| l["event"] == "token.usage.v1") {
            let faults: FaultSet = line["faults"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|f| Fault::of_word(f.as_str()?))
                .fold(FaultSet::NONE, FaultSet::with);
            let amount = line["usage"][sum].as_i64().unwrap();
            let is_read = line["sent"] == true && faults.leaves_readable();
            if line["copy"] == true && is_read {
                (truth, once) = (truth - amount, once - amount);
            } else if line["copy"] == false && !is_read {
                truth += amount;
            }
        }
        assert_eq!(total("deduplicated")[sum], once, "{sum}");
        assert_eq!(total("planned")[sum], truth, "{sum}");
    }
}

#[test]
fn what_was_held_back_when_a_run_is_stopped_is_said_not_to_be_sent() {
    let settings = settings(&[("FAULTS", "late=0.5:1h")]);
    let key = key(&settings, 100);
    let lines = of_type(&key, "record");
    assert!((30..70).contains(&lines.len()), "{}", lines.len());
    assert!(lines.iter().all(|line| line["sent"] == false && line["late_by_ms"] == 3_600_000));
    let totals = of_type(&key, "total");
    let records = |total: &Value| total["records"]["token.usage.v1"].as_u64().unwrap();
    assert_eq!((records(totals[0]), key.last().unwrap()["pairs"].as_u64()), (50, Some(50)));
    assert!(records(totals[1]) < 40);
}

/// The lines of these incidents are said too.
const INCIDENTS: &str = "throttle@+50s/50s:vm4/0,exporter-silent@+120s/20s,surge=2@+60s/30s";

/// One key of those of n shards, as `docs/answer-key.md` has it.
fn merged(keys: &[Vec<Value>]) -> Vec<Value> {
    let mut merged: Vec<Value> =
        keys[0].iter().filter(|l| l["type"] == "run" || l["type"] == "gpu").cloned().collect();
    let mut records: Vec<Value> =
        keys.iter().flat_map(|key| of_type(key, "record")).cloned().collect();
    records.sort_by_key(|l| (l["seq"].as_u64(), l["topic"].to_string(), l["copy"].as_bool()));
    merged.extend(records);
    let number = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_f64);
    for place in 0..of_type(&keys[0], "incident").len() {
        let parts: Vec<_> = keys.iter().map(|key| of_type(key, "incident")[place]).collect();
        let mut line = parts[0].clone();
        let seqs = |name: &str| parts.iter().filter_map(|p| p[name].as_u64()).collect::<Vec<_>>();
        line["first_seq"] = seqs("first_seq").into_iter().min().into();
        line["last_seq"] = seqs("last_seq").into_iter().max().into();
        for stretch in ["before", "during", "after"] {
            let sum = |name: &str| -> u64 {
                parts.iter().map(|p| p[stretch][name].as_u64().unwrap()).sum()
            };
            for (mean, weight) in [
                ("utilization", "metrics"),
                ("power_w", "metrics"),
                ("mem_used_mb", "metrics"),
                ("latency_ms", "usages"),
                ("usage_share", "all_usages"),
                ("ms_per_completion_token", "completion_tokens"),
            ] {
                let of = |p: &&&Value| number(&p[stretch], &format!("/{mean}")).is_some();
                let weighted = parts.iter().filter(of).map(|p| {
                    number(&p[stretch], &format!("/{mean}")).unwrap()
                        * p[stretch][weight].as_f64().unwrap()
                });
                let weighted: f64 = weighted.sum();
                let count = sum(weight) as f64;
                line[stretch][mean] = (count > 0.0).then_some(weighted / count).into();
            }
            for name in ["metrics", "usages", "all_usages", "completion_tokens"] {
                line[stretch][name] = sum(name).into();
            }
        }
        merged.push(line);
    }
    for place in 0..4 {
        let mut line = of_type(&keys[0], "total")[place].clone();
        for path in [
            "/records/gpu.metrics.v1",
            "/records/token.usage.v1",
            "/prompt_tokens",
            "/completion_tokens",
            "/cost_micro_usd",
        ] {
            let all = keys.iter().map(|key| of_type(key, "total")[place].pointer(path).unwrap());
            *line.pointer_mut(path).unwrap() = all.filter_map(Value::as_u64).sum::<u64>().into();
        }
        merged.push(line);
    }
    let pairs: u64 = keys.iter().map(|key| key.last().unwrap()["pairs"].as_u64().unwrap()).sum();
    merged.push(serde_json::json!({ "type": "end", "pairs": pairs, "lines": merged.len() + 1 }));
    merged
}

/// Without what says which shard it is, and with means as whole thousandths: those of shards are
/// rounded before they are added up.
fn of_any_shard(mut key: Vec<Value>) -> Vec<Value> {
    for line in &mut key {
        if line["type"] == "run" {
            line["shard"] = Value::Null;
            line["settings"]["SHARD"] = Value::Null;
        }
    }
    key
}

/// Whether two lines are the same but for the last digit of a mean.
fn is_like(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, v)| other.get(name).is_some_and(|w| is_like(v, w)))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            (one.as_f64().unwrap() - other.as_f64().unwrap()).abs() < 2e-4
        }
        (one, other) => one == other,
    }
}

#[test]
fn the_keys_of_shards_make_the_key_of_one_run() {
    let more = [("FAULTS", ALL), ("INCIDENTS", INCIDENTS)];
    let one = |shard: &str| key(&settings(&[&more[..], &[("SHARD", shard)]].concat()), usize::MAX);
    let whole = of_any_shard(merged(&[one("0/1")]));
    for shards in [2, 3, 7] {
        let parts: Vec<_> = (0..shards).map(|i| one(&format!("{i}/{shards}"))).collect();
        let parts = of_any_shard(merged(&parts));
        assert_eq!(parts.len(), whole.len());
        for (part, whole) in parts.iter().zip(&whole) {
            assert!(is_like(part, whole), "{part} is not {whole}");
        }
    }
}

#[test]
fn each_incident_has_a_line_by_which_an_alert_can_be_judged() {
    let key = key(&settings(&[("FAULTS", ALL), ("INCIDENTS", INCIDENTS)]), usize::MAX);
    let incidents = of_type(&key, "incident");
    let kinds: Vec<_> = incidents.iter().map(|l| l["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["throttle", "exporter-silent", "surge"]);
    let throttle = incidents[0];
    assert_eq!(throttle["keys"], serde_json::json!(["vm4/0"]));
    assert_eq!(throttle["from"], "2026-01-01T00:00:50.000Z");
    assert_eq!(throttle["to"], "2026-01-01T00:01:40.000Z");
    let [before, during] =
        ["before", "during"].map(|stretch| throttle[stretch]["power_w"].as_f64().unwrap());
    assert!(during < before, "{during} W, {before} W before");
    let planned = &of_type(&key, "total")[0]["records"];
    assert_eq!(incidents[1]["during"]["metrics"], 0);
    let missing = 400 - planned["gpu.metrics.v1"].as_u64().unwrap();
    assert!((30..=60).contains(&missing), "{missing} metrics of 20 s are in no total");
    assert!(planned["token.usage.v1"].as_u64() >= Some(400));
}

#[test]
fn it_remembers_no_more_than_what_is_held_back() {
    // Ten seconds are twenty pairs.
    let settings = settings(&[("FAULTS", "late=1:10s"), ("BATCH", "2000")]);
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let plan = Plan::new(&settings, &seed, Identity::new(&settings, now, 0));
    let mut key = AnswerKey::begin(&plan, &settings, &seed, io::sink()).unwrap();
    let (mut buffer, mut most) = (Buffer::default(), 0);
    for emission in plan.emissions() {
        key.see(&emission, &plan.render(&emission, || now, &mut buffer)).unwrap();
        most = most.max(key.held.len());
    }
    assert!((38..=42).contains(&most), "{most}");
    assert!(key.held.is_empty());
}

/// A run with faults and incidents, live or not.
fn mixed(is_live: bool) -> Settings {
    let incidents = ("INCIDENTS", "throttle@+20s/30s,gpu-lost@+60s/20s:vm4/0");
    let mut more = vec![("FAULTS", ALL), incidents, ("ARRIVALS", "fixed"), ("SLEEP_SEC", "0.5")];
    if is_live {
        more.push(("EVENT_START", ""));
    }
    settings(&more)
}

/// The lines of the key of a run that is stopped after `most` emissions.
fn lines_of(settings: &Settings, most: usize) -> Vec<String> {
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let plan = plan_of(settings, &seed);
    let mut key = AnswerKey::begin(&plan, settings, &seed, Vec::new()).unwrap();
    let (mut buffer, mut clock) = (Buffer::default(), started());
    for emission in plan.emissions().take(most) {
        // The clock of a live run goes its own way.
        clock += jiff::SignedDuration::from_millis(137);
        let record = plan.render(&emission, || clock, &mut buffer);
        key.see(&emission, &record).unwrap();
    }
    let text = String::from_utf8(key.finish().unwrap()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn started() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn plan_of(settings: &Settings, seed: &Seed) -> Plan {
    Plan::new(settings, seed, Identity::new(settings, started(), 0))
}

/// What the lines of a key are against those of the plan.
fn compared(settings: &Settings, lines: &[String]) -> crate::audit::KeyLines {
    let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records = |name: &str| {
        let line = parsed.iter().find(|line| line["name"] == name && line["type"] == "total");
        Kind::BOTH.map(|kind| {
            line.and_then(|line| line["records"][kind.schema_name()].as_u64()).unwrap_or_default()
        })
    };
    let pairs = parsed.iter().find(|line| line["type"] == "end");
    let progress = check::Progress {
        pairs: pairs.and_then(|end| end["pairs"].as_u64()).unwrap_or_default(),
        planned: records("planned"),
        sent: records("sent"),
    };
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let plan = plan_of(settings, &seed);
    let lines = (1..).zip(lines).map(|(n, line)| Ok((n, line.clone().into_bytes())));
    check::compare(&plan, settings, &seed, (progress, true), lines).unwrap()
}

#[test]
fn a_key_is_what_the_plan_makes_wherever_the_run_was_stopped() {
    for is_live in [false, true] {
        let settings = mixed(is_live);
        for most in [0, 1, 2, 3, 50, 51, 52, 333, 700, usize::MAX] {
            let lines = lines_of(&settings, most);
            let found = compared(&settings, &lines);
            assert_eq!((found.wrong, &found.first), (0, &Vec::new()), "{is_live} {most}");
            assert_eq!(found.compared, lines.len() as u64, "{is_live} {most}");
        }
    }
}

#[test]
fn each_thing_that_is_wrong_in_a_key_is_named_with_its_line() {
    let settings = mixed(false);
    let lines = lines_of(&settings, usize::MAX);
    let at = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap();
    for (what, field, value) in [
        ("\"late_by_ms\"", "/late_by_ms", serde_json::json!(1)),
        ("\"type\":\"record\"", "/timestamp", serde_json::json!(1)),
        ("\"type\":\"record\"", "/key", serde_json::json!("vm4/7")),
        ("\"type\":\"record\"", "/topic", serde_json::json!("other")),
        ("\"type\":\"record\"", "/sent", serde_json::json!(7)),
        ("\"field\"", "/field", serde_json::json!("other")),
        ("\"form\"", "/form", serde_json::json!("other")),
        ("\"usage\"", "/usage/cost_micro_usd", serde_json::json!(0)),
        ("\"incident\":\"throttle", "/kind", serde_json::json!("surge")),
        ("\"incident\":\"throttle", "/keys/0", serde_json::json!("vm4/7")),
        ("\"incident\":\"throttle", "/from", serde_json::json!("2026-01-01T00:00:21.000Z")),
        ("\"incident\":\"throttle", "/first_seq", serde_json::json!(0)),
        ("\"incident\":\"throttle", "/during/power_w", serde_json::json!(1.5)),
        ("\"name\":\"sent\"", "/records/gpu.metrics.v1", serde_json::json!(399)),
        ("\"name\":\"sent\"", "/prompt_tokens", serde_json::json!(1)),
        ("\"name\":\"planned\"", "/records/token.usage.v1", serde_json::json!(399)),
        ("\"name\":\"readable\"", "/counts/malformed", serde_json::json!(true)),
        ("\"name\":\"deduplicated\"", "/cost_micro_usd", serde_json::json!(1)),
        ("\"type\":\"end\"", "/pairs", serde_json::json!(399)),
        ("\"type\":\"gpu\"", "/price_micro_usd_per_hour", serde_json::json!(1)),
        ("\"type\":\"run\"", "/started_at", serde_json::json!("2026-01-01T00:00:01.000Z")),
    ] {
        let number = at(what);
        let mut line: Value = serde_json::from_str(&lines[number]).unwrap();
        let pointer = field.strip_suffix("/0").unwrap_or(field);
        *line.pointer_mut(field).unwrap() = value.clone();
        let mut changed = lines.clone();
        changed[number] = line.to_string();
        let found = compared(&settings, &changed);
        assert_eq!(found.wrong, 1, "{field}: {:?}", found.first);
        let first = &found.first[0];
        assert_eq!(first.line, number as u64 + 1, "{field}");
        assert_eq!(first.fields.len(), 1, "{field}: {:?}", first.fields);
        assert_eq!(first.fields[0].field, pointer, "{first:?}");
        assert!(first.fields[0].found.contains(&value.to_string()), "{field}: {first:?}");
    }
}

#[test]
fn a_line_that_is_there_twice_or_not_or_elsewhere_is_named() {
    for is_live in [false, true] {
        let settings = mixed(is_live);
        let lines = lines_of(&settings, usize::MAX);
        let number =
            lines.iter().position(|line| line.contains("\"type\":\"record\"")).unwrap() + 5;
        let mut twice = lines.clone();
        twice.insert(number, lines[number].clone());
        let found = compared(&settings, &twice);
        assert_eq!(found.wrong, 1, "{:?}", found.first);
        assert_eq!((found.first[0].line, &found.first[0].plan), (number as u64 + 2, &None));

        let mut without = lines.clone();
        without.remove(number);
        let found = compared(&settings, &without);
        assert_eq!(found.wrong, 1, "{:?}", found.first);
        assert_eq!((found.first[0].line, &found.first[0].found), (number as u64 + 1, &None));

        let mut swapped = lines.clone();
        swapped.swap(number, number + 1);
        let found = compared(&settings, &swapped);
        assert_eq!(found.wrong, 2, "{:?}", found.first);
        assert_eq!(found.first[0].line, number as u64 + 1);

        let mut run_twice = lines.clone();
        run_twice.insert(1, lines[0].clone());
        let found = compared(&settings, &run_twice);
        assert_eq!((found.wrong, found.first[0].line), (1, 2), "{:?}", found.first);
    }
}

#[test]
fn a_time_of_a_live_run_is_held_against_nothing_and_the_rest_of_its_line_is() {
    let settings = mixed(true);
    let lines = lines_of(&settings, usize::MAX);
    let number = lines.iter().position(|line| line.contains("\"late_by_ms\"")).unwrap();
    let mut line: Value = serde_json::from_str(&lines[number]).unwrap();
    line["late_by_ms"] = 1.into();
    let mut changed = lines.clone();
    changed[number] = line.to_string();
    let found = compared(&settings, &changed);
    assert_eq!(found.wrong, 1, "{:?}", found.first);
    assert_eq!(found.first[0].fields[0].field, "/late_by_ms");
}

#[test]
fn rows_that_share_an_index_have_one_line() {
    let rows = r#"[{"gpu_index":0,"name":"A","utilization":0.7,"mem_used_mb":9000,"mem_total_mb":24576,
        "power_w":280,"price_per_hour_usd":0.85},
        {"gpu_index":0,"name":"B","utilization":0.5,"mem_used_mb":12000,"mem_total_mb":40960,
        "power_w":210,"price_per_hour_usd":3.2}]"#;
    let seed = seed::parse(rows.as_bytes()).unwrap();
    let settings = settings(&[("BATCH", "4")]);
    let plan = plan_of(&settings, &seed);
    let key = AnswerKey::begin(&plan, &settings, &seed, Vec::new()).unwrap();
    let text = String::from_utf8(key.finish().unwrap()).unwrap();
    let gpus: Vec<_> = text.lines().filter(|line| line.contains("\"type\":\"gpu\"")).collect();
    assert_eq!(
        gpus,
        [
            r#"{"type":"gpu","key":"vm4/0","name":"A","price_micro_usd_per_hour":850000,"shared_with":[{"name":"B","price_micro_usd_per_hour":3200000}]}"#
        ]
    );
}
