//! How many records may wait for their acknowledgement: as many as can be delivered in time.
//!
//! librdkafka counts the delivery timeout from the hand-over, so a long queue before a slow link
//! times out as a whole. The window follows the rate that is reached, as TCP's congestion window
//! does: it doubles in each round trip while acknowledgements come soon, and shrinks to what the link
//! has carried where they come late.
//!
//! It grows no larger than it helps: records that wait are memory that the processor's cache does not
//! hold, and each costs more time the more there are (`make bench`).

use std::time::{Duration, Instant};

/// Records that may wait at the start, and at the least: 26 kB of events, which a link of 64 kbit/s
/// carries in 3.2 s, within the shortest socket timeout and a round trip of 600 ms.
const FEWEST: u64 = 64;

/// Records that may wait at the most, where the user has given librdkafka's own queue the room.
const MOST: u64 = 100_000;

/// Records that may wait for each millisecond until the link can have answered: three quarters of a
/// million a second, which one processor does not make.
const PER_MS: f64 = 750.0;

/// How long a record waits beside the link, ms: for its batch, and until its answer is taken in.
const BESIDE_MS: f64 = 5.0;

/// A window on the records that wait for their acknowledgement.
#[derive(Debug)]
pub(super) struct Window {
    size: u64,
    /// How long a record should wait at the most.
    target: Duration,
    /// How long a record waits for others of its batch, whatever the link does.
    linger: Duration,
    /// The shortest wait so far: what the link and the cluster take by themselves.
    shortest: Duration,
    /// Acknowledgements of records that were handed over before then say nothing new.
    shrunk_at: Option<Instant>,
}

impl Window {
    /// A window in which a record should wait for `target` at the most, beside `linger` for its batch.
    #[must_use]
    pub(super) fn new(target: Duration, linger: Duration) -> Self {
        Self { size: FEWEST, target, linger, shortest: target + linger, shrunk_at: None }
    }

    /// How many records may wait.
    #[must_use]
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// A record that was handed over at `sent` is acknowledged, while `open` others wait.
    pub(super) fn acknowledged(&mut self, sent: Instant, now: Instant, open: u64) {
        let waited = now.saturating_duration_since(sent);
        self.shortest = self.shortest.min(waited);
        // What the batch took says nothing about the link.
        let waited = waited.saturating_sub(self.linger);
        if waited > self.target {
            if self.shrunk_at.is_none_or(|at| sent >= at) {
                self.shrunk_at = Some(now);
                self.size = scaled(self.size, self.target, waited).max(FEWEST);
            }
        } else if waited < self.target / 2 && open >= self.size / 2 {
            // A window that is not used says nothing about the link.
            self.size = (self.size + 1).min(self.most());
        }
    }

    /// How many records the link can need: twice what is on its way at `PER_MS`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    fn most(&self) -> u64 {
        let answered_after = BESIDE_MS + 2.0 * self.shortest.as_secs_f64() * 1000.0;
        ((PER_MS * answered_after) as u64).min(MOST)
    }
}

/// `size * target / waited`, where `waited` is longer than `target`.
fn scaled(size: u64, target: Duration, waited: Duration) -> u64 {
    let scaled = u128::from(size) * target.as_micros() / waited.as_micros().max(1);
    u64::try_from(scaled).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_secs(3);

    /// The window and the longest wait after `secs` on a link with this round trip and rate, with as
    /// much in flight as the window lets in.
    fn after(secs: u64, round_trip: Duration, per_sec: u64) -> (u64, Duration) {
        let start = Instant::now();
        let mut window = Window::new(TARGET, Duration::ZERO);
        let (mut in_flight, mut now) = (std::collections::VecDeque::new(), start);
        let mut free_at = start;
        let mut longest = Duration::ZERO;
        while now < start + Duration::from_secs(secs) {
            while (in_flight.len() as u64) < window.size() {
                free_at =
                    free_at.max(now) + Duration::from_secs(1) / u32::try_from(per_sec).unwrap();
                in_flight.push_back((now, free_at + round_trip));
            }
            let (sent, answered) = in_flight.pop_front().unwrap();
            now = now.max(answered);
            longest = longest.max(now - sent);
            window.acknowledged(sent, now, in_flight.len() as u64);
        }
        (window.size(), longest)
    }

    #[test]
    fn a_fast_link_gets_what_it_needs_in_a_few_round_trips() {
        for (round_trip, most) in [(0, 3_750), (1, 5_250), (20, 33_750), (200, MOST)] {
            let (size, longest) = after(4, Duration::from_millis(round_trip), 1_000_000);
            assert!(size.abs_diff(most) <= 2, "{round_trip} ms: {size}");
            assert!(longest < TARGET, "{longest:?}");
        }
    }

    #[test]
    fn a_slow_link_keeps_each_record_near_the_target() {
        for (round_trip, per_sec) in [(600, 20), (600, 2_000), (600, 100_000), (1, 500)] {
            let (_, longest) = after(60, Duration::from_millis(round_trip), per_sec);
            assert!(longest <= TARGET * 2, "{round_trip} ms, {per_sec}/s: {longest:?}");
        }
    }

    #[test]
    fn waiting_for_a_batch_does_not_count() {
        let lingers = Duration::from_millis(900);
        let round = |linger| {
            let mut window = Window::new(Duration::from_secs(1), linger);
            let start = Instant::now();
            for round in 1..=8 {
                let sent = start + lingers * round;
                for _ in 0..window.size() {
                    window.acknowledged(sent, sent + lingers, window.size());
                }
            }
            window.size()
        };
        assert_eq!(round(lingers), FEWEST << 8, "it doubles in each round");
        assert_eq!(round(Duration::ZERO), FEWEST, "the same wait on a link");
        // A link that is slow beside it still counts.
        let mut window = Window { size: 8_000, ..Window::new(TARGET, lingers) };
        let sent = Instant::now();
        window.acknowledged(sent, sent + lingers + TARGET * 2, 8_000);
        assert_eq!(window.size(), 4_000);
    }

    #[test]
    fn one_late_round_shrinks_the_window_once() {
        let start = Instant::now();
        let mut window = Window { size: 8_000, ..Window::new(TARGET, Duration::ZERO) };
        let late = start + TARGET * 2;
        for _ in 0..8_000 {
            window.acknowledged(start, late, 8_000);
        }
        assert_eq!(window.size(), 4_000);
        window.acknowledged(late, late + TARGET * 8, 4_000);
        assert_eq!(window.size(), 500);
    }

    #[test]
    fn a_window_that_is_not_used_stays_as_it_is() {
        let now = Instant::now();
        let mut window = Window::new(TARGET, Duration::ZERO);
        window.acknowledged(now, now, 1);
        assert_eq!(window.size(), FEWEST);
    }
}
