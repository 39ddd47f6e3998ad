//! A stage between producer and consumer that does to records what pipelines do, and knows what it
//! did: `verify` has to name exactly that.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::Value;

/// A record on its way.
#[derive(Debug, Clone)]
pub struct Travelling {
    /// 0 for a metric, 1 for token usage.
    pub topic: usize,
    /// Its run and its pair, whatever its headers say.
    pub own: bool,
    pub seq: u64,
    pub partition: i32,
    pub timestamp_ms: i64,
    pub key: Option<String>,
    /// The key that it was sent with.
    pub own_key: Option<String>,
    pub headers: Vec<(String, String)>,
    /// None is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The kinds of faults that it was sent with.
    pub faults: Vec<String>,
}

/// What was done, as `verify` counts it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub missing: [BTreeSet<u64>; 2],
    /// Of the copies that the run made on purpose.
    pub missing_copies: [BTreeSet<u64>; 2],
    pub altered: [u64; 2],
    pub reencoded: [u64; 2],
    pub copies: [u64; 2],
    pub foreign: [u64; 2],
    pub by_value: [u64; 2],
    /// Part, place and kind of each change.
    pub changes: [BTreeMap<(String, String, String), u64>; 2],
    /// Pairs whose records are in partitions of different numbers.
    pub other_partition: u64,
    /// Pairs of which a record was deleted, and the other one is there: only metrics, only usages.
    pub alone: [u64; 2],
    /// Records behind one of a higher seq of their partition.
    pub out_of_place: [u64; 2],
}

/// A run that is let through it.
pub const RUN: [(&str, &str); 5] = [
    ("RUN_ID", "own"),
    ("RUN_SEED", "1"),
    ("EVENT_START", "2026-01-01T00:00:00Z"),
    ("ARRIVALS", "poisson"),
    ("BATCH", "400"),
];

/// The same run with every kind of fault and of incident.
pub fn with_all() -> Vec<(&'static str, &'static str)> {
    let faults = "duplicate=0.06:2s,late=0.05:3s,out-of-order=0.05:9,clock-skew=0.05:-30s,drop=0.05,\
        tombstone=0.04,malformed=0.05,missing-field=0.04,null-field=0.04,wrong-type=0.04,\
        extra-field=0.04,renamed-field=0.04,duplicate-key=0.04,sentinel=0.05,failed-request=0.05,\
        oversize=0.04:2000";
    let incidents = "throttle@+10s/20s:gpu01/0,gpu-lost@+20s/40s:gpu02/*,ecc-restart@+50s/40s:gpu03/1,\
        noisy-neighbour@+60s/20s:*/0,surge=3@+80s/20s,stuck-gauge@+90s/30s:gpu01/1,\
        exporter-silent@+110s/20s:gpu03";
    let hosts = ("HOSTNAME", "gpu[01-03]");
    [&RUN[..], &[hosts, ("FAULTS", faults), ("INCIDENTS", incidents)]].concat()
}

/// What an account of `verify` says was done, from its JSON.
pub fn told(account: &Value) -> Done {
    let topics = account["topics"].as_array().expect("topics");
    let [metric, token] = &topics[..] else { panic!("two topics: {account}") };
    let count = |value: &Value| value.as_u64().expect("a count");
    let of =
        |pointer: &str| [metric, token].map(|topic| count(topic.pointer(pointer).expect(pointer)));
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let missing = |of_copies: bool| {
        [metric, token].map(|topic| {
            let causes = list(&topic["missing_by_cause"]);
            let causes = causes.iter().filter(|c| c["of_copies"] == of_copies);
            let ranges = causes.flat_map(|c| list(&c["ranges"]));
            ranges.flat_map(|range| count(&range[0])..=count(&range[1])).collect()
        })
    };
    let changes = [metric, token].map(|topic| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let changes = list(&topic["changes"]);
        let key = |c: &Value| (text(&c["part"]), text(&c["at"]), text(&c["change"]));
        changes.iter().map(|c| (key(c), count(&c["records"]))).collect()
    });
    Done {
        missing: missing(false),
        missing_copies: missing(true),
        altered: of("/read/first_altered"),
        reencoded: of("/read/reencoded"),
        copies: of("/read/extra_copies"),
        foreign: of("/read/foreign/records"),
        by_value: of("/told_by_value"),
        changes,
        other_partition: count(&account["torn"]["other_partition"]),
        alone: ["only_metric", "only_token"].map(|what| count(&account["torn"][what])),
        out_of_place: of("/order/out_of_place"),
    }
}

/// One thing that is done to a record; at most one for each.
const ACTS: usize = 12;

impl Done {
    fn change(&mut self, topic: usize, part: &str, at: &str, change: &str) {
        let key = (part.to_owned(), at.to_owned(), change.to_owned());
        *self.changes[topic].entry(key).or_default() += 1;
        if (part, change) != ("header", "added") {
            self.altered[topic] += 1;
        }
    }

    /// Counts what only the whole shows: order, and pairs in two partitions.
    fn count(&mut self, records: &[Travelling]) {
        let mut highest = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut homes = BTreeMap::<u64, BTreeMap<usize, _>>::new();
        for record in records.iter().filter(|record| record.own && !record.is_copy()) {
            if !seen.insert((record.topic, record.seq)) {
                continue;
            }
            let highest = highest.entry((record.topic, record.partition)).or_insert(record.seq);
            self.out_of_place[record.topic] += u64::from(*highest > record.seq);
            *highest = (*highest).max(record.seq);
            let home = (record.own_key.clone(), record.partition);
            homes.entry(record.seq).or_default().insert(record.topic, home);
        }
        // Of a pair that two GPUs share, the partitions differ.
        let apart = homes.values().filter(|homes| {
            homes.len() == 2 && homes[&0].0 == homes[&1].0 && homes[&0].1 != homes[&1].1
        });
        self.other_partition = apart.count() as u64;
        self.alone = [0, 1].map(|there| {
            let gone = self.missing[1 - there].iter();
            gone.filter(|seq| seen.contains(&(there, **seq))).count() as u64
        });
    }
}

/// Lets records through a stage: about one in `every` has something done to it.
pub fn through(records: Vec<Travelling>, seed: u64, every: u32) -> (Vec<Travelling>, Done) {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut done = Done::default();
    let mut out = Vec::new();
    for mut record in records {
        let topic = record.topic;
        if !record.own {
            done.foreign[topic] += 1;
        } else if rng.random_ratio(1, every) {
            match rng.random_range(0..ACTS) {
                0 => {
                    let missing =
                        if record.is_copy() { &mut done.missing_copies } else { &mut done.missing };
                    missing[topic].insert(record.seq);
                    continue;
                }
                1 => {
                    done.copies[topic] += 1;
                    out.push(record.clone());
                }
                act @ 2..=6 if record.has_own_value() => record.change_value(act, &mut done),
                2..=6 => record.break_value(&mut done),
                // Without its headers a copy is its original.
                9 if record.is_copy() => record.change_beside(10, &mut done),
                act => record.change_beside(act, &mut done),
            }
        }
        out.push(record);
    }
    // Some change places with the one before them.
    for at in 1..out.len() {
        if rng.random_ratio(1, 3 * every) {
            out.swap(at - 1, at);
        }
    }
    done.count(&out);
    (out, done)
}

impl Travelling {
    /// Whether a fault of the run made it.
    pub fn is_copy(&self) -> bool {
        self.faults.iter().any(|fault| fault == "duplicate")
    }

    /// Whether its value is that of a clean run.
    fn has_own_value(&self) -> bool {
        let beside = ["duplicate", "late", "out-of-order", "clock-skew"];
        self.faults.iter().all(|fault| beside.contains(&fault.as_str()))
    }

    /// Whether the value is JSON, though readers may disagree about it.
    fn is_json(&self) -> bool {
        let value = self.value.as_deref().unwrap_or_default();
        serde_json::from_slice::<&serde_json::value::RawValue>(value).is_ok()
    }

    /// Breaks a value that a fault has changed already.
    fn break_value(&mut self, done: &mut Done) {
        let is = |kind: &str| self.faults.iter().any(|fault| fault == kind);
        let change = match (is("tombstone"), is("malformed")) {
            (true, _) => "added",
            (_, true) if !self.is_json() => "value",
            _ => "not-json",
        };
        self.value = Some(b"{broken".to_vec());
        done.change(self.topic, "value", "", change);
    }

    fn change_value(&mut self, act: usize, done: &mut Done) {
        let text = String::from_utf8(self.value.take().unwrap()).unwrap();
        self.value = Some(self.changed(text, act, done).into_bytes());
    }

    fn changed(&self, mut value: String, act: usize, done: &mut Done) -> String {
        let mut json: Value = serde_json::from_str(&value).unwrap();
        match act {
            2 => {
                value = serde_json::to_string_pretty(&json).unwrap();
                done.reencoded[self.topic] += 1;
            }
            3 => {
                json["gpu_index"] = Value::from(99);
                value = json.to_string();
                done.change(self.topic, "value", "/gpu_index", "value");
            }
            4 => {
                json.as_object_mut().unwrap().remove("gpu_index");
                value = json.to_string();
                done.change(self.topic, "value", "/gpu_index", "removed");
            }
            5 => {
                value = value.replacen('{', "{\"by/stage\":true,", 1);
                done.change(self.topic, "value", "/by~1stage", "added");
            }
            _ => {
                value.truncate(value.len() / 2);
                done.change(self.topic, "value", "", "not-json");
            }
        }
        value
    }

    fn change_beside(&mut self, act: usize, done: &mut Done) {
        match act {
            7 => {
                self.key = Some("another".to_owned());
                done.change(self.topic, "key", "", "value");
            }
            8 => {
                self.timestamp_ms += 1_000;
                done.change(self.topic, "timestamp", "", "value");
            }
            9 => {
                self.headers.clear();
                done.by_value[self.topic] += 1;
                done.change(self.topic, "header", "*", "removed");
            }
            10 => {
                self.headers.push(("traceparent".to_owned(), "00-1-2-01".to_owned()));
                done.change(self.topic, "header", "traceparent", "added");
            }
            _ => {
                self.partition = (self.partition + 1) % 3;
                done.change(self.topic, "partition", "", "value");
            }
        }
    }
}
