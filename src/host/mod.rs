//! What surrounds the process: signals, journal, notify socket, terminal, files.

pub mod files;
pub mod log;
pub mod reporter;
pub mod signals;
