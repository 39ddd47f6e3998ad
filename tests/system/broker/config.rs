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
/// The ports of a broker that has a network of its own.
const CONTROLLER_PORT: u16 = 9090;
const FIRST_CLIENT_PORT: u16 = 9092;

/// Properties of every broker, chosen for one node that starts fast and keeps
/// out of the tests' way. [`Options::properties`] override them.
const DEFAULTS: [(&str, &str); 18] = [
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
    // The tests backfill, at times that stay the same while the calendar moves on.
    ("log.retention.ms", "-1"),
];

/// The place of a broker among three that are one cluster.
///
/// Each is a controller too, and runs in a network namespace of its own, in which
/// every port is free.
#[derive(Clone, Copy)]
pub struct Seat<'a> {
    /// Its number: 1, 2 or 3.
    pub number: u8,
    /// The network namespace that it runs in.
    pub namespace: &'a str,
    /// The host of each of the three, in the order of their numbers.
    pub hosts: &'a [String; 3],
}

impl Seat<'_> {
    /// Where the controller of each of the three listens.
    fn controllers(self) -> [String; 3] {
        std::array::from_fn(|index| format!("{}:{CONTROLLER_PORT}", self.hosts[index]))
    }

    /// The index of its own part of anything that all three have.
    fn index(self) -> usize {
        usize::from(self.number) - 1
    }
}

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
    /// The place of this broker among three.
    pub seat: Option<Seat<'a>>,
    /// Arguments for the `java` that runs the broker, after the harness's own
    /// so that they win.
    pub jvm_args: &'a [&'a str],
    /// Environment variables for that `java`.
    pub env: &'a [(&'a str, &'a str)],
    /// An id of its own for its cluster; else all of the tests' brokers have the same.
    pub cluster_id: Option<&'a str>,
    /// Arguments for `StorageTool format`, such as `--add-scram` to create
    /// SCRAM users.
    pub format_args: &'a [&'a str],
}

/// Where a broker listens.
pub struct Addresses {
    controller: String,
    /// The number and address of each controller, as Kafka wants them.
    voters: String,
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
        if let Some(seat) = options.seat {
            return (Self::seated(options, seat), Vec::new());
        }
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
        let controller = match options.joins {
            Some(other) => other.addresses.controller.clone(),
            None => next(LOOPBACK),
        };
        let addresses = Self {
            voters: format!("1@{controller}"),
            controller,
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

    /// The addresses of one of three brokers.
    fn seated(options: &Options<'_>, seat: Seat<'_>) -> Self {
        let controllers = seat.controllers();
        let voters = (1..).zip(&controllers).map(|(id, address)| format!("{id}@{address}"));
        let names = options.listeners.iter().map(|(name, _)| *name);
        let clients = iter::once(PLAINTEXT).chain(names).zip(FIRST_CLIENT_PORT..);
        let host = &seat.hosts[seat.index()];
        Self {
            voters: voters.collect::<Vec<_>>().join(","),
            clients: clients
                .map(|(name, port)| (name.to_owned(), format!("{host}:{port}")))
                .collect(),
            controller: controllers[seat.index()].clone(),
        }
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
    let both = || format!("{clients},{CONTROLLER}://{controller}");
    let (roles, id, listeners) = match (options.seat, options.joins) {
        (Some(seat), _) => ("broker,controller", seat.number, both()),
        (None, None) => ("broker,controller", 1, both()),
        (None, Some(_)) => ("broker", 2, clients),
    };
    let own = [
        ("process.roles", roles.to_owned()),
        ("node.id", id.to_string()),
        ("listeners", listeners),
        ("advertised.listeners", advertised),
        ("inter.broker.listener.name", PLAINTEXT.to_owned()),
        ("listener.security.protocol.map", protocols),
        ("controller.quorum.voters", addresses.voters.clone()),
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
