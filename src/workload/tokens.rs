//! How many tokens a request has: the quantiles of public traces, and how both lengths depend on
//! each other.

mod tables;

use std::sync::LazyLock;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::Name;
use super::math::{exp, ln, normal_cdf, whole};

/// Prompt and completion tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens of the completion.
    pub completion: u32,
}

/// Values at [`tables::PROBABILITIES`].
type Knots = [f64; 24];

/// The lengths of one side of a trace, by rank.
#[derive(Debug)]
struct Quantiles {
    /// Logarithm of the length at each knot.
    ln_tokens: Knots,
}

impl Quantiles {
    fn of(tokens: &'static Knots) -> Self {
        Self { ln_tokens: tokens.map(ln) }
    }

    /// The quantile `rank` of the lengths, log-linear between the knots.
    fn at(&self, rank: f64) -> f64 {
        let above = tables::PROBABILITIES.partition_point(|p| *p <= rank);
        let above = above.clamp(1, self.ln_tokens.len() - 1);
        let [low, high] = [above - 1, above].map(|knot| tables::PROBABILITIES[knot]);
        let share = (rank - low) / (high - low);
        let (from, to) = (self.ln_tokens[above - 1], self.ln_tokens[above]);
        exp(from + (to - from) * share)
    }

    /// Mean length.
    fn mean(&self) -> f64 {
        let ranks = (0..10_000).map(|i| (f64::from(i) + 0.5) / 10_000.0);
        ranks.map(|rank| self.at(rank)).sum::<f64>() / 10_000.0
    }
}

/// A class of requests: its weight, the mean and standard deviation of the logarithms of both
/// lengths, and their correlation within the class.
#[derive(Debug)]
struct Class {
    weight: f64,
    ln_prompt: (f64, f64),
    ln_completion: (f64, f64),
    rho: f64,
}

/// Steps of a [`Marginal`]: each is a third of the narrowest class's standard deviation.
const STEPS: u32 = 4096;

/// Maps one side of the mixture to the trace's lengths: a logarithm drawn from the mixture becomes
/// the length of the same rank in the trace. The ranks, and so the dependence of the two sides,
/// stay those of the mixture.
#[derive(Debug)]
struct Marginal {
    from: f64,
    steps_per_unit: f64,
    tokens: Vec<f32>,
}

impl Marginal {
    fn new(classes: &[Class], side: fn(&Class) -> (f64, f64), quantiles: &Quantiles) -> Self {
        let reach = |direction: f64| {
            let ends = classes.iter().map(side).map(move |(mean, sd)| mean + direction * 6.0 * sd);
            ends.map(|end| end * direction).fold(f64::MIN, f64::max) * direction
        };
        let (from, to) = (reach(-1.0), reach(1.0));
        let steps_per_unit = f64::from(STEPS) / (to - from);
        let rank = |x: f64| {
            let below = |class: &Class| {
                let (mean, sd) = side(class);
                class.weight * normal_cdf((x - mean) / sd)
            };
            classes.iter().map(below).sum::<f64>()
        };
        // With four bytes per length, both tables fit in the L1 cache.
        #[expect(clippy::cast_possible_truncation, reason = "lengths are far below 2^24")]
        let length = |rank: f64| quantiles.at(rank) as f32;
        let points = (0..=STEPS).map(|step| from + f64::from(step) / steps_per_unit);
        Self { from, steps_per_unit, tokens: points.map(|x| length(rank(x))).collect() }
    }

    fn tokens(&self, ln_length: f64) -> u32 {
        let last = f64::from(STEPS) - 1e-9;
        let place = ((ln_length - self.from) * self.steps_per_unit).clamp(0.0, last);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the table")]
        let step = place as u32;
        let share = place - f64::from(step);
        let [low, high] = [step, step + 1].map(|step| f64::from(self.tokens[step as usize]));
        whole(low + (high - low) * share).max(1)
    }
}

/// The lengths of a workload.
#[derive(Debug)]
enum Lengths {
    /// Draws a class first, then both lengths.
    Joint { classes: &'static [Class], prompt: Marginal, completion: Marginal },
    /// Draws each side independently.
    Independent(Box<[Quantiles; 2]>),
    /// The `uniform` workload.
    Uniform,
}

/// What the rest of the model needs to know about a workload's requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// Mean prompt, tokens.
    pub(super) prompt: f64,
    /// Mean completion, tokens.
    pub(super) completion: f64,
}

/// The token lengths of a workload.
#[derive(Debug)]
pub(super) struct Requests {
    lengths: Lengths,
    /// Means of both sides.
    pub(super) means: Means,
}

impl Requests {
    /// The requests of a workload. The tables are built once per process.
    pub(super) fn of(workload: Name) -> &'static Self {
        static CHAT: LazyLock<Requests> = LazyLock::new(|| {
            Requests::joint(&tables::CHAT_CLASSES, &tables::CHAT_PROMPT, &tables::CHAT_COMPLETION)
        });
        static CODE: LazyLock<Requests> =
            LazyLock::new(|| Requests::independent(&tables::CODE_PROMPT, &tables::CODE_COMPLETION));
        static REASON: LazyLock<Requests> = LazyLock::new(|| {
            Requests::independent(&tables::REASON_PROMPT, &tables::REASON_COMPLETION)
        });
        static LONG: LazyLock<Requests> =
            LazyLock::new(|| Requests::independent(&tables::LONG_PROMPT, &tables::LONG_COMPLETION));
        static UNIFORM: Requests = Requests {
            lengths: Lengths::Uniform,
            means: Means { prompt: 1152.0, completion: 288.0 },
        };
        match workload {
            Name::Chat => &CHAT,
            Name::Code => &CODE,
            Name::Reason => &REASON,
            Name::Long => &LONG,
            Name::Uniform => &UNIFORM,
        }
    }

    fn joint(
        classes: &'static [Class],
        prompt: &'static Knots,
        completion: &'static Knots,
    ) -> Self {
        let (prompt, completion) = (Quantiles::of(prompt), Quantiles::of(completion));
        let means = Means { prompt: prompt.mean(), completion: completion.mean() };
        let prompt = Marginal::new(classes, |class| class.ln_prompt, &prompt);
        let completion = Marginal::new(classes, |class| class.ln_completion, &completion);
        Self { lengths: Lengths::Joint { classes, prompt, completion }, means }
    }

    fn independent(prompt: &'static Knots, completion: &'static Knots) -> Self {
        let (prompt, completion) = (Quantiles::of(prompt), Quantiles::of(completion));
        let means = Means { prompt: prompt.mean(), completion: completion.mean() };
        Self { lengths: Lengths::Independent(Box::new([prompt, completion])), means }
    }

    /// The tokens of one request.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Tokens {
        match &self.lengths {
            Lengths::Joint { classes, prompt, completion } => {
                let class = pick(classes, rng.random());
                let (first, second): (f64, f64) =
                    (StandardNormal.sample(rng), StandardNormal.sample(rng));
                let rho = class.rho;
                let second = rho * first + (1.0 - rho * rho).sqrt() * second;
                let at = |(mean, sd): (f64, f64), normal: f64| mean + sd * normal;
                Tokens {
                    prompt: prompt.tokens(at(class.ln_prompt, first)),
                    completion: completion.tokens(at(class.ln_completion, second)),
                }
            }
            Lengths::Independent(sides) => {
                let [prompt, completion] =
                    sides.each_ref().map(|side| whole(side.at(rng.random())).max(1));
                Tokens { prompt, completion }
            }
            Lengths::Uniform => Tokens {
                prompt: rng.random_range(256..=2048),
                completion: rng.random_range(64..=512),
            },
        }
    }
}

/// Quantiles of a workload's trace: probability, prompt tokens, completion tokens. `uniform` has no
/// trace.
#[must_use]
pub fn trace_quantiles(workload: Name) -> Option<[(f64, f64, f64); 24]> {
    let (prompt, completion) = match workload {
        Name::Chat => (&tables::CHAT_PROMPT, &tables::CHAT_COMPLETION),
        Name::Code => (&tables::CODE_PROMPT, &tables::CODE_COMPLETION),
        Name::Reason => (&tables::REASON_PROMPT, &tables::REASON_COMPLETION),
        Name::Long => (&tables::LONG_PROMPT, &tables::LONG_COMPLETION),
        Name::Uniform => return None,
    };
    Some(std::array::from_fn(|i| (tables::PROBABILITIES[i], prompt[i], completion[i])))
}

/// The class at this share of the cumulated weights.
fn pick(classes: &'static [Class], share: f64) -> &'static Class {
    let mut left = share * classes.iter().map(|class| class.weight).sum::<f64>();
    for class in &classes[1..] {
        if left < class.weight {
            return class;
        }
        left -= class.weight;
    }
    &classes[0]
}

#[cfg(test)]
mod tests;
