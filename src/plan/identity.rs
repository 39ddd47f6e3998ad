//! Who a run is.

use jiff::Timestamp;

use super::times::whole_millisecond;
use crate::settings::Settings;

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
}
