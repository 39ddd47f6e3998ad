//! How much: the spread of an amount, and the record that has the most of it.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Amounts, to three significant digits, and the largest of them exactly.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    /// Apart: each partition has some spreads, and most are empty.
    histogram: Option<Box<Histogram<u64>>>,
    largest: Option<(u64, u64)>,
}

/// A spread in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
    /// The `seq` of the first record that has it.
    pub max_seq: u64,
}

impl Spread {
    /// Adds the amount of a record.
    pub(super) fn add(&mut self, amount: u64, seq: u64) {
        if self.histogram.is_none() {
            // Three digits are what the histogram takes.
            self.histogram = Histogram::new(3).ok().map(Box::new);
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(amount);
        }
        if self.largest.is_none_or(|(largest, _)| amount > largest) {
            self.largest = Some((amount, seq));
        }
    }

    /// Adds all of another spread.
    pub(super) fn absorb(&mut self, other: &Self) {
        if let Some(theirs) = &other.histogram {
            match &mut self.histogram {
                // Both grow as they must.
                Some(own) => drop(own.add(theirs.as_ref())),
                own => *own = Some(theirs.clone()),
            }
        }
        if let Some((amount, _)) = other.largest
            && self.largest.is_none_or(|(largest, _)| amount > largest)
        {
            self.largest = other.largest;
        }
    }

    /// The amounts, where there are any.
    pub(super) fn amounts(&self) -> Option<Amounts> {
        let (histogram, (max, max_seq)) = (self.histogram.as_ref()?, self.largest?);
        let at = |quantile| histogram.value_at_quantile(quantile).min(max);
        Some(Amounts { p50: at(0.5), p99: at(0.99), max, max_seq })
    }
}
