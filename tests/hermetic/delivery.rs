//! The built binary against librdkafka's mock cluster: what is delivered, and what is said of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::{Cluster, PARTITIONS, Received, TOPICS};
use crate::common::{Finished, Producer, nobody, validator};
use crate::notify::NotifySocket;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use vm4_producer::delivery::times::{TimesDigest, weight};

use RDKafkaRespErr as E;

/// The books of the report balance, topic by topic.
#[track_caller]
fn balanced(finished: &Finished) {
    for topic in finished.report()["topics"].as_array().unwrap() {
        let count = |name: &str| topic[name].as_u64().unwrap();
        let sum = count("acknowledged") + count("failed") + count("unresolved");
        assert_eq!(count("generated"), sum, "{topic}");
        let partitions = topic["partitions"].as_array().unwrap();
        let by_partition: u64 =
            partitions.iter().map(|p| p["acknowledged"].as_u64().unwrap()).sum();
        assert_eq!(count("acknowledged"), by_partition, "{topic}");
    }
}

fn by_seq(records: Vec<Received>) -> BTreeMap<u64, Received> {
    let count = records.len();
    let seq = |record: &Received| {
        let header = record.headers.iter().find(|(name, _)| name == "seq");
        header.unwrap().1.parse::<u64>().unwrap()
    };
    let by_seq: BTreeMap<_, _> = records.into_iter().map(|record| (seq(&record), record)).collect();
    assert_eq!(by_seq.len(), count, "a seq came twice");
    by_seq
}

#[test]
fn every_record_is_delivered_and_accounted_for() {
    let cluster = Cluster::start();
    let finished = cluster.run().finish();
    finished.exits(0).says("40 of 40 planned records delivered");
    balanced(&finished);
    let report = finished.report();
    let [metric, token] = TOPICS.map(|topic| by_seq(cluster.read(topic, 20)));
    for (seq, metric) in &metric {
        let token = &token[seq];
        let value: [Value; 2] = [metric, token].map(|r| serde_json::from_str(&r.value).unwrap());
        let key = format!("vm4/{}", value[0]["gpu_index"]);
        let run = report["run_id"].as_str().unwrap();
        for record in [metric, token] {
            assert_eq!(record.key.as_deref(), Some(key.as_str()));
            let headers =
                [("run", run), ("seq", &seq.to_string()), ("content-type", "application/json")];
            assert_eq!(record.headers, headers.map(|(k, v)| (k.to_owned(), v.to_owned())));
            let ts = jiff::Timestamp::from_millisecond(record.timestamp_ms).unwrap();
            assert_eq!(value[0]["ts"], format!("{ts:.3}"));
        }
        assert_eq!(metric.partition, token.partition, "the topics are co-partitioned");
        assert_eq!(value[0]["ts"], value[1]["ts"]);
        assert_eq!(value[0]["gpu_index"], value[1]["gpu_index"]);
    }
}

#[test]
fn the_offsets_of_the_report_are_those_of_the_log() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("BATCH", "200").finish();
    finished.exits(0);
    for (topic, name) in finished.report()["topics"].as_array().unwrap().iter().zip(TOPICS) {
        let mut log: BTreeMap<i64, (i64, i64, u64)> = BTreeMap::new();
        for record in cluster.read(name, 200) {
            let entry = log.entry(record.partition.into()).or_insert((i64::MAX, -1, 0));
            *entry = (entry.0.min(record.offset), entry.1.max(record.offset), entry.2 + 1);
        }
        let report = topic["partitions"].as_array().unwrap().iter().map(|p| {
            let number = |field: &str| p[field].as_i64().unwrap();
            let count = p["acknowledged"].as_u64().unwrap();
            (number("partition"), (number("first_offset"), number("last_offset"), count))
        });
        assert_eq!(report.collect::<BTreeMap<_, _>>(), log);
    }
}

#[test]
fn the_report_names_cluster_and_starts_and_digests_the_times_of_what_was_acknowledged() {
    let cluster = Cluster::start();
    cluster.run().set("BATCH", "7").finish().exits(0);
    let ends = TOPICS.map(|topic| {
        let mut ends = [0; PARTITIONS as usize];
        cluster
            .read(topic, 7)
            .iter()
            .for_each(|r| ends[usize::try_from(r.partition).unwrap()] += 1);
        ends.to_vec()
    });
    let run = cluster.run().set("HOSTNAME", "gpu[1-9]").set("BATCH", "400");
    let run = run.set("FAULTS", "duplicate=0.2:0s,clock-skew=0.1:-30s").finish();
    let report = run.exits(0).report();
    let id = report["cluster_id"].as_str().expect("an id");
    assert!(id.contains("mock"), "{id}");
    assert_eq!(report["plan_sha256"].as_str().map(str::len), Some(64));
    for (number, topic) in report["topics"].as_array().unwrap().iter().enumerate() {
        assert_eq!(topic["start_offsets"], json!(ends[number]));
        let mut own = [TimesDigest::default(); PARTITIONS as usize];
        for record in cluster.read(TOPICS[number], usize::MAX) {
            let header = |name: &str| {
                let found = record.headers.iter().find(|(found, _)| found == name);
                found.map(|(_, value)| value.as_str()).unwrap_or_default()
            };
            if header("run") == report["run_id"] {
                let weight =
                    weight(header("seq").parse().unwrap(), header("fault").contains("dup"));
                own[usize::try_from(record.partition).unwrap()].add(weight, record.timestamp_ms);
            }
        }
        let hex = |number: u64| format!("{number:016x}");
        for partition in topic["partitions"].as_array().unwrap() {
            let own = own[usize::try_from(partition["partition"].as_u64().unwrap()).unwrap()];
            assert_eq!(partition["acknowledged"], own.records);
            let times = json!({"first_ms": own.first_ms, "last_ms": own.last_ms,
                "sum": hex(own.sum), "digest": hex(own.digest),
                "digest_sec": hex(own.digest_sec), "weights": hex(own.weights)});
            assert_eq!(partition["times"], times);
        }
    }
}

#[test]
fn an_empty_batch_is_a_success_without_a_broker() {
    let finished = Producer::run(&nobody()).set("BATCH", "0").finish();
    finished.exits(0).says("0 of 0 planned records delivered");
    balanced(&finished);
}

#[test]
fn a_broker_that_is_never_there_is_unavailable_within_the_delivery_timeout() {
    let finished = Producer::run(&nobody()).set("DELIVERY_TIMEOUT_SEC", "5").finish();
    finished.exits(69).says("no broker answered within 4.5 s").says("Connection refused");
    assert_eq!((finished.sum("planned"), finished.sum("generated")), (40, 0));
}

#[test]
fn a_topic_that_does_not_come_into_being_is_unavailable() {
    let cluster = Cluster::start();
    cluster.mock.topic_error(TOPICS[1], E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let finished = cluster.run().set("DELIVERY_TIMEOUT_SEC", "1").finish();
    finished.exits(69).says(
        "topic token.usage.v1 does not exist and the cluster did not create it: \
         UnknownTopicOrPartition (Broker: Unknown topic or partition); create it, or name another \
         with TOPIC_TOKEN",
    );
    assert_eq!(finished.sum("generated"), 0);
}

#[test]
fn a_topic_that_may_not_be_seen_is_denied() {
    let cluster = Cluster::start();
    cluster.mock.topic_error(TOPICS[0], E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let finished = cluster.run().finish();
    finished
        .exits(77)
        .says("the cluster refused access: topic gpu.metrics.v1: TopicAuthorizationFailed (");
}

#[test]
fn records_that_the_cluster_may_not_take_are_denied() {
    let cluster = Cluster::start();
    let errors = [E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 50];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
    let finished = cluster.run().set("RDKAFKA_ENABLE_IDEMPOTENCE", "false").finish();
    finished
        .exits(77)
        .says(" x TopicAuthorizationFailed (Broker: Topic authorization failed) (gpu.metrics.v1)");
    assert_eq!((finished.sum("acknowledged"), finished.sum("failed")), (0, 40));
    balanced(&finished);
}

#[test]
fn a_passing_error_of_the_cluster_is_retried() {
    let cluster = Cluster::start();
    let errors = [E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 2];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &errors);
    let finished = cluster.run().finish();
    finished.exits(0);
    assert_eq!(by_seq(cluster.read(TOPICS[0], 20)).len(), 20);
}

#[test]
fn records_that_the_cluster_refuses_are_counted_by_kind_and_the_rest_is_delivered() {
    let cluster = Cluster::start();
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[E::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    let finished = cluster
        .run()
        .set("RDKAFKA_ENABLE_IDEMPOTENCE", "false")
        .set("RDKAFKA_BATCH_NUM_MESSAGES", "1")
        .finish();
    finished.exits(74).says("39 of 40 planned records delivered").says("1 failed, 0 unresolved");
    balanced(&finished);
    let errors = finished.report()["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["count"], 1);
    assert!(errors[0]["kind"].as_str().unwrap().contains("record"), "{}", errors[0]);
}

#[test]
fn a_record_too_large_for_the_client_fails_without_the_others() {
    let cluster = Cluster::start();
    let producer = cluster.run().set("RDKAFKA_MESSAGE_MAX_BYTES", "1000");
    let large = format!("\"note\": \"{}\", \"gpu_index\": 1", "x".repeat(2000));
    let seed = include_str!("../../gpu_seed.json").replace("\"gpu_index\": 1", &large);
    let seed = producer.file("seed.json", seed);
    let finished = producer.set("GPU_SEED", seed).set("RUN_SEED", "1").finish();
    finished
        .exits(74)
        .says(" x MessageSizeTooLarge (Broker: Message size too large) (gpu.metrics.v1)");
    balanced(&finished);
    assert_eq!(finished.report()["topics"][1]["acknowledged"], 20);
    assert!(finished.report()["topics"][0]["acknowledged"].as_u64().unwrap() > 0);
}

#[test]
fn a_queue_of_one_slows_the_run_down_and_loses_nothing() {
    let cluster = Cluster::start();
    let finished = cluster
        .run()
        .set("BATCH", "50")
        .set("RDKAFKA_QUEUE_BUFFERING_MAX_MESSAGES", "1")
        .set("RDKAFKA_LINGER_MS", "0")
        .finish();
    finished.exits(0);
    for topic in TOPICS {
        assert_eq!(
            by_seq(cluster.read(topic, 50)).into_keys().collect::<Vec<_>>(),
            (0..50).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_cluster_that_falls_silent_is_reported_with_what_is_open() {
    let cluster = Cluster::start();
    let running = cluster
        .run()
        .set("SLEEP_SEC", "0.02")
        .set("BATCH", "100000")
        .set("DELIVERY_TIMEOUT_SEC", "1")
        .start();
    cluster.read(TOPICS[1], 5);
    cluster.mock.broker_down(1).unwrap();
    let finished = running.finish();
    finished.exits(74).says("no answer from the cluster within the delivery timeout");
    balanced(&finished);
    assert!(finished.sum("acknowledged") >= 10);
    assert!(finished.sum("failed") + finished.sum("unresolved") > 0);
}

#[test]
fn a_signal_delivers_what_was_generated() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let cluster = Cluster::start();
        let running = cluster.run().set("SLEEP_SEC", "0.02").set("BATCH", "100000").start();
        cluster.read(TOPICS[1], 5);
        running.signal(signal);
        let finished = running.finish();
        finished.exits(code).says(&format!("stopped by SIG{signal}"));
        balanced(&finished);
        let generated = finished.report()["topics"][0]["generated"].as_u64().unwrap();
        assert_eq!(finished.sum("acknowledged"), 2 * generated);
        let count = usize::try_from(generated).unwrap();
        for topic in TOPICS {
            assert_eq!(by_seq(cluster.read(topic, usize::MAX)).len(), count);
        }
    }
}

#[test]
fn a_second_signal_ends_the_wait_and_leaves_the_open_records_unresolved() {
    let cluster = Cluster::start();
    let producer = cluster.run().set("SLEEP_SEC", "0.02").set("BATCH", "100000");
    let systemd = NotifySocket::bind(producer.directory());
    let running = producer.set("NOTIFY_SOCKET", systemd.path()).start();
    cluster.read(TOPICS[1], 5);
    // From here on nothing is answered; the status tells when that has left records open.
    cluster.mock.broker_round_trip_time(1, Duration::from_secs(600)).unwrap();
    let some_wait = |status: &str| status.contains(" waiting") && !status.contains(", 0 waiting");
    while !some_wait(&systemd.next()) {}
    running.signal("TERM");
    running.until_it_says("SIGTERM: stopping, waiting for what was sent; a second signal ends");
    running.signal("INT");
    let finished = running.finish();
    finished.exits(74).says("stopped by SIGTERM, a second signal ended the wait");
    assert!(finished.sum("unresolved") > 0);
    balanced(&finished);
}

#[test]
fn a_signal_before_there_is_a_broker_ends_the_run_at_once() {
    let running = Producer::run(&nobody()).start();
    running.until_it_says("Connection refused");
    running.signal("TERM");
    let finished = running.finish();
    finished.exits(143).says("stopped before the cluster was ready");
}

#[test]
fn a_run_ends_with_its_duration() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("SLEEP_SEC", "0.01").set("DURATION_SEC", "0.2").finish();
    finished.exits(0).says("40 of 40");
    let paced =
        cluster.run().set("SLEEP_SEC", "0.01").set("BATCH", "1000").set("DURATION_SEC", "0.1");
    paced.finish().exits(0).says("20 of 20 planned");
    let flood = cluster.run().set("BATCH", "1000000000").set("DURATION_SEC", "0.1").finish();
    flood.exits(0);
    assert_eq!(flood.sum("planned"), flood.sum("acknowledged"));
}

#[test]
fn without_key_and_headers_records_have_none() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("RECORD_KEY", "none").set("RECORD_HEADERS", "off").finish();
    finished.exits(0);
    let records = cluster.read(TOPICS[0], 20);
    assert!(records.iter().all(|r| r.key.is_none() && r.headers.is_empty()));
}

#[test]
fn the_report_of_a_run_that_waits_for_its_pairs_says_what_the_latency_consists_of() {
    const ROUND_TRIP_MS: u64 = 80;
    let cluster = Cluster::start();
    cluster.mock.broker_round_trip_time(1, Duration::from_millis(ROUND_TRIP_MS)).unwrap();
    // Longer than the client takes to say so for the first time.
    let paced = cluster.run().set("SLEEP_SEC", "0.05").set("BATCH", "40").finish();
    paced.exits(0);
    let latency = &paced.report()["latency_ms"];
    let part = |name: &str| latency["parts"][name].as_f64().unwrap_or_else(|| panic!("{latency}"));
    assert!(part("network_and_broker") >= ROUND_TRIP_MS as f64, "{latency}");
    assert!(part("client") > 0.0, "{latency}");
    assert!(part("throttle") < 0.001, "{latency}");
    let schema = validator(vm4_producer::report::SCHEMA);
    let errors: Vec<_> = schema.iter_errors(paced.report()).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    // At full speed each record would pay for it.
    let flood = cluster.run().finish();
    flood.exits(0);
    assert_eq!(flood.report()["latency_ms"]["parts"], Value::Null);
}
