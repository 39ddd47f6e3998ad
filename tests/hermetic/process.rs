//! What these tests do with the binary beside running it: start it by another program, and listen to
//! it while it runs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Producer, Running, poll};

impl Producer {
    /// The command itself, for what this type does not offer.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// The same, started by another program: its name and arguments stand before the binary's.
    pub fn started_by(mut self, starter: &[&str]) -> Self {
        let old = self.command();
        let mut new = Command::new(starter[0]);
        new.args(&starter[1..]).arg(old.get_program()).args(old.get_args()).env_clear();
        for (name, value) in old.get_envs() {
            new.env(name, value.expect("a value"));
        }
        new.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        new.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = new;
        self
    }

    /// The same, started by a shell that does this first.
    pub fn after(self, shell: &str) -> Self {
        self.started_by(&["sh", "-c", &format!("{shell} exec \"$0\" \"$@\"")])
    }
}

impl Running {
    /// Waits until standard error holds this text.
    #[track_caller]
    pub fn until_it_says(&self, text: &str) {
        eventually(text, || self.said().contains(text).then_some(()));
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.stderr.text.lock().expect("a lock")).into_owned()
    }
}

/// Calls `check` until it returns something; fails the test after a minute.
#[track_caller]
pub fn eventually<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    let found = poll(Duration::from_secs(60), check);
    found.unwrap_or_else(|| panic!("not within a minute: {what}"))
}

/// What `generate` prints with these settings: the same today and on any other day.
#[track_caller]
pub fn generated(variables: &[(&str, &str)]) -> String {
    let fixed = [("RUN_SEED", "1"), ("EVENT_START", "2026-01-01T00:00:00Z")];
    let mut producer = Producer::new(["generate"]);
    for (name, value) in fixed.iter().chain(variables) {
        producer = producer.set(name, value);
    }
    let finished = producer.finish();
    finished.exits(0);
    finished.stdout
}

/// Writes a script that can be run. Another process writes it: a file that this one had open for writing
/// could not be run while a child of another test has the descriptor too.
pub fn install(path: &Path, script: &str) {
    let mut install = Command::new("install");
    let install = install.args(["-D", "-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut child = install.spawn().expect("install");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(script.as_bytes()).expect("a script");
    drop(stdin);
    assert!(child.wait().expect("install ends").success(), "{}", path.display());
}
