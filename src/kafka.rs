//! Kafka, through librdkafka: the only room that names the crate.

pub mod admin;
pub mod causes;
pub mod closing;
pub mod config;
mod delivery_reports;
pub mod embedded;
mod errors;
mod heard;
pub mod inquiry;
pub mod logs;
mod native;
mod opaque;
pub mod partitions;
mod poll;
pub mod producer;
pub mod properties;
pub mod reader;
pub mod settle;
pub mod topics;

pub use rdkafka::config::ClientConfig as Config;
