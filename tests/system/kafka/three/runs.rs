//! The runs that the tests here make, and how many.

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::cluster::{self, Topics};
use crate::common::Producer;

/// A run of so many pairs, whose sixteen keys spread over all partitions.
pub fn paced(topics: &Topics, pairs: u32, sleep_sec: &str) -> Producer {
    describe(topics.run(), pairs, sleep_sec)
}

/// The same for a run that reaches the brokers at other addresses.
pub fn paced_at(bootstrap: &str, topics: &Topics, pairs: u32, sleep_sec: &str) -> Producer {
    describe(topics.direct(Producer::run(bootstrap)), pairs, sleep_sec)
}

fn describe(run: Producer, pairs: u32, sleep_sec: &str) -> Producer {
    let seed = run.file("seed.json", cluster::gpus(16));
    run.set("GPU_SEED", seed).set("BATCH", pairs.to_string()).set("SLEEP_SEC", sleep_sec)
}

/// How many runs a test makes: `VM4_TRIES`, or `soak` where `VM4_SOAK` is set, or `usual`.
pub fn tries(usual: usize, soak: usize) -> usize {
    let named = env::var("VM4_TRIES").ok();
    let named = named.map(|text| text.parse().expect("VM4_TRIES is a number"));
    let otherwise = if env::var_os("VM4_SOAK").is_some() { soak } else { usual };
    named.unwrap_or(otherwise)
}

/// Calls `work` with each number below `count`, two at a time, and returns what it returned.
pub fn in_two_lanes<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut done = Vec::new();
        loop {
            match next.fetch_add(1, Ordering::SeqCst) {
                number if number < count => done.push(work(number)),
                _ => return done,
            }
        }
    };
    thread::scope(|scope| {
        let lanes = [scope.spawn(lane), scope.spawn(lane)];
        lanes.into_iter().flat_map(|lane| lane.join().expect("a lane")).collect()
    })
}

/// Does `work` while `step` is called at this pace.
pub fn during<T>(pace: Duration, mut step: impl FnMut() + Send, work: impl FnOnce() -> T) -> T {
    let (stop, stopped) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while stopped.recv_timeout(pace) == Err(RecvTimeoutError::Timeout) {
                step();
            }
        });
        let done = work();
        drop(stop);
        done
    })
}
