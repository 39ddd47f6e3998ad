//! Settings that are not those of a run: which of them differ, as far as that can be told.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use crate::kafka::properties;
use crate::plan::{self, MadeId};
use crate::settings::{
    ENV_FILE_VARIABLE, Inputs, LoadError, OF_THE_EVENTS, RecordHeaders, RecordKey, Settings,
};
use crate::workload::Name;
use crate::workload::arrivals::Law;
use crate::workload::seed::{self, Seed};

/// A setting that a run had otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Differing {
    pub(super) name: &'static str,
    /// Its value here, and that of the run, as they are written.
    pub(super) own: String,
    pub(super) theirs: String,
}

impl fmt::Display for Differing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, own, theirs } = self;
        let shown = |value: &str| if value.is_empty() { "not set" } else { value }.to_owned();
        write!(f, "{name} is {} here and was {} there", shown(own), shown(theirs))
    }
}

/// The settings that have these values, and defaults for the rest, as far as they are of the events.
///
/// # Errors
/// A value is not valid.
pub(super) fn settings_of<'a>(
    values: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Settings, LoadError> {
    let of_the_events = values.filter(|(name, _)| OF_THE_EVENTS.contains(name));
    let mut environment: Vec<(OsString, OsString)> =
        of_the_events.map(|(name, value)| (name.into(), value.into())).collect();
    // A listing has both, and the one follows from the other.
    if environment.iter().any(|(name, value)| name == "RATE" && !value.is_empty()) {
        environment.retain(|(name, _)| name != "SLEEP_SEC");
    }
    environment.push((ENV_FILE_VARIABLE.into(), "/dev/null".into()));
    Settings::load(&Inputs { environment, ..Inputs::default() }, properties::check)
}

/// The settings of the events, topics among them, that `theirs` has otherwise than `own`, by what they
/// mean.
pub(super) fn differing(own: &Settings, theirs: &Settings) -> Vec<Differing> {
    let gap = if own.rate.is_some() || theirs.rate.is_some() { "RATE" } else { "SLEEP_SEC" };
    let differs = [
        ("BATCH", theirs.batch != own.batch),
        (gap, theirs.sleep != own.sleep),
        ("TOPIC_METRIC", theirs.topic_metric != own.topic_metric),
        ("TOPIC_TOKEN", theirs.topic_token != own.topic_token),
        ("HOSTNAME", theirs.hostname.names() != own.hostname.names()),
        ("WORKLOAD", theirs.workload != own.workload),
        ("ARRIVALS", theirs.arrivals != own.arrivals),
        ("DURATION_SEC", theirs.duration != own.duration),
        ("EVENT_START", theirs.event_start != own.event_start),
        ("FAULTS", theirs.faults != own.faults),
        ("INCIDENTS", theirs.incidents != own.incidents),
        ("RECORD_KEY", theirs.record_key != own.record_key),
        ("RECORD_HEADERS", theirs.record_headers != own.record_headers),
    ];
    let differs = differs.into_iter().filter(|(_, differs)| *differs);
    differs.map(|(name, _)| of(name, own, value(theirs, name))).collect()
}

/// Whether a setting means what the settings of a run do.
pub(super) fn mean_the_same(own: (&str, &str), theirs: &[(&str, &str)]) -> bool {
    // These are compared by no meaning below.
    if theirs.contains(&own) || ["RUN_ID", "RUN_SEED", "SHARD"].contains(&own.0) {
        return theirs.contains(&own);
    }
    let (own, theirs) = (settings_of([own].into_iter()), settings_of(theirs.iter().copied()));
    matches!((own, theirs), (Ok(own), Ok(theirs)) if differing(&own, &theirs).is_empty())
}

/// The setting by which these settings miss a run whose name the program made, as far as its name tells.
pub(super) fn of_name(
    made: &MadeId<'_>,
    settings: &Settings,
    seed: &Seed,
    run_seed: u64,
) -> Option<Differing> {
    let differing = |name, own: String, theirs| Differing { name, own, theirs };
    if run_seed != made.run_seed {
        return Some(differing("RUN_SEED", run_seed.to_string(), made.run_seed.to_string()));
    }
    let start = settings.event_start.filter(|start| *start != made.start);
    let found = one_off(settings, seed, run_seed, made.digest?);
    found.or_else(|| {
        Some(differing("EVENT_START", start?.to_string(), format!("{:.3}", made.start)))
    })
}

fn value(settings: &Settings, name: &str) -> String {
    let sleep = || {
        settings.resolved("SLEEP_SEC").map(|sleep| format!("that of SLEEP_SEC={}", sleep.expose()))
    };
    let resolved = settings.resolved(name).map(|resolved| resolved.expose().to_owned());
    resolved.or_else(|| sleep().filter(|_| name == "RATE")).unwrap_or_default()
}

fn of(name: &'static str, own: &Settings, theirs: String) -> Differing {
    Differing { name, own: value(own, name), theirs }
}

/// The one setting that makes records with a digest that begins so, if it has another of the values that
/// settings commonly have: a flag that was forgotten, or one too many.
///
/// It tries some two thousand values. By chance one of them fits a digest of eight digits once in two
/// million cases.
pub(super) fn one_off(
    own: &Settings,
    seed: &Seed,
    run_seed: u64,
    digest: &str,
) -> Option<Differing> {
    let fits = |settings: &Settings, seed: &Seed| {
        plan::digest(settings, seed, run_seed).starts_with(digest)
    };
    let with = |name, value: String, change: &dyn Fn(&mut Settings)| {
        let mut settings = own.clone();
        change(&mut settings);
        fits(&settings, seed).then(|| of(name, own, value))
    };
    let built_in = seed::parse(seed::BUILT_IN.as_bytes()).ok()?;
    if fits(own, &built_in) {
        return Some(of("GPU_SEED", own, "the built-in copy".to_owned()));
    }
    let defaults = settings_of(std::iter::empty()).ok()?;
    let words = || {
        let workloads = Name::ALL.into_iter().find_map(|name| {
            with("WORKLOAD", name.word().to_owned(), &|other| other.workload = name)
        });
        let arrivals = || {
            Law::ALL.into_iter().find_map(|law| {
                with("ARRIVALS", law.word().to_owned(), &|other| other.arrivals = law)
            })
        };
        let keys = || {
            [RecordKey::Gpu, RecordKey::None].into_iter().find_map(|key| {
                with("RECORD_KEY", key.word().to_owned(), &|other| other.record_key = key)
            })
        };
        let headers = || {
            [RecordHeaders::On, RecordHeaders::Off].into_iter().find_map(|headers| {
                let word = headers.word().to_owned();
                with("RECORD_HEADERS", word, &|other| other.record_headers = headers)
            })
        };
        workloads.or_else(arrivals).or_else(keys).or_else(headers)
    };
    let unset = || {
        with("FAULTS", String::new(), &|other| other.faults = None)
            .or_else(|| with("INCIDENTS", String::new(), &|other| other.incidents = None))
            .or_else(|| with("EVENT_START", String::new(), &|other| other.event_start = None))
            .or_else(|| with("DURATION_SEC", String::new(), &|other| other.duration = None))
            .or_else(|| {
                with("DURATION_SEC", String::new(), &|other| {
                    (other.duration, other.batch) = (None, defaults.batch);
                })
            })
            .or_else(|| {
                let host = defaults.hostname.to_string();
                with("HOSTNAME", host, &|other| other.hostname = defaults.hostname.clone())
            })
    };
    let batches = || {
        batches().find_map(|pairs| with("BATCH", pairs.to_string(), &|other| other.batch = pairs))
    };
    let gaps = || {
        GAPS.iter().find_map(|gap| {
            let sleep = Duration::try_from_secs_f64(gap.parse().ok()?).ok()?;
            with("SLEEP_SEC", (*gap).to_owned(), &|other| other.sleep = sleep)
        })
    };
    words().or_else(unset).or_else(gaps).or_else(batches)
}

/// Gaps that runs commonly have, seconds: the default among them, and one over each usual rate.
const GAPS: [&str; 22] = [
    "0.5", "0", "0.0001", "0.0002", "0.0005", "0.001", "0.002", "0.004", "0.005", "0.01", "0.02",
    "0.04", "0.05", "0.1", "0.2", "0.25", "1", "2", "5", "10", "30", "60",
];

/// Numbers of pairs that runs commonly have: the default among them.
fn batches() -> impl Iterator<Item = u64> {
    let large = (3..=9).flat_map(|digits| (1..=99).map(move |n| n * 10_u64.pow(digits)));
    (0..=1_000).chain(large)
}
