//! The ports, the `server.properties` and the logging set-up of a test broker.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::Broker;

/// The listener that the harness itself uses. Every broker has it.
pub const PLAINTEXT: &str = "PLAINTEXT";
const CONTROLLER: &str = "CONTROLLER";
const LOOPBACK: &str = "127.0.0.1";

/// Properties of every broker, chosen for one node that starts fast and keeps
/// out of the tests' way. [`Options::properties`] override them.
const DEFAULTS: [(&str, &str); 17] = [
    ("controller.listener.names", CONTROLLER),
    ("auto.create.topics.enable", "false"),
    ("num.partitions", "1"),
    ("default.replication.factor", "1"),
    ("min.insync.replicas", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    // After a SIGKILL the controller turns the broker's new incarnation away
    // until the old one's session has run out. Kafka's 9 s would be most of a
    // restart; much less would fence the broker whenever the machine is busy.
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
    // Kafka's 128 MB would be a quarter of the test broker's heap.
    ("log.cleaner.dedupe.buffer.size", "2097152"),
    ("num.io.threads", "4"),
];

/// What a test may ask for beyond a plain broker.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Server properties to add or to override.
    pub properties: &'a [(&'a str, &'a str)],
    /// Listeners beside the plaintext one: a name and its security protocol,
    /// as in `("SASL", "SASL_PLAINTEXT")`. Each gets a free port.
    pub listeners: &'a [(&'a str, &'a str)],
    /// Listeners that clients reach at another address than the broker's own,
    /// such as a proxy's: a name of the above and that address.
    pub advertised: &'a [(&'a str, &'a str)],
    /// Listeners on every address of the host, for clients on other machines: a
    /// name of the above, and the host name that is advertised with its port.
    pub reached_as: &'a [(&'a str, &'a str)],
    /// The controller of this broker: the new one, whose number is 2, becomes
    /// a part of its cluster.
    pub joins: Option<&'a Broker>,
    /// Arguments for the `java` that runs the broker, after the harness's own
    /// so that they win.
    pub jvm_args: &'a [&'a str],
    /// Environment variables for that `java`.
    pub env: &'a [(&'a str, &'a str)],
    /// Arguments for `StorageTool format`, such as `--add-scram` to create
    /// SCRAM users.
    pub format_args: &'a [&'a str],
}

/// Where a broker listens.
pub struct Addresses {
    controller: String,
    /// The client listeners, by name.
    clients: Vec<(String, String)>,
}

impl Addresses {
    /// Picks a free port for each listener. The ports stay taken
    /// until the returned listeners are dropped.
    ///
    /// No port is given twice in one process, so that a broker which is down
    /// finds its own ports free when it starts again.
    pub fn reserve(options: &Options<'_>) -> (Self, Vec<TcpListener>) {
        static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Vec::new();
        let mut next = |host: &str| {
            loop {
                let listener = TcpListener::bind((host, 0)).expect("a free port");
                let address = listener.local_addr().expect("its address");
                held.push(listener);
                if given.insert(address.port()) {
                    return address.to_string();
                }
            }
        };
        let names = options.listeners.iter().map(|(name, _)| *name);
        let is_open = |name| options.reached_as.iter().any(|(open, _)| *open == name);
        let addresses = Self {
            controller: match options.joins {
                Some(other) => other.addresses.controller.clone(),
                None => next(LOOPBACK),
            },
            clients: iter::once(PLAINTEXT)
                .chain(names)
                .map(|name| {
                    let host = if is_open(name) { "0.0.0.0" } else { LOOPBACK };
                    (name.to_owned(), next(host))
                })
                .collect(),
        };
        (addresses, held)
    }

    /// The address of the client listener `name`.
    pub fn of(&self, name: &str) -> &str {
        let found = self.clients.iter().find(|(listener, _)| listener == name);
        let (_, address) = found.unwrap_or_else(|| panic!("there is no listener {name}"));
        address
    }
}

/// The text of `server.properties` for a broker whose data is in `data`.
pub fn server_properties(options: &Options<'_>, data: &Path, addresses: &Addresses) -> String {
    let controller = &addresses.controller;
    let written = |(name, address): (&str, &str)| format!("{name}://{address}");
    let clients =
        || addresses.clients.iter().map(|(name, address)| (name.as_str(), address.as_str()));
    let advertised = clients().map(|(name, own)| {
        let find = |list: &[(&str, &str)]| {
            list.iter().find(|(listener, _)| *listener == name).map(|(_, to)| (*to).to_owned())
        };
        let port = own.rsplit(':').next().unwrap_or_default();
        let by_name = find(options.reached_as).map(|host| format!("{host}:{port}"));
        (name, find(options.advertised).or(by_name).unwrap_or_else(|| own.to_owned()))
    });
    let advertised: Vec<_> = advertised.collect();
    let advertised = advertised.iter().map(|(name, address)| (*name, address.as_str()));
    let advertised = advertised.map(written).collect::<Vec<_>>().join(",");
    let clients = clients().map(written).collect::<Vec<_>>().join(",");
    let protocols = [(CONTROLLER, PLAINTEXT), (PLAINTEXT, PLAINTEXT)]
        .iter()
        .chain(options.listeners)
        .map(|(name, protocol)| format!("{name}:{protocol}"))
        .collect::<Vec<_>>()
        .join(",");
    let (roles, id, listeners) = match options.joins {
        Some(_) => ("broker", "2", clients),
        None => ("broker,controller", "1", format!("{clients},{CONTROLLER}://{controller}")),
    };
    let own = [
        ("process.roles", roles.to_owned()),
        ("node.id", id.to_owned()),
        ("listeners", listeners),
        ("advertised.listeners", advertised),
        ("inter.broker.listener.name", PLAINTEXT.to_owned()),
        ("listener.security.protocol.map", protocols),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("log.dirs", data.display().to_string()),
    ];
    let mut all: BTreeMap<&str, &str> = DEFAULTS.into_iter().collect();
    all.extend(own.iter().map(|(name, value)| (*name, value.as_str())));
    all.extend(options.properties.iter().copied());
    all.iter()
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('\n', "\\n");
            format!("{name}={value}\n")
        })
        .collect()
}

/// A log4j2 set-up that writes warnings and worse to the file that the system
/// property `broker.log` names.
pub const LOG4J2: &str = "\
status=error
appender.file.type=File
appender.file.name=file
appender.file.fileName=${sys:broker.log}
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %m (%c)%n
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
";
