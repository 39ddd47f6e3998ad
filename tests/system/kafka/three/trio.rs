//! Three real brokers that are one cluster, and what can happen to them.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use super::super::proxy::Proxy;
use super::network::Network;
use crate::broker::{Broker, Options, Replicas, Seat};
use crate::cluster::{PARTITIONS, Topics};
use crate::{kcat, tools};

/// Replicas of every partition.
pub const REPLICAS: u16 = 3;
/// The longest that the brokers may take to find each other, or each other's records.
const PATIENCE: Duration = Duration::from_secs(120);
/// What differs from a single broker. A busy machine must not look like a broker's end, so a
/// session is as long as Kafka has it.
const PROPERTIES: [(&str, &str); 4] = [
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("broker.session.timeout.ms", "9000"),
    ("broker.heartbeat.interval.ms", "2000"),
];

/// Three brokers. Each has two listeners, one of which clients reach through a proxy.
pub struct Trio {
    // Dropped in this order: the processes first, then the network they are in.
    brokers: [Broker; 3],
    proxies: [Proxy; 3],
    network: Network,
}

impl Trio {
    /// Starts the three at once, and waits until each of them knows all.
    pub fn start() -> Self {
        let started = Instant::now();
        let network = Network::new();
        let hosts = [0, 1, 2].map(|index| network.host(index));
        let proxies = [0, 1, 2].map(|_| Proxy::listen());
        let brokers = thread::scope(|scope| {
            let starting = [(0, 1), (1, 2), (2, 3)].map(|(index, number)| {
                let namespace = network.namespace(index);
                let (seat, proxy) = (Seat { number, namespace, hosts: &hosts }, &proxies[index]);
                scope.spawn(move || start_broker(seat, proxy))
            });
            starting.map(|broker| broker.join().expect("a broker"))
        });
        for (proxy, broker) in proxies.iter().zip(&brokers) {
            proxy.forward_to(broker.address("PROXIED"));
        }
        let trio = Self { brokers, proxies, network };
        trio.wait_until_complete();
        println!("three brokers: up after {:.1} s", started.elapsed().as_secs_f64());
        trio
    }

    /// The addresses of all three.
    pub fn bootstrap(&self) -> String {
        self.brokers.each_ref().map(Broker::bootstrap).join(",")
    }

    /// The addresses of the proxies before the three.
    pub fn proxied(&self) -> String {
        self.proxies.each_ref().map(Proxy::address).join(",")
    }

    /// The proxies before the three.
    pub fn proxies(&self) -> &[Proxy; 3] {
        &self.proxies
    }

    /// Creates the two topics of a test, and before them one that nobody writes to, of so many
    /// partitions. Does not wait until they can be used: the more there is to create, the longer it
    /// takes from the moment that a broker names the leaders to the moment that they know.
    pub fn begin_topics(&self, label: &str, neighbours: u32) -> Topics {
        let topics = Topics::at(self.bootstrap(), label);
        let neighbour = format!("{label}.beside");
        let [metric, token] = topics.both().map(|topic| (topic, PARTITIONS));
        let all = [(neighbour.as_str(), neighbours), metric, token];
        let all = if neighbours == 0 { &all[1..] } else { &all };
        self.brokers[0].begin_topics(all, Replicas::Count(REPLICAS), &[]);
        topics
    }

    /// Creates the two topics of a test, and waits until they can be used.
    pub fn create_topics(&self, label: &str) -> Topics {
        let topics = self.begin_topics(label, 0);
        self.wait_until_whole(&topics);
        topics
    }

    /// Creates the two topics of a test with replicas on the first two brokers only, of which the first
    /// one leads; waits until they can be used.
    pub fn create_topics_on_two(&self, label: &str, configs: &[(&str, &str)]) -> Topics {
        let topics = Topics::at(self.bootstrap(), label);
        let both = topics.both().map(|topic| (topic, PARTITIONS));
        self.brokers[0].begin_topics(&both, Replicas::On(&[1, 2]), configs);
        self.wait_until_in_sync(&topics, 2);
        topics
    }

    /// Deletes a topic and creates it again, and does not wait until it can be used.
    pub fn remake(&self, topic: &str) {
        self.brokers[0].delete_topic(topic);
        self.brokers[0].begin_topics(&[(topic, PARTITIONS)], Replicas::Count(REPLICAS), &[]);
    }

    /// Gives both topics so many partitions, and does not wait until the new ones can be used.
    pub fn add_partitions(&self, topics: &Topics, partitions: u32) {
        self.brokers[0].add_partitions(&topics.both(), partitions);
    }

    /// Makes this broker the leader of partitions of both topics.
    pub fn move_leaders(&self, topics: &Topics, partitions: Range<u32>, to: usize) {
        let order = [0, 1, 2].map(|step| [1, 2, 3][(to + step) % 3]);
        for topic in topics.both() {
            self.brokers[0].move_leaders(topic, partitions.clone(), &order);
        }
    }

    /// Which broker leads a partition.
    pub fn leader_of(&self, topic: &str, partition: i32) -> usize {
        let placements = kcat::placements(&self.bootstrap(), topic);
        let placements = placements.unwrap_or_else(|error| panic!("{error}"));
        let leader = placements.get(&partition).and_then(|at| usize::try_from(at.leader).ok());
        leader.unwrap_or_else(|| panic!("nobody leads {topic}, partition {partition}")) - 1
    }

    /// Cuts a broker off from everybody: nobody is told, packets are lost both ways.
    pub fn cut(&self, index: usize) {
        self.network.cut(index);
    }

    /// Stops a broker's process. Its connections stay open.
    pub fn pause(&self, index: usize) {
        self.brokers[index].pause();
    }

    /// Lets a stopped process go on.
    pub fn resume(&self, index: usize) {
        self.brokers[index].resume();
    }

    /// Undoes all that was done to the brokers, and waits until each of them knows all.
    pub fn restore(&self) {
        for index in 0..3 {
            self.network.heal(index);
            self.resume(index);
        }
        self.wait_until_complete();
    }

    /// Waits until every replica of both topics has all that is in them.
    #[track_caller]
    pub fn wait_until_whole(&self, topics: &Topics) {
        self.wait_until_in_sync(topics, usize::from(REPLICAS));
    }

    /// Waits until so many replicas of both topics are in sync, and no more.
    #[track_caller]
    pub fn wait_until_in_sync(&self, topics: &Topics, replicas: usize) {
        let whole = tools::comes_true(PATIENCE, || {
            topics.both().into_iter().all(|topic| is_in_sync(&topics.bootstrap, topic, replicas))
        });
        assert!(whole, "{topics:?} have no {replicas} replicas in sync within {PATIENCE:?}");
    }

    #[track_caller]
    fn wait_until_complete(&self) {
        let complete = tools::comes_true(PATIENCE, || {
            self.brokers.iter().all(|broker| kcat::brokers(&broker.bootstrap()) == Ok(3))
        });
        assert!(complete, "the three brokers are no cluster within {PATIENCE:?}");
    }
}

fn start_broker(seat: Seat<'_>, proxy: &Proxy) -> Broker {
    Broker::start_with(&Options {
        seat: Some(seat),
        properties: &PROPERTIES,
        listeners: &[("PROXIED", "PLAINTEXT")],
        advertised: &[("PROXIED", proxy.address())],
        ..Options::default()
    })
}

/// Whether each partition has a leader that answers, and with its followers that have all it has is
/// so many.
fn is_in_sync(bootstrap: &str, topic: &str, replicas: usize) -> bool {
    let placed = kcat::placements(bootstrap, topic).is_ok_and(|partitions| {
        let complete = |at: &kcat::Placement| at.leader > 0 && at.in_sync == replicas;
        !partitions.is_empty() && partitions.values().all(complete)
    });
    placed && kcat::try_end_offsets(bootstrap, topic).is_ok()
}
