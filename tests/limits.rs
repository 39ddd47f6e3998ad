//! Where the system gives too little - descriptors, address space, threads - it is said at once.
//!
//! The broker is a process of its own: the sockets of one in this process would be inherited.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use common::{Finished, Producer, Running, nobody, program};

/// The broker of a demo that goes on for as long as this value lives.
struct Broker {
    demo: Running,
    address: String,
}

impl Broker {
    fn start() -> Self {
        let demo = Producer::new(["demo", "--batch", "1000", "--sleep-sec", "1000"]).start();
        let address = demo.word_behind("embedded broker at ");
        Self { demo, address }
    }

    fn run(&self) -> Producer {
        Producer::run(&self.address).set("SLEEP_SEC", "0")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.demo.signal("KILL");
    }
}

/// The descriptors that a child of this process inherits beside the standard ones.
fn inherited() -> Vec<usize> {
    let inherits = |fd: &usize| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        // O_CLOEXEC, as the kernel has it.
        let flags = flags.map(|flags| u32::from_str_radix(flags.trim(), 8).unwrap());
        flags.is_some_and(|flags| flags & 0o2_000_000 == 0)
    };
    let open = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    let open = open.map(|name| name.to_str().unwrap().parse().unwrap());
    open.filter(|fd| *fd > 2 && inherits(fd)).collect()
}

/// Runs with the limit of descriptors that leaves this many to a process which inherits only the
/// standard ones. Also what the run says where it needs this many.
fn with_descriptors(producer: Producer, given: usize, needed: usize) -> (Finished, String) {
    let inherited = inherited();
    let below = |limit: usize| inherited.iter().filter(|fd| **fd < limit).count();
    let limit = (given..).find(|limit| limit - below(*limit) == given).unwrap();
    let said = format!(
        "ERROR RLIMIT_NOFILE is {limit}, and a run needs {} file descriptors: raise LimitNOFILE= or \
         `ulimit -n`\n",
        needed + below(limit)
    );
    (producer.after(&format!("ulimit -n {limit};")).finish(), said)
}

#[test]
fn too_few_descriptors_are_said_at_once() {
    let broker = Broker::start();
    let servers = (1..=10).map(|n| format!("127.0.0.{n}:1")).collect::<Vec<_>>().join(",");
    let demo = || Producer::new(["demo"]);
    let mut refused: Vec<_> = (4..=12).map(|given| (broker.run(), given, 16)).collect();
    refused.extend([(Producer::run(&servers), 42, 43), (demo(), 16, 34)]);
    for (producer, given, needed) in refused {
        let (finished, said) = with_descriptors(producer, given, needed);
        assert_eq!(finished.exits(71).stderr, said);
    }
    let (run, _) = with_descriptors(broker.run(), 16, 16);
    run.exits(0).says("40 of 40 planned records delivered");
    with_descriptors(demo(), 34, 34).0.exits(0);
}

#[test]
fn too_little_address_space_is_said_at_once() {
    for mib in [300_u64, 600, 1023] {
        let limit = format!("--as={}", mib << 20);
        let finished = Producer::run(&nobody()).started_by(&["prlimit", &limit]).finish();
        finished.exits(71);
        let said =
            format!("ERROR RLIMIT_AS is {mib} MiB, and a run needs 1024 MiB of address space: ");
        finished.says(&said).says("raise LimitAS= or `ulimit -v`");
    }
    let broker = Broker::start();
    let limit = format!("--as={}", 1_u64 << 30);
    let flood = broker.run().set("BATCH", "20000").started_by(&["prlimit", &limit]);
    flood.finish().exits(0).says("40000 of 40000");
}

/// A run of a user who may have this many threads, and has no others.
fn with_threads(limit: usize) -> Finished {
    let mut producer = Producer::run(&nobody());
    // Root has no such limit, and another user may not see the build.
    let copy = producer.directory().join("vm4-producer");
    fs::copy(program(), &copy).unwrap();
    for path in [producer.directory(), &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(copy);
    command.arg("run").env("VM4_PRODUCER_ENV", "/dev/null").env("KAFKA_BOOTSTRAP", nobody());
    *producer.command() = command;
    let limit = format!("--nproc={limit}");
    let user = ["setpriv", "--reuid", "64321", "--clear-groups"];
    let starter = if is_root { &user[..] } else { &[] };
    producer.started_by(&[starter, &["prlimit", &limit]].concat()).finish()
}

#[test]
fn too_few_threads_are_said_at_once() {
    for limit in [1, 2, 3, 6] {
        let finished = with_threads(limit);
        finished.exits(71).says("raise TasksMax= or LimitNPROC= (`ulimit -u`)");
        finished.says("Resource temporarily unavailable (os error 11)");
    }
}

#[test]
fn a_limit_of_threads_is_named_with_its_value() {
    // The process and its log, and one more.
    let finished = with_threads(3);
    finished.says("RLIMIT_NPROC 3").says(" more threads, and a run needs 9: ");
}
