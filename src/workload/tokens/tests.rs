//! Token lengths against the statistics of their traces. Margins are judged over whole hours of
//! event time at the trace's rate.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers of a test are small"
)]

use super::quantiles::Quantiles;
use super::*;
use crate::workload::tests::statistics::{
    autocorrelation, ks, mean, mutual_information, pearson, quantile, ranks, share, spearman,
};
use proptest::prelude::*;

const TRACES: [Name; 5] = [Name::Chat, Name::Code, Name::Reason, Name::Long, Name::Agent];

/// An hour of the conversation trace, 0.1859 s apart; of the code trace, 0.408 s.
const CHAT: (Name, u64, f64) = (Name::Chat, 19_366, 185.9);
const CODE: (Name, u64, f64) = (Name::Code, 8_819, 408.2);

fn requests(workload: Name, run_seed: u64, gap_ms: f64) -> Requests {
    Requests::new(workload, run_seed, "run", Duration::from_secs_f64(gap_ms / 1000.0))
}

fn at(ms: f64) -> Timestamp {
    Timestamp::from_millisecond(1_767_225_600_000 + ms as i64).unwrap()
}

fn tokens((workload, count, gap_ms): (Name, u64, f64), run_seed: u64) -> Vec<Tokens> {
    let (requests, mut recent) = (requests(workload, run_seed, gap_ms), Recent::default());
    let ms = |seq| seq as f64 * gap_ms;
    (0..count).map(|seq| requests.of(seq, at(ms(seq)), &mut recent)).collect()
}

/// Prompts and completions.
fn drawn(run: (Name, u64, f64), run_seed: u64) -> (Vec<f64>, Vec<f64>) {
    let all = tokens(run, run_seed).into_iter();
    all.map(|t| (f64::from(t.prompt), f64::from(t.completion))).unzip()
}

/// A sample with the quantiles of the trace, linear between them, unlike the program's.
fn trace(side: &Quantiles) -> Vec<f64> {
    let knots: Vec<f64> = side.knots().map(|knot| knot.1).collect();
    let at = |rank: f64| {
        let place = rank * (knots.len() - 1) as f64;
        let low = place as usize;
        (knots[low] + (knots[low + 1] - knots[low]) * place.fract()).round()
    };
    (0..20_000).map(|i| at((f64::from(i) + 0.5) / 20_000.0)).collect()
}

/// Distances of both sides to the trace.
fn distances(run: (Name, u64, f64), run_seed: u64) -> (f64, f64) {
    let ((prompt, completion), of) = (drawn(run, run_seed), sides(run.0).unwrap());
    (ks(&prompt, &trace(&of.prompt)), ks(&completion, &trace(&of.completion)))
}

#[test]
fn both_sides_of_every_trace_have_its_quantiles() {
    let reason = (Name::Reason, 20_000, 100.0);
    let long = (Name::Long, 24_000, 299.0);
    // An agent's session lasts 18 minutes, so an hour has few of them. This is one of 1610 at
    // a time.
    let agent = (Name::Agent, 360_000, 10.0);
    for (run, most) in [
        (CHAT, (0.02, 0.02)),
        ((Name::Code, 3 * CODE.1, CODE.2), (0.03, 0.02)),
        (reason, (0.02, 0.02)),
        (long, (0.02, 0.02)),
        (agent, (0.05, 0.02)),
    ] {
        for run_seed in [1, 2, 3] {
            let (prompt, completion) = distances(run, run_seed);
            let name = run.0.word();
            eprintln!("{name}, seed {run_seed}: KS {prompt:.4} prompt, {completion:.4} completion");
            assert!(prompt <= most.0 && completion <= most.1, "{name}: {prompt}, {completion}");
        }
    }
}

#[test]
fn chat_has_the_atoms_and_the_gaps_of_the_trace() {
    for run_seed in [1, 2, 3] {
        let (prompt, _) = drawn(CHAT, run_seed);
        let percent = |from: f64, to: f64| 100.0 * share(&prompt, |p| (from..=to).contains(&p));
        let shares = [(481.0, 800.0), (181.0, 181.0), (1300.0, 1335.0), (4070.0, 4110.0)]
            .map(|(from, to)| percent(from, to));
        eprintln!(
            "chat, seed {run_seed}: prompts 481-800 {:.2} % (trace 1.2), 181 {:.2} (2.2), \
             1300-1335 {:.2} (3.5), 4070-4110 {:.2} (6.8)",
            shares[0], shares[1], shares[2], shares[3]
        );
        let within = |i: usize, from: f64, to: f64| (from..=to).contains(&shares[i]);
        assert!(within(0, 0.0, 2.5) && within(1, 1.5, 3.0), "{shares:?}");
        assert!(within(2, 2.5, 4.5) && within(3, 5.5, 8.0), "{shares:?}");
    }
}

#[test]
fn chat_lengths_depend_on_each_other_as_in_the_trace_and_code_lengths_do_not() {
    for run_seed in [1, 2, 3] {
        let (prompt, completion) = drawn(CHAT, run_seed);
        let rho = spearman(&prompt, &completion);
        let information = mutual_information(&prompt, &completion);
        eprintln!(
            "chat, seed {run_seed}: Spearman {rho:.3} (trace 0.075), mutual information \
             {information:.3} nats (0.71)"
        );
        assert!((0.03..=0.13).contains(&rho), "{rho}");
        assert!((0.62..=0.76).contains(&information), "{information}");

        let (prompt, completion) = drawn(CODE, run_seed);
        let rho = spearman(&prompt, &completion);
        eprintln!("code, seed {run_seed}: Spearman {rho:.3} (trace -0.017)");
        assert!(rho.abs() <= 0.05, "{rho}");
    }
}

#[test]
fn the_mix_of_chat_drifts_by_the_minute() {
    let mut of_hours = Vec::new();
    for run_seed in 1..=8 {
        let ranks = ranks(&drawn(CHAT, run_seed).1);
        let of_lag = [1, 50, 200].map(|lag| autocorrelation(&ranks, lag));
        eprintln!("chat, seed {run_seed}: rank autocorrelation {of_lag:.3?} (trace 0.10 to 0.11)");
        of_hours.push(of_lag[1]);
    }
    assert!(mean(&of_hours) >= 0.05 && of_hours.iter().all(|of| *of >= 0.03), "{of_hours:?}");
}

#[test]
fn code_prompts_come_back_as_they_are_typed() {
    for run_seed in [1, 2, 3] {
        let (prompt, _) = drawn(CODE, run_seed);
        let near = |most: f64| {
            let one = |w: &&[f64]| w[..20].iter().any(|before| (before - w[20]).abs() <= most);
            100.0 * prompt.windows(21).filter(one).count() as f64 / (prompt.len() - 20) as f64
        };
        let (equal, close) = (near(0.0), near(4.0));
        let capped = 100.0 * share(&prompt, |p| p >= 7400.0);
        eprintln!(
            "code, seed {run_seed}: {equal:.1} % equal one of the 20 before (trace 13.3), {close:.1} % \
             are within 4 tokens; {capped:.1} % are at the cap (4.7)"
        );
        assert!((8.0..=20.0).contains(&equal) && (24.0..=42.0).contains(&close));
        assert!((3.2..=6.2).contains(&capped), "{capped}");
    }
}

#[test]
fn sessions_of_long_are_those_of_the_trace() {
    // Turns of a lane, by its turn: a follow-up's prompt has held tokens.
    let all = tokens((Name::Long, 100_000, 299.0), 1);
    let requests = requests(Name::Long, 1, 299.0);
    let Model::Sessions(sessions) = &requests.model else { panic!("sessions") };
    let mut last = vec![None; sessions.lanes() as usize];
    let (mut growth, mut gaps, mut pairs) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
    for (seq, tokens) in all.iter().enumerate() {
        let lane = sessions.lane(seq as u64);
        if tokens.uncached < tokens.prompt
            && let Some((before, parent)) = last[lane].replace((seq, *tokens))
        {
            let parent: Tokens = parent;
            growth.push(f64::from(tokens.prompt) - f64::from(parent.prompt));
            gaps.push((seq - before) as f64 * 0.299);
            pairs.0.push(f64::from(parent.completion));
            pairs.1.push(f64::from(tokens.completion));
        }
        last[lane] = Some((seq, *tokens));
    }
    let follow_ups =
        share(&all.iter().map(|t| f64::from(t.prompt - t.uncached)).collect::<Vec<_>>(), |held| {
            held > 0.0
        });
    let (growth, gap) = (quantile(&growth, 0.5), quantile(&gaps, 0.5));
    let (rho, rank) = (pearson(&pairs.0, &pairs.1), spearman(&pairs.0, &pairs.1));
    eprintln!(
        "long: {:.1} % follow-ups (trace 39), {gap:.0} s after the parent (123), prompt {growth:+.0} \
         (454), correlation of completions {rho:.2}, of ranks {rank:.2} (0.65)",
        100.0 * follow_ups
    );
    assert!((follow_ups - 0.39).abs() < 0.015 && (gap - 123.0).abs() < 5.0);
    assert!((growth - 454.0).abs() < 25.0 && (rho - 0.65).abs() < 0.04, "{growth}, {rho}");
}

#[test]
fn agents_find_nearly_all_of_their_prompts_in_the_cache() {
    for run_seed in [1, 2, 3] {
        let all = tokens((Name::Agent, 100_000, 100.0), run_seed);
        let total = |of: fn(&Tokens) -> u32| all.iter().map(|t| f64::from(of(t))).sum::<f64>();
        let cached = 1.0 - total(|t| t.uncached) / total(|t| t.prompt);
        let grown: Vec<f64> =
            all.iter().filter(|t| t.uncached < t.prompt).map(|t| f64::from(t.uncached)).collect();
        let fresh = all.iter().filter(|t| t.uncached == t.prompt).count();
        eprintln!(
            "agent, seed {run_seed}: {:.1} % cached (trace 97), growth {:?} (25, 50, 75, 95 %; trace \
             321, 640, 1530, 6030), {:.1} % without a cache",
            100.0 * cached,
            [0.25, 0.5, 0.75, 0.95].map(|p| quantile(&grown, p).round()),
            fresh as f64 / 1000.0
        );
        assert!((0.96..0.985).contains(&cached), "{cached}");
        assert!((quantile(&grown, 0.5) / 646.0 - 1.0).abs() < 0.15);
    }
    // Not a bound: an hour of 64 sessions at a time has few sessions.
    let hours = [1, 2, 3].map(|seed| distances((Name::Agent, 14_400, 250.0), seed).0);
    eprintln!("agent, an hour of 64 sessions at a time: KS {hours:.3?} prompt");
}

#[test]
fn a_mean_gap_sets_how_many_sessions_there_are() {
    let lanes = |workload, gap_ms| {
        let Model::Sessions(sessions) = requests(workload, 1, gap_ms).model else { panic!() };
        sessions.lanes()
    };
    assert_eq!(lanes(Name::Agent, 500.0), 32);
    assert_eq!(lanes(Name::Agent, 0.0), 64);
    assert_eq!(lanes(Name::Agent, 60_000.0), 1);
    assert_eq!(lanes(Name::Long, 500.0), 246);
    assert_eq!(lanes(Name::Long, 0.0), 411);
    assert_eq!(lanes(Name::Long, 0.001), 4096);
}

#[test]
fn the_means_are_those_of_the_traces() {
    for (workload, prompt, completion) in [
        (Name::Chat, 1154.7, 211.1),
        (Name::Code, 2047.8, 27.9),
        (Name::Reason, 1268.3, 1527.4),
        (Name::Long, 12_035.1, 342.6),
    ] {
        let means = requests(workload, 1, 0.0).means();
        eprintln!("{}: {means:.1?}, trace {prompt}, {completion}", workload.word());
        // The lengths between the quantiles are unknown.
        assert!((means.prompt / prompt - 1.0).abs() < 0.07, "{means:?}");
        assert!((means.completion / completion - 1.0).abs() < 0.07, "{means:?}");
    }
    for workload in TRACES {
        let means = requests(workload, 1, 100.0).means();
        let all = tokens((workload, 100_000, 100.0), 1);
        let mean = |of: fn(&Tokens) -> u32| {
            all.iter().map(|t| f64::from(of(t))).sum::<f64>() / all.len() as f64
        };
        let drawn = [mean(|t| t.prompt), mean(|t| t.completion), mean(|t| t.uncached)];
        eprintln!("{}: {means:.1?}, drawn {drawn:.1?}", workload.word());
        let stated = [means.prompt, means.completion, means.uncached];
        let most = if workload == Name::Agent { 0.12 } else { 0.05 };
        assert!(drawn.iter().zip(stated).all(|(drawn, of)| (drawn / of - 1.0).abs() < most));
    }
}

#[test]
fn the_tails_reach_the_trace_s_ends() {
    let (prompt, completion) = drawn((Name::Reason, 200_000, 100.0), 1);
    let (longest, most) = (quantile(&prompt, 1.0), quantile(&completion, 1.0));
    eprintln!("reason: prompts to {longest} (trace 57284), completions to {most} (32768)");
    assert!((54_000.0..=57_284.0).contains(&longest) && (31_000.0..=32_768.0).contains(&most));
}

proptest! {
    #[test]
    fn a_request_does_not_depend_on_what_was_asked_before(
        run_seed: u64,
        gap_ms in 0.0..2_000.0,
        asked in prop::collection::vec((0..20_000_u64, 0..40_000_000_u32), 1..40),
    ) {
        // One `recent` goes from workload to workload, in random order; another is always new.
        let mut recent = Recent::default();
        for workload in TRACES.into_iter().chain([Name::Uniform]) {
            let requests = requests(workload, run_seed, gap_ms);
            for (seq, ms) in &asked {
                let at = at(f64::from(*ms));
                let fresh = requests.of(*seq, at, &mut Recent::default());
                prop_assert_eq!(requests.of(*seq, at, &mut recent), fresh);
                prop_assert!((1..=fresh.prompt).contains(&fresh.uncached) && fresh.completion >= 1);
            }
        }
    }
}

#[test]
fn requests_in_order_are_those_of_every_shard() {
    for workload in TRACES {
        let all = tokens((workload, 30_000, 100.0), 7);
        let requests = requests(workload, 7, 100.0);
        for shard in 0..3 {
            let mut recent = Recent::default();
            for seq in (shard..30_000).step_by(3) {
                let at = at(seq as f64 * 100.0);
                assert_eq!(requests.of(seq, at, &mut recent), all[seq as usize], "{seq}");
            }
        }
    }
}
