//! A machine that runs a real systemd as its process 1, for what only systemd itself can show.
//!
//! systemd-nspawn boots a minimal Debian on a copy of a cached root, in memory. Nothing of it is
//! visible outside: the mounts are in a namespace of their own, and only a network link and a
//! cgroup with the machine's name exist on the host, until the machine is dropped or the test dies.

pub mod confined;
pub mod debian;
mod guest;
mod network;
mod root;
pub mod tools;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use confined::Confined;
use network::Wire;

use crate::tools::{comes_true, poll, require};

pub use debian::Release;
pub use guest::Output;
pub use network::Addresses;
use tools::processes;

/// How long a machine may take to boot, on a host that is busy with other machines.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// A booted machine; dropping it removes every trace of it.
pub struct Machine {
    name: String,
    /// The machine's process 1, by its number on the host.
    init: u32,
    wire: Wire,
    process: Confined,
}

impl Machine {
    /// Boots a machine of this release, and waits until all its units are started.
    pub fn boot(release: Release) -> Self {
        Self::boot_with(release, None, "bpf")
    }

    /// Boots a machine whose kernel does not filter for control groups, as in many containers.
    pub fn boot_without_filter(release: Release) -> Self {
        Self::boot_with(release, None, "")
    }

    /// Boots an image of this release with this package for the first time.
    pub fn first_boot(release: Release, package: &Path) -> Self {
        Self::boot_with(release, Some(package), "bpf")
    }

    fn boot_with(release: Release, package: Option<&Path>, calls: &str) -> Self {
        tools::require_root();
        for tool in ["systemd-nspawn", "ip", "nsenter"] {
            require(tool);
        }
        let root = root::root(release);

        let start = Instant::now();
        let name = unique_name(release);
        let cgroup = own_cgroup().join(&name);
        let script = include_str!("machine/boot.sh");
        let args = [Path::new(&name), &root, Path::new(calls)];
        let args: Vec<_> = args.into_iter().chain(package).collect();
        let mut process = Confined::spawn(script, &args, Some(&cgroup));
        let init = wait_for_init(&mut process, &cgroup);
        let wire = Wire::attach(init);
        let mut machine = Self { name, init, wire, process };
        machine.wait_until_started();
        eprintln!("{}: booted in {:.2?}", machine.name, start.elapsed());
        machine
    }

    /// The name of the machine, which is in the name of everything that exists because of it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The IPv4 address by which the machine reaches the host.
    pub fn host_address_v4(&self) -> Ipv4Addr {
        self.wire.host().v4
    }

    /// The IPv6 address by which the machine reaches the host.
    pub fn host_address_v6(&self) -> Ipv6Addr {
        self.wire.host().v6
    }

    /// Gives the host one more address of each family, for a second broker.
    pub fn add_host_address(&self) -> Addresses {
        self.wire.add_host()
    }

    fn wait_until_started(&mut self) {
        let mut state = String::new();
        let started = comes_true(BOOT_LIMIT, || {
            state = self.run(&["systemctl", "is-system-running"]).stdout;
            matches!(state.trim(), "running" | "degraded") || self.process.result().is_some()
        });
        let alive = self.process.result().is_none();
        assert!(started && alive, "{} is {state}:\n{}", self.name, self.process.log());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let start = Instant::now();
        self.wire.remove();
        // Killed, not powered off: all it ever wrote is in memory.
        self.process.end();
        eprintln!("{}: removed in {:.2?}", self.name, start.elapsed());
    }
}

/// The number of a machine's process 1 on the host, once systemd has taken over there.
fn wait_for_init(process: &mut Confined, cgroup: &Path) -> u32 {
    let init = poll(BOOT_LIMIT, || {
        let ended = process.result().is_some();
        let init = processes(cgroup).into_iter().find(|&pid| is_init(pid));
        (ended || init.is_some()).then_some(init)
    });
    init.flatten().unwrap_or_else(|| panic!("systemd did not start:\n{}", process.log()))
}

/// Whether this is systemd as process 1 of a machine: of a process namespace within the one of
/// `Confined`. It has that number before it has the machine's root and network, but not that name.
fn is_init(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or("");
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    matches!(numbers[..], [_, _, "1"]) && status.starts_with("Name:\tsystemd\n")
}

/// The directory of the test's own cgroup, in the hierarchy that systemd requires.
///
/// Machines must not share a cgroup: each systemd takes all below its own for its units.
fn own_cgroup() -> PathBuf {
    let own = fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).expect("cgroup2 is mounted");
    tools::cgroups().join(path)
}

fn unique_name(release: Release) -> String {
    static MACHINES: AtomicU32 = AtomicU32::new(0);
    let number = MACHINES.fetch_add(1, Ordering::Relaxed);
    format!("vm4-{}-{}-{number}", release.codename(), process::id())
}
