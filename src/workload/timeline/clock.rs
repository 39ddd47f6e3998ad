//! The clock by which the pairs come.

use super::{Rates, Timeline, place};
use crate::workload::incidents::Surges;

/// A clock that runs at the timeline's rate: fast while many requests come.
#[derive(Debug, Clone)]
pub(in crate::workload) struct Clock {
    timeline: Timeline,
    rates: Rates,
    /// Step of the hour.
    step: usize,
    /// The rest of the step, in real seconds.
    left_sec: f64,
    /// Real time at the end of the step, s since 1970.
    ends: f64,
    /// How many times as many pairs come, and where that changes: real time, s since 1970, and what it
    /// is from there on; the next change last.
    surge: f64,
    changes: Vec<(f64, f64)>,
}

impl Clock {
    /// The clock that starts at an instant, in ms since 1970.
    pub(in crate::workload) fn starting(timeline: Timeline, ms: i64) -> Self {
        let second = ms as f64 / 1000.0;
        let position = timeline.position(second);
        let (hour, into) = place(position);
        let rates = timeline.rates_of_pairs(hour);
        let into_step = (into % rates.step_sec) as f64 + (position - position.floor());
        let mut clock = Self {
            step: into / rates.step_sec,
            rates,
            timeline,
            left_sec: 0.0,
            ends: second,
            surge: 1.0,
            changes: Vec::new(),
        };
        clock.left_sec = clock.step_sec() - into_step / clock.timeline.speed;
        clock.ends += clock.left_sec;
        clock
    }

    /// The same clock, at the start of a run with surges.
    pub(in crate::workload) fn amid(mut self, surges: Option<&Surges>) -> Self {
        let start = self.ends - self.left_sec;
        let changes = surges.map(Surges::changes).unwrap_or_default();
        self.changes = changes.into_iter().rev().map(|(at, times)| (start + at, times)).collect();
        self
    }

    /// Real length of a step.
    fn step_sec(&self) -> f64 {
        let seconds = self.rates.step_sec as f64;
        seconds / self.timeline.speed
    }

    /// Pairs per mean gap in the present step.
    fn rate(&self) -> f64 {
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let before_end = (self.ends - self.left_sec / 2.0) as i64;
        let week = self.timeline.week.map_or(1.0, |week| week.rate(before_end));
        week * self.rates.rates[self.step]
    }

    /// Advances by `mean_seconds` of this clock, and returns how many real seconds pass.
    pub(in crate::workload) fn count(&mut self, mean_seconds: f64) -> f64 {
        let (mut passed, mut ahead) = (0.0, mean_seconds);
        loop {
            let rate = self.rate() * self.surge;
            let until_change = self.until_change();
            let steady_sec = self.left_sec.min(until_change);
            let ahead_sec = ahead / rate;
            if ahead_sec < steady_sec {
                self.left_sec -= ahead_sec;
                return passed + ahead_sec;
            }
            ahead -= steady_sec * rate;
            passed += steady_sec;
            if steady_sec < until_change {
                self.next_step();
            } else if let Some((_, times)) = self.changes.pop() {
                self.left_sec -= steady_sec;
                self.surge = times;
            }
        }
    }

    /// Real time to the next change by a surge, s.
    fn until_change(&self) -> f64 {
        let change = self.changes.last();
        change.map_or(f64::INFINITY, |(at, _)| (at - (self.ends - self.left_sec)).max(0.0))
    }

    fn next_step(&mut self) {
        self.step += 1;
        if self.step == self.rates.rates.len() {
            self.rates = self.timeline.rates_of_pairs(self.rates.hour + 1);
            self.step = 0;
        }
        self.left_sec = self.step_sec();
        self.ends += self.left_sec;
    }
}
