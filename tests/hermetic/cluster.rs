//! librdkafka's mock cluster in the test's own process, and a consumer that reads it back.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::Offset;
use vm4_producer::kafka::embedded::mock_cluster;

use crate::common::Producer;

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

    /// Reads a topic from its start until `count` records have come.
    ///
    /// With `usize::MAX` it reads until nothing has come for a while.
    pub fn read(&self, topic: &str, count: usize) -> Vec<Received> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", "test")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "5")
            .create()
            .expect("a consumer");
        let mut partitions = TopicPartitionList::new();
        for partition in 0..self.partitions {
            partitions
                .add_partition_offset(topic, partition, Offset::Offset(0))
                .expect("a partition");
        }
        consumer.assign(&partitions).expect("an assignment");
        let mut records = Vec::new();
        let mut idle_since = Instant::now();
        let patience = Duration::from_secs(if count == usize::MAX { 2 } else { 30 });
        while records.len() < count && idle_since.elapsed() < patience {
            if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                records.push(received(&message.expect("a record")));
                idle_since = Instant::now();
            }
        }
        assert!(count == usize::MAX || records.len() == count, "{} of {count}", records.len());
        records
    }
}

fn received(message: &impl Message) -> Received {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let headers = message.headers().map(|headers| {
        let headers = headers.iter();
        headers.map(|h| (h.key.to_owned(), text(h.value.unwrap_or_default()))).collect()
    });
    Received {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(text),
        headers: headers.unwrap_or_default(),
        value: text(message.payload().unwrap_or_default()),
    }
}
