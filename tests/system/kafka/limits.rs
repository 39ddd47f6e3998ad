//! What a topic would not keep, and what it does not take: said before the run, or in its last line.

use std::process::Command;

use crate::broker::{Broker, Options};
use crate::cluster::{self, PARTITIONS, Topics};
use crate::common::{Finished, Producer};
use crate::tools;

/// Two new topics with these topic configs.
fn create(broker: &Broker, label: &str, configs: &[(&str, &str)]) -> Topics {
    let topics = Topics::named(broker, label);
    broker.create_topics_with(&topics.both().map(|topic| (topic, PARTITIONS)), configs);
    topics
}

/// A backfill from this time on, at full speed.
fn backfill(topics: &Topics, start: &str) -> Producer {
    topics.run().set("EVENT_START", start).set("BATCH", "50")
}

/// The time so many hours from now, as `EVENT_START` has it.
fn in_hours(hours: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
    format!("{time:.0}")
}

fn doctor(topics: &Topics, start: &str) -> Finished {
    let doctor = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", &topics.bootstrap);
    topics.direct(doctor).set("EVENT_START", start).finish()
}

#[test]
fn a_backfill_that_the_broker_would_delete_is_refused_with_the_remedy() {
    // Kafka's own default.
    let week = [("retention.ms", "604800000")];
    let topics = create(cluster::plain(), "retention", &week);
    let start = in_hours(-24 * 30);
    let problem = "topic retention.metrics keeps records for 7 d (retention.ms), and the events begin \
                   30 d ago: the broker would delete them within the hour";
    let remedy = "set retention.ms=-1 on the topic, or a later EVENT_START";
    let finished = backfill(&topics, &start).finish();
    finished.exits(78).says(&format!(
        "nothing was sent: {problem}; {remedy}; EVENT_TIME_GUARD=off sends it all the same; exit 78 \
         (CONFIG)"
    ));
    assert_eq!(topics.records_in_log(), 0);
    let finished = doctor(&topics, &start);
    finished.exits(78);
    let line = format!("FAIL  limits of retention.metrics: {problem}; remedy: {remedy}\n");
    assert!(finished.stdout.contains(&line), "{}", finished.stdout);

    backfill(&topics, &start).set("EVENT_TIME_GUARD", "off").finish().exits(0);
    let kept = create(cluster::plain(), "kept", &[]);
    backfill(&kept, &start).finish().exits(0).says("100 of 100 planned records delivered");
    assert_eq!(kept.records_in_log(), 100);
    let finished = doctor(&kept, &start);
    finished.exits(0);
    let line = "ok    limits of kept.metrics: it takes and keeps the events of a run\n";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);
    backfill(&kept, &in_hours(-24)).finish().exits(0);
}

#[test]
fn events_that_the_broker_refuses_for_their_time_are_told_before_and_after() {
    let topics = create(cluster::plain(), "future", &[]);
    let start = in_hours(50);
    let problem = "topic future.metrics refuses records of more than 60 min in the future \
                   (message.timestamp.after.max.ms), and the events reach 2 d ahead";
    backfill(&topics, &start).finish().exits(78).says(problem);
    let finished = backfill(&topics, &start).set("EVENT_TIME_GUARD", "off").finish();
    finished.exits(69).says(&format!("; {problem}; set a larger message.timestamp.after.max.ms"));
    assert_eq!(topics.records_in_log(), 0);
}

#[test]
fn batches_that_are_larger_than_the_topic_takes_are_told_with_the_remedy() {
    let topics = create(cluster::plain(), "small", &[("max.message.bytes", "600")]);
    let flood = || topics.run().set("SLEEP_SEC", "0").set("BATCH", "2000");
    let finished = flood().finish();
    finished.says("topic small.metrics refuses batches of more than 600 bytes (max.message.bytes)");
    finished.says("set RDKAFKA_BATCH_SIZE=600, or a larger max.message.bytes");
    assert_ne!(finished.code, 0);
    let before = topics.records_in_log();
    flood().set("RDKAFKA_BATCH_SIZE", "600").finish().exits(0);
    assert_eq!(topics.records_in_log() - before, 4_000);
}

#[test]
fn a_topic_that_is_deleted_during_the_run_is_named() {
    let broker = cluster::plain();
    let topics = create(broker, "deleted", &[]);
    let run = topics.run().set("BATCH", "400").set("SLEEP_SEC", "0.02");
    let running = run.set("DELIVERY_TIMEOUT_SEC", "5").start();
    topics.wait_for_records(20);
    broker.delete_topic(&topics.token);
    let finished = running.finish();
    finished
        .exits(74)
        .says("topic deleted.tokens is not there any more, or this client may not see it");
}

// A load balancer, say: once the client has learned of the brokers, it asks none but them.
#[test]
fn brokers_off_the_egress_list_are_told_also_if_the_bootstrap_address_is_none_of_them() {
    let broker = Broker::start_with(&Options {
        listeners: &[("OUTSIDE", "PLAINTEXT")],
        advertised: &[("OUTSIDE", "127.0.0.5:1")],
        ..Options::default()
    });
    let topics = create(&broker, "elsewhere", &[]);
    let run = topics.direct(Producer::run(&broker.address("OUTSIDE")));
    let finished = run.set("VM4_EGRESS_IN_FORCE", "127.0.0.1").finish();
    finished.exits(78).says("allow list blocks advertised broker 127.0.0.5:1 (127.0.0.5)");
}

/// Runs the program with a name server that is bound, and answers nobody.
#[test]
fn a_name_that_no_server_resolves_is_named_in_the_last_line() {
    let mute = std::net::UdpSocket::bind("127.0.0.9:53").expect("the name server's address");
    let files = tempfile::tempdir().expect("a directory");
    let file = files.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.9\noptions timeout:30 attempts:5\n").expect("a file");
    tools::require("unshare");
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" /etc/resolv.conf && exec \"$2\" run";
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(&file).arg(crate::common::program());
    let settings = [
        ("VM4_PRODUCER_ENV", "/dev/null"),
        ("KAFKA_BOOTSTRAP", "kafka-1.example"),
        ("DELIVERY_TIMEOUT_SEC", "3"),
    ];
    let output = command.envs(settings).output().expect("unshare starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(69), "{said}");
    let start = "nothing was sent: no broker answered within 2.7 s: ";
    assert!(last.contains(start), "{said}");
    assert!(last.contains("; kafka-1.example: not resolved within 0.5 s; exit 69"), "{said}");
    drop(mute);
}
