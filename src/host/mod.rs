//! What surrounds the process: signals, limits, journal, notify socket, terminal, files.

pub mod apart;
pub mod egress;
pub mod files;
pub mod limits;
pub mod log;
pub mod pid1;
pub mod reporter;
pub mod resolve;
pub mod signals;
pub mod systemctl;
