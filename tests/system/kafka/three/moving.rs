//! Runs while leaders move and partitions are added.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::runs::{during, in_two_lanes, paced, tries};
use super::shared;
use super::verdict::Tally;
use crate::cluster::{PARTITIONS, Topics};
use crate::common::Finished;
use crate::tools::comes_true;

/// How long a test waits for that.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often leaders are moved.
const MOVES: Duration = Duration::from_millis(200);
/// How often leaders have moved when a run is stopped.
const BEFORE_THE_STOP: usize = 5;
/// How often partitions are added.
const ADDITIONS: Duration = Duration::from_millis(500);
/// How many partitions a topic gets at a time, and at most.
const MORE: u32 = 3;
const MOST: u32 = 90;

/// Makes a run that is long in comparison to that, or one that is short: the one is in
/// progress when something happens, the other may begin just then.
fn run(topics: &Topics, number: usize) -> Finished {
    paced(topics, 200, ["0.01", "0.002"][number % 2]).finish()
}

/// Moves the leaders of all partitions of both topics from broker to broker while `work` goes on,
/// which is given how often they were moved so far.
fn while_leaders_move<T>(topics: &Topics, work: impl FnOnce(&AtomicUsize) -> T) -> T {
    let moves = AtomicUsize::new(0);
    let step = || {
        let broker = moves.fetch_add(1, Ordering::SeqCst) + 1;
        shared().move_leaders(topics, 0..PARTITIONS, broker % 3);
    };
    let done = during(MOVES, step, || work(&moves));
    let moves = moves.into_inner();
    println!("{}: leaders were moved {moves} times", topics.metric);
    assert!(moves > 0);
    shared().wait_until_whole(topics);
    done
}

#[test]
fn a_run_during_elections_is_in_the_log_when_it_says_so() {
    let topics = shared().create_topics("elections");
    let finished = while_leaders_move(&topics, |_| {
        in_two_lanes(tries(10, 100), |number| run(&topics, number))
    });
    let tally = Tally::of(&finished, &topics);
    tally.holds("elections");
    assert!(tally.exits.contains_key(&0), "{:?}", tally.exits);
}

#[test]
fn a_run_that_is_stopped_during_elections_claims_no_more_than_the_log_has() {
    let topics = shared().create_topics("stopped");
    let run = paced(&topics, 100_000, "0.01").start();
    // While leaders move, a question about the log can stay without an answer for long.
    topics.wait_for_records(200);
    let finished = while_leaders_move(&topics, |moves| {
        let moved = || moves.load(Ordering::SeqCst) >= BEFORE_THE_STOP;
        assert!(comes_true(PATIENCE, moved), "leaders move: {moves:?} times in {PATIENCE:?}");
        run.signal("TERM");
        run.finish()
    });
    assert!([143, 74].contains(&finished.code), "{}: {}", finished.code, finished.stderr);
    let tally = Tally::of(&[finished], &topics);
    tally.holds("stopped during elections");
    assert!(tally.claimed > 0);
}

#[test]
fn a_run_during_additions_of_partitions_is_in_the_log_when_it_says_so() {
    let topics = shared().create_topics("additions");
    let mut partitions = PARTITIONS;
    let step = || {
        if partitions < MOST {
            partitions += MORE;
            shared().add_partitions(&topics, partitions);
        }
    };
    let finished =
        during(ADDITIONS, step, || in_two_lanes(tries(4, 20), |number| run(&topics, number)));
    println!("additions: {partitions} partitions at the end");
    assert!(partitions > PARTITIONS);
    shared().wait_until_whole(&topics);
    let tally = Tally::of(&finished, &topics);
    tally.holds("additions of partitions");
    assert!(tally.exits.contains_key(&0), "{:?}", tally.exits);
}
