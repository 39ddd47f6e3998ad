//! A process tree that cannot outlive the test, however the test ends.
//!
//! The tree runs in a process and a mount namespace of its own. Process 1 of the namespace reads a
//! pipe that only the test process holds: when the test lets go of it, or dies by any signal, the
//! kernel kills the whole tree and drops its mounts. There is no process to find, no mount to undo.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::tools::{PATH, comes_true};

/// How long the kernel may take to kill a tree: far more than it ever needs.
const END_LIMIT: Duration = Duration::from_secs(20);

/// How much of the end of a log is worth showing.
const LOG_TAIL: u64 = 6000;

/// The running tree; dropping it ends the tree.
pub struct Confined {
    /// The shell outside of the namespaces, which lives exactly as long as the tree.
    outside: Child,
    /// The pipe whose end is the end of the tree.
    leash: Option<ChildStdin>,
    log: File,
    cgroup: Option<PathBuf>,
}

impl Confined {
    /// Runs `sh -c script` with these arguments, in `cgroup`, which must not exist yet.
    pub fn spawn(script: &str, args: &[&Path], cgroup: Option<&Path>) -> Self {
        let log = tempfile::tempfile().expect("a temporary file can be made");
        let clone = || log.try_clone().expect("a file handle can be duplicated");
        let mut outside = Command::new("sh")
            .args(["-c", include_str!("outside.sh"), "outside", include_str!("inside.sh")])
            .arg(cgroup.unwrap_or(Path::new("-")))
            .args(["sh", "-c", script, "confined"])
            .args(args)
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(clone())
            .stderr(clone())
            // Ctrl-C ends the test; the shell must live on to remove the cgroup.
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        let leash = outside.stdin.take();
        Self { outside, leash, log, cgroup: cgroup.map(Path::to_owned) }
    }

    /// Whether the tree succeeded, once it is over.
    pub fn result(&mut self) -> Option<bool> {
        let status = self.outside.try_wait().expect("an own child can be waited for");
        status.map(|status| status.success())
    }

    /// The end of what the tree printed, the console of a machine included.
    pub fn log(&self) -> String {
        let length = self.log.metadata().map_or(0, |data| data.len());
        let mut text = vec![0; usize::try_from(length.min(LOG_TAIL)).unwrap_or(0)];
        // The tree writes at the shared offset of the file, which reading must not move.
        let read = self.log.read_at(&mut text, length.saturating_sub(LOG_TAIL)).unwrap_or(0);
        text.truncate(read);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Ends the tree and waits until nothing of it is left.
    pub fn end(&mut self) {
        self.leash = None;
        if comes_true(END_LIMIT, || !matches!(self.outside.try_wait(), Ok(None))) {
            return;
        }
        eprintln!("a confined process tree did not end by itself:\n{}", self.log());
        if let Some(cgroup) = &self.cgroup {
            let _gone_already = std::fs::write(cgroup.join("cgroup.kill"), "1");
        }
        let _gone_already = self.outside.kill();
        let _status = self.outside.wait();
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        self.end();
    }
}
