//! What the tests make once, and keep in the user's cache, outside of any checkout.
//!
//! It ages there. Removing a directory has the next test make it anew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::jars::{cache, fnv1a};
use crate::machine::confined::Confined;
use crate::machine::tools::{host, require};
use crate::tools;

/// How long making a tree may take, with a slow mirror.
const DEBOOTSTRAP_LIMIT: Duration = Duration::from_secs(900);

/// A Debian release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 12, on which the default base image stands.
    Bookworm,
    /// Debian 13, the first with Compose v2.
    Trixie,
}

/// The directory of this name in the cache. `make` gets the path at which it shall make it, if it is
/// not there yet.
pub fn made_once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let cache = cache();
    let made = cache.join(name);
    fs::create_dir_all(&cache).expect("the cache directory can be made");
    let lock = File::create(cache.join(format!("{name}.lock"))).expect("a lock file can be made");
    lock.lock().expect("a lock file can be locked");
    if !made.exists() {
        let start = Instant::now();
        // What a process left that died here. Nobody else is at it: we have the lock.
        let building = cache.join(format!("{name}.building"));
        let _not_there = fs::remove_dir_all(&building);
        fs::create_dir(&building).expect("a directory can be made in the cache");
        make(&building.join("root"));
        fs::rename(building.join("root"), &made).expect("a directory can be renamed in place");
        fs::remove_dir(&building).expect("nothing but the result was made");
        eprintln!("{name}: made in {:.1?}", start.elapsed());
    }
    made
}

/// A Debian with these packages, separated by commas. Nothing may write to it.
pub fn debian(release: Release, packages: &str) -> PathBuf {
    let codename = match release {
        Release::Bookworm => "bookworm",
        Release::Trixie => "trixie",
    };
    let name = format!("tree-{codename}-{:016x}", fnv1a(packages.as_bytes()));
    made_once(&name, |root| {
        require("debootstrap", "debootstrap");
        let directory = root.parent().expect("the result is in a directory");
        let mirror = mirror();
        let mut arguments = vec![directory, Path::new(packages), Path::new(codename)];
        arguments.extend(mirror.as_deref().map(Path::new));
        // Confined, because debootstrap mounts file systems in the tree while it works.
        let script = include_str!("../systemd/machine/debootstrap.sh");
        let mut debootstrap = Confined::spawn(script, &arguments, None);
        let done = tools::poll(DEBOOTSTRAP_LIMIT, || debootstrap.result());
        assert_eq!(done, Some(true), "debootstrap {arguments:?}:\n{}", debootstrap.log());
        // Where the memory file system was.
        fs::remove_dir(directory.join("memory")).expect("a mount point without a mount");
    })
}

/// The mirror that this machine is set up to use; without one debootstrap has its default.
fn mirror() -> Option<String> {
    let format = ["indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)"];
    let targets = host("apt-get", &format).ok()?;
    let mut mirrors = targets.lines().filter_map(|target| target.strip_prefix("Debian main "));
    mirrors.find(|uri| !uri.contains("security")).map(str::to_owned)
}
