//! What a machine makes on its host, and must not leave there.

use std::fs;
use std::path::Path;

use crate::machine::{Machine, processes};

/// What exists on the host because of a machine.
pub struct Trace {
    name: String,
    /// A number that is never given again, as the name of a link is.
    link: Option<String>,
    processes: Vec<u32>,
}

impl Trace {
    /// Of a machine that runs.
    pub fn of(machine: &Machine) -> Self {
        Self::new(machine.name(), machine.link(), machine.cgroup())
    }

    /// Of a machine of another process.
    pub fn new(name: &str, link: &str, cgroup: &Path) -> Self {
        Self { name: name.to_owned(), link: index(link), processes: processes(cgroup) }
    }

    /// What exists of it now, in words.
    pub fn what_is_left(&self) -> Vec<String> {
        let mut left: Vec<String> = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let text = |file| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
            // A mount is left when any process has it in its mount namespace.
            if text("mountinfo").contains(&self.name) {
                left.push(format!("a mount of process {pid}"));
            }
            let command = text("cmdline");
            if command.contains(&self.name) || self.processes.contains(&pid) {
                left.push(format!("process {pid} {command}"));
            }
        }
        for entry in fs::read_dir("/sys/class/net").expect("/sys is mounted").flatten() {
            let link = entry.file_name().to_string_lossy().into_owned();
            if self.link.is_some() && index(&link) == self.link {
                left.push(format!("the link {link}"));
            }
        }
        cgroups(Path::new("/sys/fs/cgroup"), &self.name, &mut left);
        left
    }
}

/// The number of a link.
fn index(link: &str) -> Option<String> {
    fs::read_to_string(Path::new("/sys/class/net").join(link).join("ifindex")).ok()
}

/// Finds the cgroups of this name in every hierarchy.
fn cgroups(directory: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name() == name {
                found.push(format!("the cgroup {}", entry.path().display()));
            }
            cgroups(&entry.path(), name, found);
        }
    }
}
