//! A broker that comes back within the delivery timeout.

use std::collections::BTreeMap;
use std::time::Instant;

use super::proxy::Proxy;
use super::records;
use crate::broker::{Broker, Options};
use crate::cluster::{self, PARTITIONS, Topics};
use crate::common::Producer;
use crate::kcat;

/// Pairs of the run.
const PAIRS: u64 = 300_000;

/// A broker that advertises a proxy, and the topics of this test on it, reached past the proxy.
fn behind(proxy: &Proxy) -> (Broker, Topics) {
    let broker = Broker::start_with(&Options {
        listeners: &[("PROXIED", "PLAINTEXT")],
        advertised: &[("PROXIED", proxy.address())],
        ..Options::default()
    });
    proxy.forward_to(broker.address("PROXIED"));
    let topics = Topics::create(&broker, "return");
    (broker, topics)
}

/// Reads a topic; fails unless each seq is there once, and returns the records of each partition.
fn each_once(topics: &Topics, topic: &str) -> BTreeMap<i32, i64> {
    let (mut seqs, mut partitions) = (Vec::new(), BTreeMap::new());
    kcat::read_each(&topics.bootstrap, topic, |record| {
        seqs.push(records::seq(&record));
        *partitions.entry(record.partition).or_insert(0) += 1;
    });
    seqs.sort_unstable();
    let twice = seqs.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(twice, 0, "records that are twice in {topic}");
    assert!(seqs.into_iter().eq(0..PAIRS), "each seq is in {topic}");
    partitions
}

// The hard case: the broker has written records, and its answers are lost before it is killed. The
// program has to send them again, and the broker to know them from what it finds on its disk.
#[test]
fn a_broker_that_comes_back_in_time_gets_every_record_exactly_once() {
    let proxy = Proxy::listen();
    let (mut broker, topics) = behind(&proxy);
    let run = topics.direct(Producer::run(proxy.address()));
    let seed = run.file("seed.json", cluster::eight_gpus());
    let run = run.set("GPU_SEED", seed).set("BATCH", PAIRS.to_string()).set("SLEEP_SEC", "0");
    let (started, run) = (Instant::now(), run.start());
    topics.wait_for_records(10_000);
    proxy.lose_answers();
    let written = topics.wait_until_stable();
    broker.kill();
    let killed = started.elapsed();
    broker.start_again();
    let back = started.elapsed();
    let finished = run.finish();
    println!("return: {written} records written when the broker was killed after {killed:?}");
    println!("return: broker back after {back:?}, run over after {:?}", finished.elapsed);
    finished.exits(0).says("600000 of 600000 planned records delivered");
    assert!(finished.elapsed > killed, "the run was over before the broker was killed");

    for (books, topic) in records::books(&finished, &topics).iter().zip(topics.both()) {
        let log = each_once(&topics, topic);
        assert_eq!(log.len(), usize::try_from(PARTITIONS).expect("a few"));
        let expected = log.into_iter().map(|(partition, count)| (partition, [count, 0, count - 1]));
        assert_eq!(books.partitions, expected.collect());
    }
}
