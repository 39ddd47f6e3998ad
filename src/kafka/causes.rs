//! What stands behind a text of librdkafka: a cause and its remedy.
//!
//! One text for one cause, from whichever command and however often it is asked: the times and counts
//! that librdkafka adds are left out, and of several brokers that fail all are named in their order.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;

use rdkafka::config::ClientConfig;

use super::native::{Code, ErrorCode};
use crate::delivery::FailureClass;
use crate::net::{literal, unbracketed};
use crate::settings::{Server, may_hold_a_secret};

/// What is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What is wrong.
    pub problem: String,
    /// What to do, where that is known.
    pub remedy: Option<String>,
}

impl Cause {
    pub(super) fn bare(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: None }
    }

    pub(super) fn with(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: Some(remedy.into()) }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

/// What to do about a server that nobody listens at.
pub const REFUSED: &str = "start the broker, or correct the address";

/// What to do about a name without an address.
pub const UNRESOLVED: &str = "correct the name, or the resolver's configuration";

const LOGINS: &str =
    "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, whichever the listener takes";

const NO_IAM: &str =
    "AWS MSK IAM is not built in; with MSK use a SCRAM user (RDKAFKA_SASL_MECHANISM=SCRAM-SHA-512)";

/// This client may not write to a topic.
#[must_use]
pub fn may_not_write(topic: &str) -> Cause {
    Cause::with(format!("this client may not write to topic {topic}"), "grant its user Write on it")
}

/// This client may not ask about a topic, which may not even be there.
#[must_use]
pub fn may_not_describe(topic: &str) -> Cause {
    Cause::with(
        format!("this client may not see topic {topic}, be it there or not"),
        "grant its user Write on it, which includes Describe",
    )
}

/// The topic that keeps this one from being created, if one does: Kafka takes `.` and `_` for one in the
/// names of its metrics.
pub fn collides<'a>(topic: &str, mut others: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = topic.replace('.', "_");
    others.find(|other| *other != topic && other.replace('.', "_") == folded)
}

/// A topic that does not exist because of another one.
#[must_use]
pub fn collision(topic: &str, other: &str) -> String {
    format!(
        "Kafka does not create {topic} beside {other}: their names differ only in \".\" and \"_\""
    )
}

/// Brokers that the servers in `KAFKA_BOOTSTRAP` advertise and that cannot be reached, each with why.
#[must_use]
pub fn advertised(bootstrap: &str, unreached: &BTreeMap<String, String>) -> Cause {
    let is_here = |name: &str| {
        let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
        literal(unbracketed(host)).iter().any(std::net::IpAddr::is_loopback)
    };
    let is_local = bootstrap.split(',').all(is_here);
    let servers: Vec<_> =
        unreached.iter().map(|(name, why)| format!("{name}, which {why}")).collect();
    let who = if bootstrap.contains(',') { "the cluster at" } else { "the broker at" };
    let remedy = match unreached.keys().next() {
        Some(name) if is_here(name) && !is_local => {
            "set advertised.listeners of the broker to an address that other hosts reach: this one is \
             each host's own"
        }
        _ => {
            "correct advertised.listeners of the broker, or start the broker there, or make that \
             address reachable from here"
        }
    };
    Cause::with(format!("{who} {bootstrap} advertises {}", servers.join(", and ")), remedy)
}

/// Why a server cannot be connected to, as [`advertised`] says it. `error` is librdkafka's or the system's.
#[must_use]
pub fn unreached(host: &str, error: &str) -> String {
    if is_unresolved(error) {
        let inner = if host.contains('.') { "" } else { " (a container's own name?)" };
        return format!("has no address here{inner}");
    }
    if error.contains("Connection refused") {
        return "refuses connections".to_owned();
    }
    if error.contains("timed out") {
        return "does not answer (a packet filter?)".to_owned();
    }
    format!("cannot be reached: {}", bare(error))
}

fn is_unresolved(error: &str) -> bool {
    ["Failed to resolve", "failed to lookup", "not known", "No address", "name resolution"]
        .iter()
        .any(|words| error.contains(words))
}

/// What a text of librdkafka says about a server that it cannot connect to, if it does.
fn is_unconnected(text: &str) -> bool {
    text.contains("Connect to ")
        || text.contains("Failed to resolve")
        || text.contains("setup timed out")
}

/// A text of librdkafka without its thread's name and without what differs from time to time.
fn bare(text: &str) -> &str {
    let text = match text.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => text,
    };
    match text.rfind(" (after ") {
        Some(at) if text.ends_with(')') => &text[..at],
        _ => text,
    }
}

/// The state of the connection that a text is about.
fn state(text: &str) -> &str {
    let rest = text.rsplit_once(" in state ").map_or("", |(_, rest)| rest);
    rest.split([',', ')']).next().unwrap_or(rest)
}

/// The server that a text is about: `host:port/id: ...`.
fn server(text: &str) -> &str {
    let name = text.split(": ").next().unwrap_or(text);
    let address = name.rsplit("://").next().unwrap_or(name);
    address.split('/').next().unwrap_or(address)
}

/// Whether a text is about a broker that the cluster named, and not about one of `KAFKA_BOOTSTRAP`.
fn is_learned(text: &str) -> bool {
    let name = text.split(": ").next().unwrap_or(text);
    let id = name.rsplit_once('/').map(|(_, id)| id);
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a text of librdkafka comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Understood {
    pub(super) cause: Cause,
    /// What it says about the cluster.
    pub(super) class: FailureClass,
    /// The server that answered in another protocol than Kafka's.
    pub(super) other_protocol: Option<String>,
    /// The broker that the cluster named and that cannot be connected to, and why.
    pub(super) unreached: Option<(String, String)>,
}

/// How a client goes to the brokers, which decides what an error means.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// `KAFKA_BOOTSTRAP`.
    pub(super) bootstrap: String,
    has_tls: bool,
    has_sasl: bool,
    has_certificate: bool,
    mechanism: Option<String>,
    makes_tokens: bool,
    endpoint: Option<String>,
    /// Values that no text may have.
    secrets: Vec<String>,
}

impl Way {
    pub(super) fn of(config: &ClientConfig) -> Self {
        let get =
            |names: &[&str]| names.iter().find_map(|name| config.get(name)).map(str::to_owned);
        let is_set = |names: &[&str]| get(names).is_some_and(|value| !value.is_empty());
        let protocol = get(&["security.protocol"]).unwrap_or_default().to_ascii_lowercase();
        let method = get(&["sasl.oauthbearer.method"]).unwrap_or_default();
        let unsecured = get(&["enable.sasl.oauthbearer.unsecure.jwt"]).unwrap_or_default();
        // A user's name may be a word of any text.
        let is_secret = |name: &str| may_hold_a_secret(name) && !name.ends_with("username");
        // The wrapper shows no secret in this map, but knows its name.
        let set = config.config_map();
        let secrets = set.keys().filter(|name| is_secret(name)).filter_map(|name| config.get(name));
        Self {
            bootstrap: get(&["bootstrap.servers"]).unwrap_or_default(),
            has_tls: protocol.contains("ssl"),
            has_sasl: protocol.contains("sasl"),
            has_certificate: is_set(&[
                "ssl.certificate.location",
                "ssl.certificate.pem",
                "ssl.keystore.location",
            ]),
            mechanism: get(&["sasl.mechanism", "sasl.mechanisms"]),
            makes_tokens: method.eq_ignore_ascii_case("oidc")
                || !matches!(&*unsecured, "" | "false"),
            endpoint: get(&["sasl.oauthbearer.token.endpoint.url"]),
            // A shorter one would be found in any text.
            secrets: secrets.filter(|v| v.len() > 3).map(str::to_owned).collect(),
        }
    }

    /// What is wrong before anybody is asked.
    pub(super) fn check(&self) -> Result<(), Cause> {
        let mechanism = self.mechanism.as_deref().unwrap_or_default();
        if !self.has_sasl || !mechanism.eq_ignore_ascii_case("OAUTHBEARER") || self.makes_tokens {
            return Ok(());
        }
        let remedy = format!(
            "set RDKAFKA_SASL_OAUTHBEARER_METHOD=oidc, and client id, client secret and token endpoint; \
             {NO_IAM}"
        );
        Err(Cause::with("sasl.mechanism is OAUTHBEARER, and nothing makes its tokens", remedy))
    }

    /// The user's secrets in a text, hidden.
    fn hidden(&self, text: &str) -> String {
        let hide = |text: String, secret: &String| text.replace(secret, "(not shown)");
        self.secrets.iter().fold(text.to_owned(), hide)
    }

    /// What an error with this code and text comes to; a line of the log has no code. `certificate` is
    /// what was said of a certificate before.
    pub(super) fn understood(
        &self,
        code: Option<ErrorCode>,
        text: &str,
        certificate: Option<&str>,
    ) -> Understood {
        let by_code = code.map_or(FailureClass::Silence, super::errors::class);
        let state = state(text).to_owned();
        let text = self.hidden(bare(text));
        let name = server(&text).to_owned();
        let plain =
            |cause| Understood { cause, class: by_code, other_protocol: None, unreached: None };
        let denied = |cause| Understood { class: FailureClass::Denied, ..plain(cause) };
        if let Some(cause) = not_kafka(&text) {
            return Understood { other_protocol: Some(name), ..plain(cause) };
        }
        if let Some(rest) = text.split("Failed to acquire SASL OAUTHBEARER token: ").nth(1) {
            return self.no_token(rest).map_or_else(&denied, |cause| Understood {
                class: FailureClass::Silence,
                ..plain(cause)
            });
        }
        if text.contains("Failed to acquire idempotence PID") && by_code == FailureClass::Denied {
            return denied(Cause::with(
                "this client may write to no topic: the broker gives it no producer id (Cluster \
                 authorization failed)",
                "grant its user Write on both topics, and before Kafka 2.8 IdempotentWrite on the \
                 cluster, too",
            ));
        }
        if let Some(cause) = self.of_login(&name, &text) {
            return denied(cause);
        }
        if let Some((cause, is_refused)) = self.of_tls(&name, (&text, &state), certificate) {
            return if is_refused { denied(cause) } else { plain(cause) };
        }
        if is_unconnected(&text) {
            let host = name.rsplit_once(':').map_or(&*name, |(host, _)| host);
            let why = unreached(host, &text);
            let unreached = is_learned(&text).then(|| (name.clone(), why));
            return Understood { unreached, ..plain(unconnected(&name, &text)) };
        }
        plain(self.of_connection(&name, (&text, &state)))
    }

    /// Why there is no token: the endpoint does not answer, or refuses.
    fn no_token(&self, text: &str) -> Result<Cause, Cause> {
        const SILENT: &[&str] = &[
            "Failed to connect",
            "Could not connect",
            "resolve host",
            "timed out",
            "Timeout",
            "Connection re",
            "Empty reply",
            "Recv failure",
            "SSL",
            "HTTP error 5",
        ];
        let url = self.endpoint.as_deref().unwrap_or_default();
        let endpoint =
            Server::of_url(url).map_or_else(|| url.to_owned(), |server| server.to_string());
        // librdkafka adds how long it took.
        let text: String = text.split(" after ").next().unwrap_or(text).chars().take(160).collect();
        if SILENT.iter().any(|words| text.contains(words)) {
            let remedy = "start it, or correct RDKAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL";
            return Ok(Cause::with(
                format!("the token endpoint {endpoint} cannot be reached: {text}"),
                remedy,
            ));
        }
        Err(Cause::with(
            format!("the token endpoint {endpoint} gives no token: {text}"),
            "correct RDKAFKA_SASL_OAUTHBEARER_CLIENT_ID and the credential \
             sasl.oauthbearer.client.secret",
        ))
    }

    /// What a listener says to a login.
    fn of_login(&self, name: &str, text: &str) -> Option<Cause> {
        let mechanism = self.mechanism.as_deref().unwrap_or_default();
        if text.contains("mechanism handshake failed") {
            let taken = text.split("supported mechanisms:").nth(1).unwrap_or_default().trim();
            if text.contains("Request not valid in current SASL state") || taken.is_empty() {
                let protocol = if self.has_tls { "SSL" } else { "PLAINTEXT" };
                return Some(Cause::with(
                    format!("{name} is a listener without logins (SASL)"),
                    format!("set RDKAFKA_SECURITY_PROTOCOL={protocol}, or name another listener"),
                ));
            }
            return Some(Cause::with(
                format!("{name} does not take logins with {mechanism}, but with {taken}"),
                "set RDKAFKA_SASL_MECHANISM to one of them",
            ));
        }
        let (_, said) = text.split_once("SASL authentication error: ")?;
        Some(Cause::with(
            format!("{name} refuses the login: {said}"),
            format!(
                "correct RDKAFKA_SASL_USERNAME and the credential sasl.password; the user has to exist \
                 for {mechanism}"
            ),
        ))
    }

    /// What goes wrong with TLS, and whether the broker refuses this client for it.
    fn of_tls(
        &self,
        name: &str,
        (text, state): (&str, &str),
        certificate: Option<&str>,
    ) -> Option<(Cause, bool)> {
        let is_cut_off = state == "SSL_HANDSHAKE" && text.contains("Disconnected");
        if is_cut_off || text.contains("wrong version number") {
            let remedy =
                "RDKAFKA_SECURITY_PROTOCOL=PLAINTEXT or SASL_PLAINTEXT fits such a listener";
            return Some((Cause::with(format!("{name} answers without TLS"), remedy), false));
        }
        if text.contains("certificate verify failed") {
            let said = certificate.unwrap_or("for a reason that is not known");
            let remedy = REMEDIES.iter().find(|(words, _)| said.contains(words));
            let remedy = remedy.map_or(CA, |(_, remedy)| *remedy);
            let problem = format!("{name}: certificate verify failed: {said}");
            return Some((Cause::with(problem, remedy), false));
        }
        let (_, alert) = text.split_once("SSL alert number ")?;
        let digits: String = alert.chars().take_while(char::is_ascii_digit).collect();
        // RFC 8446, section 6.2: bad_certificate, unsupported_, revoked, expired, unknown, unknown_ca,
        // access_denied, certificate_required.
        if !matches!(digits.parse(), Ok(42..=46 | 48 | 49 | 116_u16)) {
            return None;
        }
        if self.has_certificate {
            let problem =
                format!("{name} does not take this client's certificate (alert {digits})");
            return Some((
                Cause::with(problem, "have it signed by a CA that the broker trusts"),
                true,
            ));
        }
        let remedy = "set RDKAFKA_SSL_CERTIFICATE_LOCATION and RDKAFKA_SSL_KEY_LOCATION, or \
                      RDKAFKA_SSL_KEYSTORE_LOCATION (PKCS#12)";
        let problem = format!("{name} wants a certificate of this client, and none is set");
        Some((Cause::with(problem, remedy), true))
    }

    /// What goes wrong with a connection that is there.
    fn of_connection(&self, name: &str, (text, state): (&str, &str)) -> Cause {
        if text.contains("Idempotent producer not supported") {
            return Cause::with(
                format!(
                    "{} answers, and takes no records, as a KRaft controller does",
                    self.bootstrap
                ),
                "name a listener of a broker in KAFKA_BOOTSTRAP, and not one of \
                 controller.listener.names",
            );
        }
        if state == "APIVERSION_QUERY" && text.contains("Timed out") {
            return Cause::with(
                format!("{name} accepts connections, but does not answer as a Kafka broker"),
                "check KAFKA_BOOTSTRAP",
            );
        }
        if state == "APIVERSION_QUERY" && text.contains("Disconnected") && !self.has_tls {
            let protocol = if self.has_sasl { "SASL_SSL" } else { "SSL or SASL_SSL" };
            return Cause::with(
                format!(
                    "{name} closes the connection before it answers, as a listener with TLS does"
                ),
                format!("set RDKAFKA_SECURITY_PROTOCOL={protocol}, unless it is no Kafka broker"),
            );
        }
        Cause::bare(text)
    }

    /// The same where no broker has ever answered: a connection that is closed is no broker that goes.
    pub(super) fn at_first(&self, said: &Cause) -> Cause {
        let text = &said.problem;
        if self.has_sasl || !text.contains("Disconnected") {
            return said.clone();
        }
        let protocol = if self.has_tls { "SASL_SSL" } else { "SASL_PLAINTEXT" };
        let login = format!(
            "set RDKAFKA_SECURITY_PROTOCOL={protocol}, RDKAFKA_SASL_MECHANISM and a user for a listener \
             with logins (SASL)"
        );
        let name = server(text);
        Cause::with(format!("{name} closes the connection at the first request"), login)
    }

    /// Why librdkafka makes no client. `said` is what it logs meanwhile.
    pub(super) fn of_start(&self, config: &ClientConfig, error: &str, said: &[String]) -> Cause {
        let error = self.hidden(error.trim_start_matches("Client creation error: "));
        let said = said.iter().map(|line| self.hidden(line)).collect::<Vec<_>>();
        let with = |problem: &str, remedy: String| Cause::with(problem, remedy);
        if error.contains("No provider for SASL mechanism") {
            return match &self.mechanism {
                None => with(
                    "security.protocol has logins, and sasl.mechanism is not set",
                    format!("set RDKAFKA_SASL_MECHANISM to {LOGINS}; Kerberos is not built in"),
                ),
                Some(mechanism) => Cause::with(
                    format!("sasl.mechanism is {mechanism}, and Kerberos is not built in"),
                    "use a listener that takes PLAIN, SCRAM or OAUTHBEARER",
                ),
            };
        }
        if error.contains("Unsupported SASL mechanism") {
            let mechanism = self.mechanism.as_deref().unwrap_or_default();
            let remedy = match mechanism.contains("IAM") {
                true => NO_IAM.to_owned(),
                false => format!("set RDKAFKA_SASL_MECHANISM to {LOGINS}"),
            };
            return Cause::with(format!("there is no SASL mechanism {mechanism} here"), remedy);
        }
        if error.contains("sasl.username and sasl.password must be set") {
            let remedy = "set RDKAFKA_SASL_USERNAME, and the password as the credential sasl.password \
                          or with RDKAFKA_SASL_PASSWORD";
            return with(&error, remedy.to_owned());
        }
        if let Some(cause) = of_file(config, &error, &said) {
            return cause;
        }
        let said: String = said.iter().map(|line| format!(" ({line})")).collect();
        Cause::bare(format!("{error}{said}"))
    }
}

/// What to do about a certificate of a broker that does not verify, by OpenSSL's words.
const REMEDIES: &[(&str, &str)] = &[
    (
        "another name",
        "name the broker as its certificate does, in KAFKA_BOOTSTRAP and in its advertised.listeners; \
         RDKAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM=none takes any name",
    ),
    ("expired", "renew the certificate of the broker, or correct the clock of this host"),
    ("not valid yet", "correct the clock of this host, or of the one that made the certificate"),
];

const CA: &str = "have RDKAFKA_SSL_CA_LOCATION name the certificate of its CA (PEM)";

fn unconnected(name: &str, text: &str) -> Cause {
    if text.contains("Failed to resolve") {
        let why = text.rsplit("': ").next().unwrap_or_default();
        return Cause::with(format!("{name} has no address: {why}"), UNRESOLVED);
    }
    if text.contains("timed out") {
        let remedy = format!("{REFUSED}; a time-out points to a packet filter");
        return Cause::with(format!("{name} does not answer: connection timed out"), remedy);
    }
    let why = text.rsplit("failed: ").next().unwrap_or(text);
    Cause::with(format!("{name}: {why}"), REFUSED)
}

/// A server whose answer has the length that other protocols' first bytes read as.
fn not_kafka(text: &str) -> Option<Cause> {
    const HEAD: &str = "Invalid response size ";
    let (_, rest) = text.split_once(HEAD)?;
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let size: i32 = digits.parse().ok()?;
    let bytes = size.to_be_bytes();
    let what = match &bytes {
        b"HTTP" => "HTTP".to_owned(),
        b"SSH-" => "SSH".to_owned(),
        [0x14..=0x17, 3, ..] => "TLS".to_owned(),
        _ if bytes.iter().all(u8::is_ascii_graphic) => {
            format!("\"{}\"", String::from_utf8_lossy(&bytes))
        }
        _ => "something else".to_owned(),
    };
    let remedy = match &*what {
        "TLS" => "check KAFKA_BOOTSTRAP; RDKAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL speaks TLS",
        _ => "check KAFKA_BOOTSTRAP",
    };
    Some(Cause::with(format!("{} answers {what}, not Kafka's protocol", server(text)), remedy))
}

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Jks,
    Der,
    EncryptedKey,
    Other,
}

fn kind_of(path: &str) -> FileKind {
    const HEAD_BYTES: u64 = 4096;
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    let has = |words: &str| head.windows(words.len()).any(|part| part == words.as_bytes());
    match head.as_slice() {
        _ if read.is_err() => FileKind::Other,
        // The magic numbers of the keystores JKS and JCEKS.
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => FileKind::Jks,
        // A sequence with a length of two bytes.
        [0x30, 0x82, ..] => FileKind::Der,
        _ if has("ENCRYPTED") => FileKind::EncryptedKey,
        _ => FileKind::Other,
    }
}

/// What is wrong with a file that a property names.
fn of_file(config: &ClientConfig, error: &str, said: &[String]) -> Option<Cause> {
    const FILES: [&str; 4] = [
        "ssl.key.location",
        "ssl.certificate.location",
        "ssl.keystore.location",
        "ssl.ca.location",
    ];
    let property = FILES.into_iter().find(|property| error.contains(property));
    let wants_password = said.iter().any(|line| line.contains("no password configured"));
    let Some(property) = property else {
        let is_key = error.contains("ssl.key.pem") && wants_password;
        return is_key.then(|| encrypted("ssl.key.pem", false));
    };
    let path = config.get(property).unwrap_or_default();
    let named = format!("{property} {path}");
    let has_password = config.get("ssl.key.password").is_some_and(|password| !password.is_empty());
    let java = |remedy: String| Cause::with(format!("{named} is a Java keystore (JKS)"), remedy);
    let pkcs12 = format!(
        "`keytool -importkeystore -srckeystore {path} -destkeystore NEW.p12 -deststoretype PKCS12` makes \
         one for RDKAFKA_SSL_KEYSTORE_LOCATION"
    );
    Some(match (property, kind_of(path)) {
        ("ssl.ca.location", FileKind::Jks | FileKind::Der) => Cause::with(
            format!("{named} is a keystore or DER, and not PEM"),
            format!(
                "`keytool -exportcert -rfc -alias ALIAS -keystore {path} -file ca.pem` takes a \
                 certificate out of a keystore"
            ),
        ),
        (_, FileKind::Jks) => java(pkcs12),
        ("ssl.key.location" | "ssl.certificate.location", FileKind::Der) => Cause::with(
            format!("{named} is PKCS#12 or DER, and not PEM"),
            "name it in RDKAFKA_SSL_KEYSTORE_LOCATION, with the credential ssl.keystore.password",
        ),
        ("ssl.key.location", _) if error.contains("key values mismatch") => Cause::with(
            format!("{named} does not belong to the certificate"),
            "name the key of RDKAFKA_SSL_CERTIFICATE_LOCATION",
        ),
        ("ssl.key.location", FileKind::EncryptedKey) => encrypted(&named, has_password),
        ("ssl.key.location", _) if wants_password => encrypted(&named, has_password),
        ("ssl.keystore.location", _) if error.contains("mac verify failure") => Cause::with(
            format!("the password does not open {named}"),
            "correct the credential ssl.keystore.password",
        ),
        (_, FileKind::Other | FileKind::EncryptedKey | FileKind::Der) => return None,
    })
}

fn encrypted(named: &str, has_password: bool) -> Cause {
    match has_password {
        true => Cause::with(
            format!("the password does not open {named}"),
            "correct the credential ssl.key.password",
        ),
        false => Cause::with(
            format!("{named} is encrypted, and no password is set"),
            "give it as the credential ssl.key.password, or with RDKAFKA_SSL_KEY_PASSWORD",
        ),
    }
}

/// The words of a code that comes without a text.
pub(super) fn of_code(code: ErrorCode) -> Cause {
    if code.is(Code::ClusterAuthorizationFailed) {
        return Cause::with(
            format!("this client lacks a right: {code}"),
            "grant its user Write on both topics",
        );
    }
    Cause::bare(code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(set: &[(&str, &str)]) -> Way {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "kafka-1:9092");
        for (name, value) in set {
            config.set(*name, *value);
        }
        Way::of(&config)
    }

    fn said(way: &Way, text: &str) -> (String, FailureClass) {
        let understood = way.understood(None, text, None);
        (understood.cause.to_string(), understood.class)
    }

    #[test]
    fn an_answer_of_another_protocol_is_told_by_its_first_bytes() {
        for (size, what) in [
            (i32::from_be_bytes(*b"HTTP"), "HTTP"),
            (i32::from_be_bytes(*b"SSH-"), "SSH"),
            (i32::from_be_bytes(*b"220 "), "something else"),
            (i32::from_be_bytes(*b"+OK!"), "\"+OK!\""),
        ] {
            let text = format!(
                "[thrd:10.0.0.1:80/bootstrap]: 10.0.0.1:80/bootstrap: Receive failed: Invalid \
                 response size {size} (0..100000000): increase receive.message.max.bytes"
            );
            let understood = way(&[]).understood(None, &text, None);
            assert_eq!(
                understood.cause.to_string(),
                format!("10.0.0.1:80 answers {what}, not Kafka's protocol; check KAFKA_BOOTSTRAP")
            );
            assert_eq!(understood.other_protocol.as_deref(), Some("10.0.0.1:80"));
        }
    }

    #[test]
    fn one_cause_has_one_text_however_long_it_took() {
        let way = way(&[("security.protocol", "SSL")]);
        let texts = [
            "ssl://k:9092/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: \
             connecting to a PLAINTEXT broker listener? (after 3ms in state SSL_HANDSHAKE)",
            "[thrd:ssl://k:9092/bootstrap]: ssl://k:9092/bootstrap: SSL handshake failed: Disconnected: \
             SSL connection closed by peer: connecting to a PLAINTEXT broker listener? (after 117ms in \
             state SSL_HANDSHAKE, 9 identical error(s) suppressed)",
        ];
        let expected = "k:9092 answers without TLS; RDKAFKA_SECURITY_PROTOCOL=PLAINTEXT or \
                        SASL_PLAINTEXT fits such a listener";
        assert_eq!(texts.map(|text| said(&way, text).0), [expected; 2]);
    }

    #[test]
    fn a_token_endpoint_that_is_down_is_no_refusal_and_one_that_refuses_is() {
        let way = way(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.secret", "hunter22"),
            ("sasl.oauthbearer.token.endpoint.url", "https://u:hunter2@id.example/token?x=1"),
        ]);
        let head = "Failed to acquire SASL OAUTHBEARER token: ";
        let (text, class) = said(
            &way,
            &format!(
                "{head}Failed to connect to 127.0.0.1:9 after 7 ms: Could not connect to server"
            ),
        );
        assert_eq!(
            text,
            "the token endpoint id.example:443 cannot be reached: Failed to connect to 127.0.0.1:9; \
             start it, or correct RDKAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL"
        );
        assert_eq!(class, FailureClass::Silence);
        let (text, class) = said(&way, &format!("{head}{{\"error\":\"invalid_client hunter22\"}}"));
        assert!(text.starts_with("the token endpoint id.example:443 gives no token: "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(class, FailureClass::Denied);
    }

    #[test]
    fn brokers_that_are_advertised_in_vain_are_named_with_who_says_so() {
        let text = |bootstrap: &str, unreached: &[(&str, &str)]| {
            let of = |(name, error): &(&str, &str)| {
                let host = name.rsplit_once(':').unwrap().0;
                ((*name).to_owned(), super::unreached(host, error))
            };
            advertised(bootstrap, &unreached.iter().map(of).collect()).to_string()
        };
        assert_eq!(
            text("kafka-1:9092", &[("localhost:9092", "Connection refused (os error 111)")]),
            "the broker at kafka-1:9092 advertises localhost:9092, which refuses connections; set \
             advertised.listeners of the broker to an address that other hosts reach: this one is each \
             host's own"
        );
        assert_eq!(
            text(
                "10.0.0.1:9092,10.0.0.2:9092",
                &[
                    ("10.0.0.9:9092", "Connection setup timed out in state CONNECT"),
                    ("b2:9092", "Failed to resolve 'b2:9092': Name or service not known")
                ]
            ),
            "the cluster at 10.0.0.1:9092,10.0.0.2:9092 advertises 10.0.0.9:9092, which does not answer \
             (a packet filter?), and b2:9092, which has no address here (a container's own name?); \
             correct advertised.listeners of the broker, or start the broker there, or make that \
             address reachable from here"
        );
    }

    #[test]
    fn only_a_broker_that_the_cluster_named_counts_as_advertised() {
        let failed = |name: &str| {
            let text = format!("{name}: Connect to ipv4#127.0.0.1:9 failed: Connection refused");
            way(&[]).understood(None, &text, None).unreached.map(|(name, _)| name)
        };
        assert_eq!(failed("127.0.0.1:9/1"), Some("127.0.0.1:9".to_owned()));
        assert_eq!(failed("ssl://127.0.0.1:9/12"), Some("127.0.0.1:9".to_owned()));
        assert_eq!(failed("127.0.0.1:9/bootstrap"), None);
    }

    #[test]
    fn a_name_that_differs_in_dots_and_underscores_collides() {
        let others = ["a.c", "a_b", "a.b"];
        assert_eq!(collides("a.b", others.into_iter()), Some("a_b"));
        assert_eq!(collides("a.c", others.into_iter()), None);
    }
}
