//! A broker that takes logins over TLS and looks at rights, and a client's side of it.

use std::sync::LazyLock;

use super::certificates::Certificates;
use crate::broker::{Broker, Options};
use crate::common::{Finished, Producer};

/// The password of every user.
pub const PASSWORD: &str = "mauve-otter-5127";

/// The password of nobody.
pub const WRONG: &str = "ochre-heron-8364";

/// The broker, and the authority that clients need to know.
pub struct Secure {
    /// The broker; its listener `SECURE` is for clients.
    pub broker: Broker,
    /// Certificate of the authority that signed the broker's, PEM.
    pub authority: String,
}

/// The broker of all tests here. `ann` may do everything, as may the harness on its own listener;
/// `bob` and the others may do what a test allows them to.
pub fn secure() -> &'static Secure {
    static SECURE: LazyLock<Secure> = LazyLock::new(Secure::start);
    &SECURE
}

impl Secure {
    fn start() -> Self {
        let Certificates { authority, chain, key, .. } = Certificates::make();
        let users = ["ann", "bob", "carl", "dora"];
        let users = users.map(|user| format!("user_{user}=\"{PASSWORD}\"")).join(" ");
        let module = "org.apache.kafka.common.security";
        let plain = format!("{module}.plain.PlainLoginModule required {users};");
        let scram = format!("{module}.scram.ScramLoginModule required;");
        let bearer = format!("{module}.oauthbearer.OAuthBearerLoginModule required;");
        let listener = |name| format!("listener.name.secure.{name}");
        let properties = [
            (listener("ssl.keystore.type"), "PEM"),
            (listener("ssl.keystore.certificate.chain"), &chain),
            (listener("ssl.keystore.key"), &key),
            (listener("sasl.enabled.mechanisms"), "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"),
            (listener("plain.sasl.jaas.config"), &plain),
            (listener("scram-sha-256.sasl.jaas.config"), &scram),
            (listener("scram-sha-512.sasl.jaas.config"), &scram),
            (listener("oauthbearer.sasl.jaas.config"), &bearer),
            (
                "authorizer.class.name".to_owned(),
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            ),
            ("super.users".to_owned(), "User:ANONYMOUS;User:ann"),
        ];
        let user = |mechanism| format!("{mechanism}=[name=ann,password={PASSWORD}]");
        let users = [user("SCRAM-SHA-256"), user("SCRAM-SHA-512")];
        let broker = Broker::start_with(&Options {
            listeners: &[("SECURE", "SASL_SSL")],
            properties: &properties.each_ref().map(|(name, value)| (name.as_str(), *value)),
            format_args: &["--add-scram", &users[0], "--add-scram", &users[1]],
            ..Options::default()
        });
        Self { broker, authority }
    }

    /// The address of the secured listener.
    pub fn address(&self) -> String {
        self.broker.address("SECURE")
    }

    /// Points a command at the secured listener, with this authority's certificate.
    pub fn connect(&self, producer: Producer, authority: &str) -> Producer {
        let authority = producer.file("authority.pem", authority);
        producer
            .set("KAFKA_BOOTSTRAP", self.address())
            .set("RDKAFKA_SECURITY_PROTOCOL", "SASL_SSL")
            .set("RDKAFKA_SSL_CA_LOCATION", authority)
    }
}

/// Logs in with name and password, given as systemd gives credentials to a unit.
pub fn log_in(producer: Producer, mechanism: &str, user: &str, password: &str) -> Producer {
    producer.file("credentials/sasl.username", user);
    producer.file("credentials/sasl.password", password);
    let directory = producer.directory().join("credentials");
    producer.set("CREDENTIALS_DIRECTORY", directory).set("RDKAFKA_SASL_MECHANISM", mechanism)
}

/// Logs in with a token that `ann` signed herself, that is, with none at all.
pub fn log_in_with_token(producer: Producer) -> Producer {
    producer
        .set("RDKAFKA_SASL_MECHANISM", "OAUTHBEARER")
        .set("RDKAFKA_ENABLE_SASL_OAUTHBEARER_UNSECURE_JWT", "true")
        .set("RDKAFKA_SASL_OAUTHBEARER_CONFIG", "principal=ann")
}

/// Fails where a password is in anything that the program wrote.
#[track_caller]
pub fn keeps_its_secrets(finished: &Finished) {
    let report = finished.report.as_ref().map(ToString::to_string).unwrap_or_default();
    for secret in [PASSWORD, WRONG] {
        assert!(!finished.stdout.contains(secret), "stdout: {}", finished.stdout);
        assert!(!finished.stderr.contains(secret), "stderr: {}", finished.stderr);
        assert!(!report.contains(secret), "report: {report}");
    }
}
