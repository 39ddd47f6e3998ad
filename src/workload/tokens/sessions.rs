//! Long and agent: sessions whose prompts grow.
//!
//! A lane's turns are cut into epochs, and an epoch into sessions of random length. A prompt is the
//! one before, and what has been said since. Each session's raw prompts come from such steps; then
//! every raw prompt is replaced by the trace's prompt of the same rank, so the margins are the
//! trace's. A turn looks back to the start of its session, and to the starts of the sessions
//! before it in its epoch: at most 64 turns (`long`) or 1024 (`agent`).
//!
//! `long`: Mooncake, FAST'25 conversation (Apache-2.0). 39 % of the requests are follow-ups, 123 s
//! after their parent and 454 tokens longer (medians); completions correlate with the parent's by
//! 0.65.
//!
//! `agent`: kv-cache-tester, sessions of Claude Code (Apache-2.0). Requests of a session and growth
//! have the trace's quantiles; the prefix cache holds 97 % of the tokens. First prompts, context
//! limits and what a compaction leaves are not in the table. They are chosen so that the raw
//! prompts are near the trace's, so the exchange changes their growth by less than a tenth.

use std::sync::LazyLock;
use std::time::Duration;

use super::lanes::{self, Lanes};
use super::turns::{Kind, NONE, Turn, Turns};
use super::{Tokens, at_least_one};
use crate::workload::math::whole;
use crate::workload::rng::Stream;

/// From raw prompts to the trace's.
#[derive(Debug)]
struct Scale {
    /// Raw prompts, and the trace's of the same rank.
    raw: Vec<f64>,
    trace: Vec<f64>,
    /// Share of the tokens that no prefix cache holds.
    uncached: f64,
}

impl Scale {
    /// The scale of a kind, made once per process.
    fn of(kind: Kind) -> &'static Self {
        static LONG: LazyLock<Scale> = LazyLock::new(|| Scale::new(Kind::Long, 2048));
        static AGENT: LazyLock<Scale> = LazyLock::new(|| Scale::new(Kind::Agent, 192));
        match kind {
            Kind::Long => &LONG,
            Kind::Agent => &AGENT,
        }
    }

    /// The scale of a kind, from an epoch of so many lanes. It is the same for all runs.
    fn new(kind: Kind, lanes: u32) -> Self {
        let turns = Turns::new(kind, 0, "scale");
        let mut all = Vec::new();
        for lane in 0..lanes {
            let mut turn = NONE;
            for number in 0..u64::from(kind.epoch()) {
                let Turn { raw, held, .. } = *turns.at(lane, number, &mut turn);
                all.push((raw, held));
            }
        }
        let mut sorted: Vec<f64> = all.iter().map(|turn| turn.0).collect();
        sorted.sort_by(f64::total_cmp);
        let (ranks, trace): (Vec<f64>, Vec<f64>) = kind.sides().prompt.knots().unzip();
        let last = sorted.len() - 1;
        let place = |rank: f64| whole(rank * last as f64) as usize;
        let raw = ranks.into_iter().map(|rank| sorted[place(rank).min(last)]).collect();
        let mut scale = Self { raw, trace, uncached: 1.0 };
        let (mut total, mut uncached) = (0.0, 0.0);
        for (raw, held) in all {
            let (prompt, not_held) = scale.tokens(raw, held);
            total += f64::from(prompt);
            uncached += f64::from(not_held);
        }
        scale.uncached = uncached / total;
        scale
    }

    /// Tokens of a raw prompt, and how many of them are not among the `held` ones.
    fn tokens(&self, raw: f64, held: Option<f64>) -> (u32, u32) {
        let prompt = self.prompt(raw);
        let held = held.map_or(0, |held| self.prompt(held));
        (prompt, prompt.saturating_sub(held).max(1))
    }

    fn prompt(&self, raw: f64) -> u32 {
        let above = self.raw.partition_point(|knot| *knot <= raw).clamp(1, self.raw.len() - 1);
        let (from, to) = (self.raw[above - 1], self.raw[above]);
        let share = if to > from { ((raw - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
        at_least_one(self.trace[above - 1] + (self.trace[above] - self.trace[above - 1]) * share)
    }
}

/// The sessions of a run.
#[derive(Debug)]
pub(super) struct Sessions {
    turns: Turns,
    lanes: Lanes,
    scale: &'static Scale,
}

impl Sessions {
    pub(super) fn new(kind: Kind, run_seed: u64, run_id: &str, mean_gap: Duration) -> Self {
        let gap = if mean_gap.is_zero() { kind.gap_sec() } else { mean_gap.as_secs_f64() };
        let count = whole(kind.period_sec() / gap).clamp(1, lanes::MOST);
        let order = Stream::new(run_seed, "lanes", run_id);
        Self {
            turns: Turns::new(kind, run_seed, run_id),
            lanes: Lanes::new(count, kind.epoch(), order),
            scale: Scale::of(kind),
        }
    }

    /// Sessions at a time.
    pub(super) fn lanes(&self) -> u32 {
        self.lanes.count()
    }

    /// The lane of a request.
    #[cfg(test)]
    pub(super) fn lane(&self, seq: u64) -> usize {
        self.lanes.of(seq).0 as usize
    }

    /// Share of the prompts' tokens that no prefix cache holds.
    pub(super) fn uncached_share(&self) -> f64 {
        self.scale.uncached
    }

    /// The tokens of a request.
    pub(super) fn tokens(&self, seq: u64, known: &mut Vec<Turn>) -> Tokens {
        if known.is_empty() {
            known.resize(self.lanes.count() as usize, NONE);
        }
        let (lane, turn) = self.lanes.of(seq);
        let Turn { raw, held, completion, .. } =
            *self.turns.at(lane, turn, &mut known[lane as usize]);
        let (prompt, uncached) = self.scale.tokens(raw, held);
        Tokens { prompt, completion: at_least_one(completion), uncached }
    }
}
