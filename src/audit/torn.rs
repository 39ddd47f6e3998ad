//! Pairs whose two records do not fit: one of them is missing, or they have different times or
//! partitions.

use serde::Serialize;

use super::places::Place;

/// Torn pairs in the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TornAccount {
    /// Only the metric is there.
    pub only_metric: u64,
    /// Only the token usage is there.
    pub only_token: u64,
    /// Both are there, with different event times.
    pub other_time: u64,
    /// Both are there, in partitions of different numbers.
    pub other_partition: u64,
    /// Both are there, but were read too far apart to be compared.
    pub not_compared: u64,
    /// The first pair that is torn.
    pub first_seq: Option<u64>,
}

impl TornAccount {
    /// How many pairs are torn; one may be so in two ways.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.only_metric + self.only_token + self.other_time + self.other_partition
    }
}

/// Counts torn pairs as their second record is read.
#[derive(Debug, Default)]
pub(super) struct Torn(pub(super) TornAccount);

impl Torn {
    /// A record's first copy is here, and that of its twin there, unless that is forgotten.
    pub(super) fn note(&mut self, at: Place, twin: Option<Place>, common: bool, seq: u64) {
        let Some(twin) = twin else {
            self.0.not_compared += 1;
            return;
        };
        let other_time = twin.pair_ms != at.pair_ms;
        // Of two stages' topics of one number, as far as there are several.
        let is_common = common && twin.topic == at.topic;
        let other_partition = is_common && twin.partition != at.partition;
        self.0.other_time += u64::from(other_time);
        self.0.other_partition += u64::from(other_partition);
        if other_time || other_partition {
            self.first(seq);
        }
    }

    /// Only one record of a pair is there.
    pub(super) fn alone(&mut self, metric: bool, seq: u64) {
        let count = if metric { &mut self.0.only_metric } else { &mut self.0.only_token };
        *count += 1;
        self.first(seq);
    }

    fn first(&mut self, seq: u64) {
        self.0.first_seq = Some(self.0.first_seq.map_or(seq, |first| first.min(seq)));
    }
}
