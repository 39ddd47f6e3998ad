//! Names to addresses, as the system resolves them, but never longer than the caller can wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::net::literal;

/// The addresses of a host, or why there are none.
pub type Resolved = Result<Vec<IpAddr>, String>;

/// Resolves hosts side by side. A name that is not resolved in time is left to its thread.
#[must_use]
pub fn all<'a>(
    hosts: impl IntoIterator<Item = &'a str>,
    within: Duration,
) -> BTreeMap<String, Resolved> {
    let deadline = Instant::now() + within;
    let late = format!("not resolved within {} s", within.as_secs_f64());
    let hosts: BTreeSet<&str> = hosts.into_iter().collect();
    let asked: Vec<_> = hosts.into_iter().map(|host| (host.to_owned(), ask(host))).collect();
    let answers = asked.into_iter().map(|(host, answer)| {
        let left = deadline.saturating_duration_since(Instant::now());
        (host, answer.recv_timeout(left).unwrap_or_else(|_| Err(late.clone())))
    });
    answers.collect()
}

/// Starts to resolve a host, on a thread if it is a name.
fn ask(host: &str) -> Receiver<Resolved> {
    let (done, answer) = channel();
    let addresses = literal(host);
    if !addresses.is_empty() {
        let _received = done.send(Ok(addresses));
        return answer;
    }
    let host = host.to_owned();
    let work = move || {
        let _nobody_waits = done.send(one(&host));
    };
    // Without a thread there is no answer.
    let _started = thread::Builder::new().spawn(work);
    answer
}

/// Resolves one name, for as long as the system takes.
fn one(host: &str) -> Resolved {
    let addresses = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

/// The name servers in resolv.conf(5).
pub(super) fn name_servers() -> Vec<IpAddr> {
    servers_in(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
}

fn servers_in(resolv_conf: &str) -> Vec<IpAddr> {
    let servers = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        // A link-local address names its link behind a percent sign.
        address.split('%').next()?.parse().ok()
    });
    servers.collect()
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
        assert_eq!(servers_in(""), Vec::<IpAddr>::new());
    }
}
