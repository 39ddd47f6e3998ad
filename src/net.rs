//! Servers, and the hosts whose addresses are known without a resolver.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A server that the client connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port, 1 to 65535.
    pub port: u16,
}

impl Server {
    /// The server of a URL; its port is that of the scheme if none is written.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let address = authority.rsplit('@').next()?;
        let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (address, default),
        };
        let host = unbracketed(host);
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }
}

/// A host without the brackets that an IPv6 address has in front of a port.
#[must_use]
pub fn unbracketed(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The addresses of a host that is written as one, or is `localhost`; none for another name.
#[must_use]
pub fn literal(host: &str) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    host.parse().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_a_url_is_found() {
        for (url, expected) in [
            ("http://127.0.0.1:9/token", Some("127.0.0.1:9")),
            ("https://id.example", Some("id.example:443")),
            ("http://u:p@[::1]/x", Some("[::1]:80")),
            ("https://[::1]:8443/x", Some("[::1]:8443")),
            ("id.example/token", None),
            ("https:///token", None),
        ] {
            assert_eq!(Server::of_url(url).map(|s| s.to_string()).as_deref(), expected, "{url}");
        }
    }
}
