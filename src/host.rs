//! The process's surroundings: signals, limits, journal, notify socket, terminal, files.

pub mod apart;
pub mod files;
pub mod limits;
pub mod log;
pub mod pid1;
pub mod reporter;
pub mod signals;
pub mod systemctl;
pub mod terminal;
