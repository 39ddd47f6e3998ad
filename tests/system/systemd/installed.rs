//! A machine with the package installed, and a Kafka cluster of the host that it reaches.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::broker::{Broker, Options};
use crate::cluster::Topics;
use crate::machine::{Machine, Release};
use crate::package::package;

/// The unit of the package.
pub const UNIT: &str = "vm4-producer.service";

/// The env file of the package.
pub const ENV_FILE: &str = "/etc/vm4-producer.env";

/// The names under which the brokers are advertised: each machine knows them by its own addresses
/// of the host.
pub const NAMES: [&str; 2] = ["kafka-1.test", "kafka-2.test"];

/// Partitions of every topic: over two brokers, so that both get records.
const PARTITIONS: u32 = 4;

/// A Kafka cluster of two brokers that machines reach.
pub struct Cluster {
    pub first: Broker,
    pub second: Broker,
}

/// The cluster of all tests that do not change one.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
        let listeners = [("OUTSIDE", "PLAINTEXT")];
        let options = Options { listeners: &listeners, ..Options::default() };
        let first = [("OUTSIDE", NAMES[0])];
        let first = Broker::start_with(&Options { reached_as: &first, ..options });
        let second = [("OUTSIDE", NAMES[1])];
        let second = Options { reached_as: &second, joins: Some(&first), ..options };
        let second = Broker::start_with(&second);
        Cluster { first, second }
    });
    &CLUSTER
}

/// The port of a broker's listener for machines.
pub fn port(broker: &Broker) -> u16 {
    let address = broker.address("OUTSIDE");
    address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address has a port")
}

/// New topics on this broker, with these configs of the metric topic.
pub fn new_topics(broker: &Broker, configs: &[(&str, &str)]) -> Topics {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Topics::create_with(broker, &number.to_string(), PARTITIONS, configs)
}

/// A machine with the package, whose names of the brokers lead to the cluster.
pub struct Installed {
    pub machine: Machine,
    /// The address of the host for each broker.
    pub addresses: [IpAddr; 2],
    pub topics: Topics,
}

impl Installed {
    /// Installs the package, and has its settings name both brokers by address.
    pub fn new(release: Release) -> Self {
        let installed = Self::without_egress(release);
        let [first, second] = installed.addresses;
        installed
            .set(&format!("KAFKA_BOOTSTRAP={first}:{}\nEGRESS_ALLOW={second}\n", installed.port()));
        installed
    }

    /// Installs the package as it is, and makes topics for it.
    pub fn without_egress(release: Release) -> Self {
        let machine = Machine::boot(release);
        machine.install(&package()).success();
        let addresses = [machine.host_address_v4().into(), machine.add_host_address().v4.into()];
        let topics = new_topics(&cluster().first, &[]);
        let installed = Self { machine, addresses, topics };
        installed.name(addresses);
        installed
    }

    /// The port of the first broker.
    pub fn port(&self) -> u16 {
        port(&cluster().first)
    }

    /// Has the brokers' names lead to these addresses.
    pub fn name(&self, addresses: [IpAddr; 2]) {
        let [first, second] = addresses;
        let hosts = format!("127.0.0.1 localhost\n{first} {}\n{second} {}\n", NAMES[0], NAMES[1]);
        self.machine.put("/etc/hosts", hosts, 0o644);
    }

    /// Writes the env file anew, with the topics and these lines, and has systemd read it.
    pub fn set(&self, lines: &str) {
        let text = format!("{}SLEEP_SEC=0\n{lines}", self.topics.settings());
        self.machine.put(ENV_FILE, text, 0o644);
        self.machine.run(&["systemctl", "daemon-reload"]).success();
    }

    /// Has the env file say this in place of `SLEEP_SEC=0`, and returns its new text.
    pub fn slow_down(&self, lines: &str) -> String {
        let text = self.machine.read(ENV_FILE).replace("SLEEP_SEC=0\n", lines);
        self.machine.put(ENV_FILE, &text, 0o644);
        text
    }

    /// Has runs say which seed they have, which is no news at the usual level of the log.
    pub fn tell_of_the_seed(&self) {
        let text = self.machine.read(ENV_FILE) + "RUST_LOG=vm4_producer=debug\n";
        self.machine.put(ENV_FILE, text, 0o644);
    }

    /// Writes a drop-in of the administrator for a unit.
    pub fn drop_in(&self, unit: &str, lines: &str) {
        self.machine.put(&format!("/etc/systemd/system/{unit}.d/test.conf"), lines, 0o644);
        self.machine.run(&["systemctl", "daemon-reload"]).success();
    }

    /// The summaries in the journal, oldest first.
    pub fn summaries(&self) -> Vec<BTreeMap<String, String>> {
        let id = format!("MESSAGE_ID={}", vm4_producer::host::log::SUMMARY_MESSAGE_ID);
        let fields = |entry: Value| {
            let object = entry.as_object().expect("an entry is an object").clone();
            let text = |value: Value| value.as_str().map_or(value.to_string(), str::to_owned);
            object.into_iter().map(|(name, value)| (name, text(value))).collect()
        };
        self.machine.journal(&[&id]).into_iter().map(fields).collect()
    }

    /// The last summary.
    #[track_caller]
    pub fn summary(&self) -> BTreeMap<String, String> {
        self.summaries().pop().expect("a summary in the journal")
    }
}
