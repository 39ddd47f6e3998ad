//! Records that were acknowledged and are gone: the run says so, and what it says it delivered is there.
//!
//! The hermetic `loss` has the other ways.

use super::records;
use super::three;
use crate::broker::Broker;
use crate::cluster::{self, PARTITIONS, Topics};
use crate::common::{Finished, Producer};
use crate::kcat;

/// A run of so many pairs over all partitions.
fn run(topics: &Topics, batch: &str, sleep: &str) -> Producer {
    let run = topics.run();
    let seed = run.file("seed.json", cluster::gpus(16));
    run.set("GPU_SEED", seed).set("BATCH", batch).set("SLEEP_SEC", sleep)
}

/// The report is true of the log: what it calls delivered is there once, and the rest of this topic was
/// truncated. Returns how many records that are.
#[track_caller]
fn truncated(label: &str, finished: &Finished, topics: &Topics) -> u64 {
    let mut all = 0;
    for (topic, name) in
        finished.report()["topics"].as_array().expect("topics").iter().zip(topics.both())
    {
        let count = |name: &str| topic[name].as_u64().expect("a count");
        let mut seqs: Vec<_> =
            kcat::read_all(&topics.bootstrap, name).iter().map(records::seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let there = u64::try_from(seqs.len()).expect("a count");
        let found = topic["settled"]["found"].as_u64().expect("a count");
        println!(
            "{label}: {name}: {there} in the log, {} acknowledged, {found} found, {} truncated",
            count("acknowledged"),
            count("truncated")
        );
        assert_eq!(count("acknowledged") + found, there, "{topic}");
        assert_eq!(
            count("generated"),
            count("acknowledged") + count("failed") + count("unresolved")
        );
        all += count("truncated");
    }
    finished.exits(74).says("was cut back (partition");
    assert!(all > 0, "nothing was truncated");
    all
}

fn remake(broker: &Broker, topic: &str) {
    broker.delete_topic(topic);
    broker.create_topics(&[(topic, PARTITIONS)]);
}

#[test]
fn a_topic_that_is_deleted_and_created_again_during_a_paced_run_costs_what_was_in_it() {
    let broker = cluster::plain();
    let topics = Topics::create(broker, "remade");
    let running = run(&topics, "1500", "0.01").start();
    topics.wait_for_records(400);
    remake(broker, &topics.metric);
    let finished = running.finish();
    truncated("remade", &finished, &topics);
    finished.says("the topic was deleted and created again: its id was ");
}

#[test]
fn a_topic_that_is_deleted_and_created_again_at_full_speed_costs_what_was_in_it() {
    let broker = cluster::plain();
    let topics = Topics::create(broker, "remadeflood");
    // So much takes a while to be read back on a busy machine.
    let running = run(&topics, "600000", "0").set("DELIVERY_TIMEOUT_SEC", "120").start();
    topics.wait_for_records(20_000);
    remake(broker, &topics.metric);
    let finished = running.finish();
    truncated("remade at full speed", &finished, &topics);
    finished.says("the topic was deleted and created again: its id was ");
}

#[test]
fn a_topic_of_three_brokers_that_is_deleted_and_created_again_costs_what_was_in_it() {
    let trio = three::shared();
    let topics = trio.create_topics("remadethrice");
    let running = run(&topics, "1500", "0.01").start();
    topics.wait_for_records(400);
    trio.remake(&topics.metric);
    let finished = running.finish();
    truncated("remade on three", &finished, &topics);
    finished.says("the topic was deleted and created again: its id was ");
}

#[test]
fn a_broker_that_lost_the_log_of_a_topic_costs_what_was_in_it() {
    let mut broker = Broker::start();
    let topics = Topics::create(&broker, "wiped");
    let running = run(&topics, "1500", "0.01").start();
    topics.wait_for_records(400);
    broker.kill();
    broker.wipe(&topics.metric);
    broker.start_again();
    let finished = running.finish();
    truncated("wiped", &finished, &topics);
    finished.says("a broker came back with an empty or an older log");
}

#[test]
fn a_topic_that_is_deleted_after_its_last_acknowledgement_is_in_doubt() {
    let broker = cluster::plain();
    let topics = Topics::create(broker, "deletedlast");
    let run = run(&topics, "5000", "30").set("PACE", "wall");
    let running = run.start();
    topics.wait_for_records(2);
    broker.delete_topic(&topics.metric);
    running.signal("TERM");
    let finished = running.finish();
    let missing =
        format!("1 records of {0} not looked up: topic {0} does not exist", topics.metric);
    finished.exits(74).says(&missing);
    assert_eq!((finished.sum("acknowledged"), finished.sum("unresolved")), (1, 1));
}
