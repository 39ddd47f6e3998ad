//! Time in which this process ran.
//!
//! A process that was stopped (SIGSTOP, `docker pause`) or whose machine slept has not waited: what
//! came in the meantime still lies in its sockets. Waiting is measured in laps between two looks at
//! the clock, none of which counts as longer than a bound.

use std::time::{Duration, Instant};

/// Longest time between two looks that counts.
const LONGEST_LAP: Duration = Duration::from_millis(250);

/// Adds up the time in which the process ran. Whoever uses it looks more often than the bound is.
#[derive(Debug, Default)]
pub struct Awake {
    looked_at: Option<Instant>,
}

impl Awake {
    /// Time since the last look, as far as it counts. The first look begins to count.
    pub fn lap(&mut self, now: Instant) -> Duration {
        let before = self.looked_at.replace(now).unwrap_or(now);
        now.saturating_duration_since(before).min(LONGEST_LAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_as_one_lap() {
        let start = Instant::now();
        let mut awake = Awake::default();
        assert_eq!(awake.lap(start), Duration::ZERO);
        assert_eq!(awake.lap(start + Duration::from_millis(100)), Duration::from_millis(100));
        assert_eq!(awake.lap(start + Duration::from_secs(3600)), LONGEST_LAP);
    }
}
