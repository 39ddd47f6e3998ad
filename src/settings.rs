//! The settings: every one defined once, read from all its sources, validated before anything runs.
//!
//! [`DEFINITIONS`] is the single list behind the flags, `--help`, the man page, the README's table.
//! After [`Settings::load`] nothing in a [`Settings`] can be wrong. What the world has to say to a
//! value (a seed file, a directory that cannot be written, a broker) is known when it is used.

mod bootstrap;
mod define;
pub mod edit;
mod env_file;
mod error;
mod event_start;
mod events;
mod faults;
mod hosts;
mod incidents;
mod layers;
mod listing;
mod parse;
mod properties;
mod secrets;
mod security;
mod shard;
mod source;
pub mod suggest;
mod table;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use crate::net::Server;
pub use bootstrap::Bootstrap;
pub use define::Definition;
pub use error::{LoadError, Problems, SettingError, UnknownKey, lacking_rights};
pub use events::OF_THE_EVENTS;
pub use hosts::Hosts;
pub use listing::Listed;
pub use parse::{EventTimeGuard, LogFormat, Pace, RecordHeaders, RecordKey, time};
pub use properties::{Librdkafka, Properties, PropertyError};
pub use security::Oddity;
pub use source::{
    DEFAULT_ENV_FILE, ENV_FILE_VARIABLE, Inputs, Key, Origin, PastSettings, Resolved, UnitInputs,
    may_hold_a_secret, profile_file,
};
pub use table::{DEFINITIONS, Settings};

use crate::allow_list::AllowList;
use crate::event::Kind;
use define::{read, read_optional};
use layers::Layers;

impl Settings {
    /// Reads and validates every setting.
    ///
    /// # Errors
    /// [`LoadError`]: all unknown keys and all values that are not valid at once, or the file that
    /// cannot be read.
    pub fn load(inputs: &Inputs, librdkafka: Librdkafka) -> Result<Self, LoadError> {
        let (layers, mut problems) = Layers::read(inputs, librdkafka)?;
        let mut settings = Self::from_layers(&layers, librdkafka, &mut problems.values);
        if let Some(settings) = &mut settings {
            settings.lift_batch();
            problems.values.extend(settings.take_rate().err());
            let checks = [
                settings.check_event_end(),
                settings.check_shard(),
                settings.check_faults(),
                settings.check_incidents(),
                settings.check_close_windows(),
                settings.check_run_topic(),
            ];
            problems.values.extend(checks.into_iter().filter_map(Result::err));
        }
        problems.unless_any(settings)
    }

    /// The egress allow list that these settings make.
    #[must_use]
    pub fn egress(&self) -> AllowList {
        egress_of(&self.kafka_bootstrap, self.egress_allow.as_ref())
    }

    /// The topic of a kind of event.
    #[must_use]
    pub fn topic(&self, kind: Kind) -> &str {
        match kind {
            Kind::Metric => &self.topic_metric,
            Kind::Token => &self.topic_token,
        }
    }

    /// A setting's value as text, and where it came from; `None` if it has neither value nor default.
    #[must_use]
    pub fn resolved(&self, name: &str) -> Option<&Resolved> {
        self.resolved.iter().find(|resolved| resolved.key.name() == name)
    }

    /// Whether the user set this, in any source.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.resolved(name).is_some_and(|resolved| resolved.origin.is_chosen())
    }

    /// Whether the run waits for each pair's time.
    #[must_use]
    pub fn waits(&self) -> bool {
        let default = if self.event_start.is_some() { Pace::None } else { Pace::Wall };
        self.pace.unwrap_or(default) == Pace::Wall && !self.sleep.is_zero()
    }

    /// `DURATION_SEC` as a bound on the wall clock: without gaps, pairs are due when they are sent.
    #[must_use]
    pub fn wall_limit(&self) -> Option<Duration> {
        self.duration.filter(|_| self.sleep.is_zero())
    }

    /// The time of the first and the last event of a run that starts now, by the mean of its gaps.
    #[must_use]
    pub fn event_span(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let first = self.event_start.unwrap_or(now);
        let span = self.sleep.as_secs_f64() * self.batch as f64;
        let span = self.duration.map_or(span, |d| d.as_secs_f64().min(span));
        let last = SignedDuration::try_from_secs_f64(span).ok();
        let last = last.and_then(|span| first.checked_add(span).ok());
        (first, last.unwrap_or(Timestamp::MAX))
    }

    /// Takes the default of `BATCH` away where `DURATION_SEC` says how long the run is: twenty pairs
    /// are no day.
    fn lift_batch(&mut self) {
        let batch = self.resolved.iter_mut().find(|resolved| resolved.key.name() == "BATCH");
        if let Some(batch) = batch.filter(|batch| batch.origin == Origin::Default)
            && self.duration.is_some()
        {
            self.batch = parse::BATCH_MAX;
            *batch = Resolved::new(batch.key.clone(), self.batch.to_string(), Origin::NoLimit);
        }
    }

    /// Makes `RATE` the time between pairs.
    fn take_rate(&mut self) -> Result<(), SettingError> {
        let Some(gap) = self.rate else { return Ok(()) };
        let of_a_report =
            |name| matches!(self.resolved(name).map(|r| &r.origin), Some(Origin::Report(_)));
        if self.is_set("SLEEP_SEC") && !of_a_report("SLEEP_SEC") {
            let because = "SLEEP_SEC is set too, and says the same the other way round".to_owned();
            let expected = "one of the two";
            return Err(SettingError { expected, ..self.refuse("RATE", because) });
        }
        self.sleep = gap;
        let sleep = self.resolved.iter_mut().find(|resolved| resolved.key.name() == "SLEEP_SEC");
        if let Some(sleep) = sleep {
            *sleep = Resolved::new(sleep.key.clone(), gap.as_secs_f64().to_string(), Origin::Rate);
        }
        Ok(())
    }

    /// Refuses a backfill whose last event no timestamp can hold.
    fn check_event_end(&self) -> Result<(), SettingError> {
        let Some(start) = self.event_start else { return Ok(()) };
        // Random arrivals may take longer than their mean; twice that is out of reach at this size.
        let span = self.sleep.as_secs_f64() * self.batch as f64 * 2.0;
        let span = self.duration.map_or(span, |d| d.as_secs_f64().min(span));
        let end = SignedDuration::try_from_secs_f64(span).ok();
        if end.and_then(|span| start.checked_add(span).ok()).is_some() {
            return Ok(());
        }
        Err(self.refuse("EVENT_START", "BATCH times SLEEP_SEC leads past the year 9999".into()))
    }

    /// Refuses a shard of a run that no other shard can belong to: what makes their records one run
    /// is left to chance or to the clock.
    fn check_shard(&self) -> Result<(), SettingError> {
        let missing = match (self.run_seed, &self.run_id, self.event_start) {
            _ if self.shard.count == 1 => return Ok(()),
            _ if self.relative_start.is_some() => "EVENT_START counts from when each shard starts",
            (None, _, _) => "RUN_SEED is not set",
            (_, None, None) => "neither RUN_ID nor EVENT_START is set",
            _ => return Ok(()),
        };
        let because = format!("{missing}, so that each shard would be a run of its own");
        let expected = "RUN_SEED, and RUN_ID or EVENT_START, to be the same for every shard";
        Err(SettingError { expected, ..self.refuse("SHARD", because) })
    }

    /// Refuses to close windows too early, and with records that nobody can tell from the batch.
    fn check_close_windows(&self) -> Result<(), SettingError> {
        let because = if self.close_windows.is_none() {
            return Ok(());
        } else if self.shard.count > 1 {
            "a shard would close windows to which the others still send (SHARD)"
        } else if self.record_headers == RecordHeaders::Off {
            "the records that close windows are marked by a header, and RECORD_HEADERS=off leaves it out"
        } else {
            return Ok(());
        };
        Err(self.refuse("CLOSE_WINDOWS", because.into()))
    }

    /// Refuses a start that counts from now, where it is asked about a run of another time.
    ///
    /// # Errors
    /// `EVENT_START`, as it was written.
    pub fn check_fixed_start(&self) -> Result<(), SettingError> {
        let Some(written) = &self.relative_start else { return Ok(()) };
        let because = format!("{written} counts from now, and not from when the run was sent");
        let expected =
            "the report of the run (--report FILE), or the time itself, which its report has";
        Err(SettingError { expected, ..self.refuse("EVENT_START", because) })
    }

    /// Refuses to describe the run in the topics of its events.
    fn check_run_topic(&self) -> Result<(), SettingError> {
        let topics = [&self.topic_metric, &self.topic_token];
        match &self.run_topic {
            Some(topic) if topics.contains(&topic) => {
                Err(self.refuse("RUN_TOPIC", "the events of the run go to this topic".into()))
            }
            _ => Ok(()),
        }
    }

    /// The error of a setting whose value turns out not to be usable.
    #[must_use]
    pub fn refuse(&self, name: &'static str, because: String) -> SettingError {
        let unset = || Resolved::new(Key::Setting(name), String::new(), Origin::Default);
        let resolved = self.resolved(name).cloned().unwrap_or_else(unset);
        SettingError::of_definition(&resolved, Some(because))
    }
}

fn egress_of(bootstrap: &Bootstrap, more: Option<&AllowList>) -> AllowList {
    let hosts = bootstrap.servers().iter().map(|server| server.host.as_str());
    let mut list = AllowList::of_literals(hosts);
    if let Some(more) = more {
        list.extend(more);
    }
    list
}

/// The egress allow list of settings whose other values need not be valid: a unit must not lose its
/// list over a `BATCH` that the next run complains about anyway.
///
/// # Errors
/// [`LoadError`], where the list cannot be known.
pub fn egress(inputs: &Inputs) -> Result<AllowList, LoadError> {
    // No property is looked at.
    let (layers, mut problems) = Layers::read(inputs, |_, _| Ok(()))?;
    let bad = &mut problems.values;
    let servers = read(layers.get("KAFKA_BOOTSTRAP"), bootstrap::bootstrap, bad);
    let more = read_optional(layers.get("EGRESS_ALLOW"), parse::prefixes, bad).flatten();
    problems.unless_any(servers.map(|servers| egress_of(&servers, more.as_ref())))
}

/// The profile of these inputs, whose other values need not be valid; `None` if there is none, or if it
/// cannot be known.
#[must_use]
pub fn profile(inputs: &Inputs) -> Option<String> {
    let (layers, _) = Layers::read(inputs, |_, _| Ok(())).ok()?;
    let profile = layers.get("PROFILE").filter(|profile| !profile.expose().is_empty())?;
    parse::profile(profile.expose()).ok()
}

/// The definition of a setting.
#[must_use]
pub fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|d| d.name == name)
}

/// Whether a profile can have this name.
#[must_use]
pub fn is_profile(name: &str) -> bool {
    parse::profile(name).is_ok()
}

#[cfg(test)]
mod tests;
