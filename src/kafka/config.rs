//! librdkafka's configuration from the settings.

use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::settings::Settings;

/// What the program sets where the user does not: property, value, reason.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "vm4-producer"),
    // No acknowledged record can be lost, none is written twice, order within a partition holds.
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // The two topics are co-partitioned with Java clients.
    ("partitioner", "murmur2_random"),
    // A full queue is back-pressure, so a small one costs nothing; it bounds the memory.
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "65536"),
    // Requests are written in one piece; holding back their last packet only delays small runs.
    ("socket.nagle.disable", "true"),
    // A packet filter that drops packets looks like this: find out in seconds, not in 30.
    ("socket.connection.setup.timeout.ms", "5000"),
    // A broker that comes back is found within a second. The first try comes soon, because half of
    // this is also how long a client that has met its first broker waits before it meets the others.
    ("reconnect.backoff.ms", "10"),
    ("reconnect.backoff.max.ms", "1000"),
];

/// The configuration of a client of the cluster in the settings.
#[must_use]
pub fn client(settings: &Settings) -> ClientConfig {
    let mut config = embedded(&settings.kafka_bootstrap.to_string(), settings.delivery_timeout);
    let own = &settings.properties;
    let acks = own.get("acks").or(own.get("request.required.acks"));
    if acks.is_some_and(|acks| !matches!(acks.expose(), "all" | "-1")) {
        // Whoever asks for fewer acknowledgements cannot have idempotence, and need not say so.
        config.set("enable.idempotence", "false").remove("acks");
    }
    // None of these can be one of the two that `embedded` takes from the settings.
    for (property, value) in own {
        config.set(property, value.expose());
    }
    config.set_log_level(log_level(settings));
    config
}

/// The configuration of a client of the embedded broker: the defaults, and no properties of the
/// user, which are meant for another cluster.
#[must_use]
pub fn embedded(bootstrap: &str, delivery_timeout: Duration) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (property, value) in DEFAULTS {
        config.set(*property, *value);
    }
    config.set("bootstrap.servers", bootstrap);
    config.set("message.timeout.ms", delivery_timeout.as_millis().to_string());
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// The wrapper overrides `log_level`, so it is read here; `RDKAFKA_DEBUG` asks for all there is.
fn log_level(settings: &Settings) -> RDKafkaLogLevel {
    // The levels of syslog(3), as librdkafka numbers them.
    match settings.properties.get("log_level").map(|level| level.expose()) {
        Some("0" | "1" | "2" | "3") => RDKafkaLogLevel::Error,
        Some("4") => RDKafkaLogLevel::Warning,
        Some("5") => RDKafkaLogLevel::Notice,
        Some("7") => RDKafkaLogLevel::Debug,
        None if settings.properties.contains_key("debug") => RDKafkaLogLevel::Debug,
        _ => RDKafkaLogLevel::Info,
    }
}
