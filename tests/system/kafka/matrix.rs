//! Every way to go to every listener of one broker, with every right: a run and `doctor` say the same,
//! and say it again.

use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;

use super::security::certificates::Certificates;
use crate::broker::{Broker, Operation, Options};
use crate::common::{Finished, Producer, nobody};

const PASSWORD: &str = "teal-heron-2291";

/// The listeners that have a name of their own, and their protocols.
const LISTENERS: [(&str, &str); 6] = [
    ("LOGIN", "SASL_PLAINTEXT"),
    ("TLS", "SSL"),
    ("MUTUAL", "SSL"),
    ("BOTH", "SASL_SSL"),
    ("ELSEWHERE", "PLAINTEXT"),
    ("INSIDE", "PLAINTEXT"),
];

/// Ways to go to a listener: with TLS, a certificate, a login.
const WAYS: [(&str, bool, bool, bool); 5] = [
    ("PLAINTEXT", false, false, false),
    ("SASL_PLAINTEXT", false, false, true),
    ("SSL", true, false, false),
    ("SSL with a certificate", true, true, false),
    ("SASL_SSL", true, false, true),
];

/// Users by their rights: to write to both topics, to one, to see both, none.
const USERS: [&str; 4] = ["writes", "half", "sees", "none"];

struct Cluster {
    broker: Broker,
    certificates: Certificates,
    elsewhere: String,
}

fn cluster() -> &'static Cluster {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(start);
    &CLUSTER
}

fn start() -> Cluster {
    let certificates = Certificates::make();
    let elsewhere = nobody();
    let users = USERS.map(|user| format!("user_{user}=\"{PASSWORD}\"")).join(" ");
    let plain =
        format!("org.apache.kafka.common.security.plain.PlainLoginModule required {users};");
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let mut properties = vec![
        ("authorizer.class.name".to_owned(), authorizer),
        ("super.users".to_owned(), "User:ANONYMOUS;User:writes;User:CN=system tests"),
    ];
    for login in ["login", "both"] {
        let name = |name| format!("listener.name.{login}.{name}");
        properties.push((name("sasl.enabled.mechanisms"), "PLAIN"));
        properties.push((name("plain.sasl.jaas.config"), &plain));
    }
    for tls in ["tls", "mutual", "both"] {
        let name = |name| format!("listener.name.{tls}.{name}");
        properties.push((name("ssl.keystore.type"), "PEM"));
        properties.push((name("ssl.keystore.certificate.chain"), &certificates.chain));
        properties.push((name("ssl.keystore.key"), &certificates.key));
        properties.push((name("ssl.truststore.type"), "PEM"));
        properties.push((name("ssl.truststore.certificates"), &certificates.authority));
    }
    properties.push(("listener.name.mutual.ssl.client.auth".to_owned(), "required"));
    let properties: Vec<_> = properties.iter().map(|(name, v)| (name.as_str(), *v)).collect();
    let broker = Broker::start_with(&Options {
        listeners: &LISTENERS,
        advertised: &[("ELSEWHERE", &elsewhere), ("INSIDE", "kafka-container:9092")],
        properties: &properties,
        ..Options::default()
    });
    broker.allow("half", Operation::Write, &["gpu.metrics.v1"]);
    broker.allow("half", Operation::Describe, &["token.usage.v1"]);
    broker.allow("sees", Operation::Describe, &["gpu.metrics.v1", "token.usage.v1"]);
    broker.create_topics(&[("gpu.metrics.v1", 1), ("token.usage.v1", 1)]);
    Cluster { broker, certificates, elsewhere }
}

/// A command that goes to this address in this way, with what it knows of certificates.
fn go(
    certificates: &Certificates,
    command: Producer,
    address: &str,
    (name, has_tls, has_certificate, has_login): (&str, bool, bool, bool),
    user: &str,
) -> Producer {
    let protocol = name.split(' ').next().unwrap_or_default();
    let mut command = command
        .set("KAFKA_BOOTSTRAP", address)
        .set("RDKAFKA_SECURITY_PROTOCOL", protocol)
        .set("DELIVERY_TIMEOUT_SEC", "10");
    if has_tls {
        let authority = command.file("authority.pem", &certificates.authority);
        command = command.set("RDKAFKA_SSL_CA_LOCATION", authority);
    }
    if has_certificate {
        let certificate = command.file("client.pem", &certificates.client);
        let key = command.file("client.key", &certificates.client_key);
        command = command
            .set("RDKAFKA_SSL_CERTIFICATE_LOCATION", certificate)
            .set("RDKAFKA_SSL_KEY_LOCATION", key);
    }
    if has_login {
        command = command
            .set("RDKAFKA_SASL_MECHANISM", "PLAIN")
            .set("RDKAFKA_SASL_USERNAME", user)
            .set("RDKAFKA_SASL_PASSWORD", PASSWORD);
    }
    command
}

/// The cause and the remedy in the last line of a run.
fn of_run(finished: &Finished) -> String {
    let last = finished.stderr.trim_end().lines().last().unwrap_or_default();
    // Before it are figures, where some records were delivered.
    let last = last.split_once(" unresolved; ").map_or(last, |(_, why)| why);
    without_time(last)
}

/// The cause and the remedy of the first check of `doctor` that failed; empty if none did.
fn of_doctor(finished: &Finished) -> String {
    let found: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let checks = found["checks"].as_array().expect("checks");
    let failed = checks.iter().find(|check| check["result"] == "fail");
    failed.map_or(String::new(), |check| {
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        without_time(&format!("{}; {}", text("found"), text("remedy")))
    })
}

/// A text without how long it took: a run and `doctor` have other patience.
fn without_time(text: &str) -> String {
    let words: Vec<_> = text.split(' ').collect();
    let is_time = |at: usize| at > 0 && words[at - 1] == "within";
    (0..words.len()).filter(|at| !is_time(*at)).map(|at| words[at]).collect::<Vec<_>>().join(" ")
}

/// Runs and `doctor` in one cell of the matrix; the exit code, and the texts if they differ.
fn cell(listener: &str, address: &str, way: (&str, bool, bool, bool), user: &str) -> (i32, String) {
    let cluster = cluster();
    let run = || Producer::run(address).set("BATCH", "1").set("SLEEP_SEC", "0");
    let started = [run(), run(), Producer::new(["doctor", "--json"])]
        .map(|command| go(&cluster.certificates, command, address, way, user).start());
    let [first, second, doctor] = started.map(crate::common::Running::finish);
    let at = format!("{listener}, {}, {user}", way.0);
    let (said, again, found) = (of_run(&first), of_run(&second), of_doctor(&doctor));
    let codes = [first.code, second.code, doctor.code];
    let mut differs = String::new();
    if codes != [first.code; 3] {
        differs = format!("{at}: exit codes {codes:?}\n{said}\n{found}");
    } else if first.code != 0 && (said != again || !said.contains(&found) || found.is_empty()) {
        differs = format!("{at}: run   {said}\nagain {again}\ndoctor {found}");
    }
    for finished in [&first, &second, &doctor] {
        let all = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!all.contains(PASSWORD), "{at}: {all}");
        assert!(finished.stderr.lines().count() < 20, "{at}: {}", finished.stderr);
    }
    println!("{at}: exit {}: {}", first.code, if first.code == 0 { "" } else { &said });
    (first.code, differs)
}

#[test]
fn a_run_and_doctor_agree_about_every_listener_protocol_and_right() {
    let cluster = cluster();
    let mut listeners = vec![("PLAINTEXT", cluster.broker.bootstrap())];
    listeners.extend(LISTENERS.map(|(name, _)| (name, cluster.broker.address(name))));
    let mut cells = Vec::new();
    for (listener, address) in &listeners {
        for way in WAYS {
            // Without a login there is no user with other rights.
            let users = if way.3 { &USERS[..] } else { &USERS[..1] };
            cells.extend(users.iter().map(|user| (*listener, address.as_str(), way, *user)));
        }
    }
    let (rest, results) = (Mutex::new(cells.iter()), Mutex::new(Vec::new()));
    let take = || rest.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                while let Some((listener, address, way, user)) = take() {
                    let result = cell(listener, address, *way, user);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((format!("{listener}, {}, {user}", way.0), result));
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(results.len(), 77);
    let differs: Vec<_> = results
        .iter()
        .map(|(_, (_, differs))| differs.as_str())
        .filter(|d| !d.is_empty())
        .collect();
    assert!(differs.is_empty(), "{}", differs.join("\n\n"));
    let code = |at: &str| results.iter().find(|(found, _)| found == at).map(|(_, (code, _))| *code);
    for (at, expected) in [
        ("PLAINTEXT, PLAINTEXT, writes", 0),
        ("LOGIN, SASL_PLAINTEXT, writes", 0),
        ("LOGIN, SASL_PLAINTEXT, half", 77),
        ("LOGIN, SASL_PLAINTEXT, sees", 77),
        ("BOTH, SASL_SSL, none", 77),
        ("TLS, SSL, writes", 0),
        ("MUTUAL, SSL with a certificate, writes", 0),
        ("MUTUAL, SSL, writes", 77),
        ("ELSEWHERE, PLAINTEXT, writes", 69),
        ("INSIDE, PLAINTEXT, writes", 69),
    ] {
        assert_eq!(code(at), Some(expected), "{at}");
    }
}

#[test]
fn a_broker_that_advertises_what_cannot_be_reached_is_named_with_it() {
    let cluster = cluster();
    for (listener, why) in [
        ("ELSEWHERE", format!("{}, which refuses connections", cluster.elsewhere)),
        ("INSIDE", "kafka-container:9092, which has no address here".to_owned()),
    ] {
        let address = cluster.broker.address(listener);
        let run = Producer::run(&address).set("DELIVERY_TIMEOUT_SEC", "3").finish();
        run.exits(69).says(&format!("the broker at {address} advertises {why}"));
        run.says("correct advertised.listeners");
    }
}

#[test]
fn a_broker_whose_certificate_has_another_name_is_told_from_one_of_another_authority() {
    let cluster = cluster();
    let address = cluster.broker.address("TLS").replace("127.0.0.1", "localhost");
    let tls = WAYS[2];
    let run = Producer::run(&address);
    let run = go(&cluster.certificates, run, &address, tls, "").finish();
    run.exits(69).says("certificate verify failed: it is for another name than the one");
    run.says("RDKAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM=none takes any name");
    let address = cluster.broker.address("TLS");
    let run = go(&Certificates::make(), Producer::run(&address), &address, tls, "").finish();
    run.exits(69).says("certificate verify failed: its CA is not trusted");
}
