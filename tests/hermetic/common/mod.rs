//! Runs the built binary and collects what it said. The system tests use it too: `tests/system/common`
//! is a link to it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jsonschema::Validator;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use serde_json::Value;
use tempfile::TempDir;

/// Longest that any run of a test may take before it is killed and the test fails.
const LIMIT: Duration = Duration::from_secs(180);

/// The fields of a `gpu.metrics.v1` value of the shipped seed, in their frozen order.
pub const METRIC_FIELDS: [&str; 9] = [
    "gpu_index",
    "name",
    "utilization",
    "mem_used_mb",
    "mem_total_mb",
    "power_w",
    "price_per_hour_usd",
    "ts",
    "host",
];

/// The fields of a `token.usage.v1` value, in their frozen order.
pub const TOKEN_FIELDS: [&str; 6] =
    ["ts", "model", "prompt_tokens", "completion_tokens", "latency_ms", "gpu_index"];

/// The binary with a clean environment: no settings but the ones a test gives.
pub struct Producer {
    pub command: Command,
    directory: TempDir,
}

/// What a finished run said.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; a death by signal fails the test.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The JSON report, where the run wrote one.
    pub report: Option<Value>,
    /// From start to exit.
    pub elapsed: Duration,
    /// Largest resident set that was seen, KiB.
    pub peak_kib: u64,
}

/// A run on its way.
pub struct Running {
    child: Child,
    started: Instant,
    stdout: Output,
    pub stderr: Output,
    directory: TempDir,
    peak_kib: u64,
}

/// A pipe that is read while the run goes on.
pub struct Output {
    pub text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

/// The binary under test: the one that cargo built with the test, unless `VM4_PRODUCER` names another.
pub fn program() -> PathBuf {
    let named = std::env::var_os("VM4_PRODUCER").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_vm4-producer").into())
}

impl Producer {
    /// The binary with these arguments.
    pub fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(program());
        command.args(args).env_clear().env("VM4_PRODUCER_ENV", "/dev/null");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, directory }
    }

    /// A run against a cluster, with a report.
    pub fn run(bootstrap: &str) -> Self {
        let producer = Self::new(["run"]).set("KAFKA_BOOTSTRAP", bootstrap);
        let report = producer.report_path();
        producer.set("REPORT_FILE", report)
    }

    /// Sets an environment variable.
    pub fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Writes a file that lives as long as the run, and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, content).expect("a file");
        path
    }

    /// The directory that lives as long as the run.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn report_path(&self) -> PathBuf {
        self.directory.path().join("report.json")
    }

    /// Starts the run.
    pub fn start(mut self) -> Running {
        let started = Instant::now();
        let mut child = self.command.spawn().expect("the binary starts");
        let stdout = Output::of(child.stdout.take());
        let stderr = Output::of(child.stderr.take());
        Running { child, started, stdout, stderr, directory: self.directory, peak_kib: 0 }
    }

    /// Runs to the end.
    pub fn finish(self) -> Finished {
        self.start().finish()
    }
}

impl Output {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            let Some(mut pipe) = pipe else { return };
            let mut bytes = [0; 4096];
            loop {
                match pipe.read(&mut bytes).expect("a readable pipe") {
                    0 => return,
                    n => shared.lock().expect("a lock").extend_from_slice(&bytes[..n]),
                }
            }
        });
        Self { text, thread }
    }

    fn whole(self) -> String {
        self.thread.join().expect("a reader");
        String::from_utf8_lossy(&self.text.lock().expect("a lock")).into_owned()
    }
}

/// Calls `check` until it returns something or `limit` has passed.
pub fn poll<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Running {
    /// Sends a signal by name (`TERM`, `INT`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.expect("kill runs").success(), "signal {name} was not sent");
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Finished {
        let status = self.wait();
        let elapsed = self.started.elapsed();
        let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
        let code = status.code().unwrap_or_else(|| panic!("died by {status}: {stderr}"));
        assert!(!stderr.contains("panicked"), "a panic: {stderr}");
        let report = fs::read(self.directory.path().join("report.json")).ok();
        let report = report.map(|bytes| serde_json::from_slice(&bytes).expect("a JSON report"));
        Finished { code, stdout, stderr, report, elapsed, peak_kib: self.peak_kib }
    }

    /// Kills the run, and returns the report that it left.
    #[track_caller]
    pub fn kill(mut self) -> Value {
        self.signal("KILL");
        self.wait();
        let report = fs::read(self.directory.path().join("report.json"));
        serde_json::from_slice(&report.expect("a report from the start")).expect("a JSON report")
    }

    fn wait(&mut self) -> ExitStatus {
        while self.started.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().expect("a child to wait for") {
                return status;
            }
            self.peak_kib = self.peak_kib.max(peak_kib(self.child.id()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        let _gone = self.child.kill();
        panic!("the run did not end within {LIMIT:?}");
    }
}

/// The high-water mark of a process's resident set, KiB.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl Finished {
    /// Fails unless the run exited with this code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        let Self { stdout, stderr, elapsed, peak_kib, .. } = self;
        let text = format!("{elapsed:.1?}, {peak_kib} KiB\nstdout: {stdout}\nstderr: {stderr}");
        assert_eq!(self.code, code, "{text}");
        self
    }

    /// Fails if an account of `verify` says that anything is proved wrong: it exits with 0 if all is there,
    /// with 69 if some may not have been sent.
    #[track_caller]
    pub fn accuses_nobody(&self) -> &Self {
        let Self { code, stdout, stderr, .. } = self;
        assert!([0, 69].contains(code), "{code}: {stdout}\n{stderr}");
        assert!(!stdout.contains("NOT CLOSED") && !stdout.contains("LOST"), "{stdout}");
        self
    }

    /// Fails unless standard error holds this text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
        self
    }

    /// The report.
    #[track_caller]
    pub fn report(&self) -> &Value {
        self.report.as_ref().unwrap_or_else(|| panic!("no report; stderr: {}", self.stderr))
    }

    /// A count of the report, over both topics.
    #[track_caller]
    pub fn sum(&self, count: &str) -> u64 {
        let topics = self.report()["topics"].as_array().expect("topics");
        topics.iter().map(|topic| topic[count].as_u64().expect("a count")).sum()
    }
}

/// A JSON Schema, formats included.
pub fn validator(schema: &str) -> Validator {
    let schema: Value = serde_json::from_str(schema).expect("a schema in JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a valid schema")
}

/// The code blocks of a language in the part of a page below a heading.
pub fn blocks<'a>(page: &'a str, heading: &str, language: &str) -> Vec<&'a str> {
    let (_, part) =
        page.split_once(&format!("# {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let part = part.split("\n##").next().unwrap_or_default();
    let fence = format!("```{language}\n");
    let blocks = part.split(fence.as_str()).skip(1);
    blocks.filter_map(|rest| rest.split("```\n").next()).collect()
}

/// A loopback address at which nobody listens: bound for as long as the tests run, so that no server
/// of another test gets it.
pub fn nobody() -> String {
    let kind = (AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC);
    let socket = net::socket_with(kind.0, kind.1, kind.2, None).expect("a socket");
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = SocketAddr::try_from(net::getsockname(&socket).expect("an address"));
    std::mem::forget(socket);
    address.expect("an internet address").to_string()
}
