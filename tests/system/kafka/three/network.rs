//! The network of three brokers: each has a network namespace of its own, with a wire to a switch,
//! and so has the host.
//!
//! The switch is a bridge in one more namespace, where no packet filter of the host comes between
//! the brokers. The name of the host's link reserves the subnet: the kernel refuses a second link of
//! that name.

use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::tools;

/// The subnets that are tried, each with its number as a byte of its addresses.
const SUBNETS: u32 = 250;

/// What the watchdog runs: it blocks until its input closes, which happens at the latest when the
/// test process ends, then removes the namespaces. The kernel removes the links in them, and with
/// each the link at its other end.
const WATCHDOG: &str = "trap '' HUP INT TERM; read -r _; for name; do ip netns delete $name; done";

/// The network; dropping it removes it. A test process that is killed drops nothing, and no process
/// drops its statics, but the watchdog sees to either.
pub struct Network {
    watchdog: Child,
    /// Of the three brokers.
    namespaces: [String; 3],
    switch: String,
    subnet: u8,
}

impl Network {
    /// Makes the namespaces, the switch and the wires.
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("vm4-{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let switch = format!("{name}-switch");
        let namespaces = [1, 2, 3].map(|number| format!("{name}-{number}"));
        tools::require("ip");
        let watchdog = Command::new("sh")
            .env("PATH", tools::PATH)
            .args(["-c", WATCHDOG, "watchdog", &switch])
            .args(&namespaces)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh to start");
        let mut network = Self { watchdog, namespaces, switch, subnet: 0 };
        network.make();
        network
    }

    fn make(&mut self) {
        ip(&["netns", "add", &self.switch]);
        ip(&["-n", &self.switch, "link", "add", "bridge", "type", "bridge"]);
        ip(&["-n", &self.switch, "link", "set", "bridge", "up"]);
        let (link, subnet) = reserve(&self.switch);
        self.subnet = subnet;
        ip(&["-n", &self.switch, "link", "set", "host", "master", "bridge", "up"]);
        ip(&["address", "add", &format!("{}/24", self.address(1)), "dev", &link]);
        ip(&["link", "set", &link, "up"]);
        for (index, namespace) in self.namespaces.iter().enumerate() {
            self.plug_in(&port(index), namespace, &self.host(index));
        }
    }

    /// Connects the namespace of a broker to the switch.
    fn plug_in(&self, port: &str, namespace: &str, address: &str) {
        ip(&["netns", "add", namespace]);
        let pair = ["type", "veth", "peer", "name", "wire", "netns", namespace];
        ip(&[&["-n", &self.switch, "link", "add", port], &pair[..]].concat());
        ip(&["-n", &self.switch, "link", "set", port, "master", "bridge", "up"]);
        ip(&["-n", namespace, "link", "set", "lo", "up"]);
        ip(&["-n", namespace, "address", "add", &format!("{address}/24"), "dev", "wire"]);
        ip(&["-n", namespace, "link", "set", "wire", "up"]);
    }

    /// The namespace of a broker.
    pub fn namespace(&self, index: usize) -> &str {
        &self.namespaces[index]
    }

    /// The address of a broker.
    pub fn host(&self, index: usize) -> String {
        self.address(index + 11)
    }

    /// Cuts the wire of a broker: nobody is told, packets are lost both ways.
    pub fn cut(&self, index: usize) {
        ip(&["-n", &self.switch, "link", "set", &port(index), "down"]);
    }

    /// Mends the wire of a broker, if it was cut.
    pub fn heal(&self, index: usize) {
        ip(&["-n", &self.switch, "link", "set", &port(index), "up"]);
    }

    fn address(&self, last: usize) -> String {
        format!("10.214.{}.{last}", self.subnet)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// The switch's end of the wire of a broker.
fn port(index: usize) -> String {
    format!("port{index}")
}

/// Connects the host to the switch with the first link whose name is free: its name and subnet.
fn reserve(switch: &str) -> (String, u8) {
    let first = process::id() % SUBNETS;
    for number in (0..SUBNETS).map(|step| (first + step) % SUBNETS + 1) {
        let link = format!("vm4k{number}");
        let pair = ["link", "add", &link, "type", "veth", "peer", "name", "host", "netns", switch];
        match try_ip(&pair) {
            Ok(()) => return (link, u8::try_from(number).expect("a subnet number fits a byte")),
            Err(text) if text.contains("File exists") => {}
            Err(text) => panic!("this host does not let the tests make a veth pair: {text}"),
        }
    }
    panic!("{SUBNETS} clusters run on this host: there is no subnet for another one");
}

#[track_caller]
fn ip(args: &[&str]) {
    try_ip(args).unwrap_or_else(|text| panic!("ip {} failed: {text}", args.join(" ")));
}

fn try_ip(args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(args).env("PATH", tools::PATH).env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().expect("ip to start");
    let complaint = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    output.status.success().then_some(()).ok_or_else(complaint)
}
