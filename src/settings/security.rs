//! Settings of TLS and SASL that do not do what they look like.

use std::io;
use std::path::Path;

use super::Settings;
use super::properties::Properties;
use super::source::Resolved;
use crate::net::Server;

/// What is odd about settings that librdkafka takes, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// What is odd.
    pub problem: String,
    /// What to do.
    pub remedy: &'static str,
}

/// The property that says how to talk to the brokers.
const PROTOCOL: &str = "security.protocol";

/// Properties that have an effect only with this word in the protocol.
const NEED: &[(&str, &str, &str)] = &[
    ("sasl.", "sasl", "set RDKAFKA_SECURITY_PROTOCOL=SASL_SSL, or SASL_PLAINTEXT without TLS"),
    ("ssl.", "ssl", "set RDKAFKA_SECURITY_PROTOCOL=SSL, or SASL_SSL with a user"),
];

impl Settings {
    /// Properties of TLS or SASL that have no effect, as the protocol uses neither.
    #[must_use]
    pub fn without_effect(&self) -> Vec<Oddity> {
        without_effect(&self.properties)
    }

    /// The server that makes the tokens of OAUTHBEARER, if one is set.
    #[must_use]
    pub fn token_endpoint(&self) -> Option<Server> {
        let url = self.properties.get("sasl.oauthbearer.token.endpoint.url")?;
        Server::of_url(url.expose())
    }

    /// A file that a property names and that is not there, or cannot be read.
    #[must_use]
    pub fn unreadable_location(&self) -> Option<String> {
        self.properties.values().find_map(unreadable)
    }
}

fn without_effect(properties: &Properties) -> Vec<Oddity> {
    let protocol = properties.get(PROTOCOL).map_or("plaintext", Resolved::expose);
    let folded = protocol.to_ascii_lowercase();
    let found = NEED.iter().filter(|(_, word, _)| !folded.contains(word));
    let found = found.filter_map(|(prefix, _, remedy)| {
        let set = properties.keys().filter(|name| name.starts_with(prefix));
        let set = set.map(String::as_str).collect::<Vec<_>>().join(", ");
        let problem = format!("{PROTOCOL} is {protocol}, with which {set} has no effect");
        (!set.is_empty()).then_some(Oddity { problem, remedy })
    });
    found.collect()
}

fn unreadable(property: &Resolved) -> Option<String> {
    let (name, path) = (property.key.name(), property.expose());
    // The trust store of the system is looked for, and a Windows one has no path.
    let is_path = name.ends_with(".location") && path != "probe" && !path.is_empty();
    let error = is_path.then(|| readable(Path::new(path)).err()).flatten()?;
    Some(format!("cannot read {path} ({} from {}): {error}", property.written(), property.origin))
}

fn readable(path: &Path) -> io::Result<()> {
    // ssl.ca.location may be a directory of certificates.
    if path.metadata()?.is_dir() {
        return path.read_dir().map(drop);
    }
    std::fs::File::open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::source::{Key, Origin};

    fn problems(set: &[(&str, &str)]) -> Vec<String> {
        let resolved = |name: &str, value: &str| {
            Resolved::new(Key::Property(name.into()), value.into(), Origin::Environment)
        };
        let properties = set.iter().map(|(name, v)| ((*name).to_owned(), resolved(name, v)));
        without_effect(&properties.collect()).into_iter().map(|oddity| oddity.problem).collect()
    }

    #[test]
    fn credentials_that_the_protocol_does_not_use_are_named() {
        let user = [("sasl.username", "u"), ("sasl.password", "hunter2")];
        assert_eq!(
            problems(&user),
            [
                "security.protocol is plaintext, with which sasl.password, sasl.username has no effect"
            ]
        );
        let with = |protocol| problems(&[user[0], ("security.protocol", protocol)]);
        assert_eq!(with("SASL_PLAINTEXT"), [""; 0]);
        assert_eq!(with("ssl").len(), 1);
        let both = [user[0], ("ssl.ca.location", "/ca.pem")];
        assert_eq!(problems(&both).len(), 2);
        assert_eq!(problems(&[("linger.ms", "1")]), [""; 0]);
    }
}
