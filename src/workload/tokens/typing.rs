//! Code: documents that are being typed.
//!
//! A request either opens a document, with a prompt from the trace's quantiles, or follows up one
//! of the last 511 requests: the same prompt again, a few tokens more, or a few less. Which request
//! it follows is drawn, so open documents take turns, and those with the latest requests most.
//! Sizes of the steps and shares are chosen so that prompts come back, in requests between the
//! two, as in the trace: repeats after 4 to 16 requests, typing after 8 to 64.
//!
//! A chain of follow-ups is followed over at most 64 requests. Completions are independent, as in
//! the trace (Spearman -0.017).
//!
//! Source: Azure LLM inference trace 2023, code (CC-BY-4.0).

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::data::AZURE;
use crate::workload::math::{exp, ln};
use crate::workload::rng::Stream;

/// Share of the requests that follow up another.
const FOLLOW_UPS: f64 = 0.55;

/// Of these: repeats, prompts with a few tokens more, prompts with 1 to 5 tokens less. The rest are
/// edits of up to 60 tokens either way.
const REPEATS: f64 = 0.22;
const TYPED: f64 = 0.56;
const DELETED: f64 = 0.10;

/// Share of the typed tokens after which another one is typed. So their number is geometric, with
/// the mean 3.
const TYPED_ON: f64 = 2.0 / 3.0;

/// Requests back to the one that is repeated: a gamma distribution of shape 2 with this scale.
const REPEAT_SCALE: f64 = 5.0;

/// Requests back to the one that is edited: log-normal, median and standard deviation of the
/// logarithm.
const EDIT_MEDIAN: f64 = 25.0;
const EDIT_LOG_SD: f64 = 1.0;

/// Requests back at most.
const REACH: u64 = 511;

/// Most follow-ups between a request and the one that opened its document.
const LONGEST: u32 = 64;

/// Prompts from here on are cut at the trace's cap, 7437; a follow-up is cut again.
const CAPPED: u32 = 7400;
const CAP: i64 = 7437;

/// Shortest prompt.
const SHORTEST: i64 = 3;

/// Below this, prompts change by at most 5 tokens at once.
const SMALL: u32 = 100;

/// A prompt that was computed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Typed {
    /// Number of the request, plus 1; 0 is none.
    after: u64,
    prompt: u32,
    /// Follow-ups since its document was opened.
    depth: u32,
}

/// What a request does.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Requests back to the one it follows; 0 opens a document.
    back: u64,
    /// Tokens more than that one.
    change: i32,
    /// Rank of the prompt if it is a new one.
    rank: f64,
}

const OPENS: Step = Step { back: 0, change: 0, rank: 0.0 };

/// Code requests.
#[derive(Debug)]
pub(super) struct Typing {
    /// Share of the prompts below [`CAPPED`].
    below_cap: f64,
}

impl Typing {
    pub(super) fn new() -> Self {
        Self { below_cap: AZURE.code.prompt.rank(f64::from(CAPPED)) }
    }

    /// Prompt and completion of a request.
    pub(super) fn tokens(&self, stream: &Stream, seq: u64, known: &mut Vec<Typed>) -> (u32, u32) {
        if known.is_empty() {
            known.resize(1 + slot(REACH), Typed::default());
        }
        let mut rng = stream.at(seq);
        let completion = AZURE.code.completion.tokens(rng.random());
        (self.prompt(stream, seq, step(seq, &mut rng), known), completion)
    }

    fn prompt(&self, stream: &Stream, seq: u64, step: Step, known: &mut [Typed]) -> u32 {
        let parent = known[slot(seq - step.back)];
        let (prompt, depth) = if step.back == 0 {
            (AZURE.code.prompt.tokens(step.rank), Some(0))
        } else if parent.after == seq - step.back + 1 && parent.depth < LONGEST {
            (self.changed(parent.prompt, step), Some(parent.depth + 1))
        } else {
            self.chain(stream, seq, step, known)
        };
        if let Some(depth) = depth {
            known[slot(seq)] = Typed { after: seq + 1, prompt, depth };
        }
        prompt
    }

    /// A prompt whose parent is not known, and its depth, unless its chain was cut.
    #[cold]
    fn chain(&self, stream: &Stream, seq: u64, first: Step, known: &[Typed]) -> (u32, Option<u32>) {
        let (mut chain, mut length) = ([OPENS; LONGEST as usize], 0);
        let (mut at, mut next) = (seq, first);
        let (mut prompt, depth) = loop {
            let found = known[slot(at)];
            // A chain that would grow too long is cut where it would be without what is known.
            if found.after == at + 1 && length + found.depth <= LONGEST {
                break (found.prompt, Some(found.depth + length));
            }
            if next.back == 0 || length == LONGEST {
                let opened = (next.back == 0).then_some(length);
                break (AZURE.code.prompt.tokens(next.rank), opened);
            }
            chain[length as usize] = next;
            length += 1;
            at -= next.back;
            let mut rng = stream.at(at);
            let _: f64 = rng.random();
            next = step(at, &mut rng);
        };
        for step in chain[..length as usize].iter().rev() {
            prompt = self.changed(prompt, *step);
        }
        (prompt, depth)
    }

    fn changed(&self, prompt: u32, step: Step) -> u32 {
        if prompt >= CAPPED {
            let rank = self.below_cap + (1.0 - self.below_cap) * step.rank;
            return AZURE.code.prompt.tokens(rank).max(CAPPED);
        }
        if prompt < SMALL && step.change.abs() > 5 {
            return prompt;
        }
        let changed = (i64::from(prompt) + i64::from(step.change)).clamp(SHORTEST, CAP);
        u32::try_from(changed).unwrap_or(prompt)
    }
}

/// The step of a request, after the draw of its completion.
fn step(seq: u64, rng: &mut Pcg64Mcg) -> Step {
    let rank = rng.random();
    if rng.random::<f64>() >= FOLLOW_UPS {
        return Step { rank, ..OPENS };
    }
    let kind: f64 = rng.random();
    let back = if kind < REPEATS {
        let (one, two): (f64, f64) = (rng.random(), rng.random());
        -REPEAT_SCALE * ln((1.0 - one) * (1.0 - two))
    } else {
        let normal: f64 = StandardNormal.sample(rng);
        EDIT_MEDIAN * exp(EDIT_LOG_SD * normal)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
    let back = (1 + back as u64).min(REACH);
    if back > seq {
        return Step { rank, ..OPENS };
    }
    let change = if kind < REPEATS {
        0
    } else if kind < REPEATS + TYPED {
        let mut typed = 1;
        while rng.random::<f64>() < TYPED_ON {
            typed += 1;
        }
        typed
    } else if kind < REPEATS + TYPED + DELETED {
        -rng.random_range(1..=5)
    } else {
        rng.random_range(-60..=60)
    };
    Step { back, change, rank }
}

/// Where a request is remembered.
fn slot(seq: u64) -> usize {
    usize::try_from(seq & REACH).unwrap_or_default()
}
