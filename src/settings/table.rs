//! Every setting, once: name, default, parser, expectation, help line.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::bootstrap::{self, Bootstrap};
use super::error::SettingError;
use super::hosts::{self, Hosts};
use super::layers::Layers;
use super::parse::{
    self, ArrivalsName, EventTimeGuard, Pace, RecordHeaders, RecordKey, WorkloadName,
};
use super::properties::{self, Librdkafka, Properties};
use super::shard::{self, Shard};
use super::source::Resolved;
use crate::allow_list::AllowList;

/// One setting as the user meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Name in the environment and the env file; the flag is the same in kebab case.
    pub name: &'static str,
    /// Default as text; `None` where there is none.
    pub default: Option<&'static str>,
    /// What a value must look like; completes "expected ...".
    pub expected: &'static str,
    /// One line for `--help`, the man page and the README.
    pub help: &'static str,
}

impl Definition {
    /// The long flag without its dashes: `SLEEP_SEC` is `sleep-sec`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }
}

/// The definition of a setting.
#[must_use]
pub fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|d| d.name == name)
}

/// Defines [`Settings`] and [`DEFINITIONS`] from one list. A setting marked `optional` has no
/// default, is an `Option`, and may be set to nothing (`RUN_SEED=`), which leaves it out.
macro_rules! settings {
    ($($field:ident: $kind:ident $type:ty, $parser:path, $name:literal, $default:expr,
       $expected:literal, $help:literal;)+) => {
        /// All settings in one list, in the order of the documentation.
        pub const DEFINITIONS: &[Definition] = &[
            $(Definition { name: $name, default: $default, expected: $expected, help: $help }),+
        ];

        /// Every setting, validated.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $(#[doc = concat!("`", $name, "`; [`DEFINITIONS`] says what it means.")] pub $field: settings!(@type $kind $type),)+
            /// librdkafka properties set by the user.
            pub properties: Properties,
            pub(super) resolved: Vec<Resolved>,
        }

        impl Settings {
            pub(super) fn from_layers(
                layers: &Layers,
                librdkafka: Librdkafka,
            ) -> Result<Self, Vec<SettingError>> {
                let mut bad = Vec::new();
                $(let $field = settings!(@read $kind layers, $name, $parser, &mut bad);)+
                let properties = read_properties(layers, librdkafka, &mut bad);
                let resolved = DEFINITIONS.iter().filter_map(|d| layers.get(d.name).cloned());
                let resolved = resolved.collect();
                match ($($field,)+) {
                    ($(Some($field),)+) if bad.is_empty() => {
                        Ok(Self { $($field,)+ properties, resolved })
                    }
                    _ => Err(bad),
                }
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@read required $layers:expr, $name:literal, $parser:path, $bad:expr) => {
        $layers.get($name).and_then(|found| read(found, $parser, $bad))
    };
    (@read optional $layers:expr, $name:literal, $parser:path, $bad:expr) => {
        match $layers.get($name).filter(|found| !found.expose().is_empty()) {
            Some(found) => read(found, $parser, $bad).map(Some),
            None => Some(None),
        }
    };
}

settings! {
    kafka_bootstrap: required Bootstrap, bootstrap::bootstrap, "KAFKA_BOOTSTRAP", Some("10.0.1.197:9092"),
        "host[:port][,...], the port from 1 to 65535, IPv6 as [address]:port",
        "Kafka servers to ask first, host[:port][,...]; port 9092 if left out; IPv6 as [address]:port";
    gpu_seed: required PathBuf, parse::path, "GPU_SEED", Some("/data/gpu_seed.json"),
        "the path of a seed file",
        "seed file: the GPUs. If absent and not set by you, the built-in copy is used and said so";
    batch: required u64, parse::batch, "BATCH", Some("20"),
        "a whole number from 0 to 1000000000000",
        "pairs per run, two records each; 0 = none, the run ends at once";
    sleep: required Duration, parse::sleep, "SLEEP_SEC", Some("0.5"),
        "seconds from 0 to 86400, as in 0.5",
        "seconds between the starts of pairs (mean, where arrivals are random); 0 = as fast as possible";
    topic_metric: required String, parse::topic, "TOPIC_METRIC", Some("gpu.metrics.v1"),
        "a topic name: 1 to 249 of A-Z a-z 0-9 . _ -",
        "topic of the GPU metrics";
    topic_token: required String, parse::topic, "TOPIC_TOKEN", Some("token.usage.v1"),
        "a topic name: 1 to 249 of A-Z a-z 0-9 . _ -",
        "topic of the token usage";
    hostname: required Hosts, hosts::hosts, "HOSTNAME", Some("vm4"),
        "host names of 1 to 253 of A-Z a-z 0-9 . _ -, separated by commas, ranges as in gpu[01-16]",
        "the host field, and the first part of the key; gpu[01-16] or a,b: several hosts, each with the seed's GPUs";
    run_seed: optional u64, parse::seed, "RUN_SEED", None,
        "a whole number from 0 to 18446744073709551615",
        "seed of the run: the same seed, run id, EVENT_START and settings give the same bytes. Random if left out; always reported";
    run_id: optional String, parse::run_id, "RUN_ID", None,
        "1 to 128 of A-Z a-z 0-9 . _ -",
        "name of the run in headers and report. Made from start and seed if left out";
    workload: required WorkloadName, parse::workload, "WORKLOAD", Some("chat"),
        "chat, code, reason, long or uniform",
        "chat, code, reason, long: tokens of public traces, latency and GPU values from one load; uniform: prompt 256-2048, completion 64-512, latency 100-800 ms, GPU values as in the seed row";
    arrivals: required ArrivalsName, parse::arrivals, "ARRIVALS", Some("fixed"),
        "fixed, poisson or workload",
        "fixed; poisson; workload: as bursty as the workload's own trace, and with EVENT_START in the shape of a day";
    duration: optional Duration, parse::duration, "DURATION_SEC", None,
        "seconds from 0.001 to 31536000",
        "end after this long, whichever of BATCH and this comes first";
    event_start: optional Timestamp, parse::instant, "EVENT_START", None,
        "an RFC 3339 time from 1970 to 9999, as in 2026-01-01T00:00:00Z",
        "stamp events from here on, spaced by the arrivals (backfill). Without it ts is the wall clock";
    event_time_guard: required EventTimeGuard, parse::event_time_guard, "EVENT_TIME_GUARD", Some("on"),
        "on or off",
        "on: a run with EVENT_START is refused if a topic would refuse its events, or delete them within the hour; off: it is sent";
    pace: optional Pace, parse::pace, "PACE", None,
        "wall or none",
        "wall waits for each pair's time, none sends at full speed. Default: wall; none with EVENT_START";
    shard: required Shard, shard::shard, "SHARD", Some("0/1"),
        "i/n with i from 0 to n-1, or slot:{{.Task.Slot}}/n in Docker Swarm",
        "i/n: send the pairs whose seq is i modulo n; n shards together send the unsharded run, and must share RUN_SEED, and RUN_ID or EVENT_START; slot:{{.Task.Slot}}/n in Docker Swarm";
    record_key: required RecordKey, parse::record_key, "RECORD_KEY", Some("gpu"),
        "gpu or none",
        "gpu: key HOST/GPU_INDEX; none: no key";
    record_headers: required RecordHeaders, parse::record_headers, "RECORD_HEADERS", Some("on"),
        "on or off",
        "on: headers run, seq and content-type; off: none";
    delivery_timeout: required Duration, parse::delivery_timeout, "DELIVERY_TIMEOUT_SEC", Some("30"),
        "seconds from 1 to 3600",
        "how long a record may wait for its acknowledgement, retries included";
    report_file: optional PathBuf, parse::path, "REPORT_FILE", None,
        "a path in a directory that can be written, or - for stdout",
        "write the JSON report there; - = stdout";
    profile: optional String, parse::profile, "PROFILE", None,
        "a profile name: 1 to 128 of A-Z a-z 0-9 . _ -, no dot in front",
        "also read /etc/vm4-producer/PROFILE.env, over the main env file";
    egress_allow: optional AllowList, parse::prefixes, "EGRESS_ALLOW", None,
        "addresses and prefixes separated by commas or spaces, as in 10.0.1.0/24,2001:db8::7",
        "addresses and prefixes that the systemd unit may reach beside the addresses in KAFKA_BOOTSTRAP; vm4-producer egress finds them";
    log_filter: required String, parse::log_filter, "RUST_LOG", Some("info"),
        "a tracing filter, as in info or vm4_producer=debug",
        "what is logged: a tracing filter; librdkafka speaks as librdkafka";
}

pub(super) fn read<T>(
    resolved: &Resolved,
    parser: fn(&str) -> Result<T, parse::Refusal>,
    bad: &mut Vec<SettingError>,
) -> Option<T> {
    let refused = |refusal: parse::Refusal| {
        bad.push(SettingError::of_definition(resolved, refusal.because()));
    };
    parser(resolved.expose()).map_err(refused).ok()
}

fn read_properties(
    layers: &Layers,
    librdkafka: Librdkafka,
    bad: &mut Vec<SettingError>,
) -> Properties {
    let good = layers.properties().filter(|property| {
        let checked = properties::check(property, librdkafka);
        checked.map_err(|error| bad.push(error)).is_ok()
    });
    good.map(|property| (property.key.name().to_owned(), property.clone())).collect()
}
