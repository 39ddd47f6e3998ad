//! The statistics that compare the workload with its traces, with tests on known data.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "the numbers of a test are small, and equal where they are the same"
)]

/// Mean of a sample.
pub(in crate::workload) fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / count(sample)
}

fn count(sample: &[f64]) -> f64 {
    sample.len() as f64
}

fn variance(sample: &[f64]) -> f64 {
    let mean = mean(sample);
    sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count(sample)
}

/// Standard deviation.
pub(in crate::workload) fn sd(sample: &[f64]) -> f64 {
    variance(sample).sqrt()
}

/// Coefficient of variation: standard deviation over mean.
pub(in crate::workload) fn cv(sample: &[f64]) -> f64 {
    variance(sample).sqrt() / mean(sample)
}

/// Index of dispersion of the counts of events in windows: variance over mean, 1 for Poisson.
pub(in crate::workload) fn dispersion(times: &[f64], window: f64) -> f64 {
    let windows = (times.last().unwrap() / window).floor();
    let mut counts = vec![0.0; windows as usize];
    for time in times {
        if let Some(count) = counts.get_mut((time / window) as usize) {
            *count += 1.0;
        }
    }
    variance(&counts) / mean(&counts)
}

/// Share of a sample for which `is` holds.
pub(in crate::workload) fn share(sample: &[f64], is: impl Fn(f64) -> bool) -> f64 {
    let held = sample.iter().filter(|x| is(**x)).count();
    held as f64 / count(sample)
}

/// An interpolated quantile of the sample.
pub(in crate::workload) fn quantile(sample: &[f64], share: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (count(sample) - 1.0);
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}

/// Kolmogorov-Smirnov distance of two samples: the largest difference of their distributions.
pub(in crate::workload) fn ks(one: &[f64], other: &[f64]) -> f64 {
    let sorted = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    let (one, other) = (sorted(one), sorted(other));
    let at_or_below = |sample: &[f64], x: f64| {
        let at = sample.partition_point(|y| *y <= x);
        at as f64 / count(sample)
    };
    let distance = |x: &f64| (at_or_below(&one, *x) - at_or_below(&other, *x)).abs();
    one.iter().chain(&other).map(distance).fold(0.0, f64::max)
}

/// Pearson's correlation.
pub(in crate::workload) fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean(x), mean(y));
    let products = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y));
    products.sum::<f64>() / count(x) / (variance(x) * variance(y)).sqrt()
}

/// Spearman's correlation, which is that of the ranks; equal values have their mean rank.
pub(in crate::workload) fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

/// Ranks of a sample; equal values have their mean rank.
pub(in crate::workload) fn ranks(sample: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..sample.len()).collect();
    order.sort_by(|a, b| sample[*a].total_cmp(&sample[*b]));
    let mut ranks = vec![0.0; sample.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = order[from..].iter().take_while(|i| sample[**i] == sample[order[from]]).count();
        for i in &order[from..from + equal] {
            ranks[*i] = (2 * from + equal - 1) as f64 / 2.0;
        }
        from += equal;
    }
    ranks
}

/// Mutual information in nats, over 20 x 20 bins of equal share.
pub(in crate::workload) fn mutual_information(x: &[f64], y: &[f64]) -> f64 {
    const BINS: usize = 20;
    let bins = |sample: &[f64]| {
        let edges: Vec<f64> = (1..BINS).map(|i| quantile(sample, i as f64 / 20.0)).collect();
        let bin = |x: &f64| edges.partition_point(|edge| edge <= x);
        sample.iter().map(bin).collect::<Vec<_>>()
    };
    let (mut of_x, mut of_y, mut of_both) = ([0.0; BINS], [0.0; BINS], [[0.0; BINS]; BINS]);
    for (x, y) in bins(x).into_iter().zip(bins(y)) {
        of_x[x] += 1.0;
        of_y[y] += 1.0;
        of_both[x][y] += 1.0;
    }
    let n = count(x);
    let cells = (0..BINS).flat_map(|x| (0..BINS).map(move |y| (x, y)));
    let cells = cells.filter(|(x, y)| of_both[*x][*y] > 0.0);
    cells.map(|(x, y)| of_both[x][y] / n * (of_both[x][y] * n / (of_x[x] * of_y[y])).ln()).sum()
}

/// Autocorrelation of a series at a lag.
pub(in crate::workload) fn autocorrelation(series: &[f64], lag: usize) -> f64 {
    let mean = mean(series);
    let products = series.iter().zip(&series[lag..]).map(|(x, y)| (x - mean) * (y - mean));
    products.sum::<f64>() / count(series) / variance(series)
}

/// Slope and r2 of the least-squares line of `y` on `x`.
pub(in crate::workload) fn line(x: &[f64], y: &[f64]) -> (f64, f64) {
    let r = pearson(x, y);
    (r * (variance(y) / variance(x)).sqrt(), r * r)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value}, expected {expected}");
    }

    #[test]
    fn moments_and_quantiles_are_those_of_the_textbook() {
        let sample = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        near(mean(&sample), 5.0);
        near(cv(&sample), 2.0 / 5.0);
        near(quantile(&sample, 0.5), 4.5);
        near(share(&sample, |x| x > 4.0), 0.5);
    }

    #[test]
    fn the_distance_of_two_samples_is_the_largest_gap_between_their_steps() {
        near(ks(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]), 0.5);
        near(ks(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        near(ks(&[1.0], &[2.0]), 1.0);
    }

    #[test]
    fn rank_correlation_sees_any_monotone_law_and_shares_the_ranks_of_equals() {
        near(spearman(&[1.0, 2.0, 3.0, 4.0], &[1.0, 8.0, 27.0, 64.0]), 1.0);
        near(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        assert_eq!(ranks(&[7.0, 1.0, 7.0]), [1.5, 0.0, 1.5]);
    }

    #[test]
    fn mutual_information_is_the_entropy_of_equals_and_nothing_of_independents() {
        let x: Vec<f64> = (0..4000).map(f64::from).collect();
        near(mutual_information(&x, &x), 20.0_f64.ln());
        let (blocks, cycle): (Vec<f64>, Vec<f64>) =
            (0..4000).map(|i| (f64::from(i / 200), f64::from(i % 20))).unzip();
        near(mutual_information(&blocks, &cycle), 0.0);
    }

    #[test]
    fn dispersion_is_none_for_even_arrivals_and_large_for_clumps() {
        let even: Vec<f64> = (0..1000).map(|i| f64::from(i) + 0.5).collect();
        near(dispersion(&even, 10.0), 0.0);
        let clumps: Vec<f64> = (0..1001).map(|i| f64::from(i / 10) * 10.0).collect();
        // every second window of 5 holds ten events, the others none
        near(dispersion(&clumps, 5.0), 5.0);
    }

    #[test]
    fn autocorrelation_and_line_are_those_of_known_series() {
        let wave: Vec<f64> = (0..10_000).map(|i| f64::from(i % 2)).collect();
        assert!((autocorrelation(&wave, 1) + 1.0).abs() < 1e-3);
        assert!((autocorrelation(&wave, 2) - 1.0).abs() < 1e-3);
        let (slope, r2) = line(&[1.0, 2.0, 3.0], &[5.0, 7.0, 9.0]);
        near(slope, 2.0);
        near(r2, 1.0);
    }
}
