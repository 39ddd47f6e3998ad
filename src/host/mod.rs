//! What surrounds the process: signals, journal, notify socket, terminal, files.

pub mod egress;
pub mod files;
pub mod log;
pub mod reporter;
pub mod resolve;
pub mod signals;
pub mod systemctl;
