//! Runs into topics that were created a moment before. Brokers name a leader before it knows that it
//! is one: it turns the first batch of a partition away, and takes the second, already on its way.
//! librdkafka then says that both were taken.

use super::runs::{in_two_lanes, paced, tries};
use super::shared;
use super::verdict::Tally;

/// Partitions of a topic that is created before them, so that leaders learn of theirs late.
const NEIGHBOURS: u32 = 12;

#[test]
fn a_run_into_topics_just_created_is_in_the_log_when_it_says_so() {
    let trio = shared();
    let tallies = in_two_lanes(tries(20, 200), |number| {
        let topics = trio.begin_topics(&format!("fresh-{number}"), NEIGHBOURS);
        let finished = paced(&topics, 200, "0.002").finish();
        Tally::of(&[finished], &topics)
    });
    let tally: Tally = tallies.into_iter().sum();
    tally.holds("fresh topics");
    assert_eq!(tally.exits.keys().copied().collect::<Vec<_>>(), [0]);
}
