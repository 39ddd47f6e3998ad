//! Names to addresses, as the system does it, but never longer than the caller can wait.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::net::literal;

/// What a host turned out to be: its addresses, or why there are none.
pub type Resolved = Result<Vec<IpAddr>, String>;

/// Resolves hosts side by side. Names that are not resolved in time are left to their threads.
#[must_use]
pub fn all<'a>(
    hosts: impl IntoIterator<Item = &'a str>,
    within: Duration,
) -> BTreeMap<String, Resolved> {
    let deadline = Instant::now() + within;
    let late = format!("not resolved within {} s", within.as_secs_f64());
    let (done, results) = channel();
    let mut resolved = BTreeMap::new();
    let mut open = 0;
    for host in hosts {
        let addresses = literal(host);
        if !addresses.is_empty() {
            resolved.insert(host.to_owned(), Ok(addresses));
        } else if resolved.insert(host.to_owned(), Err(late.clone())).is_none() {
            let (done, host) = (done.clone(), host.to_owned());
            let work = move || {
                let addresses = one(&host);
                let _nobody_waits = done.send((host, addresses));
            };
            open += usize::from(std::thread::Builder::new().spawn(work).is_ok());
        }
    }
    while open > 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok((host, addresses)) = results.recv_timeout(left) else { break };
        resolved.insert(host, addresses);
        open -= 1;
    }
    resolved
}

/// Resolves one name, for as long as the system takes.
fn one(host: &str) -> Resolved {
    let addresses = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

/// The name servers that the resolver of this process asks over the network.
///
/// None where names go through systemd-resolved's own socket, which needs no network.
#[must_use]
pub fn name_servers() -> Vec<IpAddr> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let by_socket = Path::new("/run/systemd/resolve/io.systemd.Resolve").exists();
    if by_socket && asks_resolved(&read("/etc/nsswitch.conf")) {
        return Vec::new();
    }
    servers_in(&read("/etc/resolv.conf"))
}

/// Whether nsswitch.conf(5) has names resolved by nss-resolve(8).
fn asks_resolved(nsswitch: &str) -> bool {
    let hosts = nsswitch.lines().find_map(|line| line.trim_start().strip_prefix("hosts:"));
    hosts.is_some_and(|services| services.split_whitespace().any(|service| service == "resolve"))
}

/// Whether a name is in hosts(5), so that nobody has to be asked for it.
#[must_use]
pub fn is_in_hosts_file(name: &str) -> bool {
    lists(&fs::read_to_string("/etc/hosts").unwrap_or_default(), name)
}

fn lists(hosts: &str, name: &str) -> bool {
    let entries = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut names = entries.flat_map(|entry| entry.split_whitespace().skip(1));
    names.any(|listed| listed.eq_ignore_ascii_case(name))
}

/// The servers of resolv.conf(5), which has the loopback address as its default.
fn servers_in(resolv_conf: &str) -> Vec<IpAddr> {
    let servers = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        // A link-local address names its link behind a percent sign.
        address.split('%').next()?.parse().ok()
    });
    let servers: Vec<IpAddr> = servers.collect();
    if servers.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { servers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_resolved_without_a_resolver() {
        let resolved = all(["10.0.0.1", "::1", "localhost"], Duration::ZERO);
        assert_eq!(resolved["10.0.0.1"], Ok(vec!["10.0.0.1".parse().unwrap()]));
        assert_eq!(resolved["::1"], Ok(vec!["::1".parse().unwrap()]));
        assert_eq!(resolved["localhost"].as_ref().map(Vec::len), Ok(2));
    }

    #[test]
    fn a_name_that_takes_too_long_is_told_apart() {
        let resolved = all(["no-such-name.invalid"], Duration::ZERO);
        assert_eq!(resolved["no-such-name.invalid"], Err("not resolved within 0 s".into()));
    }

    #[test]
    fn name_servers_are_read_as_resolv_conf_has_them() {
        let text =
            "# nameserver 9.9.9.9\nsearch a\nnameserver 10.0.0.53\n nameserver fe80::1%eth0\n";
        let servers = servers_in(text);
        assert_eq!(servers, ["10.0.0.53".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
        assert_eq!(servers_in(""), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }

    #[test]
    fn names_of_the_hosts_file_are_known() {
        let hosts = "# 10.0.0.1 kafka-0\n10.0.0.1\tkafka-1.example Kafka-1 # kafka-2\n";
        assert!(lists(hosts, "kafka-1"));
        assert!(["kafka-0", "kafka-2", "10.0.0.1"].iter().all(|name| !lists(hosts, name)));
    }

    #[test]
    fn names_go_through_systemd_resolved_where_nsswitch_says_so() {
        assert!(asks_resolved(
            "passwd: files\nhosts: mymachines resolve [!UNAVAIL=return] files\n"
        ));
        assert!(!asks_resolved("hosts: files dns\n# hosts: resolve\n"));
    }
}
