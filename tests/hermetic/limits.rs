//! Where the system gives too little - descriptors, address space, threads - it is said at once.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::cluster::Cluster;
use crate::common::{Finished, Producer, nobody, program};

/// Runs with this limit of descriptors, and with none open but the standard ones: a child of this
/// process inherits sockets of every mock cluster that it has at the moment.
fn with_descriptors(producer: Producer, limit: usize) -> Finished {
    let close =
        "for fd in /proc/self/fd/*; do fd=${fd##*/}; ((fd < 3)) || eval \"exec $fd>&-\"; done";
    let script = format!("{close}; ulimit -n {limit}; exec \"$0\" \"$@\"");
    producer.started_by(&["bash", "-c", &script]).finish()
}

#[test]
fn too_few_descriptors_are_said_at_once() {
    let cluster = Cluster::start();
    let servers = (1..=10).map(|n| format!("127.0.0.{n}:1")).collect::<Vec<_>>().join(",");
    let demo = || Producer::new(["demo"]);
    let mut refused: Vec<_> = (4..=12).map(|limit| (cluster.run(), limit, 16)).collect();
    refused.extend([(Producer::run(&servers), 42, 43), (demo(), 16, 34)]);
    for (producer, limit, needed) in refused {
        let said = format!(
            "ERROR nothing was sent: RLIMIT_NOFILE is {limit}, and a run needs {needed} file \
             descriptors: raise LimitNOFILE= or `ulimit -n`; exit 71 (OSERR)\n"
        );
        assert_eq!(with_descriptors(producer, limit).exits(71).stderr, said);
    }
    with_descriptors(cluster.run(), 16).exits(0).says("40 of 40 planned records delivered");
    with_descriptors(demo(), 34).exits(0);
}

#[test]
fn too_little_address_space_is_said_at_once() {
    for mib in [300_u64, 600, 1023] {
        let limit = format!("--as={}", mib << 20);
        let finished = Producer::run(&nobody()).started_by(&["prlimit", &limit]).finish();
        finished.exits(71);
        let said = format!(
            "ERROR nothing was sent: RLIMIT_AS is {mib} MiB, and a run needs 1024 MiB of address \
             space: "
        );
        finished.says(&said).says("raise LimitAS= or `ulimit -v`");
    }
    let cluster = Cluster::start();
    let limit = format!("--as={}", 1_u64 << 30);
    let flood = cluster.run().set("BATCH", "20000").started_by(&["prlimit", &limit]);
    flood.finish().exits(0).says("40000 of 40000");
}

/// A run of a user who may have this many threads, and has no others.
fn with_threads(limit: usize) -> Finished {
    let mut producer = Producer::run(&nobody());
    // Root has no such limit, and another user may not see the build. A file that this process had
    // open for writing could not be run while a child of another test has the descriptor too.
    let copy = producer.directory().join("vm4-producer");
    assert!(Command::new("cp").args([&program(), &copy]).status().unwrap().success());
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
