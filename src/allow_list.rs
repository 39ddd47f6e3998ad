//! A list of addresses and prefixes, in the syntax of systemd's `IPAddressAllow=`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::net::literal;

/// Addresses and prefixes, each once, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<IpNet>);

impl AllowList {
    /// The addresses that these hosts are without asking anybody: literals, and `localhost`.
    #[must_use]
    pub fn of_literals<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = Self::default();
        for host in hosts {
            for address in literal(host) {
                list.allow(address);
            }
        }
        list
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the list has this address.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|prefix| prefix.contains(&address))
    }

    /// Adds an address, unless it is covered already.
    pub fn allow(&mut self, address: IpAddr) {
        if !self.allows(address) {
            self.0.push(IpNet::from(address.to_canonical()));
        }
    }

    /// Adds every prefix of another list, unless it is covered already.
    pub fn extend(&mut self, other: &Self) {
        for prefix in &other.0 {
            if !self.0.iter().any(|own| own.contains(prefix)) {
                self.0.push(*prefix);
            }
        }
    }

    /// The entries in the order of their addresses.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    /// Each entry as systemd's `IPAddressAllow=` and `EGRESS_ALLOW` take it.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|prefix| {
            let is_address = prefix.prefix_len() == prefix.max_prefix_len();
            if is_address { prefix.addr().to_string() } else { prefix.to_string() }
        })
    }

    /// The entries that cover none of these addresses.
    pub fn without_use(&self, addresses: &[IpAddr]) -> Self {
        let unused =
            |prefix: &&IpNet| !addresses.iter().any(|a| prefix.contains(&a.to_canonical()));
        Self(self.0.iter().filter(unused).copied().collect())
    }
}

impl fmt::Display for AllowList {
    /// Separated by commas: no reader of an env file needs quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().collect::<Vec<_>>().join(","))
    }
}

impl FromStr for AllowList {
    /// Which entry is wrong, and why.
    type Err = String;

    /// Reads addresses and prefixes that are separated by white space or commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut list = Self::default();
        for entry in text.split([' ', '\t', '\n', ',']).filter(|entry| !entry.is_empty()) {
            list.extend(&Self(vec![prefix(entry)?]));
        }
        Ok(list)
    }
}

/// An address, or a prefix; the bits of a prefix behind its length do not count, as for systemd.
fn prefix(text: &str) -> Result<IpNet, String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let neither = |_| format!("{text:?} is neither an address nor a prefix");
    let address: IpAddr = address.parse().map_err(neither)?;
    let whole = IpNet::from(address);
    let Some(bits) = bits else { return Ok(whole) };
    let longest = whole.max_prefix_len();
    let is_number = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
    let prefix = bits.parse().ok().filter(|_| is_number);
    let prefix = prefix.and_then(|bits| IpNet::new(address, bits).ok());
    let wrong = || format!("{text:?} has a prefix length other than 0 to {longest}");
    prefix.map(|prefix| prefix.trunc()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AllowList {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_and_prefixes_are_read_with_spaces_and_commas_between() {
        let read = list(" 10.0.1.7/24, 10.2.0.1\t2001:db8::/32,\n::1 ");
        assert_eq!(read.to_string(), "10.0.1.0/24,10.2.0.1,2001:db8::/32,::1");
        assert_eq!(list(&read.to_string()), read);
        assert!(list("").is_empty());
    }

    #[test]
    fn a_list_allows_what_its_prefixes_cover() {
        let list = list("10.0.1.0/24 2001:db8::7");
        for (address, allowed) in [
            ("10.0.1.255", true),
            ("10.0.2.0", false),
            ("2001:db8::7", true),
            ("2001:db8::8", false),
            // an IPv4 address in IPv6 clothes is the IPv4 address
            ("::ffff:10.0.1.9", true),
        ] {
            assert_eq!(list.allows(ip(address)), allowed, "{address}");
        }
    }

    #[test]
    fn what_is_covered_is_not_added_again() {
        let mut list = list("10.0.0.0/8");
        list.allow(ip("10.1.2.3"));
        list.extend(&"10.0.1.0/24 11.0.0.1 11.0.0.1".parse().unwrap());
        list.allow(ip("::ffff:11.0.0.1"));
        assert_eq!(list.to_string(), "10.0.0.0/8,11.0.0.1");
    }

    #[test]
    fn entries_that_nothing_needs_are_told() {
        let list = list("10.0.0.0/8 192.168.0.1 ::1");
        assert_eq!(list.without_use(&[ip("10.9.9.9")]).to_string(), "192.168.0.1,::1");
    }

    #[test]
    fn literal_hosts_need_no_resolver() {
        let hosts = ["10.0.0.1", "kafka-1", "2001:db8::1", "localhost"];
        let list = AllowList::of_literals(hosts);
        assert_eq!(list.to_string(), "10.0.0.1,2001:db8::1,127.0.0.1,::1");
    }

    #[test]
    fn an_entry_that_is_wrong_is_named() {
        for (text, why) in [
            ("10.0.0.1 kafka", "\"kafka\" is neither an address nor a prefix"),
            ("10.0.0.0/33", "\"10.0.0.0/33\" has a prefix length other than 0 to 32"),
            ("::/129", "\"::/129\" has a prefix length other than 0 to 128"),
            ("10.0.0.0/+8", "\"10.0.0.0/+8\" has a prefix length other than 0 to 32"),
            ("10.0.0.0/", "\"10.0.0.0/\" has a prefix length other than 0 to 32"),
        ] {
            assert_eq!(text.parse::<AllowList>().unwrap_err(), why);
        }
    }
}
