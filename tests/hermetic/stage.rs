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
    pub headers: Vec<(String, String)>,
    pub value: String,
}

/// What was done, as `verify` counts it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub missing: [BTreeSet<u64>; 2],
    pub altered: [u64; 2],
    pub reencoded: [u64; 2],
    pub copies: [u64; 2],
    pub foreign: [u64; 2],
    pub by_value: [u64; 2],
    /// Part, place and kind of each change.
    pub changes: [BTreeMap<(String, String, String), u64>; 2],
    /// Pairs whose records are in partitions of different numbers.
    pub other_partition: u64,
    /// Records behind one of a higher seq of their partition.
    pub out_of_place: [u64; 2],
}

/// The records of what `generate` printed, in partitions by their key.
pub fn travelling(ndjson: &str, own: bool, partition_of: impl Fn(&str) -> i32) -> Vec<Travelling> {
    let record = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let value = line.split_once(",\"value\":").unwrap().1;
        let key = json["key"].as_str().map(str::to_owned);
        // In the order in which they are sent.
        let headers = ["run", "seq", "content-type"];
        let headers = headers.map(|name| (name, json["headers"][name].as_str().unwrap()));
        Travelling {
            topic: usize::from(json["topic"] == "token.usage.v1"),
            own,
            seq: headers[1].1.parse().unwrap(),
            partition: partition_of(key.as_deref().unwrap()),
            timestamp_ms: json["timestamp"].as_i64().unwrap(),
            key,
            headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            value: value[..value.len() - 1].to_owned(),
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
        let mut homes = BTreeMap::<u64, BTreeMap<usize, i32>>::new();
        for record in records.iter().filter(|record| record.own) {
            if !seen.insert((record.topic, record.seq)) {
                continue;
            }
            let highest = highest.entry((record.topic, record.partition)).or_insert(record.seq);
            self.out_of_place[record.topic] += u64::from(*highest > record.seq);
            *highest = (*highest).max(record.seq);
            homes.entry(record.seq).or_default().insert(record.topic, record.partition);
        }
        let apart = homes.values().filter(|homes| homes.len() == 2 && homes[&0] != homes[&1]);
        self.other_partition = apart.count() as u64;
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
                    done.missing[topic].insert(record.seq);
                    continue;
                }
                1 => {
                    done.copies[topic] += 1;
                    out.push(record.clone());
                }
                act @ 2..=6 => record.change_value(act, &mut done),
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
    fn change_value(&mut self, act: usize, done: &mut Done) {
        let mut json: Value = serde_json::from_str(&self.value).unwrap();
        match act {
            2 => {
                self.value = serde_json::to_string_pretty(&json).unwrap();
                done.reencoded[self.topic] += 1;
            }
            3 => {
                json["gpu_index"] = Value::from(99);
                self.value = json.to_string();
                done.change(self.topic, "value", "/gpu_index", "value");
            }
            4 => {
                json.as_object_mut().unwrap().remove("gpu_index");
                self.value = json.to_string();
                done.change(self.topic, "value", "/gpu_index", "removed");
            }
            5 => {
                self.value = self.value.replacen('{', "{\"by/stage\":true,", 1);
                done.change(self.topic, "value", "/by~1stage", "added");
            }
            _ => {
                self.value.truncate(self.value.len() / 2);
                done.change(self.topic, "value", "", "not-json");
            }
        }
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
