//! Checks of the harness itself: that what it does to three brokers comes about.

use std::time::Duration;

use super::runs::wait_for_records;
use super::trio::Trio;
use super::{exclusive, runs, shared};
use crate::{kcat, tools};

/// The longest that the brokers may take to carry something out.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn leaders_go_where_they_are_moved_to_and_partitions_are_added() {
    let trio = shared();
    let topics = trio.create_topics("moved");
    for to in [1, 2, 0] {
        trio.move_leaders(&topics, 0..3, to);
        let moved = tools::comes_true(PATIENCE, || {
            (0..3).all(|partition| trio.leader_of(&topics.token, partition) == to)
        });
        assert!(moved, "broker {to} leads not all partitions");
    }
    trio.add_partitions(&topics, 5);
    trio.wait_until_whole(&topics);
    assert_eq!(kcat::end_offsets(&topics.bootstrap, &topics.metric).len(), 5);
}

#[test]
fn a_broker_that_is_cut_off_or_stopped_is_replaced_and_comes_back() {
    let trio = exclusive();
    let topics = trio.create_topics("replaced");
    runs::paced(&topics, 20, "0").finish().exits(0);
    for step in [Trio::cut, Trio::pause] {
        let leader = trio.leader_of(&topics.metric, 0);
        step(&trio, leader);
        let replaced = tools::comes_true(PATIENCE, || {
            let placements = kcat::placements(&topics.bootstrap, &topics.metric);
            placements.is_ok_and(|all| ![-1, number(leader)].contains(&all[&0].leader))
        });
        assert!(replaced, "broker {leader} still leads");
        trio.restore();
        trio.wait_until_whole(&topics);
    }
    wait_for_records(&topics, 40);
}

/// The number of a broker, as Kafka has it.
fn number(index: usize) -> i32 {
    i32::try_from(index + 1).expect("a small number")
}
