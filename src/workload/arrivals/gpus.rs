//! The GPUs of a run, and which of them a pair comes from.

use std::time::Duration;

use super::Gpu;
use crate::workload::incidents::Incidents;
use crate::workload::traffic_share::TrafficShare;

/// The GPUs of a run, as the schedule needs them.
#[derive(Debug)]
pub struct Gpus {
    /// How the pairs are shared out.
    pub shares: TrafficShare,
    /// The index that each row of the seed gives its GPU.
    pub indexes: Vec<u32>,
    /// What happens to them.
    pub incidents: Option<Incidents>,
}

impl Gpus {
    /// The GPUs that a consumer sees in a pair that comes at `ms`: that of its usage, then that of its
    /// metric.
    #[must_use]
    pub fn of(&self, seq: u64, ms: impl FnOnce() -> i64) -> [Gpu; 2] {
        let own = || self.shares.of(seq);
        let of = |(host, row): (usize, usize)| (host, self.indexes[row]);
        self.routes(seq, ms).map(|gpu| of(gpu.unwrap_or_else(own)))
    }

    /// Host and row of the GPUs of a pair that comes at `ms`: that of its usage, then that of its
    /// metric; `None` for a record that there is not.
    #[must_use]
    pub fn routes(&self, seq: u64, ms: impl FnOnce() -> i64) -> [Option<(usize, usize)>; 2] {
        let own = self.shares.of(seq);
        let Some(incidents) = &self.incidents else { return [Some(own); 2] };
        let route = incidents.route(seq, own, ms());
        [route.served, route.measured]
    }

    /// Whether pairs that are `mean` apart leave room for a millisecond between two of one GPU.
    #[must_use]
    pub fn have_room(&self, mean: Duration) -> bool {
        mean.as_secs_f64() * 1000.0 >= self.least_ms()
    }

    /// How many times as many pairs as one each `mean` leave that room.
    pub(super) fn room(&self, mean: Duration) -> f64 {
        mean.as_secs_f64() * 1000.0 / self.least_ms()
    }

    /// The least mean gap with that room, ms.
    ///
    /// Pairs that wait for their millisecond hold up those behind them. So many can go out in one
    /// as come before two meet on one GPU: about 1.25 times the root of the number of GPUs.
    fn least_ms(&self) -> f64 {
        const LEAST_MS: f64 = 1.4;
        LEAST_MS * self.shares.of_two_on_one().sqrt()
    }
}
