//! The program under a real systemd: what the journal and `systemctl status` show of it, in Debian
//! 12 and 13.
//!
//! Run with `cargo test --release --features system-tests --test systemd`, as root. It takes
//! `debootstrap` (the first time), `systemd-nspawn` and `ip`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a failed test is a panic, and figures are printed; nobody links to it"
)]

mod env_file;
mod harness;
mod machine;
mod reporting;
mod trace;

use std::path::Path;

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
    machine.copy_in(Path::new(env!("CARGO_BIN_EXE_vm4-producer")), PROGRAM);
    machine
}

/// Makes a unit that runs once, with these lines in its service section.
fn put_oneshot(machine: &Machine, name: &str, lines: &str) {
    let unit = format!("[Service]\nType=oneshot\n{lines}");
    machine.put(&format!("/etc/systemd/system/{name}.service"), unit, 0o644);
    machine.run(&["systemctl", "daemon-reload"]).success();
}
