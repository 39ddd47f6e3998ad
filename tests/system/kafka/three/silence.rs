//! A leader that falls silent: its connections stay open and nothing comes of them. The cluster has
//! another leader within the delivery timeout, so nothing may be lost.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::proxy::Proxy;
use super::exclusive;
use super::runs::{paced, paced_at};
use super::trio::Trio;
use super::verdict::Tally;
use crate::cluster::Topics;
use crate::common::{Finished, Producer, Running};

/// Records in the log when a run of a given pace is hit.
const PACED_FROM: i64 = 1_000;
/// Records in the log when a flood is hit.
const FLOOD_FROM: i64 = 50_000;
/// Pairs of a flood.
const FLOOD: u32 = 300_000;
/// The longest that a broker is stopped.
const STOPPED: Duration = Duration::from_secs(60);
/// How often a storm strikes, and how long it is between two strikes.
const STRIKES: u32 = 20;
const BETWEEN_STRIKES: Duration = Duration::from_millis(500);

/// Starts a run and waits until it is in full flight.
fn in_flight(run: Producer, topics: &Topics, from: i64) -> Running {
    let run = run.set("DELIVERY_TIMEOUT_SEC", "30").start();
    topics.wait_for_records(from);
    run
}

/// Cuts off the broker that leads a partition, until the run is over.
fn cut_leader(trio: &Trio, topics: &Topics, run: Running) -> Finished {
    trio.cut(trio.leader_of(&topics.metric, 0));
    run.finish()
}

/// Stops the broker that leads a partition, until the run or a minute is over.
fn stop_leader(trio: &Trio, topics: &Topics, run: Running) -> Finished {
    let leader = trio.leader_of(&topics.metric, 0);
    trio.pause(leader);
    let (running, over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let _ = over.recv_timeout(STOPPED);
            trio.resume(leader);
        });
        let finished = run.finish();
        drop(running);
        finished
    })
}

/// Resets connections and leaves others half open, for ten seconds.
fn storm(trio: &Trio, run: Running) -> Finished {
    for _ in 0..STRIKES {
        for proxy in trio.proxies() {
            proxy.strike();
        }
        thread::sleep(BETWEEN_STRIKES);
    }
    let half_open: usize = trio.proxies().iter().map(Proxy::half_open).sum();
    println!("storm: {half_open} connections half open so far");
    run.finish()
}

/// Fails unless each record is in the log after all.
#[track_caller]
fn loses_nothing(label: &str, trio: &Trio, topics: &Topics, finished: &Finished) {
    let seconds = finished.elapsed.as_secs_f64();
    println!("{label}: exit {} after {seconds:.1} s", finished.code);
    trio.restore();
    trio.wait_until_whole(topics);
    let tally = Tally::of(std::slice::from_ref(finished), topics);
    tally.holds(label);
    finished.exits(0).says("planned records delivered");
    assert_eq!((tally.failed, tally.unresolved), (0, 0));
}

#[test]
fn a_run_whose_leader_is_cut_off_delivers_all() {
    let trio = exclusive();
    let topics = trio.create_topics("cut");
    let run = in_flight(paced(&topics, 3_000, "0.005"), &topics, PACED_FROM);
    let finished = cut_leader(&trio, &topics, run);
    loses_nothing("leader cut off", &trio, &topics, &finished);
}

#[test]
fn a_run_whose_leader_is_stopped_delivers_all() {
    let trio = exclusive();
    let topics = trio.create_topics("stop");
    let run = in_flight(paced(&topics, 4_000, "0.005"), &topics, PACED_FROM);
    let finished = stop_leader(&trio, &topics, run);
    loses_nothing("leader stopped", &trio, &topics, &finished);
}

#[test]
fn a_run_whose_connections_are_reset_or_left_half_open_delivers_all() {
    let trio = exclusive();
    let topics = trio.create_topics("storm");
    let run = paced_at(&trio.proxied(), &topics, 3_000, "0.005");
    let run = in_flight(run, &topics, PACED_FROM);
    let finished = storm(&trio, run);
    loses_nothing("storm", &trio, &topics, &finished);
}

#[test]
fn a_flood_whose_leader_is_cut_off_delivers_all() {
    let trio = exclusive();
    let topics = trio.create_topics("flood-cut");
    let run = in_flight(paced(&topics, FLOOD, "0"), &topics, FLOOD_FROM);
    let finished = cut_leader(&trio, &topics, run);
    loses_nothing("flood, leader cut off", &trio, &topics, &finished);
}

#[test]
fn a_flood_whose_connections_are_reset_or_left_half_open_delivers_all() {
    let trio = exclusive();
    let topics = trio.create_topics("flood-storm");
    let run = in_flight(paced_at(&trio.proxied(), &topics, FLOOD, "0"), &topics, FLOOD_FROM);
    let finished = storm(&trio, run);
    loses_nothing("flood, storm", &trio, &topics, &finished);
}
