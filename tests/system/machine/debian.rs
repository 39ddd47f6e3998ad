//! Debian trees, made with debootstrap.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::confined::Confined;
use super::tools::host;
use crate::{cache, tools};

/// How long making a tree may take, with a slow mirror.
const LIMIT: Duration = Duration::from_secs(900);

/// A Debian release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 12, with systemd 252.
    Bookworm,
    /// Debian 13, with systemd 257, and the first with Compose v2.
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

    /// The tree of this name with these packages, separated by commas. `settle` changes it once,
    /// after it was made.
    pub fn tree(self, name: &str, packages: &str, settle: impl FnOnce(&Path)) -> PathBuf {
        cache::made_once(name, |root| {
            tools::require("debootstrap");
            let directory = root.parent().expect("an entry is made in a directory");
            let mirror = mirror();
            let mut args = vec![directory, Path::new(packages), Path::new(self.codename())];
            args.extend(mirror.as_deref().map(Path::new));
            // Confined, because debootstrap mounts file systems in the tree while it works.
            let mut debootstrap = Confined::spawn(include_str!("debootstrap.sh"), &args, None);
            let done = tools::poll(LIMIT, || debootstrap.result());
            assert_eq!(done, Some(true), "debootstrap {args:?}:\n{}", debootstrap.log());
            settle(root);
        })
    }
}

/// The mirror that this host is set up to use; without one debootstrap has its default.
fn mirror() -> Option<String> {
    // The label tells Debian's own archive from that of its security updates, and the origin both
    // from everybody else's.
    let format = ["indextargets", "--format", "$(ORIGIN)/$(LABEL)/$(COMPONENT) $(REPO_URI)"];
    let targets = host("apt-get", &format).ok()?;
    let mut targets = targets.lines();
    targets.find_map(|target| target.strip_prefix("Debian/Debian/main ")).map(str::to_owned)
}

/// A Debian with these packages, separated by commas. Nothing may write to it.
pub fn debian_with(release: Release, packages: &str) -> PathBuf {
    let name = cache::name(&format!("tree-{}", release.codename()), packages);
    release.tree(&name, packages, |_| ())
}
