//! What a test does in a running machine: commands, files, packages, units, the journal.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Machine;
use crate::tools::{PATH, comes_true};

/// How long a command may take unless the test says otherwise.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// How long an installation may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(180);

/// How long a test waits for something to come true in a machine.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// Writes standard input to $1 with the mode $2, by a rename: a program may be running from there.
const PUT: &str = r#"mkdir -p "$(dirname "$1")" && cat >"$1.part" && chmod "$2" "$1.part" &&
    mv "$1.part" "$1""#;

/// What a command in a machine left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit status; 128 and the signal if one ended it; 124 or 137 if it went over its limit.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

impl Output {
    /// Itself if the command succeeded, a failed test otherwise.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }
}

impl Machine {
    /// Runs a command as root in the machine, within a minute.
    pub fn run(&self, command: &[&str]) -> Output {
        self.run_within(COMMAND_LIMIT, command)
    }

    /// Runs a command as root in the machine, and kills it there at the limit.
    pub fn run_within(&self, limit: Duration, command: &[&str]) -> Output {
        self.execute(limit, command, Stdio::null())
    }

    /// Runs a command line of the shell as root in the machine.
    pub fn shell(&self, line: &str) -> Output {
        self.run(&["sh", "-c", line])
    }

    /// Writes a file, with its directories.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) {
        let mut source = tempfile::tempfile().expect("a temporary file can be made");
        source.write_all(content.as_ref()).expect("a temporary file can be written");
        source.rewind().expect("a temporary file can be rewound");
        self.put_file(path, source, mode);
    }

    /// Copies a file of the host, with read and execute permission for everyone.
    pub fn copy_in(&self, host: &Path, path: &str) {
        let source = File::open(host)
            .unwrap_or_else(|error| panic!("{} cannot be copied: {error}", host.display()));
        self.put_file(path, source, 0o755);
    }

    fn put_file(&self, path: &str, source: File, mode: u32) {
        let command = ["sh", "-c", PUT, "put", path, &format!("{mode:o}")];
        let output = self.execute(COMMAND_LIMIT, &command, source.into());
        assert_eq!(output.code, 0, "{path} cannot be written: {}", output.stderr);
    }

    /// The content of a file.
    pub fn read(&self, path: &str) -> String {
        let output = self.run(&["cat", path]);
        assert_eq!(output.code, 0, "{path} cannot be read: {}", output.stderr);
        output.stdout
    }

    /// Installs a package of the host as an administrator without a terminal does, who keeps the
    /// configuration files that he changed. Its dependencies must be in the root already.
    pub fn install(&self, deb: &Path) -> Output {
        let name = deb.file_name().and_then(|name| name.to_str()).expect("a package has a name");
        // Where apt's own unprivileged user may read it.
        let path = format!("/var/tmp/{name}");
        self.copy_in(deb, &path);
        let options = "-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
                       -o Dpkg::Options::=--force-confold";
        let mut command = vec!["apt-get", "install", "-y", "-q", "--no-install-recommends"];
        command.extend(options.split_whitespace());
        command.push(&path);
        self.run_within(INSTALL_LIMIT, &command)
    }

    /// A property of a unit as systemd shows it.
    pub fn show(&self, unit: &str, property: &str) -> String {
        let output = self.run(&["systemctl", "show", "--value", "-p", property, unit]).success();
        output.stdout.trim_end().to_owned()
    }

    /// The entries of the journal that these arguments of journalctl select, oldest first.
    pub fn journal(&self, args: &[&str]) -> Vec<Value> {
        // What a unit has printed before now is in the journal after this.
        self.run(&["journalctl", "--sync"]).success();
        let command = [&["journalctl", "--no-pager", "--quiet"], args, &["-o", "json"]].concat();
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
        };
        self.run(&command).success().stdout.lines().map(parse).collect()
    }

    /// Waits until the condition holds, and fails the test when it does not in half a minute.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        let reached = comes_true(WAIT_LIMIT, condition);
        assert!(reached, "{}: waited {WAIT_LIMIT:?} in vain until {what}", self.name());
    }

    fn execute(&self, limit: Duration, command: &[&str], stdin: Stdio) -> Output {
        // Files, not pipes: a process that the command leaves running would hold a pipe open.
        let mut stdout = tempfile::tempfile().expect("a temporary file can be made");
        let mut stderr = tempfile::tempfile().expect("a temporary file can be made");
        let start = Instant::now();
        let status = Command::new("nsenter")
            .args(["-t", &self.init.to_string(), "-m", "-p", "-u", "-i", "-n", "-C", "--"])
            // It runs in the machine, where it can kill what nsenter has started there.
            .args(["timeout", "--kill-after=2", &format!("{:.3}", limit.as_secs_f64())])
            .args(command)
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")])
            .envs([("DEBIAN_FRONTEND", "noninteractive"), ("SYSTEMD_COLORS", "0")])
            .stdin(stdin)
            .stdout(stdout.try_clone().expect("a file handle can be duplicated"))
            .stderr(stderr.try_clone().expect("a file handle can be duplicated"))
            .status()
            .expect("nsenter can be started");
        let elapsed = start.elapsed();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Output { code, stdout: text(&mut stdout), stderr: text(&mut stderr), elapsed }
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a temporary file can be rewound");
    file.read_to_end(&mut bytes).expect("a temporary file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
