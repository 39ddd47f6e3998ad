//! How many tokens a request has: margins, dependence, drift and sessions of public traces.
//!
//! The tokens of pair `seq` are a function of the run's seed and id, `seq` and its event time.
//! What a request takes over from those before it is found by looking back, and never further than
//! each model says.

mod chat;
mod data;
mod drift;
mod lanes;
mod quantiles;
mod sessions;
mod turns;
mod typing;

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;

use super::math::whole;
use super::rng::Stream;
use crate::workload::Name;
use chat::Chat;
use data::{AZURE, OTHERS};
use drift::LastHour;
use quantiles::Sides;
use sessions::Sessions;
use turns::{Kind, Turn};
use typing::{Typed, Typing};

/// Prompt and completion tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens of the completion.
    pub completion: u32,
    /// Tokens of the prompt that no prefix cache holds: from 1 to all of them. Only the sessions
    /// of `long` and `agent` find a part of their prompt in a cache.
    pub uncached: u32,
}

/// What the rest of the model needs to know about a workload's requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// Mean prompt, tokens.
    pub(super) prompt: f64,
    /// Mean completion, tokens.
    pub(super) completion: f64,
    /// Mean part of the prompt that no prefix cache holds, tokens.
    pub(super) uncached: f64,
}

/// Where the lengths come from.
#[derive(Debug)]
enum Model {
    /// Classes whose shares drift, and lengths within them.
    Chat(Chat),
    /// Documents that are being typed.
    Code(Typing),
    /// Both sides on their own.
    Independent(&'static Sides),
    /// Sessions whose prompts grow.
    Sessions(Sessions),
    /// The `uniform` workload.
    Uniform,
}

/// The requests of a run. Cheap to make: the tables are built once per process.
#[derive(Debug)]
pub(super) struct Requests {
    model: Model,
    stream: Stream,
    workload: Name,
    means: Means,
}

/// What was computed for earlier requests, kept to save time.
///
/// No answer depends on it. It takes at most 320 kB, allocated at the first request.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Whose values these are.
    owner: Option<(Stream, Name, u32)>,
    /// The class shares of the last hour of event time.
    hour: LastHour,
    /// The last prompts, by `seq`.
    typed: Vec<Typed>,
    /// The last turn of each lane.
    turns: Vec<Turn>,
}

impl Requests {
    /// The requests of a run whose pairs are `mean_gap` apart. A mean gap of 0 stands for the
    /// trace's own.
    pub(super) fn new(workload: Name, run_seed: u64, run_id: &str, mean_gap: Duration) -> Self {
        let sessions = |kind| Model::Sessions(Sessions::new(kind, run_seed, run_id, mean_gap));
        let model = match workload {
            Name::Chat => Model::Chat(Chat::new(run_seed)),
            Name::Code => Model::Code(Typing::new()),
            Name::Reason => Model::Independent(&OTHERS.reason),
            Name::Long => sessions(Kind::Long),
            Name::Agent => sessions(Kind::Agent),
            Name::Uniform => Model::Uniform,
        };
        let means = match (&model, sides(workload)) {
            (_, None) => Means { prompt: 1152.0, completion: 288.0, uncached: 1152.0 },
            (model, Some(sides)) => {
                let (prompt, completion) = (sides.prompt.mean(), sides.completion.mean());
                let uncached = match model {
                    Model::Sessions(sessions) => prompt * sessions.uncached_share(),
                    _ => prompt,
                };
                Means { prompt, completion, uncached }
            }
        };
        Self { model, stream: Stream::new(run_seed, "tokens", run_id), workload, means }
    }

    /// Means of the workload.
    pub(super) fn means(&self) -> Means {
        self.means
    }

    /// The tokens of request `seq`, whose event time is `at`.
    pub(super) fn of(&self, seq: u64, at: Timestamp, recent: &mut Recent) -> Tokens {
        let lanes = if let Model::Sessions(sessions) = &self.model { sessions.lanes() } else { 0 };
        let owner = Some((self.stream, self.workload, lanes));
        if recent.owner != owner {
            *recent = Recent { owner, ..Recent::default() };
        }
        let (prompt, completion) = match &self.model {
            Model::Chat(chat) => chat.tokens(&mut self.stream.at(seq), at, &mut recent.hour),
            Model::Code(typing) => typing.tokens(&self.stream, seq, &mut recent.typed),
            Model::Independent(sides) => {
                let mut rng = self.stream.at(seq);
                (sides.prompt.tokens(rng.random()), sides.completion.tokens(rng.random()))
            }
            Model::Sessions(sessions) => return sessions.tokens(seq, &mut recent.turns),
            Model::Uniform => {
                let mut rng = self.stream.at(seq);
                (rng.random_range(256..=2048), rng.random_range(64..=512))
            }
        };
        Tokens { prompt, completion, uncached: prompt }
    }
}

/// The lengths of a workload's trace. `uniform` has none.
fn sides(workload: Name) -> Option<&'static Sides> {
    match workload {
        Name::Chat => Some(&AZURE.chat.sides),
        Name::Code => Some(&AZURE.code),
        Name::Reason => Some(&OTHERS.reason),
        Name::Long => Some(&OTHERS.long),
        Name::Agent => Some(&OTHERS.agent.sides),
        Name::Uniform => None,
    }
}

/// Quantiles of a workload's trace: probability, prompt tokens, completion tokens. `uniform` has no
/// trace.
#[must_use]
pub fn trace_quantiles(workload: Name) -> Option<Vec<(f64, f64, f64)>> {
    let of = |sides: &Sides| {
        let both = sides.prompt.knots().zip(sides.completion.knots());
        let triple = |((rank, prompt), (_, completion))| (rank, prompt, completion);
        both.map(triple).collect()
    };
    sides(workload).map(of)
}

/// Tokens of a length: whole, and at least 1.
fn at_least_one(tokens: f64) -> u32 {
    whole(tokens).max(1)
}

#[cfg(test)]
mod tests;
