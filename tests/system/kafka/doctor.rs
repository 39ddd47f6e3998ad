//! `vm4-producer doctor` against a real cluster.

use std::time::Duration;

use crate::cluster::{self, Topics};
use crate::common::{Finished, Producer, nobody};
use crate::{kcat, tools};

/// The answer of `doctor` about a broker and two topics.
fn doctor(topics: &Topics) -> Finished {
    let producer = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", &topics.bootstrap);
    topics.direct(producer).finish()
}

/// Fails unless a line of standard output begins with `start` and holds `text`.
#[track_caller]
fn has_line(finished: &Finished, start: &str, text: &str) {
    let found = finished.stdout.lines().any(|l| l.starts_with(start) && l.contains(text));
    assert!(found, "no line {start:?} with {text:?}:\n{}", finished.stdout);
}

#[test]
fn doctor_finds_a_healthy_cluster_healthy() {
    let topics = Topics::create(cluster::plain(), "healthy");
    let finished = doctor(&topics);
    finished.exits(0);
    let bootstrap = &topics.bootstrap;
    has_line(&finished, "ok    settings:", "all valid");
    has_line(&finished, "ok    seed file:", "RTX 3090");
    has_line(&finished, &format!("ok    bootstrap {bootstrap}:"), "accepts connections");
    has_line(&finished, "ok    metadata:", "1 advertised broker");
    has_line(&finished, &format!("ok    advertised {bootstrap}:"), "accepts connections");
    has_line(&finished, "ok    topic healthy.metrics:", "3 partitions");
    has_line(&finished, "ok    topic healthy.tokens:", "3 partitions");
    assert!(!finished.stdout.contains("FAIL"), "{}", finished.stdout);
    println!("doctor: all is well in {:?}", finished.elapsed);
}

// On a broker that creates topics on demand, so that asking in the wrong way would create one.
#[test]
fn doctor_says_what_to_do_about_a_missing_topic_and_does_not_create_it() {
    let broker = cluster::creating();
    let topics = Topics::named(broker, "missing");
    broker.create_topics(&[("missing.metrics", 1)]);
    let finished = doctor(&topics);
    finished.exits(69);
    has_line(&finished, "ok    topic missing.metrics:", "1 partition");
    has_line(&finished, "FAIL  topic missing.tokens:", "does not exist");
    has_line(&finished, "FAIL  topic missing.tokens:", "remedy: create it");
    has_line(&finished, "FAIL  topic missing.tokens:", "TOPIC_TOKEN");
    let all =
        tools::poll(Duration::from_secs(20), || kcat::all_end_offsets(&topics.bootstrap).ok());
    let all = all.expect("the topics of the cluster");
    assert!(all.contains_key("missing.metrics") && !all.contains_key("missing.tokens"), "{all:?}");
    println!("doctor: a missing topic is said in {:?}", finished.elapsed);
}

#[test]
fn doctor_tcp_asks_only_whether_the_servers_can_be_reached() {
    let (there, nobody) = (cluster::plain().bootstrap(), nobody());
    let tcp = |bootstrap: &str| {
        Producer::new(["doctor", "--tcp"]).set("KAFKA_BOOTSTRAP", bootstrap).finish()
    };
    let finished = tcp(&there);
    finished.exits(0);
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
    has_line(&finished, &format!("ok    bootstrap {there}:"), "accepts connections");

    // One of several is all that a run needs.
    let finished = tcp(&format!("{nobody},{there}"));
    finished.exits(0);
    has_line(&finished, &format!("ok    bootstrap {there}:"), "accepts connections");
    has_line(&finished, &format!("warn  bootstrap {nobody}:"), "Connection refused");

    let finished = tcp(&nobody);
    finished.exits(69);
    has_line(&finished, &format!("FAIL  bootstrap {nobody}:"), "Connection refused");
    has_line(&finished, &format!("FAIL  bootstrap {nobody}:"), "remedy: start the broker");
    println!("doctor --tcp: nobody is found out in {:?}", finished.elapsed);
}
