//! A soak of the audit: runs drawn at random, what is done to their records on the way, and the shape in
//! which they are read. Every account has to be right to the record, and none may say more than it knows.
//!
//! `MUTATIONS=1000` draws so many cases instead of forty, `MUTATIONS=5000..5500` those;
//! `MUTATION_SEED=17` replays one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use jiff::Timestamp;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::Value;
use vm4_producer::audit::{Account, Audit, Closure, Expectation, Log, Read, TopicAccount};

use vm4_producer::event::Kind;
use vm4_producer::kafka::properties;
use vm4_producer::plan::{Act, Buffer, Identity, Plan, partition_of};
use vm4_producer::settings::{Inputs, Settings};
use vm4_producer::workload::seed;

use crate::cluster::TOPICS;

/// Partitions of each topic.
const PARTITIONS: u32 = 3;

/// Every fault that a row of a database can have had; what has no value is no row.
const FAULTS: [&str; 15] = [
    "duplicate=0.1:2s",
    "late=0.1:3s",
    "out-of-order=0.1:9",
    "clock-skew=0.1:-30s",
    "drop=0.1",
    "malformed=0.1",
    "missing-field=0.2",
    "null-field=0.1",
    "wrong-type=0.1",
    "extra-field=0.1",
    "renamed-field=0.1",
    "duplicate-key=0.1",
    "sentinel=0.1",
    "failed-request=0.1",
    "oversize=0.05:2000",
];

/// How the records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// From topics, with everything.
    Topics,
    /// From topics of a run without headers.
    Bare,
    /// Lines that have headers and value, and no place in a log.
    Lines,
    /// Values alone.
    Values,
}

/// A record as it travels.
#[derive(Debug, Clone)]
struct Travelling {
    kind: Kind,
    seq: u64,
    /// The topic that it is read from.
    topic: Kind,
    partition: i32,
    timestamp_ms: i64,
    key: String,
    headers: Vec<(String, String)>,
    value: Option<Vec<u8>>,
}

/// What was done, by topic.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Done {
    missing: [u64; 2],
    altered: [u64; 2],
    copies: [u64; 2],
    misplaced: [u64; 2],
    reencoded: [u64; 2],
}

impl Done {
    /// The counts of both topics together.
    fn sums(&self) -> [u64; 5] {
        let Self { missing, altered, copies, misplaced, reencoded } = self;
        [missing, altered, copies, misplaced, reencoded].map(|of| sum(*of))
    }
}

/// A case: its run, and how it is read.
struct Case {
    variables: Vec<(&'static str, String)>,
    is_live: bool,
    shape: Shape,
    has_report: bool,
    is_one_topic: bool,
    order: &'static str,
}

impl Case {
    fn draw(rng: &mut Pcg64) -> Self {
        let mut pick = |of: &[&'static str]| (*of.choose(rng).unwrap()).to_owned();
        let mut variables = vec![
            ("RUN_ID", "own".to_owned()),
            ("RUN_SEED", pick(&["1", "2", "3"])),
            ("WORKLOAD", pick(&["chat", "code", "reason", "long", "agent", "uniform"])),
            ("HOSTNAME", pick(&["vm4", "gpu[1-4]", "h[01-16]"])),
            ("SLEEP_SEC", pick(&["0", "0.0002", "0.02", "1"])),
            ("ARRIVALS", pick(&["fixed", "poisson", "workload"])),
            ("BATCH", pick(&["7", "60", "200"])),
            ("SHARD", pick(&["0/1", "0/1", "1/3"])),
        ];
        let is_live: bool = rng.random();
        if !is_live {
            variables.push(("EVENT_START", "2026-01-01T00:00:00Z".to_owned()));
        }
        let shapes = [Shape::Topics, Shape::Bare, Shape::Lines, Shape::Values];
        let shape = *shapes.choose(rng).unwrap();
        let mut faults: Vec<_> = FAULTS.to_vec();
        if matches!(shape, Shape::Topics | Shape::Lines) {
            faults.push("tombstone=0.1");
        }
        if variables.contains(&("SLEEP_SEC", "0".to_owned())) {
            faults.retain(|fault| !["late", "dupl", "out-"].contains(&&fault[..4]));
        }
        faults.shuffle(rng);
        faults.truncate(*[0, 0, 2, 6, 16].choose(rng).unwrap());
        if !faults.is_empty() {
            variables.push(("FAULTS", faults.join(",")));
        }
        let has = |name: &str, value: &str| variables.iter().any(|(n, v)| *n == name && v == value);
        let has_no_load = has("WORKLOAD", "uniform") || has("SLEEP_SEC", "0");
        if rng.random_ratio(1, 4) && !has_no_load {
            let incidents = "throttle@+1s/20s:*,gpu-lost@+200ms/4s:*/0,stuck-gauge@+10s/30s:*/1,\
                exporter-silent@+40s/20s:*,noisy-neighbour@+3s/20s:*/0";
            variables.push(("INCIDENTS", incidents.to_owned()));
        }
        let is_one_topic = rng.random_ratio(1, 4);
        if is_one_topic {
            variables.push(("TOPIC_METRIC", "one".to_owned()));
            variables.push(("TOPIC_TOKEN", "one".to_owned()));
        }
        if shape == Shape::Bare {
            variables.push(("RECORD_HEADERS", "off".to_owned()));
        }
        let order = ["as sent", "shuffled", "by value", "metrics first"].choose(rng).unwrap();
        let has_report: bool = rng.random();
        Self { variables, is_live, shape, has_report, is_one_topic, order }
    }

    /// Whether it is read from a log.
    fn is_log(&self) -> bool {
        matches!(self.shape, Shape::Topics | Shape::Bare)
    }

    fn has(&self, name: &str) -> bool {
        self.variables.iter().any(|(found, _)| *found == name)
    }

    fn settings(&self, run_id: &str, seed: &str) -> Settings {
        let variables =
            self.variables.iter().filter(|(name, _)| !["RUN_ID", "RUN_SEED"].contains(name));
        let variables = variables.map(|(name, value)| ((*name).into(), value.into()));
        let own = [("VM4_PRODUCER_ENV", "/dev/null"), ("RUN_ID", run_id), ("RUN_SEED", seed)];
        let own = own.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let environment = own.chain(variables).collect();
        Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap()
    }
}

/// The wall clock at the start of a live run.
fn started() -> Timestamp {
    "2026-02-03T04:05:06.789Z".parse().unwrap()
}

fn plan_of(settings: &Settings) -> Plan {
    let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
    let started_at = settings.event_start.unwrap_or_else(started);
    let identity = Identity::new(settings, started_at, settings.run_seed.unwrap());
    Plan::new(settings, &seed, identity)
}

/// The records of a run as they are sent; and of a live one how late a pair was at most, and when it
/// ended, ms.
fn records(plan: &Plan, rng: &mut Pcg64) -> (Vec<Travelling>, i64, i64) {
    let mut buffer = Buffer::default();
    let mut sent = Vec::new();
    let from = started().as_millisecond();
    // Before the first pair, and between two of a run that goes as fast as it can.
    let (delay, most_late) = (rng.random_range(0..9_000), *[0, 3, 40, 4_000].choose(rng).unwrap());
    // µs.
    let step = *[10, 300, 5_000].choose(rng).unwrap();
    let (mut late, mut clock, mut unscheduled) = (0, 0, 0);
    for emission in plan.emissions() {
        if emission.begins_pair() {
            unscheduled += step;
            let due = i64::try_from(emission.scheduled.as_millis()).unwrap();
            let at = if due == 0 { unscheduled / 1_000 } else { due };
            let own = rng.random_range(0..=most_late);
            clock = (from + delay + at + own).max(clock);
            late = late.max(clock - from - due);
        }
        let now = || Timestamp::from_millisecond(clock).unwrap();
        let record = plan.render(&emission, now, &mut buffer);
        if emission.act != Act::Send {
            continue;
        }
        let headers = record.headers().iter();
        sent.push(Travelling {
            kind: record.kind,
            seq: emission.seq,
            topic: record.kind,
            partition: partition_of(record.key.unwrap().as_bytes(), PARTITIONS),
            timestamp_ms: record.timestamp_ms,
            key: record.key.unwrap().to_owned(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            value: record.value.map(<[u8]>::to_vec),
        });
    }
    (sent, late, clock + 100)
}

/// What has the same JSON, or the same bytes where it is none: the fields by name.
fn json_of(value: Option<&[u8]>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    let text = String::from_utf8_lossy(value).into_owned();
    let is_twice = text.matches("\":").count()
        > serde_json::from_slice::<Value>(value)
            .ok()
            .and_then(|json| json.as_object().map(serde_json::Map::len))
            .unwrap_or(usize::MAX);
    match serde_json::from_slice::<Value>(value) {
        Ok(json) if !is_twice => json.to_string(),
        _ => text,
    }
}

impl std::fmt::Display for Travelling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
        write!(f, "{:?} {} {value:?}", self.kind, self.seq)
    }
}

impl Travelling {
    /// Whether its value shows its time.
    fn is_timed(&self) -> bool {
        let Some(value) = &self.value else { return false };
        let in_text = || {
            let text = String::from_utf8_lossy(value);
            let at = text.find("\"ts\":\"").map(|at| at + 6)?;
            text.get(at..at + 24)?.parse::<Timestamp>().ok()
        };
        match serde_json::from_slice::<Value>(value) {
            Ok(json) => json.get("ts").is_some_and(|ts| {
                ts.is_i64() || ts.as_str().is_some_and(|ts| ts.parse::<Timestamp>().is_ok())
            }),
            Err(_) => in_text().is_some(),
        }
    }

    /// Whether it has a flat object whose fields all stand once.
    fn fields(&self) -> Option<serde_json::Map<String, Value>> {
        let value = self.value.as_deref()?;
        let json: Value = serde_json::from_slice(value).ok()?;
        let fields = json.as_object()?;
        let is_once = String::from_utf8_lossy(value).matches("\":").count() == fields.len();
        // What a sentinel is has more digits than a double.
        let is_plain = fields.values().all(|v| v.as_u64().is_none_or(|n| n < 1 << 53));
        (is_once && is_plain).then(|| fields.clone())
    }

    fn write(&mut self, fields: &serde_json::Map<String, Value>) {
        // Sorted by name, with a space: as a database prints it.
        let mut text = String::from("{");
        for (n, (name, value)) in fields.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(text, "{comma}{}: {value}", Value::from(name.as_str())).unwrap();
        }
        text.push('}');
        self.value = Some(text.into_bytes());
    }
}

/// What may be done to a record.
const ACTS: [&str; 8] = [
    "lost",
    "copied",
    "re-encoded",
    "re-encoded",
    "altered",
    "doubled field",
    "misplaced",
    "moved",
];

/// Does to the records what a pipeline does; at most one thing to each. What was done is also in words.
fn mutate(case: &Case, sent: &[Travelling], rng: &mut Pcg64) -> (Vec<Travelling>, Done, String) {
    let (mut done, mut words) = (Done::default(), String::new());
    let mut out = Vec::new();
    let every = *[3, 12, 60].choose(rng).unwrap();
    let may_alter: bool = rng.random();
    let has_log = case.is_log();
    for record in sent {
        let (mut record, at) = (record.clone(), record.kind as usize);
        if !rng.random_ratio(1, every) {
            out.push(record);
            continue;
        }
        let what = rng.random_range(0..8);
        writeln!(words, "{} {record}", ACTS[what]).unwrap();
        match what {
            0 => {
                done.missing[at] += 1;
                continue;
            }
            1 => {
                done.copies[at] += 1;
                out.push(record.clone());
            }
            2 | 3 => {
                if let Some(fields) = record.fields() {
                    record.write(&fields);
                    done.reencoded[at] += 1;
                }
            }
            4 if may_alter => {
                if let Some(mut fields) = record.fields() {
                    let name =
                        ["latency_ms", "mem_total_mb"][usize::from(record.kind == Kind::Metric)];
                    fields.insert(name.to_owned(), Value::from(987_654_321_u64));
                    record.write(&fields);
                    done.altered[at] += 1;
                }
            }
            5 if may_alter && record.fields().is_some() => {
                let text = String::from_utf8(record.value.take().unwrap()).unwrap();
                let text = text.replacen("\"gpu_index\":", "\"gpu_index\":77,\"gpu_index\":", 1);
                done.altered[at] += u64::from(text.contains("77,"));
                record.value = Some(text.into_bytes());
            }
            6 if has_log && !case.is_one_topic && record.fields().is_some() => {
                record.topic = if record.kind == Kind::Metric { Kind::Token } else { Kind::Metric };
                done.missing[at] += 1;
                done.misplaced[1 - at] += 1;
            }
            7 if has_log && may_alter => {
                record.partition = (record.partition + 1) % 3;
                done.altered[at] += 1;
            }
            _ => {}
        }
        out.push(record);
    }
    (out, done, words)
}

fn arrange(case: &Case, records: &mut [Travelling], rng: &mut Pcg64) {
    // A log keeps the order of each partition, whatever a stage does.
    match case.order {
        "shuffled" => records.shuffle(rng),
        "by value" => records.sort_by(|a, b| a.value.cmp(&b.value)),
        "metrics first" => records.sort_by_key(|record| record.kind),
        _ => {}
    }
}

fn read(case: &Case, records: &[(i64, &Travelling)], audit: &mut Audit<'_>) {
    for (offset, record) in records {
        let offset = *offset;
        let headers: Vec<_> =
            record.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let is_log = case.is_log();
        let mut read = Read {
            kind: record.topic,
            is_told: is_log && !case.is_one_topic,
            topic: 0,
            partition: is_log.then_some(record.partition),
            offset,
            leader_epoch: None,
            timestamp_ms: is_log.then_some(record.timestamp_ms),
            has_append_time: false,
            key: is_log.then_some(Some(record.key.as_bytes())),
            headers: (case.shape != Shape::Values).then_some(&headers),
            value: record.value.as_deref(),
            identity: None,
            row: None,
            seen_at_ms: None,
        };
        if !read.is_told {
            read.kind = audit.kind_of(&read).unwrap_or(Kind::Metric);
        }
        audit.read(&read);
    }
}

/// The counts of an account.
fn told(account: &Account) -> Done {
    let of =
        |count: fn(&TopicAccount) -> u64| [count(&account.topics[0]), count(&account.topics[1])];
    Done {
        missing: of(|t| t.missing),
        altered: of(|t| t.read.first_altered),
        copies: of(|t| t.read.extra_copies),
        misplaced: of(|t| t.read.misplaced),
        reencoded: of(|t| t.read.reencoded),
    }
}

/// What can be known of records of which the values alone say what they are: those with the same JSON
/// are interchangeable.
#[derive(Debug, Default)]
struct Truth {
    done: Done,
    /// Whether records of both events have the same bytes, so that nothing tells which are there.
    is_of_both: bool,
    /// Whether the two records of a pair are the same, so that nothing but a topic of its own tells one.
    has_twins: bool,
    /// Values of a run's records that show no time, or that were read and do not: by topic.
    timeless: [u64; 2],
}

impl Truth {
    fn of(sent: &[Travelling], out: &[Travelling]) -> Self {
        let mut truth = Self::default();
        let mut counts = BTreeMap::<String, [[u64; 2]; 2]>::new();
        for (of, records) in [sent, out].into_iter().enumerate() {
            for record in records {
                let value = json_of(record.value.as_deref());
                counts.entry(value).or_default()[of][record.kind as usize] += 1;
                truth.timeless[record.kind as usize] += u64::from(!record.is_timed());
            }
        }
        let mut seen = BTreeMap::new();
        truth.has_twins = sent.iter().any(|record| {
            let what = (record.seq, &record.value, &record.headers);
            seen.insert(what, record.kind).is_some_and(|kind| kind != record.kind)
        });
        let done = &mut truth.done;
        for [sent, read] in counts.into_values() {
            // What was never sent was altered; which record it was is seen elsewhere.
            if sum(sent) > 0 {
                truth.is_of_both |= sent.iter().all(|count| *count > 0);
                let at = usize::from(sent[0] == 0);
                done.missing[at] += sum(sent).saturating_sub(sum(read));
                done.copies[at] += sum(read).saturating_sub(sum(sent));
            }
        }
        truth
    }
}

/// What came of a case.
struct Outcome {
    case: Case,
    account: Account,
    /// The account of the same log, its partitions read in another order.
    again: Account,
    done: Done,
    /// What was done, in words.
    words: String,
    /// What can be known of values alone.
    truth: Truth,
    /// Whether most records of each key are in the partition of the key.
    has_homes: bool,
    /// Records of another run among those that were read.
    others: u64,
    /// Whether the number of partitions is known.
    knows: bool,
}

fn run(number: u64) -> Outcome {
    let mut rng = Pcg64::seed_from_u64(number);
    let case = Case::draw(&mut rng);
    let seed = case.variables.iter().find(|(name, _)| *name == "RUN_SEED").unwrap().1.clone();
    let plan = plan_of(&case.settings("own", &seed));
    let (sent, late, ended) = records(&plan, &mut rng);
    let (mut out, done, words) = mutate(&case, &sent, &mut rng);
    let (truth, has_homes) = (Truth::of(&sent, &out), has_homes(&out));
    // Another run over the same time, in the same table. Where all metrics of a GPU are the same and the
    // clock gave the times, another run's are this one's by all that they say.
    let is_uniform = case.variables.contains(&("WORKLOAD", "uniform".to_owned()));
    let mut others = Vec::new();
    if rng.random_ratio(1, 3) {
        let other = plan_of(&case.settings("other", "77"));
        (others, ..) = records(&other, &mut rng);
        others.truncate(50);
        let own: BTreeSet<_> = sent.iter().map(|r| json_of(r.value.as_deref())).collect();
        others.retain(|r| r.value.is_some() && !own.contains(&json_of(r.value.as_deref())));
        others.retain(|r| !is_uniform || !case.is_live || r.kind == Kind::Token);
    }
    let count = others.len() as u64;
    out.splice(0..0, others);
    arrange(&case, &mut out, &mut rng);
    let knows = rng.random_ratio(1, 2) && case.is_log();
    let account = |records: &[(i64, &Travelling)]| {
        let has_report = case.has_report && case.is_live;
        let mut audit = Audit::new(Expectation {
            plan: &plan,
            verdicts: None,
            planned: plan.schedule.count_pairs(),
            ran_ms: has_report.then_some((started().as_millisecond(), ended)),
            lateness_ms: has_report.then_some(late),
            deduplicated: false,
            partitions: [knows.then_some(PARTITIONS); 2],
        });
        read(&case, records, &mut audit);
        let log = |topic: &str| Log { topic: topic.to_owned(), ..Log::default() };
        audit.finish(TOPICS.map(log))
    };
    let read: Vec<_> = (0..).zip(&out).collect();
    let interleaved = interleaved(&case, &read, &mut rng);
    let (account, again) = (account(&read), account(&interleaved));
    Outcome { case, account, again, done, words, truth, has_homes, others: count, knows }
}

/// The same records with the partitions of a log read in another order, each in its own.
fn interleaved<'t>(
    case: &Case,
    records: &[(i64, &'t Travelling)],
    rng: &mut Pcg64,
) -> Vec<(i64, &'t Travelling)> {
    let mut partitions = BTreeMap::<_, VecDeque<_>>::new();
    for read in records {
        let topic = if case.is_one_topic { Kind::Metric } else { read.1.topic };
        partitions.entry((topic, read.1.partition)).or_default().push_back(*read);
    }
    let mut order: Vec<_> = records
        .iter()
        .map(|(_, record)| {
            (if case.is_one_topic { Kind::Metric } else { record.topic }, record.partition)
        })
        .collect();
    order.shuffle(rng);
    order.iter().map(|of| partitions.get_mut(of).unwrap().pop_front().unwrap()).collect()
}

/// What an account says, without which record is the first that shows it.
fn without_examples(account: &Account) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                let is_change = fields.contains_key("example");
                fields.retain(|name, _| {
                    let is_of_one = name.starts_with("first_") && name != "first_intact";
                    let is_of_one = is_of_one && name != "first_altered";
                    let is_example = ["example", "evidence", "max_seq"].contains(&name.as_str());
                    let is_shown = is_change && ["expected", "found"].contains(&name.as_str());
                    !is_of_one && !is_example && !is_shown
                });
                fields.values_mut().for_each(strip);
            }
            Value::Array(all) => all.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut account = serde_json::to_value(account).unwrap();
    strip(&mut account);
    // The records of a key that a stage moved are in partitions that know no order among them.
    for topic in account["topics"].as_array_mut().unwrap() {
        if let Some(order) = topic["order"].as_object_mut() {
            order.remove("out_of_place_in_key");
        }
    }
    account
}

/// Whether more records of each key are in the partition of the key than in any other.
fn has_homes(out: &[Travelling]) -> bool {
    let mut counts = BTreeMap::<(Kind, &str), [u64; PARTITIONS as usize]>::new();
    for record in out.iter().filter(|record| record.topic == record.kind) {
        let at = usize::try_from(record.partition).unwrap();
        counts.entry((record.kind, &record.key)).or_default()[at] += 1;
    }
    counts.into_iter().all(|((_, key), counts)| {
        let home = partition_of(key.as_bytes(), PARTITIONS);
        let home = usize::try_from(home).unwrap();
        (0..).zip(counts).all(|(at, count)| at == home || count < counts[home])
    })
}

fn sum(counts: [u64; 2]) -> u64 {
    counts.iter().sum()
}

/// That every record of a topic has one class.
fn check_sums(topic: &TopicAccount, say: &str) {
    let read = &topic.read;
    let all = read.first_intact + read.first_altered + read.extra_copies + read.misplaced;
    let all = all + read.unmatched + read.unexpected + read.foreign.records;
    assert_eq!(read.records, all, "every record has one class: {say}");
    assert_eq!(read.unexpected, 0, "{say}");
    assert_eq!(topic.found, read.first_intact + read.first_altered, "{say}");
    let left = topic.planned.map(|planned| {
        planned - topic.not_generated - topic.dropped - topic.left_out - topic.removed_copies
    });
    assert_eq!(left, Some(topic.found + topic.missing), "{say}");
}

impl Outcome {
    fn check(&self, number: u64) {
        let Self { case, account, done, truth, others, .. } = self;
        let found = told(account);
        let say = format!(
            "replay with MUTATION_SEED={number} cargo test --test hermetic mutations::\n{:?} {:?} {} \
             report {} partitions {} others {others}\n{:?}\ndone {done:?}\n{truth:?}\nfound {found:?}\n{}",
            case.shape,
            case.order,
            if case.is_live { "live" } else { "backfill" },
            case.has_report,
            self.knows,
            case.variables,
            account.finding()
        );
        account.topics.iter().for_each(|topic| check_sums(topic, &say));
        let of = |count: fn(&TopicAccount) -> u64| account.topics.iter().map(count).sum::<u64>();
        let unmatched = of(|topic| topic.read.unmatched + topic.read.foreign.records);
        // A live record is not compared of which neither its own value nor its pair's other one tells the
        // time. A backfill's times are known, and a log has them.
        let untimed = of(|topic| topic.untimed);
        let may_be_untimed = case.is_live && !case.is_log() && case.has("FAULTS");
        assert!(untimed <= if may_be_untimed { sum(truth.timeless) } else { 0 }, "{say}");
        match case.shape {
            Shape::Topics | Shape::Lines => {
                self.check_identified(found, untimed, &say);
                assert_eq!(unmatched, *others, "{say}");
            }
            Shape::Bare | Shape::Values => self.check_values(&found, unmatched, &say),
        }
        if case.shape == Shape::Topics {
            assert_eq!(without_examples(account), without_examples(&self.again), "{say}");
        } else if case.shape == Shape::Bare {
            assert_eq!(told(account).sums(), told(&self.again).sums(), "{say}");
        }
        let is_as_sent = *done == Done { reencoded: done.reencoded, ..Done::default() };
        let is_less = sum(done.missing) + sum(done.copies) + sum(done.misplaced) > 0;
        if is_as_sent {
            let is_right = account.closed || (untimed > 0 && account.verdict == Closure::Undecided);
            assert!(is_right, "nothing was done to it: {say}");
        } else if is_less && unmatched <= *others {
            assert!(!account.closed, "something was done to it: {say}");
        }
        assert!(sum(truth.done.missing) == 0 || account.verdict != Closure::Closed, "{say}");
    }

    /// Records that say which they are.
    fn check_identified(&self, mut found: Done, untimed: u64, say: &str) {
        let Self { case, done, truth, .. } = self;
        let is_near = |found: &mut [u64; 2], done: [u64; 2]| {
            assert!(sum(*found) <= sum(done), "{say}");
            assert!(sum(*found) + untimed >= sum(done), "{say}");
            *found = done;
        };
        if untimed > 0 {
            is_near(&mut found.altered, done.altered);
            is_near(&mut found.reencoded, done.reencoded);
        }
        // Where most of a key's records are is known only if most are where they belong.
        if case.is_log() && !self.knows && !self.has_homes {
            found.altered = done.altered;
        }
        let is_told = case.shape == Shape::Topics && !case.is_one_topic;
        if truth.has_twins && !is_told {
            assert_eq!(found.sums(), done.sums(), "{say}");
        } else {
            assert_eq!(&found, done, "{say}");
        }
    }

    /// Records whose values alone say what they are.
    fn check_values(&self, found: &Done, unmatched: u64, say: &str) {
        let Self { case, done, truth, others, .. } = self;
        let own_unmatched = unmatched - unmatched.min(*others);
        let is_altered = sum(done.altered) + sum(done.misplaced) > 0;
        // What a fault took the time of may be any of several records of a live run, and one without a
        // value any that has none.
        let is_vague = case.has("FAULTS") && sum(truth.timeless) > 0;
        let (missing, copies) = (truth.done.missing, truth.done.copies);
        if !is_altered && !is_vague {
            let mut found = found.clone();
            if truth.is_of_both {
                assert_eq!(sum(found.missing), sum(missing), "{say}");
                assert_eq!(sum(found.copies), sum(copies), "{say}");
                (found.missing, found.copies) = (missing, copies);
            }
            let reencoded = done.reencoded;
            assert_eq!(found, Done { missing, copies, reencoded, ..Done::default() }, "{say}");
            assert_eq!(unmatched, *others, "{say}");
        }
        if !is_altered {
            assert_eq!(sum(found.altered) + sum(found.misplaced), 0, "{say}");
            assert!(own_unmatched <= sum(truth.timeless), "{say}");
            assert!(sum(found.copies) <= sum(copies), "{say}");
            assert!(sum(found.copies) + own_unmatched >= sum(copies), "{say}");
        }
        // Nothing that is there is said to be missing, unless as much is said not to be told.
        let there = sum(missing) + sum(done.misplaced);
        assert!(sum(found.missing) <= there + own_unmatched + sum(done.altered), "{say}");
        assert!(sum(found.missing) + sum(found.altered) >= sum(missing), "{say}");
    }
}

#[test]
fn of_many_mixtures_of_runs_mutations_and_shapes_every_account_is_right_to_the_record() {
    let asked = |name: &str| std::env::var(name).ok();
    if let Some(one) = asked("MUTATION_SEED") {
        let one = one.parse().unwrap();
        let outcome = run(one);
        eprintln!("{}{:#?}", outcome.words, outcome.account);
        return outcome.check(one);
    }
    let range = asked("MUTATIONS").unwrap_or_else(|| "40".to_owned());
    let (from, to) = range.split_once("..").unwrap_or(("0", &range));
    let failed = (from.parse().unwrap()..to.parse().unwrap())
        .filter(|one| std::panic::catch_unwind(|| run(*one).check(*one)).is_err());
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<u64>::new(), "seeds of the cases that failed");
}
