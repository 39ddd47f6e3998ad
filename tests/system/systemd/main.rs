//! The program and its package under a real systemd, in Debian 12 and 13, with a real Apache Kafka
//! that the machines reach over the network.
//!
//! Run with `make test-system`, as root: it builds the package, whose path is in `VM4_DEB`. It takes
//! `debootstrap` (the first time), `systemd-nspawn`, `ip`, `dnsmasq`, `java`, `kcat`, and `mvn` (the
//! first time).

#![allow(
    clippy::expect_used,
    clippy::let_underscore_must_use,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a failed test is a panic, and figures are printed; nobody links to it"
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the tests against Kafka, which need more of it"
)]
#[path = "../broker/mod.rs"]
mod broker;
#[path = "../cache.rs"]
mod cache;
#[path = "../../common/mod.rs"]
mod common;
mod egress;
mod env_file;
mod harness;
mod installed;
#[allow(dead_code, reason = "shared with the tests against Kafka, which need more of it")]
#[path = "../kcat.rs"]
mod kcat;
mod machine;
mod package;
mod reporting;
mod timer;
#[allow(dead_code, reason = "shared with the tests against Kafka, which need more of it")]
#[path = "../tools.rs"]
mod tools;
mod trace;
mod unit;

use machine::{Machine, Release};

/// Makes a test for each release of each function.
macro_rules! on_every_release {
    ($($name:ident,)*) => {
        mod on_bookworm {
            use crate::machine::Release::Bookworm;
            $(#[test] fn $name() { super::$name(Bookworm); })*
        }
        mod on_trixie {
            use crate::machine::Release::Trixie;
            $(#[test] fn $name() { super::$name(Trixie); })*
        }
    };
}

pub(crate) use on_every_release;

/// Where a machine has the program.
const PROGRAM: &str = "/usr/bin/vm4-producer";

/// A machine that has the program.
fn machine(release: Release) -> Machine {
    let machine = Machine::boot(release);
    machine.copy_in(&common::program(), PROGRAM);
    machine
}

/// Makes a unit that runs once, with these lines in its service section.
fn put_oneshot(machine: &Machine, name: &str, lines: &str) {
    let unit = format!("[Service]\nType=oneshot\n{lines}");
    machine.put(&format!("/etc/systemd/system/{name}.service"), unit, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
}
