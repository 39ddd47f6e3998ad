//! The audit of records that nobody sent: whatever they claim, they are counted, in one class each, and
//! take no more memory than what they have.
//!
//! `ARBITRARY=100` draws so many audits instead of five.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use vm4_producer::audit::{Audit, Expectation, Log, Read};
use vm4_producer::event::Kind;
use vm4_producer::kafka::properties;
use vm4_producer::plan::{Act, Buffer, Identity, Plan};
use vm4_producer::settings::{Inputs, Settings};
use vm4_producer::workload::seed;

use crate::cluster::TOPICS;

fn plan(settings: &[(&str, &str)]) -> Plan {
    let base = [("VM4_PRODUCER_ENV", "/dev/null"), ("RUN_ID", "own"), ("RUN_SEED", "5")];
    let all = base.iter().chain(settings);
    let environment = all.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let inputs = Inputs { environment, ..Inputs::default() };
    let settings = Settings::load(&inputs, properties::check).unwrap();
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let started = "2026-02-03T04:05:06.789Z".parse().unwrap();
    let identity = Identity::new(&settings, settings.event_start.unwrap_or(started), 5);
    Plan::new(&settings, &seed, identity)
}

/// Some values of the run.
fn values(plan: &Plan) -> Vec<Vec<u8>> {
    let mut buffer = Buffer::default();
    let mut values = Vec::new();
    for emission in plan.emissions().take(300).filter(|emission| emission.act == Act::Send) {
        let now = || plan.identity.started_at + emission.scheduled;
        values.extend(plan.render(&emission, now, &mut buffer).value.map(<[u8]>::to_vec));
    }
    values
}

/// Any number, of which the ends of the range and zero are as likely as all others.
fn number(rng: &mut Pcg64) -> i64 {
    let any = rng.random();
    *[0, 1, 7, i64::MIN, i64::MAX, i64::MAX - 1, -1, 1_770_091_506_789, any].choose(rng).unwrap()
}

fn value(own: &[Vec<u8>], rng: &mut Pcg64) -> Option<Vec<u8>> {
    let mut value = own.choose(rng).unwrap().clone();
    match rng.random_range(0..9) {
        0 => return None,
        1 => value.clear(),
        2 => value.truncate(rng.random_range(0..=value.len())),
        3 => {
            let at = rng.random_range(0..value.len().max(1));
            value.splice(at..at, [rng.random()]);
        }
        4 => value = "[".repeat(100_000).into_bytes(),
        5 => {
            let deep = [r#"{"ts":"#.repeat(200), "1".to_owned(), "}".repeat(200)].concat();
            value = deep.into_bytes();
        }
        6 => {
            let numbers = [number(rng), number(rng), number(rng)];
            let [ts, tokens, gpu] = numbers;
            let text = format!(
                r#"{{"ts":{ts},"gpu_index":{gpu},"prompt_tokens":{tokens}e{tokens},"host":"vm4"}}"#
            );
            value = text.into_bytes();
        }
        7 => {
            let at =
                ["-009999-01-02T01:59:59Z", "9999-12-30T22:00:00.999Z", "1970-01-01T00:00:00.000Z"];
            let at = at.choose(rng).unwrap();
            let text = format!(r#"{{"ts":"{at}","gpu_index":0,"host":"vm4","utilization":0.5}}"#);
            value = text.into_bytes();
        }
        _ => {}
    }
    Some(value)
}

/// Hands records to an audit that nobody sent.
fn feed(audit: &mut Audit<'_>, own: &[Vec<u8>], records: u32, rng: &mut Pcg64) {
    for _ in 0..records {
        let value = value(own, rng);
        let seq = match rng.random_range(0..4) {
            0 => rng.random_range(0..400).to_string(),
            1 => u64::MAX.to_string(),
            2 => number(rng).to_string(),
            _ => "x".to_owned(),
        };
        let run = *["own", "own", "other", ""].choose(rng).unwrap();
        let fault = *["duplicate", "drop,late", "", "\u{ffff}", "tombstone"].choose(rng).unwrap();
        let mut headers =
            vec![("run", run.as_bytes()), ("seq", seq.as_bytes()), ("fault", fault.as_bytes())];
        headers.truncate(rng.random_range(0..=3));
        if rng.random_ratio(1, 20) {
            headers.push(("close-windows", b"\xff"));
        }
        let key = *[None, Some(&b"vm4/0"[..]), Some(b""), Some(b"\xff\xfe")].choose(rng).unwrap();
        let (kind, is_told) = (*Kind::BOTH.choose(rng).unwrap(), rng.random());
        let identity_seq = [None, Some(3), Some(u64::MAX), Some(u64::MAX - 1)].choose(rng).unwrap();
        let mut read = Read {
            kind,
            is_told,
            topic: *[0, 1, u16::MAX].choose(rng).unwrap(),
            partition: rng
                .random_bool(0.7)
                .then(|| *[0, 1, -1, i32::MAX, i32::MIN].choose(rng).unwrap()),
            offset: number(rng),
            leader_epoch: rng.random_bool(0.5).then(|| rng.random()),
            timestamp_ms: rng.random_bool(0.7).then(|| number(rng)),
            has_append_time: rng.random(),
            key: rng.random_bool(0.7).then_some(key),
            headers: rng.random_bool(0.8).then_some(&headers),
            value: value.as_deref(),
            identity: rng.random_bool(0.1).then_some((run.as_bytes(), *identity_seq)),
            row: None,
            seen_at_ms: rng.random_bool(0.3).then(|| number(rng)),
        };
        if !is_told {
            read.kind = audit.kind_of(&read).unwrap_or(kind);
        }
        audit.read(&read);
    }
}

#[test]
fn whatever_records_claim_each_is_counted_in_one_class_and_the_account_is_made() {
    let runs: [&[(&str, &str)]; 5] = [
        &[("BATCH", "100"), ("EVENT_START", "2026-01-01T00:00:00Z")],
        &[("BATCH", "100"), ("SLEEP_SEC", "0")],
        &[("DURATION_SEC", "1"), ("SLEEP_SEC", "0")],
        &[
            ("BATCH", "100"),
            ("FAULTS", "duplicate=0.2:2s,malformed=0.3,clock-skew=0.2:-30s,drop=0.1"),
        ],
        &[
            ("BATCH", "90"),
            ("SHARD", "2/3"),
            ("EVENT_START", "1970-01-01T00:00:00Z"),
            ("FAULTS", "tombstone=0.5,missing-field=0.5"),
            ("INCIDENTS", "gpu-lost@+1s/5s:*/0"),
            ("TOPIC_METRIC", "one"),
            ("TOPIC_TOKEN", "one"),
        ],
    ];
    let asked = std::env::var("ARBITRARY").map_or(5, |number| number.parse().unwrap());
    for (number, settings) in (0..).zip(runs.iter().cycle().take(asked)) {
        let mut rng = Pcg64::seed_from_u64(number);
        let plan = plan(settings);
        let own = values(&plan);
        let mut audit = Audit::new(Expectation {
            plan: &plan,
            verdicts: None,
            planned: plan.schedule.count_pairs(),
            ran_ms: rng.random_bool(0.5).then_some((i64::MIN, i64::MAX)),
            lateness_ms: rng.random_bool(0.5).then_some(i64::MAX),
            deduplicated: rng.random(),
            partitions: *[[None; 2], [Some(1); 2], [Some(3), Some(u32::MAX)]]
                .choose(&mut rng)
                .unwrap(),
        });
        feed(&mut audit, &own, 100, &mut rng);
        let account =
            audit.finish(TOPICS.map(|topic| Log { topic: topic.into(), ..Log::default() }));
        let mut records = 0;
        for topic in &account.topics {
            let read = &topic.read;
            let first = read.first_intact + read.first_altered + read.extra_copies + read.misplaced;
            let others = read.unmatched + read.unexpected + read.foreign.records;
            assert_eq!(read.records, first + others, "{number} {settings:?} {topic:?}");
            records += read.records;
        }
        assert_eq!(records, 100, "{number} {settings:?}");
        assert!(account.finding().len() < 2_000, "{}", account.finding());
    }
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn records_that_claim_any_pair_and_partition_take_no_more_memory_than_what_they_have() {
    let plan = plan(&[("DURATION_SEC", "1"), ("SLEEP_SEC", "0")]);
    let mut audit = Audit::new(Expectation {
        plan: &plan,
        verdicts: None,
        planned: None,
        ran_ms: None,
        lateness_ms: None,
        deduplicated: false,
        partitions: [None; 2],
    });
    let mut rng = Pcg64::seed_from_u64(1);
    let before = resident();
    for number in 0..100_000_i64 {
        let seq = rng.random_range(0..u64::MAX).to_string();
        let name = format!("run-{number}");
        let run = *["own", &name].choose(&mut rng).unwrap();
        let headers = [("run", run.as_bytes()), ("seq", seq.as_bytes())];
        audit.read(&Read {
            kind: Kind::Token,
            is_told: true,
            topic: 0,
            partition: Some(rng.random()),
            offset: 2 * number,
            leader_epoch: Some(rng.random()),
            timestamp_ms: Some(rng.random()),
            has_append_time: false,
            key: Some(Some(name.as_bytes())),
            headers: Some(&headers),
            value: Some(b""),
            identity: None,
            row: None,
            seen_at_ms: None,
        });
    }
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < 128, "{grown} MiB");
    let account = audit.finish(TOPICS.map(|topic| Log { topic: topic.into(), ..Log::default() }));
    assert_eq!(account.topics[1].read.records, 100_000);
}
