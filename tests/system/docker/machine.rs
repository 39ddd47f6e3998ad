//! What confines the machines of the systemd tests confines the engine, and what makes their roots
//! makes its own.

#[path = "../systemd/machine/confined.rs"]
pub mod confined;
#[path = "../systemd/machine/debian.rs"]
mod debian;
#[path = "../systemd/machine/tools.rs"]
#[allow(dead_code, reason = "the engine needs a part of it")]
pub mod tools;

use std::path::PathBuf;

use crate::cache;
pub use debian::Release;

/// A Debian with these packages, separated by commas. Nothing may write to it.
pub fn debian_with(release: Release, packages: &str) -> PathBuf {
    let name = cache::name(&format!("tree-{}", release.codename()), packages);
    release.tree(&name, packages, |_| ())
}
