//! The program against the real parts: Apache Kafka, systemd, its Debian package, Docker.
//!
//! `make test-system` runs all of them, and `tests/system/run PART` those of one part, which is the
//! module of that name. Once a part has what it needs, one test is
//! `cargo test --test system kafka::outage`.

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

mod broker;
mod cache;
mod cluster;
mod common;
mod docker;
mod kafka;
mod kcat;
mod machine;
mod package;
mod promtool;
mod stage;
mod systemd;
mod tools;
