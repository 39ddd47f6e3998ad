//! A Java process that never outlives the tests.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// What the watchdog runs: it blocks until its input closes, which happens
/// when the test process ends in whatever way, then kills the JVM and removes
/// its files. The JVM may still write while they go, so that takes two tries.
const WATCHDOG: &str = "trap '' HUP INT TERM; read -r _; kill -KILL \"$1\"; \
    rm -rf \"$2\" || { sleep 1; rm -rf \"$2\"; }";

/// A running JVM, killed and waited for when dropped.
///
/// A test process that is itself killed drops nothing, and no process drops
/// its statics. For these cases a small shell stands by, so that no broker and
/// no broker's data are left on the machine.
pub struct Jvm {
    child: Child,
    watchdog: Child,
}

impl Jvm {
    /// Starts `java`, whose files are all in `directory`.
    pub fn start(java: &mut Command, directory: &Path) -> Self {
        let child = java.stdin(Stdio::null()).spawn().expect("java to start");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &child.id().to_string()])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh to start");
        Self { child, watchdog }
    }

    /// The exit status, if the JVM has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the JVM to be waited for")
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: procps need not be installed.
        let status = Command::new("sh")
            .args(["-c", "kill -\"$1\" \"$2\"", "signal", name])
            .arg(self.child.id().to_string())
            .status()
            .expect("sh to start");
        assert!(status.success(), "the JVM could not be signalled: {status}");
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // SIGKILL by pid. The JVM is waited for last: until then its pid
        // cannot belong to anyone else, so the watchdog cannot hit a stranger.
        // Errors mean that the process is gone already.
        let _ = self.child.kill();
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.wait();
    }
}
