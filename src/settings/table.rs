//! Every setting, once: name, parser, default, expectation, help line.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::bootstrap::{self, Bootstrap};
use super::define::{Definition, read, read_optional, read_properties, settings};
use super::error::SettingError;
use super::event_start;
use super::faults;
use super::hosts::{self, Hosts};
use super::incidents;
use super::layers::Layers;
use super::parse::{self, EventTimeGuard, LogFormat, Pace, RecordHeaders, RecordKey};
use super::properties::{Librdkafka, Properties};
use super::shard;
use super::source::Resolved;
use crate::allow_list::AllowList;
use crate::faults::{Fault, Faults};
use crate::workload::arrivals::Law;
use crate::workload::incidents::{Incident, IncidentKind};
use crate::workload::{Name, Shard};

settings! {
    kafka_bootstrap: Bootstrap {
        name: "KAFKA_BOOTSTRAP",
        parse: bootstrap::bootstrap,
        default: "10.0.1.197:9092",
        expected: "host[:port][,...], the port from 1 to 65535, IPv6 as [address]:port",
        help: "bootstrap servers, host[:port][,...]; the default port is 9092; IPv6 as \
               [address]:port",
    }
    gpu_seed: PathBuf {
        name: "GPU_SEED",
        parse: parse::path,
        default: "/data/gpu_seed.json",
        expected: "the path of a seed file, or - for stdin",
        help: "seed file with the GPUs, - = stdin. If unset and absent, the program uses its \
               built-in copy and logs that",
    }
    batch: u64 {
        name: "BATCH",
        parse: parse::batch,
        default: "20",
        expected: "a whole number from 0 to 1000000000000",
        help: "pairs per run, two records each; 0 sends nothing",
    }
    sleep: Duration {
        name: "SLEEP_SEC",
        parse: parse::sleep,
        default: "0.5",
        expected: "seconds from 0 to 86400, as in 0.5, or with a unit, as in 500ms",
        help: "seconds, or a duration as in 500ms, between the starts of pairs (the mean, if \
               arrivals are random); 0 = as fast as possible",
    }
    rate: Duration {
        name: "RATE",
        parse: parse::rate,
        expected: "pairs a second, from 0.0001 to 1000000, as in 100",
        help: "pairs a second, as in 100: the same as SLEEP_SEC=0.01, the other way round. Not \
               together with SLEEP_SEC",
    }
    topic_metric: String {
        name: "TOPIC_METRIC",
        parse: parse::topic,
        default: "gpu.metrics.v1",
        expected: "a topic name: 1 to 249 of A-Z a-z 0-9 . _ -",
        help: "topic of the GPU metrics",
    }
    topic_token: String {
        name: "TOPIC_TOKEN",
        parse: parse::topic,
        default: "token.usage.v1",
        expected: "a topic name: 1 to 249 of A-Z a-z 0-9 . _ -",
        help: "topic of the token usage",
    }
    hostname: Hosts {
        name: "HOSTNAME",
        parse: hosts::hosts,
        default: "vm4",
        expected: "host names of 1 to 253 of A-Z a-z 0-9 . _ -, separated by commas, ranges as \
                   in gpu[01-16]",
        help: "the host field and the first part of the key; gpu[01-16] or a,b: several hosts, \
               each with the seed's GPUs",
    }
    run_seed: u64 {
        name: "RUN_SEED",
        parse: parse::seed,
        expected: "a whole number from 0 to 18446744073709551615",
        help: "seed of the run: the same seed, run id, EVENT_START and settings give the same \
               bytes. Random if unset; always reported",
    }
    run_id: String {
        name: "RUN_ID",
        parse: parse::run_id,
        expected: "1 to 128 of A-Z a-z 0-9 . _ -",
        help: "name of the run in headers and report. If unset, made from the start time, the seed \
               and a digest of what makes the records",
    }
    workload: Name {
        name: "WORKLOAD",
        parse: parse::workload,
        default: "chat",
        words: &Name::WORDS,
        expected: "chat, code, reason, long, agent or uniform",
        help: "chat, code, reason, long, agent: token lengths from public traces, latency and \
               GPU values from one load; uniform: prompt 256-2048, completion 64-512, latency \
               100-800 ms, GPU values as in the seed row",
    }
    arrivals: Law {
        name: "ARRIVALS",
        parse: parse::arrivals,
        default: "fixed",
        words: &Law::WORDS,
        expected: "fixed, poisson or workload",
        help: "fixed: equal gaps; poisson: exponential gaps; workload: as bursty as the \
               workload's trace, and by its hours of the day and days of the week (UTC), over \
               which SLEEP_SEC is the mean",
    }
    duration: Duration {
        name: "DURATION_SEC",
        parse: parse::duration,
        expected: "seconds from 0.001 to 31536000, as in 600, or with a unit, as in 10m",
        help: "the run ends after this long, in seconds or as in 10m or 1d. Without BATCH there \
               is no limit of pairs; with it, whichever comes first",
    }
    event_start: Timestamp {
        name: "EVENT_START",
        parse: event_start::event_start,
        words: &["now", "today", "yesterday"],
        expected: "a time as in 2026-01-01T00:00:00Z, a day as in 2026-01-01, today or yesterday, \
                   now, or so far from now, as in -1h",
        help: "events are stamped from this time on, spaced by ARRIVALS (backfill): \
               2026-01-01T00:00:00Z; a day, 2026-01-01, today or yesterday, from midnight UTC on; \
               now; or counted from now, as in -1h. If unset, ts is the wall clock",
    }
    event_time_guard: EventTimeGuard {
        name: "EVENT_TIME_GUARD",
        parse: parse::event_time_guard,
        default: "on",
        words: EventTimeGuard::WORDS,
        expected: "on or off",
        help: "on: a run with EVENT_START or FAULTS is refused if a topic would refuse its events \
               or delete them within the hour; off: it is sent anyway",
    }
    pace: Pace {
        name: "PACE",
        parse: parse::pace,
        words: Pace::WORDS,
        expected: "wall or none",
        help: "wall: wait for each pair's time; none: send at full speed. Default: wall, or none \
               with EVENT_START",
    }
    shard: Shard {
        name: "SHARD",
        parse: shard::shard,
        default: "0/1",
        expected: "i/n with i from 0 to n-1, or slot:{{.Task.Slot}}/n in Docker Swarm",
        help: "i/n: send the pairs whose seq is i modulo n. n shards together send the unsharded \
               run; they must share RUN_SEED, and RUN_ID or EVENT_START. In Docker Swarm: \
               slot:{{.Task.Slot}}/n",
    }
    faults: Faults {
        name: "FAULTS",
        parse: faults::faults,
        words: &Fault::WORDS,
        expected: "kind=probability[:parameter][,...], as in \
                   duplicate=0.01,late=1/200:120s,malformed=0.001",
        help: "what is done on purpose to some records, as in \
               duplicate=0.01,late=1/200:120s,malformed=0.001. Kinds: duplicate[:time], \
               late[:time], out-of-order[:pairs], clock-skew[:time], drop, tombstone, malformed, \
               missing-field, null-field, wrong-type, extra-field, renamed-field, \
               duplicate-key, sentinel, failed-request, oversize[:bytes]. The header fault says \
               what was done",
    }
    incidents: Vec<Incident> {
        name: "INCIDENTS",
        parse: incidents::incidents,
        words: &IncidentKind::WORDS,
        expected: "kind[=PARAMETER]@START/LENGTH[:HOST/GPU][,...], as in throttle@+10m/5m:vm4/0 or \
                   surge=3@2026-01-01T12:00:00Z/10m",
        help: "what happens in the run, kind[=PARAMETER]@START/LENGTH[:HOST/GPU][,...]: throttle, \
               gpu-lost, ecc-restart, noisy-neighbour, surge, stuck-gauge or exporter-silent; START \
               is +offset from the first event, as in +10m, or an RFC 3339 time; * in HOST and GPU \
               is any text",
    }
    close_windows: Duration {
        name: "CLOSE_WINDOWS",
        parse: parse::duration,
        expected: "seconds from 0.001 to 31536000, as in 60, or with a unit, as in 60s",
        help: "after the batch, send one extra record per partition, stamped this long after the \
               latest event, so that consumers close their last windows. Use window length plus \
               grace. Not counted with the batch",
    }
    answer_key: PathBuf {
        name: "ANSWER_KEY",
        parse: parse::path,
        expected: "a path in a directory that can be written, or - for stdout",
        help: "path of the answer key, NDJSON: each record that differs from a clean run, and what \
               a correct consumer computes; - = stdout",
    }
    record_key: RecordKey {
        name: "RECORD_KEY",
        parse: parse::record_key,
        default: "gpu",
        words: RecordKey::WORDS,
        expected: "gpu or none",
        help: "gpu: the key is HOST/GPU_INDEX; none: no key",
    }
    record_headers: RecordHeaders {
        name: "RECORD_HEADERS",
        parse: parse::record_headers,
        default: "on",
        words: RecordHeaders::WORDS,
        expected: "on or off",
        help: "on: headers run, seq and content-type; off: no headers",
    }
    delivery_timeout: Duration {
        name: "DELIVERY_TIMEOUT_SEC",
        parse: parse::delivery_timeout,
        default: "30",
        expected: "seconds from 1 to 3600, as in 30, or with a unit, as in 2m",
        help: "how long a record may wait for its acknowledgement, retries included; in seconds, \
               or as in 2m",
    }
    report_file: PathBuf {
        name: "REPORT_FILE",
        parse: parse::path,
        expected: "a path in a directory that can be written, or - for stdout",
        help: "path of the JSON report; - = stdout",
    }
    run_topic: String {
        name: "RUN_TOPIC",
        parse: parse::topic,
        expected: "a topic name: 1 to 249 of A-Z a-z 0-9 . _ -",
        help: "a compacted topic in which the run describes itself: its settings before the first \
               record, its report after the last, key RUN_ID/SHARD. Then verify RUN_ID needs \
               nothing else",
    }
    profile: String {
        name: "PROFILE",
        parse: parse::profile,
        expected: "a profile name: 1 to 128 of A-Z a-z 0-9 . _ -, no dot in front",
        help: "also read /etc/vm4-producer/PROFILE.env, which overrides the main env file",
    }
    egress_allow: AllowList {
        name: "EGRESS_ALLOW",
        parse: parse::prefixes,
        expected: "addresses and prefixes separated by commas or spaces, as in \
                   10.0.1.0/24,2001:db8::7",
        help: "addresses and prefixes that the systemd unit can reach besides the addresses in \
               KAFKA_BOOTSTRAP; vm4-producer egress finds them",
    }
    log_format: LogFormat {
        name: "LOG_FORMAT",
        parse: parse::log_format,
        default: "text",
        words: LogFormat::WORDS,
        expected: "text or json",
        help: "text: lines for people; json: one JSON object a line on stderr, with the figures of the \
               summary as numbers. The journal has them as fields in either case",
    }
    log_filter: String {
        name: "RUST_LOG",
        parse: parse::log_filter,
        default: "info",
        words: parse::LOG_LEVELS,
        expected: "off, error, warn, info, debug, trace, or a tracing filter, as in \
                   vm4_producer=debug",
        help: "level or tracing filter of the log. librdkafka's lines have the target librdkafka, \
               and its debug lines need RDKAFKA_DEBUG, as in RDKAFKA_DEBUG=broker",
    }
}
