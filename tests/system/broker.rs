//! A real Apache Kafka 4.3.0 broker for one test: a single KRaft node, broker
//! and controller in one JVM, on free loopback ports and in a temporary
//! directory.
//!
//! What a producer has to get right is decided by Kafka, not by a stand-in
//! that we would write with our own misunderstandings in it. So the tests run
//! the real thing, kill it, and start it again.
//!
//! Three of them can also be one cluster, each in a network namespace of its own:
//! see [`Seat`].
//!
//! It takes `java` (17 or newer), `kcat` and, the first time on a machine,
//! `mvn`.

mod acls;
mod config;
mod deletion;
pub mod jars;
mod jvm;
mod leaders;
mod node;
mod partitions;
mod topics;
mod wire;

use std::ops::Range;
use std::thread;
use std::time::Duration;

pub use acls::Operation;
use config::{Addresses, PLAINTEXT};
pub use config::{Options, Seat};
use jvm::Jvm;
use node::{Node, NotStarted};
pub use topics::Replicas;

use crate::{kcat, tools};

/// The longest that new topics may take to become usable.
const TOPICS_LIMIT: Duration = Duration::from_secs(30);
/// How often a start is tried when somebody else has taken a port.
const ATTEMPTS: u32 = 4;

/// A Kafka broker. Dropping it kills it and removes its data.
pub struct Broker {
    // Dropped in this order: the process first, then the files it uses.
    running: Option<Jvm>,
    node: Node,
    addresses: Addresses,
}

impl Broker {
    /// Starts a broker and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Starts a broker that differs from the plain one as `options` say.
    ///
    /// Panics with the end of the broker's log if it does not get ready.
    pub fn start_with(options: &Options<'_>) -> Self {
        retry(|| {
            let (addresses, held) = Addresses::reserve(options);
            let mut node = Node::new(options, &addresses);
            // The ports are ours until Kafka is about to take them.
            drop(held);
            Ok(Self { running: Some(node.launch()?), node, addresses })
        })
    }

    /// The address of the plaintext listener, which every broker has.
    pub fn bootstrap(&self) -> String {
        self.address(PLAINTEXT)
    }

    /// The address of one of [`Options::listeners`].
    pub fn address(&self, listener: &str) -> String {
        self.addresses.of(listener).to_owned()
    }

    /// Creates topics, each with its number of partitions.
    pub fn create_topics(&self, topics: &[(&str, u32)]) {
        self.create_topics_with(topics, &[]);
    }

    /// Creates topics that all have the given topic configs.
    ///
    /// Returns when each of their partitions can be used.
    pub fn create_topics_with(&self, topics: &[(&str, u32)], configs: &[(&str, &str)]) {
        let bootstrap = self.bootstrap();
        topics::create(&bootstrap, topics, Replicas::Count(1), configs)
            .unwrap_or_else(|error| panic!("{error}"));
        let ready = tools::comes_true(TOPICS_LIMIT, || {
            kcat::all_end_offsets(&bootstrap)
                .is_ok_and(|usable| topics.iter().all(|(name, _)| usable.contains_key(*name)))
        });
        assert!(ready, "the new topics {topics:?} did not become usable");
    }

    /// Deletes what is before an offset of a partition.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        deletion::before(&self.bootstrap(), topic, partition, before)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, topic: &str) {
        topics::delete(&self.bootstrap(), topic).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Creates topics with these replicas of each partition and these topic configs, and does not
    /// wait until they can be used.
    pub fn begin_topics(
        &self,
        topics: &[(&str, u32)],
        replicas: Replicas<'_>,
        configs: &[(&str, &str)],
    ) {
        topics::create(&self.bootstrap(), topics, replicas, configs)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Gives each topic so many partitions, and does not wait until the new ones can be used.
    pub fn add_partitions(&self, topics: &[&str], partitions: u32) {
        partitions::add(&self.bootstrap(), topics, partitions)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Makes the first of these brokers, which have the partitions, the leader of each.
    pub fn move_leaders(&self, topic: &str, partitions: Range<u32>, brokers: &[u8]) {
        leaders::move_to(&self.bootstrap(), topic, partitions, brokers)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Allows a user an operation on topics, where the broker has an authorizer.
    ///
    /// To be called before the topics are created: the broker takes such things
    /// in in their order, so once the topics can be used the right is in force.
    pub fn allow(&self, user: &str, operation: Operation, topics: &[&str]) {
        acls::allow(&self.bootstrap(), user, operation, topics)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Kills the broker as a crash would (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Stops the broker's process (SIGSTOP). Its connections stay open.
    pub fn pause(&self) {
        self.running.as_ref().expect("a running broker to pause").signal("STOP");
    }

    /// Lets a stopped process go on (SIGCONT).
    pub fn resume(&self) {
        self.running.as_ref().expect("a running broker to resume").signal("CONT");
    }

    /// Starts a killed broker again, with the same data on the same
    /// ports, and waits until it is ready.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the broker is running already");
        self.running = Some(retry(|| self.node.launch()));
    }

    /// Removes the logs of a topic from the disk of a broker that was killed.
    pub fn wipe(&self, topic: &str) {
        assert!(self.running.is_none(), "the broker is running");
        self.node.wipe(topic);
    }

    /// The first segment of a partition's log, as it is on the disk.
    pub fn log_file(&self, topic: &str, partition: i32) -> Vec<u8> {
        self.node.log_segment(topic, partition)
    }

    /// The end of the broker's log, warnings and worse since its last start.
    pub fn log_tail(&self) -> String {
        self.node.log_tail()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// Calls `start` until the ports are free or it has been tried often enough.
fn retry<T>(mut start: impl FnMut() -> Result<T, NotStarted>) -> T {
    let mut attempt = 1;
    loop {
        match start() {
            Ok(started) => return started,
            Err(NotStarted::PortTaken(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(NotStarted::PortTaken(error) | NotStarted::Failed(error)) => panic!("{error}"),
        }
    }
}
