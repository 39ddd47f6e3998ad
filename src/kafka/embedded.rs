//! A Kafka broker inside the process: librdkafka's mock cluster, for `demo`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::Offset;

/// Partitions of each topic of the embedded broker.
pub const PARTITIONS: i32 = 3;

/// A broker that lives as long as this value.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker").field("bootstrap", &self.bootstrap()).finish()
    }
}

impl EmbeddedBroker {
    /// Starts a broker on a free loopback port, with the topics.
    ///
    /// # Errors
    /// What librdkafka says.
    pub fn start(topics: &[&str]) -> KafkaResult<Self> {
        let cluster = MockCluster::new(1)?;
        let distinct: BTreeMap<&str, ()> = topics.iter().map(|topic| (*topic, ())).collect();
        for topic in distinct.keys() {
            cluster.create_topic(topic, PARTITIONS, 1)?;
        }
        Ok(Self { cluster })
    }

    /// Address of the broker.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Reads `count` records from the start of a topic, or as many as come within `within`.
    ///
    /// # Errors
    /// What librdkafka says.
    pub fn read(
        &self,
        topic: &str,
        count: usize,
        within: Duration,
    ) -> KafkaResult<Vec<OwnedMessage>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", "vm4-producer-demo")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.ms", "10")
            // An empty partition must not hold up the answer about the others.
            .set("fetch.wait.max.ms", "5")
            .create()?;
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            // Not `Beginning`, which would have to be asked for first.
            partitions.add_partition_offset(topic, partition, Offset::Offset(0))?;
        }
        consumer.assign(&partitions)?;
        let deadline = Instant::now() + within;
        let mut records = Vec::with_capacity(count);
        while records.len() < count && Instant::now() < deadline {
            if let Some(message) = consumer.poll(Duration::from_millis(50)) {
                let record = message.as_ref().map(BorrowedMessage::detach);
                records.push(record.map_err(Clone::clone)?);
            }
        }
        Ok(records)
    }
}
