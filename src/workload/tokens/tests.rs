//! Token lengths against the quantiles of their traces.

use super::*;
use crate::workload::rng::Stream;
use crate::workload::tests::statistics::{ks, mean, mutual_information, quantile, spearman};

/// Prompts and completions of 20,000 requests.
fn drawn(workload: Name, run_seed: u64) -> (Vec<f64>, Vec<f64>) {
    let (requests, stream) = (Requests::of(workload), Stream::new(run_seed, "tokens", "run"));
    let lengths = (0..20_000).map(|seq| requests.draw(&mut stream.at(seq)));
    lengths.map(|t| (f64::from(t.prompt), f64::from(t.completion))).unzip()
}

/// The trace as whole tokens, linear between the published quantiles, unlike the program's
/// interpolation.
fn trace(knots: &Knots) -> Vec<f64> {
    let at = |rank: f64| {
        let above = tables::PROBABILITIES.iter().position(|p| *p > rank).unwrap();
        let (low, high) = (tables::PROBABILITIES[above - 1], tables::PROBABILITIES[above]);
        let share = (rank - low) / (high - low);
        (knots[above - 1] + (knots[above] - knots[above - 1]) * share).round()
    };
    (0..20_000).map(|i| at((f64::from(i) + 0.5) / 20_000.0)).collect()
}

#[test]
fn both_sides_of_every_trace_have_its_quantiles() {
    for (workload, prompts, completions) in [
        (Name::Chat, &tables::CHAT_PROMPT, &tables::CHAT_COMPLETION),
        (Name::Code, &tables::CODE_PROMPT, &tables::CODE_COMPLETION),
        (Name::Reason, &tables::REASON_PROMPT, &tables::REASON_COMPLETION),
        (Name::Long, &tables::LONG_PROMPT, &tables::LONG_COMPLETION),
    ] {
        for run_seed in [1, 2, 3] {
            let (prompt, completion) = drawn(workload, run_seed);
            let distances = (ks(&prompt, &trace(prompts)), ks(&completion, &trace(completions)));
            let (p99, of_trace) = (quantile(&completion, 0.99), completions[20]);
            let name = workload.word();
            eprintln!(
                "{name}, seed {run_seed}: KS {:.4} prompt, {:.4} completion; p99 {p99} of {of_trace}",
                distances.0, distances.1
            );
            assert!(distances.0 <= 0.04 && distances.1 <= 0.04, "{name}: {distances:?}");
            assert!((p99 / of_trace - 1.0).abs() <= 0.15, "{name}: {p99} of {of_trace}");
        }
    }
}

#[test]
fn chat_lengths_depend_on_each_other_as_in_the_trace_and_code_lengths_do_not() {
    for run_seed in [1, 2, 3] {
        let (prompt, completion) = drawn(Name::Chat, run_seed);
        let rho = spearman(&prompt, &completion);
        let information = mutual_information(&prompt, &completion);
        eprintln!(
            "chat, seed {run_seed}: Spearman {rho:.3}, mutual information {information:.3} nats"
        );
        assert!((0.03..=0.13).contains(&rho) && information >= 0.5, "{rho}, {information}");

        let (prompt, completion) = drawn(Name::Code, run_seed);
        let rho = spearman(&prompt, &completion);
        eprintln!("code, seed {run_seed}: Spearman {rho:.3}");
        assert!(rho.abs() <= 0.03, "{rho}");
    }
}

#[test]
fn the_means_are_those_of_the_traces() {
    for (workload, prompt, completion) in [
        (Name::Chat, 1154.7, 211.1),
        (Name::Code, 2047.8, 27.9),
        (Name::Reason, 1268.3, 1527.4),
        (Name::Long, 12_035.1, 342.6),
    ] {
        let means = Requests::of(workload).means;
        eprintln!(
            "{}: mean prompt {:.0}, completion {:.1}",
            workload.word(),
            means.prompt,
            means.completion
        );
        // The lengths between the quantiles are unknown.
        assert!((means.prompt / prompt - 1.0).abs() < 0.06, "{means:?}");
        assert!((means.completion / completion - 1.0).abs() < 0.06, "{means:?}");
        let (drawn_prompt, drawn_completion) = drawn(workload, 1);
        assert!((mean(&drawn_prompt) / means.prompt - 1.0).abs() < 0.05);
        assert!((mean(&drawn_completion) / means.completion - 1.0).abs() < 0.05);
    }
}

#[test]
fn prompts_of_the_most_frequent_class_have_long_completions() {
    // The trace: a median completion of 406 for prompts of 1020 to 1189 tokens, 121 above.
    let (prompt, completion) = drawn(Name::Chat, 1);
    let median = |from: f64, to: f64| {
        let both = prompt.iter().zip(&completion).filter(|(p, _)| (from..to).contains(*p));
        quantile(&both.map(|(_, c)| *c).collect::<Vec<_>>(), 0.5)
    };
    let (class, above) = (median(1020.0, 1189.0), median(1189.0, 2734.0));
    eprintln!("median completion {class} at 1020 to 1189 prompt tokens, {above} at 1189 to 2734");
    assert!((350.0..450.0).contains(&class) && above < 200.0, "{class}, {above}");
}
