//! A broker that goes away for good: the report says what is in the log.

use std::collections::BTreeMap;
use std::time::Instant;

use super::records::{self, TopicBooks};
use crate::broker::Broker;
use crate::cluster::{self, Topics};
use crate::common::{Finished, Running};
use crate::kcat;

/// DELIVERY_TIMEOUT_SEC of the runs here.
const TIMEOUT: &str = "5";

/// Continues a stopped process, however the test ends, so that none is left behind.
struct Stopped<'a>(&'a Running);

impl<'a> Stopped<'a> {
    fn new(run: &'a Running) -> Self {
        run.signal("STOP");
        Self(run)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal("CONT");
    }
}

/// A run of so many pairs over all partitions, ready to meet an outage.
fn start(topics: &Topics, batch: &str, sleep: &str) -> Running {
    let run = topics.run();
    let seed = run.file("seed.json", cluster::eight_gpus());
    let run = run.set("GPU_SEED", seed).set("BATCH", batch).set("SLEEP_SEC", sleep);
    run.set("DELIVERY_TIMEOUT_SEC", TIMEOUT).start()
}

/// Waits for the end of a run whose broker is gone since `since`: it gives up, and exits 74.
#[track_caller]
fn gives_up(run: Running, since: Instant) -> Finished {
    let finished = run.finish();
    finished.exits(74).says("no answer from the cluster within the delivery timeout");
    assert_eq!(finished.report()["outcome"], "incomplete");
    println!("outage: ended {:.3} s after the broker", since.elapsed().as_secs_f64());
    finished
}

fn print_books(label: &str, books: &[TopicBooks]) {
    for TopicBooks { generated, acknowledged, failed, unresolved, .. } in books {
        println!(
            "{label}: {generated} generated = {acknowledged} acknowledged + {failed} failed + \
             {unresolved} unresolved"
        );
    }
}

// A plain kill is a race: records that the broker has written, whose acknowledgement dies with it.
// So the producer is stopped first. Everything that it sent is written and answered by the time the
// log stands still; the answers wait in its socket, beyond the reach of the broker's end.
#[test]
fn after_a_kill_the_log_holds_exactly_the_acknowledged_records() {
    let mut broker = Broker::start();
    let topics = Topics::create(&broker, "frozen");
    let run = start(&topics, "400", "0.05");
    topics.wait_for_records(80);
    let stopped = Stopped::new(&run);
    let written = topics.wait_until_stable();
    broker.kill();
    let since = Instant::now();
    drop(stopped);
    let finished = gives_up(run, since);

    let books = records::books(&finished, &topics);
    print_books("frozen", &books);
    println!("frozen: {written} records in the log when the broker was killed");
    assert!(books.iter().all(|books| books.generated > books.acknowledged));
    broker.start_again();
    assert_eq!(books.iter().map(|books| books.acknowledged).sum::<i64>(), written);
    records::assert_log_is_report(&finished, &topics);
}

/// The number of records of each partition; fails where a seq is there twice.
fn each_at_most_once(topics: &Topics, topic: &str) -> BTreeMap<i32, i64> {
    let (mut counts, mut seen) = (BTreeMap::new(), Vec::new());
    kcat::read_each(&topics.bootstrap, topic, |record| {
        *counts.entry(record.partition).or_insert(0) += 1;
        seen.push(records::seq(&record));
    });
    seen.sort_unstable();
    let twice = seen.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "a seq is twice in {topic}");
    counts
}

#[test]
fn a_flood_cut_off_by_a_kill_claims_no_record_that_the_log_lacks() {
    let mut broker = Broker::start();
    let topics = Topics::create(&broker, "flood");
    let run = start(&topics, "50000000", "0");
    topics.wait_for_records(20_000);
    broker.kill();
    let finished = gives_up(run, Instant::now());

    let books = records::books(&finished, &topics);
    print_books("flood", &books);
    broker.start_again();
    for (books, topic) in books.iter().zip(topics.both()) {
        let log = each_at_most_once(&topics, topic);
        let total: i64 = log.values().sum();
        println!("flood: {total} in the log of {topic}");
        assert!(books.acknowledged > 0);
        assert!(total <= books.acknowledged + books.failed + books.unresolved);
        for (partition, [acknowledged, first, last]) in &books.partitions {
            let written = log.get(partition).copied().unwrap_or(0);
            assert!(*acknowledged <= written, "{topic}, partition {partition}");
            assert!((*first, *last) == (0, acknowledged - 1), "{topic}, partition {partition}");
        }
    }
}
