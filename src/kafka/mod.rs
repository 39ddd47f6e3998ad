//! Kafka, through librdkafka.

pub mod config;
pub mod embedded;
pub mod errors;
pub mod ledger;
pub mod probe;
pub mod producer;
