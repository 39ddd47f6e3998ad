//! A digest of all that makes the records of a run, but for its name.
//!
//! Of settings it takes what they mean and not how they are written: 0.5 and 500ms are one. Topics,
//! pace and shard are not in it, because they change no record, and shards are one run.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::settings::Settings;
use crate::workload;
use crate::workload::incidents::{Incident, Start};
use crate::workload::seed::Seed;

/// Digits of the digest in the name of a run: of a thousand runs with one seed and one start, two
/// share a name with a probability of 1 in 8,600.
pub(super) const SHORT: usize = 8;

/// The SHA-256, in hexadecimal digits, of what makes the records of a run with this seed.
#[must_use]
pub fn digest(settings: &Settings, seed: &Seed, run_seed: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{name} {value}");
    };
    line("workload version", &workload::VERSION);
    line("seed", &seed.sha256());
    line("run seed", &run_seed);
    line("pairs", &settings.batch);
    line("gap ns", &settings.sleep.as_nanos());
    line("duration ns", &settings.duration.map_or(0, |duration| duration.as_nanos()));
    let start = settings.event_start.map(Timestamp::as_millisecond);
    line("start ms", &start.map_or_else(|| "clock".to_owned(), |ms| ms.to_string()));
    line("workload", &settings.workload.word());
    line("arrivals", &settings.arrivals.word());
    for host in settings.hostname.names() {
        line("host", host);
    }
    let faults = settings.faults.iter().flat_map(|faults| faults.iter());
    let mut faults: Vec<_> = faults
        .map(|setting| {
            let (fault, parameter) = (setting.fault.word(), setting.parameter);
            format!("{fault} {:?} {parameter:?}", setting.probability.as_f64())
        })
        .collect();
    faults.sort_unstable();
    for fault in faults {
        line("fault", &fault);
    }
    // Their order counts: of two that overlap the first may go before.
    for incident in settings.incidents.iter().flatten() {
        line("incident", &in_words(incident));
    }
    line("key", &format!("{:?}", settings.record_key));
    line("headers", &format!("{:?}", settings.record_headers));
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_words(incident: &Incident) -> String {
    let Incident { kind, parameter, start, length, gpus, .. } = incident;
    let start = match start {
        Start::After(after) => format!("+{}", after.as_nanos()),
        Start::At(at) => at.as_nanosecond().to_string(),
    };
    format!("{} {parameter} {start} {} {gpus}", kind.word(), length.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties;
    use crate::settings::{Inputs, OF_THE_EVENTS};
    use crate::workload::seed;

    fn of(variables: &[(&str, &str)]) -> String {
        let all = [&[("VM4_PRODUCER_ENV", "/dev/null")], variables].concat();
        let environment = all.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let settings =
            Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check)
                .unwrap();
        let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
        digest(&settings, &seed, settings.run_seed.unwrap_or(1))
    }

    #[test]
    fn each_setting_that_makes_records_makes_another_digest_and_no_other_setting_does() {
        // A new setting of the events has its place here, and in the digest if it makes records.
        let base = [("RUN_SEED", "7"), ("RUN_ID", "x"), ("EVENT_START", "2026-01-05T00:00:00Z")];
        for name in OF_THE_EVENTS {
            let (other, makes_records) = match name {
                "BATCH" => ("21", true),
                "SLEEP_SEC" => ("0.25", true),
                "RATE" => ("7", true),
                "HOSTNAME" => ("vm5", true),
                "RUN_SEED" => ("8", true),
                "WORKLOAD" => ("code", true),
                "ARRIVALS" => ("poisson", true),
                "DURATION_SEC" => ("9", true),
                "EVENT_START" => ("2026-01-05T00:00:01Z", true),
                "FAULTS" => ("late=0.1", true),
                "INCIDENTS" => ("surge=2@+1s/2s", true),
                "RECORD_KEY" => ("none", true),
                "RECORD_HEADERS" => ("off", true),
                "TOPIC_METRIC" | "TOPIC_TOKEN" | "RUN_ID" => ("y", false),
                "PACE" => ("wall", false),
                "SHARD" => ("0/2", false),
                "CLOSE_WINDOWS" => ("60", false),
                other => panic!("{other} is in no list"),
            };
            let mut variables: Vec<_> = base.iter().copied().filter(|(n, _)| *n != name).collect();
            variables.push((name, other));
            assert_eq!(of(&variables) != of(&base), makes_records, "{name}={other}");
        }
    }

    #[test]
    fn how_a_setting_is_written_makes_no_difference() {
        for (one, other) in [
            (("SLEEP_SEC", "0.5"), ("SLEEP_SEC", "500ms")),
            (("HOSTNAME", "gpu[1-2]"), ("HOSTNAME", "gpu1,gpu2")),
            (("FAULTS", "late=0.005,drop=0.1"), ("FAULTS", "drop=1/10,late=1/200")),
            (("INCIDENTS", "throttle@+60s/1m"), ("INCIDENTS", "throttle@+1m/60s")),
        ] {
            assert_eq!(of(&[one]), of(&[other]), "{one:?}");
        }
    }

    #[test]
    fn a_run_with_faults_has_a_name_of_its_own_and_the_random_streams_of_the_clean_run() {
        let load = |variables: &[(&str, &str)]| {
            let environment = variables.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
            Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check).unwrap()
        };
        let base = [
            ("VM4_PRODUCER_ENV", "/dev/null"),
            ("RUN_SEED", "7"),
            ("EVENT_START", "2026-01-05T00:00:00Z"),
        ];
        let seed = seed::parse(seed::BUILT_IN.as_bytes()).unwrap();
        let identity = |settings: &Settings| {
            super::super::Identity::new(settings, Timestamp::UNIX_EPOCH, 0)
                .with_digest(settings, &seed)
        };
        let clean = identity(&load(&base));
        let faulty = identity(&load(&[&base[..], &[("FAULTS", "late=0.1")]].concat()));
        assert_ne!(clean.run_id, faulty.run_id);
        assert_eq!(clean.scope(), "20260105T000000.000Z-7");
        assert_eq!(clean.scope(), faulty.scope());
        let named = load(&[&base[..], &[("RUN_ID", "night-7")]].concat());
        assert_eq!(identity(&named).run_id, "night-7");
        assert_eq!(identity(&named).scope(), "night-7");
    }
}
