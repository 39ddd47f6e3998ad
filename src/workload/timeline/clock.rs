//! The clock by which the pairs come.

use super::{Rates, Timeline, place};

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
}

impl Clock {
    /// The clock that starts at an instant, in ms since 1970.
    pub(in crate::workload) fn starting(timeline: Timeline, ms: i64) -> Self {
        let second = ms as f64 / 1000.0;
        let position = timeline.position(second);
        let (hour, into) = place(position);
        let rates = timeline.rates_of_pairs(hour);
        let into_step = (into % rates.step_sec) as f64 + (position - position.floor());
        let mut clock =
            Self { step: into / rates.step_sec, rates, timeline, left_sec: 0.0, ends: second };
        clock.left_sec = clock.step_sec() - into_step / clock.timeline.speed;
        clock.ends += clock.left_sec;
        clock
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
            let rate = self.rate();
            let ahead_sec = ahead / rate;
            if ahead_sec < self.left_sec {
                self.left_sec -= ahead_sec;
                return passed + ahead_sec;
            }
            ahead -= self.left_sec * rate;
            passed += self.left_sec;
            self.next_step();
        }
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
