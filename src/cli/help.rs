//! What `-h` and `--help` show where, and the examples of `--help` and the man page.

use crate::settings::OF_THE_EVENTS;

/// The flags that most runs need: how they are typed, and what they are.
const MOST_USED: &[(&str, &str)] = &[
    ("-b HOST:PORT", "the Kafka cluster, as in kafka-1:9092,kafka-2:9092"),
    ("--batch PAIRS", "how many pairs, of two records each"),
    ("--sleep-sec TIME", "time between pairs, as in 100ms; 0 = full speed"),
    ("--duration-sec TIME", "how long, as in 10m, in place of --batch"),
    ("--hostname NAMES", "which hosts, as in gpu[01-16]"),
    ("--workload NAME", "chat, code, reason, long, agent or uniform"),
    ("--run-seed NUMBER", "the same load again"),
    ("--report-file FILE", "write a JSON report; - = stdout"),
    ("-X PROPERTY=VALUE", "a property of librdkafka, as in linger.ms=20"),
];

/// What stands below `-h` of a command that has settings.
pub(super) fn after_short_help(command: &str) -> String {
    match command {
        "vm4-producer" => {
            "To begin: `vm4-producer demo`, then -b HOST:PORT. --help has all settings.".into()
        }
        "run" => {
            let lines = MOST_USED.iter().map(|(flag, what)| format!("  {flag:<21}{what}\n"));
            format!("Most used:\n{}\n--help has all settings.", lines.collect::<String>())
        }
        _ => "Every setting is a flag, too, as in --batch 100: --help has those that count here."
            .into(),
    }
}

pub(super) const SETTINGS: &str = "\
Every setting is also an environment variable and a line in /etc/vm4-producer.env (SLEEP_SEC is \
--sleep-sec). A flag beats the environment, which beats the file. `vm4-producer doctor` shows what is \
set and where, `vm4-producer doctor --all` every value in force.";

/// Command lines that do something useful as they stand, but for the broker.
pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    ("vm4-producer demo", "see it work, without a broker"),
    ("vm4-producer doctor -b kafka-1:9092", "check what a run needs"),
    ("vm4-producer -b kafka-1:9092 --batch 100 --sleep-sec 100ms", "100 pairs in 10 s"),
    (
        "vm4-producer -b kafka-1:9092 --duration-sec 10m --hostname 'gpu[01-16]'",
        "sixteen hosts for ten minutes",
    ),
    (
        "vm4-producer -b kafka-1:9093 -X security.protocol=SASL_SSL -X sasl.mechanism=PLAIN \
         -X sasl.username=load",
        "TLS and a password, which CREDENTIALS_DIRECTORY/sasl.password has",
    ),
    (
        "vm4-producer -b kafka-1:9092 --event-start yesterday --duration-sec 1d --sleep-sec 5 \
         --arrivals workload",
        "backfill a day, at full speed",
    ),
    (
        "vm4-producer -b kafka-1:9092 --run-seed 7 --report-file report.json -q",
        "for a script: the same load each time, and a report",
    ),
    ("vm4-producer generate --values | head -n 4", "the events alone"),
];

pub(super) fn after_long_help() -> String {
    let examples = EXAMPLES.iter().map(|(line, what)| format!("  # {what}\n  {line}\n"));
    format!("Examples:\n{}\n{SETTINGS}", examples.collect::<String>())
}

/// The heading under which a setting stands.
pub(super) fn heading(setting: &str) -> &'static str {
    match setting {
        "KAFKA_BOOTSTRAP" | "TOPIC_METRIC" | "TOPIC_TOKEN" | "DELIVERY_TIMEOUT_SEC" => "Kafka",
        "BATCH" | "SLEEP_SEC" | "RATE" | "ARRIVALS" | "DURATION_SEC" | "PACE" | "SHARD" => "Load",
        "PROFILE" | "EGRESS_ALLOW" => "Unit",
        "REPORT_FILE" | "ANSWER_KEY" | "LOG_FORMAT" | "RUST_LOG" => "Output",
        _ => "Events",
    }
}

/// Whether a command takes a setting, so that one command line serves all, but does not use it: its
/// help does not show it.
pub(super) fn is_unused(command: &str, setting: &str) -> bool {
    let unused: &[&str] = match command {
        "demo" => &["KAFKA_BOOTSTRAP", "EGRESS_ALLOW", "EVENT_TIME_GUARD", "rdkafka"],
        "expect" if setting == "ANSWER_KEY" => return true,
        "expect" | "generate" => &[
            "KAFKA_BOOTSTRAP",
            "DELIVERY_TIMEOUT_SEC",
            "EGRESS_ALLOW",
            "EVENT_TIME_GUARD",
            "PACE",
            "REPORT_FILE",
            "CLOSE_WINDOWS",
            "rdkafka",
        ],
        "egress" if OF_THE_EVENTS.contains(&setting) => return true,
        "egress" => {
            &["GPU_SEED", "EVENT_TIME_GUARD", "DELIVERY_TIMEOUT_SEC", "REPORT_FILE", "ANSWER_KEY"]
        }
        _ => &[],
    };
    unused.contains(&setting)
}
