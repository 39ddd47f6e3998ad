//! What runs say they delivered, against what is in the log.

use std::collections::BTreeMap;
use std::iter::Sum;

use serde_json::Value;

use super::super::records;
use crate::cluster::Topics;
use crate::common::Finished;
use crate::kcat;

/// How many seqs a message about a run names.
const NAMED: usize = 20;

/// How many copies there are of each seq, by run and topic.
struct Log(BTreeMap<(String, usize), BTreeMap<u64, u64>>);

impl Log {
    fn read(topics: &Topics) -> Self {
        let mut log = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (kind, topic) in topics.both().into_iter().enumerate() {
            kcat::read_each(&topics.bootstrap, topic, |record| {
                let seq = records::seq(&record);
                let run = record.headers.into_iter().find(|(name, _)| name == "run");
                let run = run.expect("a header run").1;
                *log.entry((run, kind)).or_default().entry(seq).or_default() += 1;
            });
        }
        Self(log)
    }

    fn of(&mut self, run: &str, kind: usize) -> BTreeMap<u64, u64> {
        self.0.remove(&(run.to_owned(), kind)).unwrap_or_default()
    }
}

/// What runs came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many runs ended with which code.
    pub exits: BTreeMap<i32, usize>,
    /// Records that a run said were in the log.
    pub claimed: u64,
    /// Records of the runs that are there, copies left aside.
    pub found: u64,
    /// Records that failed.
    pub failed: u64,
    /// Records without an answer, unless they were looked up and found.
    pub unresolved: u64,
    /// Copies beyond the first.
    pub copies: u64,
    /// Of which records.
    pub copied: Vec<String>,
    /// Runs that ended with 0 and are not all in the log.
    pub runs_with_loss: usize,
    /// Records that are missing of those.
    pub lost: u64,
    /// What is not true.
    pub untrue: Vec<String>,
}

impl Tally {
    /// Judges runs that are over, all of them into these topics.
    pub fn of(finished: &[Finished], topics: &Topics) -> Self {
        let tally = Self::by(finished, Log::read(topics));
        if tally.untrue.is_empty() {
            return tally;
        }
        // A new leader shows no more of its log than it knows its followers to have, so records may
        // be out of sight for a moment.
        topics.wait_until_stable();
        Self::by(finished, Log::read(topics))
    }

    fn by(finished: &[Finished], mut log: Log) -> Self {
        let judge = |finished| Self::of_one(finished, &mut log);
        finished.iter().map(judge).sum()
    }

    fn of_one(finished: &Finished, log: &mut Log) -> Self {
        let run = finished.report()["run_id"].as_str().expect("a run id");
        let mut tally = Self::default();
        tally.exits.insert(finished.code, 1);
        let topics = finished.report()["topics"].as_array().expect("topics");
        for (kind, topic) in topics.iter().enumerate() {
            tally.judge(finished.code, topic, &log.of(run, kind));
        }
        tally.runs_with_loss = usize::from(tally.lost > 0);
        tally
    }

    /// Judges what a run says of one topic.
    fn judge(&mut self, code: i32, topic: &Value, log: &BTreeMap<u64, u64>) {
        let count = |name: &str| topic[name].as_u64().unwrap_or_else(|| panic!("{name}: {topic}"));
        let [generated, acknowledged, failed, unresolved] =
            ["generated", "acknowledged", "failed", "unresolved"].map(count);
        // Records without an answer that the program found in the log itself.
        let settled = topic["settled"]["found"].as_u64().unwrap_or(0);
        let (claimed, found) = (acknowledged + settled, number(log.len()));
        self.claimed += claimed;
        self.found += found;
        self.failed += failed;
        self.unresolved += unresolved.saturating_sub(settled);
        self.copies += log.values().map(|copies| copies - 1).sum::<u64>();
        let copied: Vec<_> = log.iter().filter(|(_, copies)| **copies > 1).take(NAMED).collect();
        if !copied.is_empty() {
            self.copied.push(format!("exit {code}, {}: {copied:?}", topic["topic"]));
        }
        let mut is = |true_: bool, what: &str| {
            if !true_ {
                let missing: Vec<_> = (0..generated).filter(|seq| !log.contains_key(seq)).collect();
                let missing = &missing[..missing.len().min(NAMED)];
                self.untrue.push(format!(
                    "{what}: exit {code}, {found} in the log, missing {missing:?}, {topic}"
                ));
            }
        };
        is(generated == acknowledged + failed + unresolved, "the books do not balance");
        is(log.keys().all(|seq| *seq < generated), "a record that was not generated");
        is(claimed <= found, "not all that is said to be in the log is there");
        if code == 0 {
            let planned = count("planned");
            is(claimed == planned, "exit 0, and not all planned records delivered");
            is(found == planned, "exit 0, and not all planned records in the log");
            self.lost += planned.saturating_sub(found);
        }
    }

    /// How many runs there were.
    pub fn runs(&self) -> usize {
        self.exits.values().sum()
    }

    /// Prints the figures, and fails unless all that the runs said is true.
    #[track_caller]
    pub fn holds(&self, label: &str) -> &Self {
        println!(
            "{label}: {} runs, exits {:?}; {} claimed, {} in the log, {} failed, {} unresolved, {} \
             copies; {} runs with exit 0 lost {} records",
            self.runs(),
            self.exits,
            self.claimed,
            self.found,
            self.failed,
            self.unresolved,
            self.copies,
            self.runs_with_loss,
            self.lost,
        );
        for copied in &self.copied {
            println!("{label}: seqs and their copies: {copied}");
        }
        assert!(self.untrue.is_empty(), "{label}:\n{}", self.untrue.join("\n"));
        self
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            for (code, runs) in tally.exits {
                *sum.exits.entry(code).or_default() += runs;
            }
            sum.claimed += tally.claimed;
            sum.found += tally.found;
            sum.failed += tally.failed;
            sum.unresolved += tally.unresolved;
            sum.copies += tally.copies;
            sum.runs_with_loss += tally.runs_with_loss;
            sum.lost += tally.lost;
            sum.copied.extend(tally.copied);
            sum.untrue.extend(tally.untrue);
            sum
        })
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits a u64")
}
