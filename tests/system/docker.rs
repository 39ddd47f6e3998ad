//! The image, Compose, Swarm and the Kubernetes manifests against the real parts: Debian's Docker, a
//! real Apache Kafka, kustomize, and the published schemas of Kubernetes.
//!
//! `tests/system/run docker` runs them, as root. It takes `debootstrap`, `go`, `mvn` and Python's
//! `venv` the first time, a network to the package registries, and about 6 GB of memory: nothing of
//! the engine is on a disk.
//!
//! What is stand-in: no image can be pulled, so the images that the Dockerfile and the compose file
//! name are made here. `rust` is a Debian 12 with gcc and this machine's Rust toolchain, and
//! `apache/kafka` a Debian 12 with a JRE and the jars of Apache Kafka (see `stand_ins.rs`).

mod broker;
mod compose;
mod container;
mod engine;
mod health;
mod image;
mod kubernetes;
mod makefile;
mod stand_ins;
mod swarm;
