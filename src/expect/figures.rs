//! The figures of one view of a window.

use super::decimal::Millionths;
use super::value::Fields;
use crate::event::Kind;

/// Which records of a window count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All, as they are sent.
    All,
    /// All but those that come when the window is closed.
    LateDropped,
    /// Of each record its first copy.
    Deduplicated,
}

impl View {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::All, Self::LateDropped, Self::Deduplicated];

    /// Its name in the output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::LateDropped => "late_dropped",
            Self::Deduplicated => "deduplicated",
        }
    }
}

/// A sum of readings and how many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readings {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: Millionths,
}

impl Readings {
    fn add(&mut self, reading: Option<Millionths>) {
        if let Some(reading) = reading {
            self.count += 1;
            self.sum += reading;
        }
    }

    /// Their mean, rounded half up to millionths.
    #[must_use]
    pub fn mean(&self) -> Option<Millionths> {
        self.sum.mean(self.count)
    }
}

/// What a view of a window comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records of each topic, whatever their values.
    pub records: [u64; 2],
    /// Those of them whose value is no JSON object.
    pub unreadable: [u64; 2],
    /// Pairs whose two records are both there and readable.
    pub pairs: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the completions.
    pub completion_tokens: u64,
    /// The longest request, ms.
    pub latency_ms_max: Option<u32>,
    /// Shares of time busy.
    pub utilization: Readings,
    /// Board power, W.
    pub power_w: Readings,
    /// Cost of the requests, micro-USD.
    pub cost_micro_usd: u64,
}

impl Figures {
    /// Counts a record; `cost` is that of its request.
    pub(super) fn add(&mut self, kind: Kind, fields: Option<&Fields>, cost: u64) {
        let topic = kind as usize;
        self.records[topic] += 1;
        let Some(fields) = fields else {
            self.unreadable[topic] += 1;
            return;
        };
        self.prompt_tokens += u64::from(fields.prompt_tokens.unwrap_or_default());
        self.completion_tokens += u64::from(fields.completion_tokens.unwrap_or_default());
        self.latency_ms_max = self.latency_ms_max.max(fields.latency_ms);
        self.utilization.add(fields.utilization);
        self.power_w.add(fields.power_w);
        self.cost_micro_usd = self.cost_micro_usd.saturating_add(cost);
    }
}
