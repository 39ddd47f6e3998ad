//! A run that cannot be completed: what it says it delivered is there all the same.

use super::exclusive;
use super::runs::paced;
use super::verdict::Tally;

#[test]
fn a_run_whose_cluster_loses_its_majority_claims_no_more_than_the_log_has() {
    let trio = exclusive();
    let topics = trio.create_topics("majority");
    let run = paced(&topics, 4_000, "0.005").set("DELIVERY_TIMEOUT_SEC", "5").start();
    topics.wait_for_records(500);
    let leader = trio.leader_of(&topics.metric, 0);
    trio.cut(leader);
    trio.cut((leader + 1) % 3);
    let finished = run.finish();
    println!("no majority: exit {} after {:.1?}", finished.code, finished.elapsed);
    trio.restore();
    trio.wait_until_whole(&topics);
    finished.exits(74);
    let tally = Tally::of(&[finished], &topics);
    tally.holds("no majority");
    assert!(tally.claimed > 0);
}
