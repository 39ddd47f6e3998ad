//! SIGTERM and SIGINT in the middle of a run.

use super::records::{self, read_back};
use crate::cluster::{self, Topics};

/// Stops a paced run in its middle: all that was generated is delivered, and no more.
#[track_caller]
fn stops_in_good_order(signal: &str, name: &str, code: i32) {
    let topics = Topics::create(cluster::plain(), &format!("stop-{signal}"));
    let run = topics.run().set("BATCH", "100000").set("SLEEP_SEC", "0.01").start();
    topics.wait_for_records(60);
    run.signal(signal);
    let signalled = std::time::Instant::now();
    let finished = run.finish();
    let took = signalled.elapsed();
    finished.exits(code).says(&format!("stopped by {name}"));
    assert_eq!(finished.report()["outcome"], "interrupted");
    let books = records::books(&finished, &topics);
    let pairs = books[0].generated;
    for books in &books {
        assert!(books.generated >= 30 && books.generated < 100_000);
        assert_eq!([books.generated, books.acknowledged], [pairs, pairs]);
    }
    let read = read_back(&topics);
    let expected = (0..u64::try_from(pairs).expect("a count")).flat_map(|seq| [(seq, 0), (seq, 1)]);
    assert!(read.iter().map(|message| (message.seq, message.kind)).eq(expected));
    records::assert_log_is_report(&finished, &topics);
    println!("{name}: exit {code} {took:?} later, {pairs} pairs generated and in the log");
}

#[test]
fn sigterm_delivers_what_was_generated_and_exits_143() {
    stops_in_good_order("TERM", "SIGTERM", 143);
}

#[test]
fn sigint_delivers_what_was_generated_and_exits_130() {
    stops_in_good_order("INT", "SIGINT", 130);
}
