//! What confines the machines of the systemd tests confines the engine.

#[path = "../systemd/machine/confined.rs"]
pub mod confined;
#[path = "../systemd/machine/tools.rs"]
#[allow(dead_code, reason = "the engine needs a part of it")]
pub mod tools;
