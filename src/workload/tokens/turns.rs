//! The turns of a session: how long it lasts, and what each turn adds to the prompt.
//!
//! Where the figures come from is said in [`super::sessions`].

use std::sync::LazyLock;

use rand::RngExt;
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::data::OTHERS;
use super::quantiles::{Quantiles, Sides};
use crate::workload::math::{exp, normal_cdf};
use crate::workload::rng::Stream;

/// Which sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Long contexts.
    Long,
    /// Coding agents.
    Agent,
}

/// Share of the turns in `long` that a follow-up comes after; epochs cut it to 0.39 of the
/// requests.
const FOLLOW_UPS: f64 = 0.395;

/// Correlation of the normal scores of a completion and its parent's in `long`; that of the
/// lengths is 0.65.
const COMPLETIONS: f64 = 0.68;

/// Tokens that a user adds in `long`: median of a log-normal number with log-sd 1. With the
/// answer before, a prompt grows by 454.
const MESSAGE: f64 = 108.0;

/// First prompts of an agent: median and log-sd.
const FIRST: (f64, f64) = (45_000.0, 0.7);

/// Share of the agents with the larger context; contexts, with their log-sd.
const LARGE_SHARE: f64 = 0.35;
const CONTEXT: f64 = 170_000.0;
const LARGE_CONTEXT: f64 = 900_000.0;
const CONTEXT_LOG_SD: f64 = 0.1;

/// What a compaction leaves: median and log-sd, at most this share of the prompt before.
const COMPACTED: (f64, f64) = (60_000.0, 0.4);
const COMPACTED_MOST: f64 = 0.9;

/// Largest share of a turn's growth that the table resolves. Beyond it growth is the table's last
/// quantile times an exponential factor whose logarithm has this mean.
const GROWTH_TOP: f64 = 0.975;
const GROWTH_TAIL: f64 = 0.8;

impl Kind {
    /// Turns of an epoch.
    pub(super) fn epoch(self) -> u32 {
        match self {
            Self::Long => 64,
            Self::Agent => 1024,
        }
    }

    /// Seconds between two turns of a session: the medians of the traces. For an agent, 10 s of
    /// thought and tools after 6.1 s of answer.
    pub(super) fn period_sec(self) -> f64 {
        match self {
            Self::Long => 123.0,
            Self::Agent => 16.1,
        }
    }

    /// Seconds between two requests of the trace: 12,031 in an hour of Mooncake. The agents' trace
    /// has sessions from many days; a quarter of a second stands for 64 of them at a time.
    pub(super) fn gap_sec(self) -> f64 {
        match self {
            Self::Long => 0.299,
            Self::Agent => 0.25,
        }
    }

    /// The lengths of its trace.
    pub(super) fn sides(self) -> &'static Sides {
        match self {
            Self::Long => &OTHERS.long,
            Self::Agent => &OTHERS.agent.sides,
        }
    }
}

/// One turn of a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Number of the turn in its lane.
    turn: u64,
    /// The first turn after its session.
    end: u64,
    /// The raw prompt, and that of the turn before if a prefix cache still holds it.
    pub(super) raw: f64,
    pub(super) held: Option<f64>,
    pub(super) completion: f64,
    /// Normal score of the completion.
    score: f64,
    /// Raw prompt at which the session is compacted.
    context: f64,
}

/// No turn at all.
pub(super) const NONE: Turn = Turn {
    turn: u64::MAX,
    end: 0,
    raw: 0.0,
    held: None,
    completion: 0.0,
    score: 0.0,
    context: 0.0,
};

/// The turns of all lanes.
#[derive(Debug)]
pub(super) struct Turns {
    kind: Kind,
    lengths: Stream,
    turns: Stream,
}

impl Turns {
    /// The turns of a run.
    pub(super) fn new(kind: Kind, run_seed: u64, scope: &str) -> Self {
        let stream = |name| Stream::new(run_seed, name, scope);
        Self { kind, lengths: stream("sessions"), turns: stream("turns") }
    }

    /// The first turn after the session that begins at `start`.
    fn end(&self, lane: u32, start: u64) -> u64 {
        let mut rng = self.lengths.at_in(u64::from(lane), start.cast_signed());
        let length = match self.kind {
            Kind::Long => {
                let mut length = 1;
                while rng.random::<f64>() < FOLLOW_UPS {
                    length += 1;
                }
                length
            }
            Kind::Agent => u64::from(OTHERS.agent.requests.tokens(rng.random())),
        };
        let epoch = u64::from(self.kind.epoch());
        (start + length).min((start / epoch + 1) * epoch)
    }

    /// A turn of a lane; `known` is another one, and is replaced by it.
    pub(super) fn at<'k>(&self, lane: u32, turn: u64, known: &'k mut Turn) -> &'k Turn {
        let epoch = u64::from(self.kind.epoch());
        let begin = turn / epoch * epoch;
        if turn < known.turn || known.end <= turn {
            // Another session: find where it starts. A known one ends where the next starts.
            let mut start = if known.end <= turn { begin.max(known.end) } else { begin };
            let mut end = self.end(lane, start);
            while end <= turn {
                start = end;
                end = self.end(lane, start);
            }
            *known = self.first(lane, start, end);
        }
        while known.turn < turn {
            *known = self.next(lane, known);
        }
        known
    }

    fn first(&self, lane: u32, turn: u64, end: u64) -> Turn {
        let mut rng = self.turns.at_in(u64::from(lane), turn.cast_signed());
        let score: f64 = StandardNormal.sample(&mut rng);
        let sides = self.kind.sides();
        let (raw, completion, context) = match self.kind {
            Kind::Long => {
                (sides.prompt.at(rng.random()), sides.completion.at(normal_cdf(score)), f64::MAX)
            }
            Kind::Agent => {
                let large = rng.random::<f64>() < LARGE_SHARE;
                let context = if large { LARGE_CONTEXT } else { CONTEXT };
                let spread: f64 = StandardNormal.sample(&mut rng);
                let completion = sides.completion.at(rng.random());
                (FIRST.0 * exp(FIRST.1 * score), completion, context * exp(CONTEXT_LOG_SD * spread))
            }
        };
        Turn { turn, end, raw, held: None, completion, score, context }
    }

    fn next(&self, lane: u32, before: &Turn) -> Turn {
        let turn = before.turn + 1;
        let mut rng = self.turns.at_in(u64::from(lane), turn.cast_signed());
        let sides = self.kind.sides();
        match self.kind {
            Kind::Long => {
                let (new, message): (f64, f64) =
                    (StandardNormal.sample(&mut rng), StandardNormal.sample(&mut rng));
                let rest = (1.0 - COMPLETIONS * COMPLETIONS).sqrt();
                let score = COMPLETIONS * before.score + rest * new;
                let raw = before.raw + before.completion + MESSAGE * exp(message);
                let completion = sides.completion.at(normal_cdf(score));
                Turn { turn, raw, held: Some(before.raw), completion, score, ..*before }
            }
            Kind::Agent => {
                let completion = sides.completion.at(rng.random());
                let raw = before.raw + growth(rng.random(), &mut rng);
                if raw <= before.context {
                    return Turn { turn, raw, held: Some(before.raw), completion, ..*before };
                }
                let normal: f64 = StandardNormal.sample(&mut rng);
                let left = COMPACTED.0 * exp(COMPACTED.1 * normal);
                let raw = left.min(COMPACTED_MOST * before.raw);
                Turn { turn, raw, held: None, completion, ..*before }
            }
        }
    }
}

/// Tokens by which an agent's prompt grows, at a rank among the turns without a compaction.
fn growth(rank: f64, rng: &mut impl rand::Rng) -> f64 {
    // Between the first two quantiles lie the compactions, after the last but one the jumps.
    static GROWTH: LazyLock<Quantiles> = LazyLock::new(|| {
        let quantiles = &OTHERS.agent.growth;
        quantiles[1..quantiles.len() - 1].to_vec().into()
    });
    if rank < GROWTH_TOP {
        return GROWTH.at(rank / GROWTH_TOP);
    }
    let factor: f64 = Exp1.sample(rng);
    GROWTH.at(1.0) * exp(GROWTH_TAIL * factor)
}
