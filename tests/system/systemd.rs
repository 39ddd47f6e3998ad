//! The program and its package under a real systemd, in Debian 12 and 13, with a real Apache Kafka
//! that the machines reach over the network.
//!
//! `tests/system/run systemd` runs them, as root: it builds the package, whose path is in `VM4_DEB`.
//! It takes `debootstrap` (the first time), `systemd-nspawn`, `ip`, `dnsmasq`, `java`, `kcat`, and
//! `mvn` (the first time).

mod credentials;
mod drop_ins;
mod egress;
mod env_file;
mod examples;
mod files;
mod generator;
mod installation;
mod installed;
mod quick_start;
mod reporting;
mod timer;
mod unit;

use crate::common;
use crate::machine::{Machine, Release};

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
