//! A real Docker engine that touches nothing of its host: Debian 13's, in namespaces of its own.
//!
//! The engine of the machine, if there is one, is left alone: a test that joins a swarm or fills a
//! disk has no business there.

use std::fs;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::machine::confined::Confined;
use crate::machine::debian::{Release, debian_with};
use crate::machine::tools::{cgroups, processes, require_root};
use crate::tools;

/// Docker, BuildKit and Compose as Debian 13 has them, `make` for the Makefile, and a network.
const PACKAGES: &str = "ca-certificates,docker-buildx,docker-cli,docker-compose,docker.io,iptables,\
                        iproute2,make,slirp4netns";

/// How long the engine may take to answer.
const START_LIMIT: Duration = Duration::from_secs(90);

/// How long a command may take unless the test says otherwise.
const COMMAND_LIMIT: Duration = Duration::from_secs(180);

/// How long a test waits for something to come true.
const PATIENCE: Duration = Duration::from_secs(120);

/// The address by which containers of every network reach what listens on the engine's host.
pub const HOST: &str = "10.0.2.100";

/// A running engine. It ends with the process of the tests, however that ends.
pub struct Engine {
    /// What everything that exists because of it is named after.
    pub name: String,
    /// A process in its namespaces.
    pid: String,
    tree: Confined,
}

/// What a command left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit status; 124 or 137 if it went over its limit.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

impl Output {
    /// Itself if the command exited with this code, a failed test otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Standard output without the end of its line, if the command succeeded.
    #[track_caller]
    pub fn text(self) -> String {
        self.exits(0).stdout.trim_end().to_owned()
    }

    /// Fails unless standard output or standard error has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(found, "{text:?} is not in:\n{}{}", self.stdout, self.stderr);
        self
    }
}

/// The engine that all tests share.
pub fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::start);
    &ENGINE
}

impl Engine {
    fn start() -> Self {
        require_root();
        tools::require("nsenter");
        let root = debian_with(Release::Trixie, PACKAGES);
        let start = Instant::now();
        let name = format!("vm4-docker-{}", process::id());
        let cgroup = cgroups().join(&name);
        let arguments = [root.as_path(), Path::new(&name), cgroup.as_path()];
        let mut tree = Confined::spawn(include_str!("engine.sh"), &arguments, Some(&cgroup));
        let pid = tools::poll(START_LIMIT, || {
            let ended = tree.result().is_some();
            let pid =
                processes(&cgroup.join("engine")).into_iter().find(|&pid| comm(pid) == "dockerd");
            (ended || pid.is_some()).then_some(pid)
        });
        let pid = pid.flatten().unwrap_or_else(|| panic!("no engine: {}", tree.log()));
        let engine = Self { name, pid: pid.to_string(), tree };
        let version = ["docker", "version", "--format", "{{.Server.Version}}"];
        let version = tools::poll(START_LIMIT, || {
            let answer = engine.run(&version);
            (answer.code == Some(0)).then(|| answer.text())
        });
        let version = version.unwrap_or_else(|| panic!("no answer: {}", engine.tree.log()));
        let compose = engine.run(&["docker", "compose", "version", "--short"]).text();
        eprintln!("Docker {version}, Compose {compose}: started in {:.1?}", start.elapsed());
        engine
    }

    /// Runs a command as root on the engine's host.
    pub fn run(&self, command: &[&str]) -> Output {
        self.run_with(COMMAND_LIMIT, command, Stdio::null())
    }

    /// Runs a command line of the shell in the copy of the repository.
    pub fn shell(&self, line: &str) -> Output {
        self.shell_within(COMMAND_LIMIT, line)
    }

    /// The same with a limit of its own.
    pub fn shell_within(&self, limit: Duration, line: &str) -> Output {
        let line = format!("cd /repository && {line}");
        self.run_with(limit, &["sh", "-c", &line], Stdio::null())
    }

    /// Runs a command with this standard input, and ends it at the limit.
    pub fn run_with(&self, limit: Duration, command: &[&str], input: Stdio) -> Output {
        let start = Instant::now();
        // The limit is kept inside: what nsenter started would go on without it.
        let output = Command::new("nsenter")
            .args(["--target", &self.pid, "--mount", "--net", "--pid", "--root", "--wd"])
            .args(["timeout", "--kill-after=5", &limit.as_secs().to_string()])
            .args(command)
            .env_clear()
            .env("PATH", tools::PATH)
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/root")
            .stdin(input)
            .output()
            .expect("nsenter to start and end");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            elapsed: start.elapsed(),
        }
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        let reached = tools::comes_true(PATIENCE, condition);
        assert!(reached, "{}: waited {PATIENCE:?} in vain until {what}", self.name);
    }
}

/// The name of a process's program.
fn comm(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim_end().to_owned()
}
