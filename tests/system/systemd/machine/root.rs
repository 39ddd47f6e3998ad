//! The Debian roots that machines boot: made once with debootstrap, and kept in the user's cache.
//!
//! A cached root ages. Removing its directory has the next test make it anew.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, process};

use super::confined::Confined;
use super::tools::{host, poll, require};

/// What a machine needs to boot, and what the package under test depends on: a machine has no way
/// out to a mirror, so that installing a package there must find every dependency present.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,ca-certificates,libgcc-s1,zlib1g";

/// Units that a machine is better off without: jobs of apt and dpkg that would run during a test
/// and hold the lock that an installation needs, and the loader of the host's kernel modules.
const MASKED: [&str; 4] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-modules-load.service",
];

/// The names that Debian's installer writes, and debootstrap does not.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// How long making a root may take, with a slow mirror.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// A Debian release that the package supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 12, with systemd 252.
    Bookworm,
    /// Debian 13, with systemd 257.
    Trixie,
}

impl Release {
    /// The name that debootstrap and the mirror know it by.
    pub fn codename(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    fn packages(self) -> String {
        // The package was renamed when time stamps grew to 64 bits.
        let libssl = if self == Self::Bookworm { "libssl3" } else { "libssl3t64" };
        format!("{PACKAGES},{libssl}")
    }

    /// The root of this release, made now if it is not in the cache yet.
    ///
    /// It is only ever the lower layer of a machine's own root, so nothing writes to it.
    pub fn root(self) -> PathBuf {
        let cache = cache();
        let key = format!("{}{}{HOSTS}", self.packages(), MASKED.concat());
        let name = format!("debian-{}-{:016x}", self.codename(), fnv1a(&key));
        let root = cache.join(&name);
        if root.exists() {
            return root;
        }
        fs::create_dir_all(&cache).expect("the cache directory can be made");
        let lock =
            File::create(cache.join(format!("{name}.lock"))).expect("a lock file can be made");
        lock.lock().expect("a lock file can be locked");
        // Another test process may have made it while this one waited for the lock.
        if !root.exists() {
            remove_unfinished(&cache, &name);
            let building = cache.join(format!("{name}.building-{}", process::id()));
            fs::create_dir(&building).expect("a directory can be made in the cache");
            self.build(&building);
            fs::rename(building.join("root"), &root).expect("a directory can be renamed in place");
            remove_unfinished(&cache, &name);
        }
        root
    }

    /// Makes the directory `root` in this directory.
    fn build(self, directory: &Path) {
        require("debootstrap", "debootstrap");
        let start = Instant::now();
        let (packages, mirror) = (self.packages(), mirror());
        let mut args = vec![directory, Path::new(&packages), Path::new(self.codename())];
        args.extend(mirror.as_deref().map(Path::new));
        // Confined, because debootstrap mounts file systems in the root while it works.
        let mut debootstrap = Confined::spawn(include_str!("debootstrap.sh"), &args, None);
        let mut result = None;
        poll(BUILD_LIMIT, || {
            result = debootstrap.result();
            result.is_some()
        });
        assert_eq!(result, Some(true), "debootstrap {args:?} failed:\n{}", debootstrap.log());
        settle(&directory.join("root")).expect("a fresh root can be changed");
        eprintln!("{}: debootstrap took {:.1?}", self.codename(), start.elapsed());
    }
}

/// Makes a fresh root fit to be booted many times over.
fn settle(root: &Path) -> std::io::Result<()> {
    // Empty, not absent: each boot gets an identity of its own, without counting as the first boot,
    // which would enable units by their presets.
    fs::write(root.join("etc/machine-id"), "")?;
    fs::write(root.join("etc/hosts"), HOSTS)?;
    // Copied from the host by debootstrap: each machine has its own name, and no name server.
    for copied in ["etc/hostname", "etc/resolv.conf"] {
        match fs::remove_file(root.join(copied)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for unit in MASKED {
        symlink("/dev/null", root.join("etc/systemd/system").join(unit))?;
    }
    Ok(())
}

/// Removes what a test process left that died while it made this root. The caller has the lock.
fn remove_unfinished(cache: &Path, name: &str) {
    let prefix = format!("{name}.building-");
    for entry in fs::read_dir(cache).expect("the cache directory can be read").flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(entry.path()).expect("an unfinished root can be removed");
        }
    }
}

/// Where roots are kept: outside of any checkout, so that every checkout shares them.
fn cache() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    cache.or_else(home).expect("XDG_CACHE_HOME or HOME is set").join("vm4-producer")
}

/// The Debian mirror that this machine is set up to use; without one debootstrap has its default.
fn mirror() -> Option<String> {
    let os = fs::read_to_string("/etc/os-release").ok()?;
    if !os.lines().any(|line| line == "ID=debian") {
        return None;
    }
    let codename = os.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    let format = ["indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"];
    let targets = host("apt-get", &format).ok()?;
    let wanted = format!("{codename} main ");
    targets.lines().find_map(|target| target.strip_prefix(&wanted)).map(str::to_owned)
}

/// A hash that is the same in every build of the tests, which the standard library's is not.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
