//! The closing totals of an answer key.

use serde::Serialize;

use super::lines::UsageLine;
use crate::event::Kind;

/// What one record counts for.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) kind: Kind,
    pub(super) usage: UsageLine,
}

/// A sum over records.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) records: [u64; 2],
    usage: UsageLine,
}

impl Sum {
    pub(super) fn add(&mut self, counted: &Counted) {
        self.records[counted.kind as usize] += 1;
        self.usage.prompt_tokens += counted.usage.prompt_tokens;
        self.usage.completion_tokens += counted.usage.completion_tokens;
        let cost = &mut self.usage.cost_micro_usd;
        *cost = cost.saturating_add(counted.usage.cost_micro_usd);
    }
}

/// The four sums.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) planned: Sum,
    sent: Sum,
    readable: Sum,
    deduplicated: Sum,
}

/// One sum, and which records it counts.
#[derive(Debug, Serialize)]
pub(super) struct TotalLine {
    #[serde(rename = "type")]
    line: &'static str,
    name: &'static str,
    counts: Counts,
    records: Records,
    #[serde(flatten)]
    usage: UsageLine,
}

/// Which records a sum counts beside those of a clean run.
#[derive(Debug, Clone, Copy, Serialize)]
struct Counts {
    unsent: bool,
    tombstones: bool,
    malformed: bool,
    duplicates: bool,
}

#[derive(Debug, Serialize)]
struct Records {
    #[serde(rename = "gpu.metrics.v1")]
    metric: u64,
    #[serde(rename = "token.usage.v1")]
    token: u64,
}

impl Totals {
    /// A record was sent, perhaps as a copy, and can be read or not.
    pub(super) fn sent(&mut self, counted: &Counted, is_copy: bool, is_readable: bool) {
        self.sent.add(counted);
        if is_readable {
            self.readable.add(counted);
        }
        if is_readable && !is_copy {
            self.deduplicated.add(counted);
        }
    }

    pub(super) fn lines(&self) -> [TotalLine; 4] {
        let line = |name, sum: Sum, counts: [bool; 4]| {
            let [unsent, tombstones, malformed, duplicates] = counts;
            let [metric, token] = sum.records;
            TotalLine {
                line: "total",
                name,
                counts: Counts { unsent, tombstones, malformed, duplicates },
                records: Records { metric, token },
                usage: sum.usage,
            }
        };
        [
            line("planned", self.planned, [true, true, true, false]),
            line("sent", self.sent, [false, true, true, true]),
            line("readable", self.readable, [false, false, false, true]),
            line("deduplicated", self.deduplicated, [false, false, false, false]),
        ]
    }
}
