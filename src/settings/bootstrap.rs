//! `KAFKA_BOOTSTRAP`: the servers a client asks first.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::parse::{Refusal, digits};
use crate::net::Server;

/// The servers of `KAFKA_BOOTSTRAP`, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap(Vec<Server>);

impl Bootstrap {
    /// The servers in the order given.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.0
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, server) in self.0.iter().enumerate() {
            write!(f, "{}{server}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

pub(super) fn bootstrap(text: &str) -> Result<Bootstrap, Refusal> {
    text.split(',').map(|part| server(part.trim())).collect::<Result<_, _>>().map(Bootstrap)
}

const DEFAULT_PORT: u16 = 9092;

fn server(text: &str) -> Result<Server, Refusal> {
    if text.is_empty() {
        return Err("an entry is empty".into());
    }
    if text.contains('@') {
        // What stands in front of it may be a password.
        return Err("an entry has an \"@\"; RDKAFKA_SASL_USERNAME sets the user".into());
    }
    if text.contains("://") {
        let because = "starts with a protocol; RDKAFKA_SECURITY_PROTOCOL chooses it";
        return Err(format!("{text:?} {because}").into());
    }
    if let Some(separator) = text.chars().find(|c| c.is_whitespace() || ";|".contains(*c)) {
        return Err(format!("{text:?} has {separator:?}; a comma separates servers").into());
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(format!("{text:?} lacks a \"]\""))?;
        address.parse::<Ipv6Addr>().map_err(|_| format!("{address:?} is not an IPv6 address"))?;
        match after {
            "" => (address, None),
            _ => (address, Some(after.strip_prefix(':').ok_or(format!("{after:?} after \"]\""))?)),
        }
    } else if text.matches(':').count() > 1 {
        return Err(format!("{text:?} {}", ipv6_hint(text)).into());
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host_name(host)?, Some(port)),
            None => (host_name(text)?, None),
        }
    };
    let port = port.map_or(Ok(DEFAULT_PORT), |p| digits::<u16>(p).filter(|p| *p > 0).ok_or(p));
    let port = port.map_err(|p| format!("port {p:?} of {text:?} is not one of 1 to 65535"))?;
    Ok(Server { host: host.to_owned(), port })
}

/// What to do about a text with more than one colon.
fn ipv6_hint(text: &str) -> String {
    let with_port = text.rsplit_once(':').filter(|(address, port)| {
        // `::1:9092` is an address, too, but nobody has that one.
        address.parse::<Ipv6Addr>().is_ok() && port.len() == 4 && digits::<u16>(port).is_some()
    });
    match (with_port, text.parse::<Ipv6Addr>()) {
        (Some((address, port)), _) => {
            format!("looks like IPv6 with a port, which is written [{address}]:{port}")
        }
        (None, Ok(_)) => format!("looks like IPv6, which is written [{text}]"),
        (None, Err(_)) => "has more than one \":\"; a comma separates servers".into(),
    }
}

fn host_name(text: &str) -> Result<&str, Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > 253 || !text.chars().all(allowed) {
        return Err(format!("{text:?} is neither a host name nor an address").into());
    }
    let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if numeric && text.parse::<Ipv4Addr>().is_err() {
        return Err(format!("{text:?} is not an IPv4 address").into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bootstrap_takes_names_addresses_and_default_ports() {
        for (text, read) in [
            ("kafka", "kafka:9092"),
            ("kafka-1.example.com:9093, b", "kafka-1.example.com:9093,b:9092"),
            ("10.0.1.197", "10.0.1.197:9092"),
            ("[::1]:9094", "[::1]:9094"),
            ("[2001:db8::7]", "[2001:db8::7]:9092"),
        ] {
            assert_eq!(bootstrap(text).unwrap().to_string(), read);
        }
    }

    #[test]
    fn bootstrap_says_which_entry_is_wrong() {
        for (text, why) in [
            ("", "an entry is empty"),
            ("a,,b", "an entry is empty"),
            ("host:99999", "port \"99999\" of \"host:99999\" is not one of 1 to 65535"),
            ("host:0", "port \"0\" of \"host:0\" is not one of 1 to 65535"),
            ("host:", "port \"\" of \"host:\" is not one of 1 to 65535"),
            ("host:+1", "port \"+1\" of \"host:+1\" is not one of 1 to 65535"),
            ("::1", "\"::1\" looks like IPv6, which is written [::1]"),
            ("::1:9092", "\"::1:9092\" looks like IPv6 with a port, which is written [::1]:9092"),
            ("2001:db8::7", "\"2001:db8::7\" looks like IPv6, which is written [2001:db8::7]"),
            (
                "x:9092:y:9092",
                "\"x:9092:y:9092\" has more than one \":\"; a comma separates servers",
            ),
            ("x:9092 y:9092", "\"x:9092 y:9092\" has ' '; a comma separates servers"),
            ("x:9092;y:9092", "\"x:9092;y:9092\" has ';'; a comma separates servers"),
            ("user:pw@x:9092", "an entry has an \"@\"; RDKAFKA_SASL_USERNAME sets the user"),
            ("[::1", "\"[::1\" lacks a \"]\""),
            ("[::1]x", "\"x\" after \"]\""),
            ("[kafka]:1", "\"kafka\" is not an IPv6 address"),
            ("10.0.1.999", "\"10.0.1.999\" is not an IPv4 address"),
            ("a/b", "\"a/b\" is neither a host name nor an address"),
            (
                "PLAINTEXT://h:1",
                "\"PLAINTEXT://h:1\" starts with a protocol; RDKAFKA_SECURITY_PROTOCOL chooses it",
            ),
        ] {
            assert_eq!(bootstrap(text).unwrap_err().to_string(), why, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(text: String) {
            let _read_or_refused = bootstrap(&text);
        }

        #[test]
        fn a_bootstrap_list_reads_back_from_its_own_text(
            list in prop::collection::vec(("[a-z][a-z0-9-]{0,20}", 1..=u16::MAX), 1..5)
        ) {
            let text = list.iter().map(|(h, p)| format!("{h}:{p}")).collect::<Vec<_>>().join(",");
            prop_assert_eq!(bootstrap(&text).unwrap().to_string(), text);
        }
    }
}
