//! The wire between a machine and its host, on which a broker of the host is reached.
//!
//! A machine has a network namespace without a route to anywhere but the host. Each machine gets a
//! subnet of its own, so that machines of several test processes run side by side. The name of the
//! link on the host reserves the subnet: the kernel refuses a second link of that name.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use super::tools::host;

/// The subnets that are tried, each with its number as a byte of its addresses.
const SUBNETS: u32 = 250;

/// The machine's own last byte; the host has 1 and everything from 3 on.
const GUEST: u8 = 2;

/// An address of each family, on one side of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
}

/// The wire of a machine; dropping it removes both ends.
pub struct Wire {
    /// The process whose network namespace has the machine's end.
    init: String,
    link: String,
    subnet: u8,
    /// The last byte that the next address of the host gets.
    next: AtomicU8,
    removed: bool,
}

impl Wire {
    /// Connects the network namespace of the process `init` to the host.
    pub fn attach(init: u32) -> Self {
        let wire = Self::reserve(init.to_string());
        let guest = wire.addresses(GUEST);
        let inside =
            |args: &[&str]| ip(&[&["nsenter", "-t", &wire.init, "-n", "ip"], args].concat());
        inside(&["link", "set", "lo", "up"]);
        inside(&["link", "set", "host0", "up"]);
        inside(&["addr", "add", &format!("{}/24", guest.v4), "dev", "host0"]);
        // Without duplicate address detection an IPv6 address can be used at once.
        inside(&["addr", "add", &format!("{}/64", guest.v6), "dev", "host0", "nodad"]);
        ip(&["ip", "link", "set", &wire.link, "up"]);
        wire.add_addresses(wire.host());
        wire
    }

    /// Removes both ends, as long as the machine lives.
    ///
    /// By the machine's end: without the machine the kernel removes the wire, and the name of the
    /// host's end may by then be that of another machine.
    pub fn remove(&mut self) {
        if !std::mem::replace(&mut self.removed, true) {
            let _gone_already =
                host("nsenter", &["-t", &self.init, "-n", "ip", "link", "delete", "host0"]);
        }
    }

    /// Makes the pair of links, with the first number that no other machine uses.
    fn reserve(init: String) -> Self {
        let first = process::id() % SUBNETS;
        for number in (0..SUBNETS).map(|step| (first + step) % SUBNETS + 1) {
            let link = format!("vm4p{number}");
            let pair =
                ["link", "add", &link, "type", "veth", "peer", "name", "host0", "netns", &init];
            match host("ip", &pair) {
                Ok(_) => {
                    let subnet = u8::try_from(number).expect("a subnet number fits a byte");
                    let next = AtomicU8::new(GUEST + 1);
                    return Self { init, link, subnet, next, removed: false };
                }
                Err(text) if text.contains("File exists") => {}
                Err(text) => panic!("this host does not let the tests make a veth pair: {text}"),
            }
        }
        panic!("{SUBNETS} machines run on this host: there is no subnet for another one");
    }

    /// The addresses of the host that the machine reaches from the start.
    pub fn host(&self) -> Addresses {
        self.addresses(1)
    }

    /// Gives the host one more address of each family, for another broker.
    pub fn add_host(&self) -> Addresses {
        let last = self.next.fetch_add(1, Ordering::Relaxed);
        assert!((GUEST + 1..255).contains(&last), "the subnet has no address left");
        let addresses = self.addresses(last);
        self.add_addresses(addresses);
        addresses
    }

    fn addresses(&self, last: u8) -> Addresses {
        Addresses {
            v4: Ipv4Addr::new(10, 213, self.subnet, last),
            v6: Ipv6Addr::new(0xfd13, u16::from(self.subnet), 0, 0, 0, 0, 0, u16::from(last)),
        }
    }

    fn add_addresses(&self, addresses: Addresses) {
        ip(&["ip", "addr", "add", &format!("{}/24", addresses.v4), "dev", &self.link]);
        ip(&["ip", "addr", "add", &format!("{}/64", addresses.v6), "dev", &self.link, "nodad"]);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.remove();
    }
}

fn ip(command: &[&str]) {
    if let Err(text) = host(command[0], &command[1..]) {
        panic!("{} failed: {text}", command.join(" "));
    }
}
