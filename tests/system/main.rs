//! The program against a real Apache Kafka: what it says it delivered is in the log, and nothing
//! else is.
//!
//! Run with `cargo test --features system-tests --test system -- --test-threads=2`, and
//! with `--nocapture` to see the figures, as root: three brokers that are one cluster have networks
//! of their own. It takes `java`, `kcat`, `openssl` and `ip`, and `mvn` the first time. With
//! `VM4_SOAK` set, what happens to runs only now and then is tried many times; see `make soak`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::let_underscore_must_use,
    missing_docs,
    unreachable_pub,
    reason = "a failed test is a panic, and figures are printed; nobody links to it"
)]

mod broker;
mod cache;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod contract;
mod delivery;
mod doctor;
mod harness;
mod kcat;
mod limits;
mod outage;
mod proxy;
mod records;
mod recovery;
mod same_bytes;
mod security;
mod signals;
mod three;
mod tools;
mod topics;
