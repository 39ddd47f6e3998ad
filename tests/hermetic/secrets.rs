//! Secrets at every place where the program reads settings: nothing that it writes has one.

use crate::common::{Finished, Producer, nobody};

/// What nobody else writes.
const SECRET: &str = "xQ7vRz2KpLm9TbYw4NcH";

/// Settings with a secret, as a variable or a line of the env file.
const SETTINGS: &[(&str, &str)] = &[
    ("RDKAFKA_SASL_PASSWORD", SECRET),
    ("RDKAFKA_SASL_PASWORD", SECRET),
    ("RDKAFKA_SSL_KEY_PASSWORD", SECRET),
    ("RDKAFKA_SSL_KEY_PEM", SECRET),
    ("RDKAFKA_SASL_JAAS_CONFIG", "PlainLoginModule required password=\"xQ7vRz2KpLm9TbYw4NcH\";"),
    ("RDKAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", SECRET),
    ("RDKAFKA_SASL_OAUTHBEARER_CONFIG", "principal=xQ7vRz2KpLm9TbYw4NcH="),
    ("RDKAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "https://u:xQ7vRz2KpLm9TbYw4NcH@127.0.0.1:9/t"),
    ("KAFKA_BOOTSTRAP", "http://u:xQ7vRz2KpLm9TbYw4NcH@127.0.0.1:9"),
    ("KAFKA_BOOTSTRAP", "u:xQ7vRz2KpLm9TbYw4NcH@127.0.0.1:9"),
    ("GPU_SEED", "https://u:xQ7vRz2KpLm9TbYw4NcH@example.org/seed.json"),
];

/// Fails where a secret is in what the program wrote.
#[track_caller]
fn keeps_it(said: &Finished, place: &str) {
    let report = said.report.as_ref().map(ToString::to_string).unwrap_or_default();
    // Of its file it shows the path.
    for (name, text) in [("stdout", &said.stdout), ("stderr", &said.stderr), ("report", &report)] {
        assert!(!text.contains(SECRET), "{name} of {place}: {text}");
    }
}

/// Commands that read settings, each with a log of everything.
fn commands() -> impl Iterator<Item = Producer> {
    [&["run", "--batch", "1"][..], &["doctor", "--all"], &["doctor", "--json"], &["egress"]]
        .into_iter()
        .map(|args| {
            let producer = Producer::new(args);
            let report = producer.directory().join("report.json");
            producer
                .set("KAFKA_BOOTSTRAP", nobody())
                .set("DELIVERY_TIMEOUT_SEC", "1")
                .set("RUST_LOG", "trace")
                .set("REPORT_FILE", report)
        })
}

/// Ways to a cluster with which librdkafka looks at the secret, or not.
const WAYS: [&[(&str, &str)]; 3] = [
    &[],
    &[("RDKAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("RDKAFKA_SASL_MECHANISM", "PLAIN")],
    &[
        ("RDKAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ("RDKAFKA_SASL_MECHANISM", "OAUTHBEARER"),
        ("RDKAFKA_SASL_OAUTHBEARER_METHOD", "oidc"),
        ("RDKAFKA_DEBUG", "all"),
    ],
];

#[test]
fn nothing_that_a_command_writes_has_a_secret_of_its_settings() {
    let (mut running, mut said) = (Vec::new(), 0);
    for (name, value) in SETTINGS {
        for way in WAYS {
            for command in commands() {
                let set =
                    |command: Producer, (name, value): &(&str, &str)| command.set(name, value);
                let command = way.iter().fold(command, set).set(name, value);
                running.push((format!("{name} {way:?}"), command.start()));
            }
            if running.len() > 24 {
                said += running.drain(..).map(|(at, run)| keeps_it(&run.finish(), &at)).count();
            }
        }
    }
    said += running.drain(..).map(|(at, run)| keeps_it(&run.finish(), &at)).count();
    assert_eq!(said, SETTINGS.len() * WAYS.len() * 4);
}

#[test]
fn a_line_of_the_env_file_and_a_flag_with_a_secret_are_not_shown() {
    for line in [
        "sasl.password SECRET",
        "SASL_PASSWORD=SECRET",
        "SECRET",
        "SECRET==",
        "RDKAFKA_SSL_KEY_PEM=-----BEGIN PRIVATE KEY-----\nSECRET=\n-----END PRIVATE KEY-----",
        "BATCH=\"20\nRDKAFKA_SASL_PASSWORD=SECRET",
    ] {
        let line = line.replace("SECRET", SECRET);
        for command in commands() {
            let path = command.file("vm4.env", format!("{line}\n"));
            let said = command.set("VM4_PRODUCER_ENV", path).finish();
            assert_ne!(said.code, 0, "{}", said.stderr);
            keeps_it(&said, &line);
        }
    }
    for property in ["sasl.pasword=SECRET", "sasl.jaas.config=x password=\"SECRET\";", "SECRET"] {
        let property = property.replace("SECRET", SECRET);
        let said = Producer::new(["doctor", "-X", &property]).finish();
        assert_ne!(said.code, 0);
        keeps_it(&said, &property);
    }
}
