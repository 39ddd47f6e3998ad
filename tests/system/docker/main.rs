//! The image, Compose, Swarm and the Kubernetes manifests against the real parts: Debian's Docker, a
//! real Apache Kafka, kustomize, and the published schemas of Kubernetes.
//!
//! Run with `cargo test --features system-tests --test docker`, as root. It takes
//! `debootstrap`, `go`, `mvn` and Python's `venv` the first time, a network to the package
//! registries, and about 6 GB of memory: nothing of the engine is on a disk.
//!
//! What is stand-in: no image can be pulled, so the images that the Dockerfile and the compose file
//! name are made here. `rust` is a Debian 12 with gcc and this machine's Rust toolchain, and
//! `apache/kafka` a Debian 12 with a JRE and the jars of Apache Kafka (see `stand_ins.rs`).

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
#[path = "../cache.rs"]
mod cache;
mod compose;
mod container;
mod engine;
mod harness;
mod health;
mod image;
#[path = "../broker/jars.rs"]
mod jars;
mod kubernetes;
mod machine;
mod makefile;
mod stand_ins;
mod swarm;
#[path = "../tools.rs"]
mod tools;
