//! Sends synthetic GPU-metric and LLM token-usage events to Kafka, and accounts for every record.
//!
//! Data flows one way: settings -> plan -> pairs -> records -> acknowledgements -> books -> report
//! -> exit code. What to send is a function of (settings, seed rows, run seed, `seq`), when to send
//! it of (settings, `seq`), and whether it went well of counts. Clock, signals, Kafka, files, the
//! journal and systemd's notify socket live at the edge, each in one small module.

pub mod event;
pub mod exit;
pub mod plan;
pub mod settings;
pub mod workload;
