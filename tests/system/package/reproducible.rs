//! The same sources give the same package, byte for byte.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{checkout, package, said};
use crate::tools;

/// Copies what git knows of the checkout, and what it would add: no build products.
fn copy_checkout(to: &Path) {
    let from = checkout().to_str().expect("UTF-8");
    let files = said("git", ["-C", from, "ls-files", "-z", "-co", "--exclude-standard"]);
    let present = files.split('\0').filter(|file| checkout().join(file).is_file());
    let mut copied = 0;
    for file in present {
        let target = to.join(file);
        fs::create_dir_all(target.parent().expect("a directory")).expect("a directory");
        fs::copy(checkout().join(file), target).expect("a file that can be copied");
        copied += 1;
    }
    assert!(copied > 50, "git lists {copied} files");
}

#[test]
fn a_build_in_another_folder_gives_the_same_bytes() {
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let folder = elsewhere.path().join("some/other/folder");
    copy_checkout(&folder);
    let mut make = Command::new("make");
    make.args(["--silent", "--no-print-directory", "deb"]).current_dir(&folder);
    // What cargo told this test about its own build is nobody's business there.
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|n| n.starts_with("CARGO_") && n != "CARGO_HOME");
        if own || name == "MAKEFLAGS" || name == "VM4_DEB" {
            make.env_remove(name);
        }
    }
    let second = String::from_utf8(tools::success(&mut make).stdout).expect("UTF-8");
    let second = Path::new(second.trim());
    assert!(second.starts_with(&folder), "{} is not in {}", second.display(), folder.display());
    let sums = said("sha256sum", [package().as_os_str(), second.as_os_str()]);
    eprintln!("{sums}");
    let sums: Vec<_> = sums.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(sums[0], sums[1], "build with diffoscope to see where they differ");
}
