//! Where the time of a record goes between hand-over and acknowledgement.

/// A sum of times, and of how many: the means of windows add up to the mean of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    sum: u64,
    count: u64,
}

impl Share {
    /// Counts the times of one window of the client's statistics.
    pub fn add(&mut self, sum: u64, count: u64) {
        self.sum += sum;
        self.count += count;
    }

    /// The mean, in the unit that was added; `None` if nothing was measured.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean of times, which are below 2^52 µs")]
    pub fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

/// The parts of the latency, as the client's statistics tell them. They say nothing of a run that sends
/// at full speed, where each record would pay for them, or ends before the first window does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencyParts {
    /// Records, from hand-over to a place in a request, µs.
    pub batching: Share,
    /// Requests, from there to the socket, µs.
    pub sending: Share,
    /// Requests, from the socket to the answer: network and broker, which a client cannot tell apart, µs.
    pub round_trip: Share,
    /// Answers, how long the broker asks to be left alone, ms.
    pub throttle: Share,
}
