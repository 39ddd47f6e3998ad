//! Topics that are not there.

use super::records;
use crate::cluster::{self, Topics};

#[test]
fn an_absent_topic_is_named_with_its_setting() {
    let broker = cluster::plain();
    let absent = Topics::named(broker, "nowhere");
    let finished = absent.run().set("DELIVERY_TIMEOUT_SEC", "8").finish();
    finished.exits(69).says("topic nowhere.metrics does not exist").says("TOPIC_METRIC");
    assert_eq!(finished.sum("generated"), 0);
    assert_eq!(finished.report()["outcome"], "unavailable");
    println!("absent topic: exit 69 after {:?}", finished.elapsed);

    broker.create_topics(&[("nowhere.metrics", 1)]);
    let finished = absent.run().set("DELIVERY_TIMEOUT_SEC", "8").finish();
    finished.exits(69).says("topic nowhere.tokens does not exist").says("TOPIC_TOKEN");
    assert_eq!(finished.sum("generated"), 0);
    assert_eq!(absent_records(&absent), 0);
}

/// How many records are in the metric topic, the only one of the two that exists.
fn absent_records(topics: &Topics) -> usize {
    crate::kcat::read_all(&topics.bootstrap, &topics.metric).len()
}

#[test]
fn a_broker_that_creates_topics_on_demand_gets_every_record() {
    let topics = Topics::named(cluster::creating(), "demand");
    let finished = topics.run().set("SLEEP_SEC", "0").finish();
    finished.exits(0).says("40 of 40 planned records delivered");
    println!("created on demand: 40 of 40 in {:?}", finished.elapsed);
    assert_eq!(records::read_back(&topics).len(), 40);
    records::assert_log_is_report(&finished, &topics);
}
