//! A Kafka broker inside the process: librdkafka's mock cluster, for `demo`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

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
    /// Why no port can be listened on, or what librdkafka says.
    pub fn start(topics: &[&str]) -> Result<Self, String> {
        // librdkafka's mock cluster dies of a port that it is refused, as by systemd's SocketBindDeny=.
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|error| format!("it cannot listen on a port of 127.0.0.1: {error}"))?;
        let distinct: BTreeSet<&str> = topics.iter().copied().collect();
        let cluster = mock_cluster(1, distinct, PARTITIONS).map_err(|error| error.to_string())?;
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

/// A mock cluster with these topics of so many partitions.
///
/// # Errors
/// What librdkafka says.
pub fn mock_cluster<'a>(
    brokers: i32,
    topics: impl IntoIterator<Item = &'a str>,
    partitions: i32,
) -> KafkaResult<MockCluster<'static, DefaultProducerContext>> {
    let cluster = MockCluster::new(brokers)?;
    for topic in topics {
        cluster.create_topic(topic, partitions, 1)?;
        // Without a round the next order may be late, and nothing else.
        let _late = wait_a_round(&cluster);
    }
    Ok(cluster)
}

/// Waits until the cluster's thread has read the wake-up of the last order.
///
/// It answers an order before it reads its wake-up, and reads that of another order with it, which
/// then waits for a second. The end of a connection is answered in a later round.
fn wait_a_round(cluster: &MockCluster<'static, DefaultProducerContext>) -> io::Result<usize> {
    let bootstrap = cluster.bootstrap_servers();
    let mut stream = TcpStream::connect(bootstrap.split(',').next().unwrap_or_default())?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.shutdown(Shutdown::Write)?;
    stream.read(&mut [0])
}
