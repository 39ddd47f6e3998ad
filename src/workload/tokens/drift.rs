//! How the mix of the classes changes from minute to minute.
//!
//! The shares of minute m are proportional to
//!
//! ```text
//! share_k exp(common_k1 f1(m) + common_k2 f2(m) + own_k a_k(m))
//! ```
//!
//! f1, f2 and the a_k are autoregressions by the minute. The trace is an hour long, and its spread
//! was measured around the hour's means. So within each hour of event time every series has
//! the mean 0 and the standard deviation 1, and the shares are scaled until each minute's add up to
//! 1 and each class has its own share of the hour. The rate of arrivals has a drift of its own,
//! which is not part of this one.
//!
//! It follows from the run's seed and the event time only: runs with one seed, and all shards of a
//! run, have one drift. An hour looks back over 64 minutes before it.

use rand_distr::{Distribution, StandardNormal};

use super::data::{AZURE, CLASSES};
use crate::workload::math::{exp, mean_and_sd};
use crate::workload::rng::Stream;
use crate::workload::slots::Last;

/// Minutes of an hour.
const MINUTES: usize = 60;

/// Minutes before the hour from which its series come.
const LOOK_BACK: i64 = 64;

/// Autocorrelation of the common drifts after a minute. Their five-minute means in the trace turn
/// once or twice in the hour.
const COMMON_PERSISTENCE: f64 = 0.95;

/// By how much the common drifts are larger than the table says. Means over five minutes hide a
/// part of them: with this factor, the rank autocorrelation of the completions comes near the
/// trace's 0.10.
const COMMON_SCALE: f64 = 1.2;

/// Rounds of scaling. The hour's shares are then within 0.0002 of the trace's.
const ROUNDS: usize = 40;

/// The mix of one hour.
#[derive(Debug)]
pub(super) struct Hour {
    /// Cumulated shares of the classes in each minute; the last is 1.
    cumulated: [[f32; CLASSES]; MINUTES],
}

/// The mix of the last hour, by hours since 1970.
pub(super) type LastHour = Last<i64, Box<Hour>>;

impl Hour {
    /// The shares of an instant's minute, in ms since 1970; `known` is the last hour asked for.
    pub(super) fn minute<'h>(
        drift: &Stream,
        ms: i64,
        known: &'h mut LastHour,
    ) -> &'h [f32; CLASSES] {
        let hour = ms.div_euclid(3_600_000);
        let known = known.get(hour, || Box::new(Self::new(drift, hour)));
        let minute = usize::try_from(ms.rem_euclid(3_600_000) / 60_000).unwrap_or_default();
        &known.cumulated[minute]
    }

    fn new(drift: &Stream, hour: i64) -> Self {
        let first = hour * 60;
        let [one, two] = [0, 1].map(|i| series(drift, i, first, COMMON_PERSISTENCE));
        // Principal components do not correlate.
        let both = one.iter().zip(&two).map(|(one, two)| one * two).sum::<f64>() / 60.0;
        let mut minute = 0..MINUTES;
        let rest = two.map(|two| two - both * minute.next().map_or(0.0, |m| one[m]));
        let common = [one, standard(rest)];
        let mut shares = [[0.0; CLASSES]; MINUTES];
        for (k, class) in AZURE.chat.classes.iter().enumerate() {
            let own = series(drift, 2 + k as u64, first, class.persistence);
            for (m, shares) in shares.iter_mut().enumerate() {
                let [one, two] = class.common;
                let common = COMMON_SCALE * (one * common[0][m] + two * common[1][m]);
                let moved = common + class.own * own[m];
                shares[k] = class.share * exp(moved);
            }
        }
        for _ in 0..ROUNDS {
            let mut hours = [0.0; CLASSES];
            for shares in &mut shares {
                let total: f64 = shares.iter().sum();
                for (share, hour) in shares.iter_mut().zip(&mut hours) {
                    *share /= total;
                    *hour += *share;
                }
            }
            for (k, class) in AZURE.chat.classes.iter().enumerate() {
                let scale = class.share * 60.0 / hours[k];
                shares.iter_mut().for_each(|shares| shares[k] *= scale);
            }
        }
        Self { cumulated: shares.map(cumulated) }
    }
}

/// Cumulated shares, scaled to end at 1.
#[expect(clippy::cast_possible_truncation, reason = "a share needs no more digits")]
fn cumulated(shares: [f64; CLASSES]) -> [f32; CLASSES] {
    let total: f64 = shares.iter().sum();
    let mut below = 0.0;
    shares.map(|share| {
        below += share;
        (below / total) as f32
    })
}

/// An autoregression through the minutes of an hour, with the mean 0 and the standard deviation 1.
fn series(drift: &Stream, series: u64, first: i64, persistence: f64) -> [f64; MINUTES] {
    let mut value = 0.0;
    let mut next = |minute: i64| {
        let innovation: f64 = StandardNormal.sample(&mut drift.at_in(series, minute));
        value = persistence * value + innovation;
        value
    };
    for minute in first - LOOK_BACK..first {
        next(minute);
    }
    let mut minute = first - 1;
    let values = [(); MINUTES].map(|()| {
        minute += 1;
        next(minute)
    });
    standard(values)
}

/// Moved and scaled to the mean 0 and the standard deviation 1.
fn standard(values: [f64; MINUTES]) -> [f64; MINUTES] {
    let (mean, sd) = mean_and_sd(&values);
    values.map(|x| (x - mean) / sd.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_adds_up_to_one_and_each_class_has_its_share_of_the_hour() {
        let mut largest: f64 = 0.0;
        for hour in 0..20 {
            let hour = Hour::new(&Stream::new(1, "drift", "chat"), hour);
            let mut before = [0.0; MINUTES];
            for (k, class) in AZURE.chat.classes.iter().enumerate() {
                let mut share = 0.0;
                for (m, cumulated) in hour.cumulated.iter().enumerate() {
                    let below = f64::from(cumulated[k]);
                    assert!(below >= before[m]);
                    share += (below - before[m]) / 60.0;
                    before[m] = below;
                }
                largest = largest.max((share - class.share).abs());
            }
            assert!(before.iter().all(|last| (last - 1.0).abs() < 1e-6));
        }
        eprintln!("largest error of a class's share of an hour: {largest:.6}");
        assert!(largest < 0.0005, "{largest}");
    }
}
