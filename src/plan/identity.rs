//! Who a run is.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::digest::{SHORT, digest};
use super::times::whole_millisecond;
use crate::settings::{SettingError, Settings};
use crate::workload::seed::Seed;

/// Who a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the run: in headers, report and journal.
    pub run_id: String,
    /// Seed of all its random streams.
    pub run_seed: u64,
    /// Wall clock at the start, in whole milliseconds: a report names it so, and the schedule of a run
    /// without `EVENT_START` begins there.
    pub started_at: Timestamp,
}

impl Identity {
    /// The identity of a run that starts at `now`; `random` is its seed where the user set none.
    #[must_use]
    pub fn new(settings: &Settings, now: Timestamp, random: u64) -> Self {
        let run_seed = settings.run_seed.unwrap_or(random);
        let start = settings.event_start.unwrap_or(now);
        let made = || format!("{}-{run_seed}", start.strftime("%Y%m%dT%H%M%S.%3fZ"));
        let run_id = settings.run_id.clone().unwrap_or_else(made);
        Self { run_id, run_seed, started_at: whole_millisecond(now) }
    }

    /// The same, whose name has a digest of what makes its records, unless the user chose the name: two
    /// runs with one seed and one start are told apart.
    #[must_use]
    pub fn with_digest(mut self, settings: &Settings, seed: &Seed) -> Self {
        if settings.run_id.is_none() {
            let digest = digest(settings, seed, self.run_seed);
            self.run_id.push('-');
            self.run_id.push_str(&digest[..SHORT]);
        }
        self
    }

    /// What addresses the random streams of the run, beside its seed: its name without a digest. So a
    /// run with faults has the values of the clean run with its seed and start.
    #[must_use]
    pub fn scope(&self) -> &str {
        match MadeId::parse(&self.run_id) {
            Some(MadeId { scope, digest: Some(_), .. }) => scope,
            _ => &self.run_id,
        }
    }
}

/// The parts of a name that the program made: `START-SEED`, with a digest behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeId<'a> {
    /// The name without the digest.
    pub scope: &'a str,
    /// Time of the first event, or of the start.
    pub start: Timestamp,
    /// Seed of the run.
    pub run_seed: u64,
    /// The first digits of the digest of what makes the records. Names of earlier releases have none.
    pub digest: Option<&'a str>,
}

impl<'a> MadeId<'a> {
    /// The parts of a name; `None` where the user chose it.
    #[must_use]
    pub fn parse(id: &'a str) -> Option<Self> {
        let mut parts = id.split('-');
        let (start, seed, digest) = (parts.next()?, parts.next()?, parts.next());
        let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if parts.next().is_some() || digest.is_some_and(|d| d.len() != SHORT || !is_hex(d)) {
            return None;
        }
        let time = DateTime::strptime("%Y%m%dT%H%M%S%.fZ", start).ok()?;
        let scope = digest.map_or(id, |digest| &id[..id.len() - digest.len() - 1]);
        let (start, run_seed) = (Offset::UTC.to_timestamp(time).ok()?, seed.parse().ok()?);
        Some(Self { scope, start, run_seed, digest })
    }

    /// Refuses a `RUN_ID` that says of itself that it is made, and of other settings: consumers would take
    /// its records for those of another run, and `verify` would refuse it.
    ///
    /// # Errors
    /// `RUN_ID`.
    pub fn check(
        settings: &Settings,
        seed: &Seed,
        run_seed: Option<u64>,
    ) -> Result<(), SettingError> {
        let made = settings.run_id.as_deref().and_then(MadeId::parse);
        let Some((made, its)) = made.and_then(|made| Some((made, made.digest?))) else {
            return Ok(());
        };
        let because = match run_seed.map(|run_seed| digest(settings, seed, run_seed)) {
            Some(own) if own.starts_with(its) => return Ok(()),
            Some(own) => format!("these settings and this seed make {}", &own[..SHORT]),
            None => format!("RUN_SEED is not set, and was {} there", made.run_seed),
        };
        let because = format!(
            "it ends with {its}, the digest of all that makes the records of a run, and {because}"
        );
        let expected =
            "a name of another form, the settings of that run, or nothing: then a name is made";
        Err(SettingError { expected, ..settings.refuse("RUN_ID", because) })
    }

    /// Whether these settings make the records of the run, as far as its name tells.
    #[must_use]
    pub fn fits(&self, settings: &Settings, seed: &Seed, run_seed: u64) -> bool {
        self.digest.is_none_or(|own| digest(settings, seed, run_seed).starts_with(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_made_tells_start_seed_and_digest_and_another_tells_nothing() {
        let start = "2026-01-05T12:00:00Z".parse().unwrap();
        let parts = |scope, digest| MadeId { scope, start, run_seed: 7, digest };
        let id = "20260105T120000.000Z-7-0123abcd";
        let scope = "20260105T120000.000Z-7";
        assert_eq!(MadeId::parse(id), Some(parts(scope, Some("0123abcd"))));
        assert_eq!(MadeId::parse(scope), Some(parts(scope, None)));
        for other in
            ["night-7", "night", "20260105T120000.000Z-x", "20260105T120000.000Z-7-0123ABCD", ""]
        {
            assert_eq!(MadeId::parse(other), None, "{other}");
        }
        let long = format!("{id}-1");
        assert_eq!(MadeId::parse(&long), None);
    }
}
