//! The addresses that a run needs: those of its servers, and of the name servers that find them.

use std::net::IpAddr;
use std::time::Duration;

use super::resolve::{self, Resolved};
use crate::net::{Server, literal};
use crate::settings::Settings;

/// Whether the client connects to an address.
pub type AddressFilter = fn(&IpAddr) -> bool;

/// The addresses of librdkafka's `broker.address.family`.
#[must_use]
pub fn family(settings: &Settings) -> AddressFilter {
    match settings.properties.get("broker.address.family").map(|family| family.expose()) {
        Some("v4") => IpAddr::is_ipv4,
        Some("v6") => IpAddr::is_ipv6,
        _ => |_| true,
    }
}

/// The addresses that a run needs.
#[derive(Debug)]
pub struct RequiredAddresses {
    pub(super) servers: Vec<RequiredServer>,
    /// The name servers, if a server has a name.
    pub(super) name_servers: Vec<IpAddr>,
}

#[derive(Debug)]
pub(super) struct RequiredServer {
    /// Role, host and port.
    pub(super) name: String,
    /// The addresses to which the client connects.
    pub(super) addresses: Resolved,
}

/// A server whose addresses are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the addresses of {server} are not known: {why}")]
pub struct UnknownAddresses {
    server: String,
    why: String,
}

impl RequiredAddresses {
    /// Resolves the hosts of these servers, each group with its role.
    #[must_use]
    pub fn resolve(family: AddressFilter, groups: &[(&str, &[Server])], within: Duration) -> Self {
        let servers =
            || groups.iter().flat_map(|(role, servers)| servers.iter().map(move |s| (role, s)));
        let resolved = resolve::all(servers().map(|(_, server)| server.host.as_str()), within);
        let has_name = resolved.keys().any(|host| literal(host).is_empty());
        let required = servers().map(|(role, server)| {
            let mut addresses = resolved[&server.host].clone();
            if let Ok(addresses) = &mut addresses {
                addresses.retain(family);
            }
            RequiredServer { name: format!("{role} {server}"), addresses }
        });
        let name_servers = if has_name { resolve::name_servers() } else { Vec::new() };
        Self { servers: required.collect(), name_servers }
    }

    /// Every address, with what it is the address of.
    ///
    /// # Errors
    /// The first server whose addresses are not known.
    pub fn with_owners(self) -> Result<Vec<(IpAddr, String)>, UnknownAddresses> {
        let mut owned = Vec::new();
        for RequiredServer { name, addresses } in self.servers {
            let server = name.clone();
            let addresses = addresses.map_err(|why| UnknownAddresses { server, why })?;
            owned.extend(addresses.into_iter().map(|address| (address, name.clone())));
        }
        owned.extend(self.name_servers.into_iter().map(|address| (address, "name server".into())));
        Ok(owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_addresses_of_the_clients_family_are_required() {
        let servers = [Server { host: "localhost".into(), port: 1 }];
        let required = |family: AddressFilter| {
            RequiredAddresses::resolve(family, &[("broker", &servers)], Duration::ZERO)
                .with_owners()
                .unwrap()
        };
        let [v4, v6] = ["127.0.0.1", "::1"].map(|address| {
            let owner = "broker localhost:1".to_owned();
            (address.parse().unwrap(), owner)
        });
        assert_eq!(required(IpAddr::is_ipv4), std::slice::from_ref(&v4));
        assert_eq!(required(IpAddr::is_ipv6), std::slice::from_ref(&v6));
        assert_eq!(required(|_| true), [v4, v6], "a literal needs no name server");
    }

    #[test]
    fn a_server_without_a_known_address_is_named() {
        let servers = [Server { host: "kafka.invalid".into(), port: 1 }];
        let groups: [(&str, &[Server]); 1] = [("broker", &servers)];
        let required = RequiredAddresses::resolve(|_| true, &groups, Duration::ZERO);
        assert_eq!(
            required.with_owners().unwrap_err().to_string(),
            "the addresses of broker kafka.invalid:1 are not known: not resolved within 0 s"
        );
    }
}
