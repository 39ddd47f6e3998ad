//! A Kafka broker inside the process: librdkafka's mock cluster, for `demo`.

use std::collections::BTreeMap;

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Partitions of each topic of the embedded broker.
const PARTITIONS: i32 = 3;

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

    /// Where each partition of a topic begins.
    #[must_use]
    pub fn beginning(&self) -> BTreeMap<i32, i64> {
        (0..PARTITIONS).map(|partition| (partition, 0)).collect()
    }
}
