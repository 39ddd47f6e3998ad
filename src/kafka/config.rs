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
    // A full queue is back-pressure, so a small one costs nothing; it bounds the memory, and more
    // than fits in the processor's cache costs time (`make bench`). At a round trip of 100 ms it
    // still allows 200,000 records a second.
    ("queue.buffering.max.messages", "20000"),
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

/// How long a batch waits for more at full speed. At librdkafka's own 5 ms a window that the processor's
/// cache holds is used up before the batches leave, and the rate is a fifth less (`make bench`). Where
/// pairs wait for their time, shorter batches would only be more requests.
const LINGER_MS_AT_FULL_SPEED: &str = "2";

/// How often librdkafka says where the time goes. It keeps a histogram for that, which each record pays
/// for: nothing that shows where pairs wait for their time, but several per cent at full speed.
const STATISTICS_EVERY_MS: &str = "1000";

/// The configuration of a client of the cluster in the settings.
#[must_use]
pub fn client(settings: &Settings) -> ClientConfig {
    let mut config = embedded(&settings.kafka_bootstrap.to_string(), settings.delivery_timeout);
    if settings.waits() {
        config.set("statistics.interval.ms", STATISTICS_EVERY_MS);
    } else {
        config.set("linger.ms", LINGER_MS_AT_FULL_SPEED);
    }
    let own = &settings.properties;
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
    let message_timeout = delivery_timeout * MESSAGE_TIMEOUT;
    config.set("message.timeout.ms", message_timeout.as_millis().to_string());
    let socket_timeout = socket_timeout(delivery_timeout).as_millis().to_string();
    config.set("socket.timeout.ms", &socket_timeout);
    // A port that accepts and is mute is told before the run gives up.
    config.set("api.version.request.timeout.ms", socket_timeout);
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// librdkafka's own time-out of a record, in delivery timeouts. The accounting gives a record up before;
/// this one ends what it is still trying to send, and is no shorter than a pause of the process that
/// should cost nothing.
const MESSAGE_TIMEOUT: u32 = 4;

/// Bounds of the socket timeout. The lower one is what a slow but living link needs for the first
/// records of a run: 26 kB at 64 kbit/s, and a round trip of 600 ms. The upper one is librdkafka's own
/// default.
const SOCKET_TIMEOUT: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(60)];

/// How long a request waits for its answer before its connection counts as dead: a fifth of the
/// delivery timeout, within which its records then get another try.
#[must_use]
pub fn socket_timeout(delivery_timeout: Duration) -> Duration {
    let [shortest, longest] = SOCKET_TIMEOUT;
    (delivery_timeout / 5).clamp(shortest, longest)
}

/// How long a record should wait for its acknowledgement at the most, by which the number of records
/// in flight is chosen: half of the time after which its connection would count as dead, and a
/// quarter of the delivery timeout.
#[must_use]
pub fn longest_wait(delivery_timeout: Duration) -> Duration {
    (socket_timeout(delivery_timeout) / 2).min(delivery_timeout / 4)
}

/// librdkafka's default of `linger.ms`.
const LINGER: Duration = Duration::from_millis(5);

/// How long a client with this configuration waits for a batch to fill.
#[must_use]
pub fn linger(config: &ClientConfig) -> Duration {
    let set = config.get("linger.ms").or(config.get("queue.buffering.max.ms"));
    let ms = set.and_then(|set| set.trim().parse().ok()).filter(|ms: &f64| *ms >= 0.0);
    ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok()).unwrap_or(LINGER)
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
