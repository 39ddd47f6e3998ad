//! A stage between producer and consumer that does to records what pipelines do, and knows what it
//! did: `verify` has to name exactly that.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
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

/// The records of what `generate` printed, in partitions by their key.
pub fn travelling(ndjson: &str, own: bool, partition_of: impl Fn(&str) -> i32) -> Vec<Travelling> {
    let record = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let value = match line.split_once(",\"value\":") {
            Some((_, "null}")) => None,
            Some((_, value)) => Some(value.as_bytes()[..value.len() - 1].to_vec()),
            None => Some(BASE64.decode(json["value_base64"].as_str().unwrap().as_bytes()).unwrap()),
        };
        let key = json["key"].as_str().map(str::to_owned);
        // In the order in which they are sent.
        let fault = json["headers"]["fault"].as_str();
        let names = ["run", "seq", "content-type"].into_iter().chain(fault.map(|_| "fault"));
        let headers: Vec<_> =
            names.map(|name| (name, json["headers"][name].as_str().unwrap())).collect();
        Travelling {
            topic: usize::from(json["topic"] == "token.usage.v1"),
            own,
            seq: headers[1].1.parse().unwrap(),
            partition: partition_of(key.as_deref().unwrap()),
            timestamp_ms: json["timestamp"].as_i64().unwrap(),
            own_key: key.clone(),
            key,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            value,
            faults: fault.unwrap_or_default().split_terminator(',').map(str::to_owned).collect(),
        }
    };
    ndjson.lines().map(record).collect()
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

    /// Breaks a value that a fault has changed already.
    fn break_value(&mut self, done: &mut Done) {
        let is = |kind: &str| self.faults.iter().any(|fault| fault == kind);
        let change = match (is("tombstone"), is("malformed")) {
            (true, _) => "added",
            (_, true) => "value",
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
