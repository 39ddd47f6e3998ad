//! librdkafka's mock cluster in the test's own process, read back with the program's reader.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use vm4_producer::kafka::embedded::mock_cluster;
use vm4_producer::kafka::reader::{self, ReadRecord};

use crate::common::Producer;
use crate::process::eventually;

/// The default topics.
pub const TOPICS: [&str; 2] = ["gpu.metrics.v1", "token.usage.v1"];

/// Partitions of each topic.
pub const PARTITIONS: i32 = 3;

/// A mock cluster with one broker.
pub struct Cluster {
    /// For injected errors.
    pub mock: MockCluster<'static, DefaultProducerContext>,
    partitions: i32,
}

/// A record that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Record timestamp, ms.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<String>,
    /// Headers in their order.
    pub headers: Vec<(String, String)>,
    /// Value.
    pub value: String,
}

impl Cluster {
    /// Starts a cluster with the default topics.
    pub fn start() -> Self {
        Self::start_with(1, PARTITIONS)
    }

    /// Starts a cluster of so many brokers, whose topics have so many partitions.
    pub fn start_with(brokers: i32, partitions: i32) -> Self {
        let mock = mock_cluster(brokers, TOPICS, partitions).expect("a mock cluster");
        Self { mock, partitions }
    }

    /// A run against it at full speed, with a report.
    pub fn run(&self) -> Producer {
        Producer::run(&self.bootstrap()).set("SLEEP_SEC", "0")
    }

    /// Its address.
    pub fn bootstrap(&self) -> String {
        self.mock.bootstrap_servers()
    }

    /// Waits until a topic has `count` records, and reads so many; with `usize::MAX`, all that it has.
    pub fn read(&self, topic: &str, count: usize) -> Vec<Received> {
        self.read_partitions(topic, self.partitions, count)
    }

    /// The same of a topic with another number of partitions.
    pub fn read_partitions(&self, topic: &str, partitions: i32, count: usize) -> Vec<Received> {
        let mut records = eventually(&format!("{count} records in {topic}"), || {
            let records = self.read_to_end(topic, partitions);
            (count == usize::MAX || records.len() >= count).then_some(records)
        });
        records.truncate(count);
        records
    }

    fn read_to_end(&self, topic: &str, partitions: i32) -> Vec<Received> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        let from = (0..partitions).map(|partition| (partition, 0)).collect();
        let (within, mut records) = (Duration::from_secs(30), Vec::new());
        let each = |record: &ReadRecord<'_>| records.push(received(record));
        reader::read(&config, topic, &from, within, || false, each).expect("the end of the log");
        records
    }
}

fn received(record: &ReadRecord<'_>) -> Received {
    // A fault can leave bytes that are no text.
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Received {
        partition: record.partition(),
        offset: record.offset(),
        timestamp_ms: record.timestamp_ms().unwrap_or(-1),
        key: record.key().map(text),
        headers: record.headers().map(|(name, value)| (name.to_owned(), text(value))).collect(),
        value: text(record.value().unwrap_or_default()),
    }
}
