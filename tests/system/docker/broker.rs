//! A real Kafka on the engine's host, which containers of every network reach.

use std::sync::LazyLock;

use serde_json::Value;

use super::engine::{HOST, engine};
use super::stand_ins;

/// Partitions of every topic.
pub const PARTITIONS: u32 = 3;

/// A record as kcat read it: what a run decides about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub key: String,
    pub headers: Vec<String>,
    pub timestamp_ms: i64,
    pub value: String,
}

/// The address of the broker, started the first time.
pub fn bootstrap() -> &'static str {
    static BOOTSTRAP: LazyLock<String> = LazyLock::new(|| {
        let bootstrap = format!("{HOST}:9092");
        let listeners = format!("KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://{bootstrap}");
        let settings = [
            "KAFKA_NODE_ID=1",
            "KAFKA_PROCESS_ROLES=broker,controller",
            "KAFKA_LISTENERS=PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
            "KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE=false",
            // The tests backfill, at times that stay the same while the calendar moves on.
            "KAFKA_LOG_RETENTION_MS=-1",
            &listeners,
        ];
        let mut command = vec!["docker", "run", "--detach", "--name=broker", "--network=host"];
        command.extend(settings.iter().flat_map(|setting| ["--env", setting]));
        command.push(stand_ins::kafka());
        engine().run(&command).exits(0);
        engine().wait_until("Kafka answers", || {
            let list = ["docker", "exec", "broker", "kcat", "-L", "-m", "2", "-b", &bootstrap];
            engine().run(&list).code == Some(0)
        });
        bootstrap
    });
    &BOOTSTRAP
}

/// Makes the two topics `NAME.metrics` and `NAME.tokens`.
pub fn create_topics(name: &str) -> [String; 2] {
    let topics = [format!("{name}.metrics"), format!("{name}.tokens")];
    create(&topics.each_ref().map(String::as_str));
    topics
}

/// Makes topics.
pub fn create(topics: &[&str]) {
    for topic in topics {
        let tool = ["docker", "exec", "broker", "/opt/kafka/bin/kafka-topics.sh", "--create"];
        let partitions = PARTITIONS.to_string();
        let what = ["--topic", topic, "--partitions", &partitions, "--bootstrap-server"];
        bootstrap();
        engine().run(&[&tool[..], &what, &[bootstrap()]].concat()).exits(0);
    }
}

/// Every record of both topics.
pub fn records(topics: &[&str]) -> Vec<Record> {
    let read = |topic: &&str| read("broker", bootstrap(), topic);
    topics.iter().flat_map(read).map(|record| record.content()).collect()
}

/// How many records are in a topic, of which more may come.
pub fn count(topic: &str) -> u64 {
    let ends: Vec<_> = (0..PARTITIONS).map(|number| format!("{topic}:{number}:-1")).collect();
    let mut command = vec!["docker", "exec", "broker", "kcat", "-Q", "-J", "-b", bootstrap()];
    command.extend(ends.iter().flat_map(|end| ["-t", end]));
    let answer: Value = serde_json::from_str(&engine().run(&command).text()).expect("JSON");
    let end = |number: u32| answer[topic][number.to_string()]["offset"].as_u64();
    (0..PARTITIONS).map(|number| end(number).expect("an offset")).sum()
}

/// A record with its place in the log.
pub struct Received(Value);

impl Received {
    /// The partition that it was read from.
    pub fn partition(&self) -> u64 {
        self.0["partition"].as_u64().expect("a partition")
    }

    /// What a run decided about it.
    pub fn content(&self) -> Record {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let headers = self.0["headers"].as_array().expect("headers");
        Record {
            key: text(&self.0["key"]),
            headers: headers.iter().map(text).collect(),
            timestamp_ms: self.0["ts"].as_i64().expect("a timestamp"),
            value: text(&self.0["payload"]),
        }
    }
}

/// Reads a topic to its end with kcat, in this container.
pub fn read(container: &str, bootstrap: &str, topic: &str) -> Vec<Received> {
    let kcat = ["docker", "exec", container, "kcat", "-C", "-e", "-J", "-q", "-o", "beginning"];
    let which = ["-b", bootstrap, "-t", topic];
    let lines = engine().run(&[&kcat[..], &which].concat()).exits(0).stdout;
    lines.lines().map(|line| Received(serde_json::from_str(line).expect("JSON"))).collect()
}
