//! The Debian package: what it holds, what lintian says of it, and that it can be built again.
//!
//! `tests/system/run package` runs them. It takes what `make deb` takes, `lintian` and `journalctl`.

mod content;
mod reproducible;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::tools;

/// The package under test.
pub fn package() -> PathBuf {
    let path = std::env::var_os("VM4_DEB").map(PathBuf::from);
    let path = path.expect("VM4_DEB names the package under test; tests/system/run builds it");
    assert!(path.is_absolute() && path.is_file(), "VM4_DEB={} is no file", path.display());
    path
}

/// The checkout that the package was built from.
fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn ran(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What a command that succeeds says on stdout.
#[track_caller]
fn said<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new(program);
    let output = tools::success(command.args(args));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The package's files in a directory.
fn extracted() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    said("dpkg-deb", [OsStr::new("-x"), package().as_os_str(), directory.path().as_os_str()]);
    directory
}

/// A field of the control file; empty where there is none.
fn field(name: &str) -> String {
    said("dpkg-deb", [OsStr::new("-f"), package().as_os_str(), OsStr::new(name)]).trim().to_owned()
}

/// What dpkg-architecture knows of this machine.
fn architecture(variable: &str) -> String {
    said("dpkg-architecture", [format!("-q{variable}")]).trim().to_owned()
}
