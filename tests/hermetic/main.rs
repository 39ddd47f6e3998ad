//! The built binary, its documents and its wire format, without a network and without root: the
//! broker is librdkafka's mock cluster in the process of the test.
//!
//! One test is `cargo test --test hermetic delivery::a_signal`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking; nobody links to it"
)]

mod answer_key;
mod answers;
mod arbitrary_records;
mod bar;
mod captures;
mod causes;
mod cli;
mod close_windows;
mod cluster;
mod common;
mod completions;
mod containers;
mod delivery;
mod docs;
mod doubt;
mod edges;
mod egress;
mod expect;
mod faults;
mod first_minute;
mod history;
mod host;
mod incidents;
mod limits;
mod log;
mod loss;
mod mutated_tables;
mod mutations;
mod notify;
mod process;
mod recipes;
mod secrets;
mod shards;
mod signals;
mod stage;
mod switch;
mod terminal;
mod verify;
mod verify_key;
mod verify_killed;
mod verify_rows;
mod verify_runs;
mod verify_settings;
mod verify_times;
mod verify_undecided;
mod wire;
mod workload;
mod wrong_inputs;
