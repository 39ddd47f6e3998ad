//! Chat: a class whose share drifts, then both lengths within it.
//!
//! The trace is cut twice. 101 cells of prompts, each with the quantiles of its prompts and of
//! its completions, hold the dependence of the two sides, atoms included: templates with constant
//! answers, prompts of 181 tokens, the cap at 4083. Their mutual information is the trace's. 13
//! classes hold what changes from minute to minute. So the plane of the cells is cut along the
//! borders of the classes, and a request draws a class, one of its pieces, and a place in it.
//!
//! Source: Azure LLM inference trace 2023, conversation (CC-BY-4.0).

use std::sync::LazyLock;

use jiff::Timestamp;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::at_least_one;
use super::data::{AZURE, CLASSES, Cell};
use super::drift::{Hour, LastHour};
use crate::workload::rng::Stream;

/// A part of a cell that belongs to one class, with even density.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Lowest prompt, and the distance to the highest.
    prompt: (f32, f32),
    /// The same of the completions.
    completion: (f32, f32),
}

/// The pieces of a class.
#[derive(Debug, Default)]
struct Class {
    /// Cumulated weights; the last is 1.
    cumulated: Vec<f32>,
    pieces: Vec<Piece>,
}

impl Class {
    fn piece(&self, share: f32) -> Piece {
        let piece = self.cumulated.partition_point(|below| *below <= share);
        self.pieces[piece.min(self.pieces.len() - 1)]
    }
}

static PIECES: LazyLock<[Class; CLASSES]> = LazyLock::new(|| {
    let mut weights: [Vec<f64>; CLASSES] = Default::default();
    let mut classes: [Class; CLASSES] = Default::default();
    let (prompt_edges, completion_edges) = (edges(|c| c.prompt), edges(|c| c.completion));
    for Cell { share, prompt, completion } in &AZURE.chat.cells {
        for (prompt, of_prompts) in cut(prompt, &prompt_edges) {
            for (completion, of_completions) in cut(completion, &completion_edges) {
                let class = class_of(middle(prompt), middle(completion));
                weights[class].push(share * of_prompts * of_completions);
                let [prompt, completion] = [prompt, completion].map(from_and_span);
                classes[class].pieces.push(Piece { prompt, completion });
            }
        }
    }
    for (class, weights) in classes.iter_mut().zip(weights) {
        let total: f64 = weights.iter().sum();
        let cumulated = weights.iter().scan(0.0, |below, weight| {
            *below += weight;
            Some(*below / total)
        });
        #[expect(clippy::cast_possible_truncation, reason = "a share needs no more digits")]
        cumulated.for_each(|share| class.cumulated.push(share as f32));
    }
    classes
});

/// The lengths at which a class begins or ends, between whole tokens.
fn edges(side: fn(&super::data::ClassTable) -> [f64; 2]) -> Vec<f64> {
    let ends = AZURE.chat.classes.iter().flat_map(|class| {
        let [least, most] = side(class);
        [least - 0.5, most + 0.5]
    });
    ends.collect()
}

/// The intervals between quantiles, cut at the edges, with the share of each.
fn cut(quantiles: &[f64], edges: &[f64]) -> Vec<([f64; 2], f64)> {
    let mut intervals = Vec::new();
    let share = 1.0 / (quantiles.len() - 1) as f64;
    for pair in quantiles.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let mut ends: Vec<f64> =
            edges.iter().copied().filter(|edge| from < *edge && *edge < to).collect();
        ends.extend([from, to]);
        ends.sort_by(f64::total_cmp);
        ends.dedup();
        if ends.len() < 2 {
            intervals.push(([from, to], share));
        }
        for part in ends.windows(2) {
            let of = (part[1] - part[0]) / (to - from);
            intervals.push(([part[0], part[1]], share * of));
        }
    }
    intervals
}

fn middle([from, to]: [f64; 2]) -> f64 {
    f64::midpoint(from, to)
}

#[expect(clippy::cast_possible_truncation, reason = "lengths are far below 2^24")]
fn from_and_span([from, to]: [f64; 2]) -> (f32, f32) {
    (from as f32, (to - from) as f32)
}

/// The first class that has these lengths; the last class has all that no other has.
fn class_of(prompt: f64, completion: f64) -> usize {
    let within = |[least, most]: [f64; 2], x: f64| least - 0.5 <= x && x <= most + 0.5;
    let fits = AZURE
        .chat
        .classes
        .iter()
        .position(|class| within(class.prompt, prompt) && within(class.completion, completion));
    fits.unwrap_or(CLASSES - 1)
}

/// Chat requests.
#[derive(Debug)]
pub(super) struct Chat {
    drift: Stream,
}

impl Chat {
    pub(super) fn new(run_seed: u64) -> Self {
        Self { drift: Stream::new(run_seed, "drift", "chat") }
    }

    /// Prompt and completion of a request.
    pub(super) fn tokens(
        &self,
        rng: &mut Pcg64Mcg,
        at: Timestamp,
        hour: &mut LastHour,
    ) -> (u32, u32) {
        let shares = Hour::minute(&self.drift, at.as_millisecond(), hour);
        let place: f32 = rng.random();
        let class = shares.iter().take(CLASSES - 1).filter(|below| **below <= place).count();
        let piece = PIECES[class].piece(rng.random());
        let mut within = |(from, span): (f32, f32)| {
            let share: f32 = rng.random();
            at_least_one(f64::from(from + span * share))
        };
        (within(piece.prompt), within(piece.completion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_pieces_and_every_piece_lies_in_its_class() {
        for (k, class) in PIECES.iter().enumerate() {
            assert!(!class.pieces.is_empty(), "class {k}");
            for Piece { prompt, completion } in &class.pieces {
                let middle = |(from, span): (f32, f32)| f64::from(from) + f64::from(span) / 2.0;
                assert_eq!(class_of(middle(*prompt), middle(*completion)), k);
            }
        }
        let pieces: usize = PIECES.iter().map(|class| class.pieces.len()).sum();
        eprintln!("{pieces} pieces");
    }
}
