//! The Debian roots that machines boot.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::debian::Release;
use crate::cache;

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

/// The root of a release, made now if it is not in the cache yet.
///
/// It is only ever the lower layer of a machine's own root, so nothing writes to it.
pub fn root(release: Release) -> PathBuf {
    // The package was renamed when time stamps grew to 64 bits.
    let libssl = if release == Release::Bookworm { "libssl3" } else { "libssl3t64" };
    let packages = format!("{PACKAGES},{libssl}");
    let kind = format!("debian-{}", release.codename());
    let name = cache::name(&kind, &format!("{packages}{}{HOSTS}", MASKED.concat()));
    release.tree(&name, &packages, |root| settle(root).expect("a fresh root can be changed"))
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
