//! The program against a real Apache Kafka: what it says it delivered is in the log, and nothing
//! else is.
//!
//! `tests/system/run kafka` runs them, as root: three brokers that are one cluster have networks of
//! their own. It takes `java`, `kcat`, `openssl`, `ip`, PostgreSQL, `sqlite3` and
//! `rsyslogd`, and `mvn` and `pip` the first time. With
//! `VM4_SOAK` set, what happens to runs only now and then is tried many times; see `make soak`.

mod answer_key;
mod close_windows;
mod consumers;
mod contract;
mod delivery;
mod doctor;
mod engines;
mod expect;
mod limits;
mod loss;
mod matrix;
mod mixtures;
mod outage;
mod proxy;
mod recipes;
mod records;
mod recovery;
mod run_topic;
mod same_bytes;
mod security;
mod signals;
mod stages;
mod three;
mod topics;
mod verify;
