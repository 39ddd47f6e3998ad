//! Whether the kernel stops what the unit's list does not allow. systemd has it filter with a BPF program
//! for the control group; where there is none, as in many containers, `IPAddressDeny=` does nothing, and
//! nobody says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use serde::{Deserialize, Serialize};

use crate::allow_list::AllowList;

/// The port of a datagram that nobody is meant to take: discard, RFC 863.
const DISCARD: u16 = 9;

/// Addresses that need no way out of this host, of which hardly any list has all.
const NOWHERE: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 86, 52, 9)),
    IpAddr::V4(Ipv4Addr::new(127, 201, 3, 77)),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// What there is to say where no filter is in force.
pub const ABSENT: &str = "the unit's egress allow list is not enforced here: what it does not allow is not \
                          stopped (no BPF filter for control groups, as in many containers, or no \
                          IPAddressDeny=)";

/// What is known of the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// It stops what is not allowed.
    InForce,
    /// It lets through what is not allowed.
    Absent,
    /// Nothing: the list allows every address that could show it, or the socket failed.
    Unknown,
}

/// Sends a datagram to an address that this list does not allow: a filter refuses it at once.
#[must_use]
pub fn probe(allowed: &AllowList) -> Filter {
    let denied = NOWHERE.into_iter().filter(|address| !allowed.allows(*address));
    let found = denied.map(stops).find(|found| *found != Filter::Unknown);
    found.unwrap_or(Filter::Unknown)
}

/// Whether the filter stops what goes to this address.
#[must_use]
pub fn stops(address: IpAddr) -> Filter {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    // Without a local address, which a unit with SocketBindDeny= may not ask for.
    let Ok(socket) = socket(family, SocketType::DGRAM, None) else { return Filter::Unknown };
    match sendto(&socket, b"", SendFlags::empty(), &SocketAddr::new(address, DISCARD)) {
        Ok(_) | Err(Errno::CONNREFUSED) => Filter::Absent,
        Err(Errno::PERM) => Filter::InForce,
        Err(_) => Filter::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_unit_nothing_is_stopped() {
        assert_eq!(probe(&AllowList::default()), Filter::Absent);
        assert_eq!(probe(&"127.0.0.1".parse().unwrap()), Filter::Absent);
    }

    #[test]
    fn a_list_that_allows_everything_shows_nothing() {
        assert_eq!(probe(&"0.0.0.0/0,::/0".parse().unwrap()), Filter::Unknown);
    }
}
