//! Kafka, through librdkafka.

pub mod config;
pub mod embedded;
pub mod errors;
pub mod in_flight;
pub mod ledger;
pub mod probe;
pub mod producer;
mod quiet;
pub mod reader;
pub mod settle;
pub mod topics;
pub mod window;
