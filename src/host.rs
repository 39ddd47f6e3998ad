//! The process's surroundings: signals, limits, journal, notify socket, terminal, files.

pub mod apart;
pub mod boot_log;
pub mod files;
pub mod journal;
pub mod limits;
pub mod log;
pub mod program;
pub mod reporter;
pub mod sandbox;
pub mod signals;
pub mod spool;
pub mod systemctl;
pub mod terminal;
pub mod user;
