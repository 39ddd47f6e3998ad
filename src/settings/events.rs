//! Which of the settings are those of the events.

/// Settings that decide what a run sends, and how much of it.
pub const OF_THE_EVENTS: [&str; 19] = [
    "BATCH",
    "SLEEP_SEC",
    "RATE",
    "TOPIC_METRIC",
    "TOPIC_TOKEN",
    "HOSTNAME",
    "RUN_SEED",
    "RUN_ID",
    "WORKLOAD",
    "ARRIVALS",
    "DURATION_SEC",
    "EVENT_START",
    "PACE",
    "SHARD",
    "FAULTS",
    "INCIDENTS",
    "CLOSE_WINDOWS",
    "RECORD_KEY",
    "RECORD_HEADERS",
];
