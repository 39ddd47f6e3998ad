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
fn doctor_says_of_a_missing_topic_that_a_run_has_it_created_and_does_not_create_it() {
    let broker = cluster::creating();
    let topics = Topics::named(broker, "missing");
    broker.create_topics(&[("missing.metrics", 1)]);
    let finished = doctor(&topics);
    finished.exits(0);
    has_line(&finished, "ok    topic missing.metrics:", "1 partition");
    let start = "warn  topic missing.tokens:";
    has_line(
        &finished,
        start,
        "does not exist; a run has the cluster create it with the broker's own",
    );
    has_line(&finished, start, "(num.partitions=3, log.cleanup.policy=delete)");
    has_line(&finished, start, "remedy: or create it before; kafka-topics.sh");
    let all =
        tools::poll(Duration::from_secs(20), || kcat::all_end_offsets(&topics.bootstrap).ok());
    let all = all.expect("the topics of the cluster");
    assert!(all.contains_key("missing.metrics") && !all.contains_key("missing.tokens"), "{all:?}");
    println!("doctor: a missing topic is said in {:?}", finished.elapsed);
}

#[test]
fn doctor_says_that_a_topic_is_missing_where_the_cluster_creates_none() {
    let broker = cluster::plain();
    let topics = Topics::named(broker, "absent");
    broker.create_topics(&[("absent_metrics", 1)]);
    let finished = doctor(&topics);
    finished.exits(69);
    let start = "FAIL  topic absent.tokens:";
    has_line(&finished, start, "remedy: create it, or name another with TOPIC_TOKEN; this cluster");
    let start = "FAIL  topic absent.metrics:";
    has_line(&finished, start, "Kafka does not create absent.metrics beside absent_metrics");
    let run = topics.run().set("DELIVERY_TIMEOUT_SEC", "2").finish();
    run.exits(69).says("Kafka does not create absent.metrics beside absent_metrics");
}

#[test]
fn doctor_warns_of_what_differs_between_the_two_topics() {
    let broker = cluster::plain();
    let topics = Topics::named(broker, "unlike");
    broker.create_topics_with(&[("unlike.metrics", 1)], &[("retention.ms", "86400000")]);
    broker.create_topics(&[("unlike.tokens", 3)]);
    let finished = doctor(&topics);
    finished.exits(0);
    has_line(&finished, "warn  partitions:", "1 of unlike.metrics, and 3 of unlike.tokens");
    has_line(&finished, "warn  topics:", "differ: retention.ms 86400 s and for ever");
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
