//! The files of one broker, and the JVMs that are started on them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::config::{self, Addresses, Options};
use super::jars;
use super::jvm::Jvm;
use crate::{kcat, tools};

/// The longest that a broker may take to become ready.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Any identifier will do: each broker is a cluster of its own.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";
/// A small JVM that starts fast: one thread collects garbage, and code is
/// compiled once and lightly.
const JVM_ARGS: [&str; 5] =
    ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
/// How many lines of its log a broker shows when something went wrong.
const TAIL: usize = 60;

/// Why a JVM did not become a usable broker, with the end of its log.
pub enum NotStarted {
    /// Somebody else has one of its ports, so another attempt may help.
    PortTaken(String),
    /// Anything else.
    Failed(String),
}

/// A configured broker, which outlives the JVMs that run it.
pub struct Node {
    directory: TempDir,
    bootstrap: String,
    jvm_args: Vec<String>,
    env: Vec<(String, String)>,
    /// The network namespace that the JVMs run in, where it is not that of the tests.
    namespace: Option<String>,
    launches: u32,
}

impl Node {
    /// Writes the configuration, and formats the storage with Kafka's tool.
    pub fn new(options: &Options<'_>, addresses: &Addresses) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the broker");
        let data = directory.path().join("data");
        let node = Self {
            bootstrap: addresses.of(config::PLAINTEXT).to_owned(),
            jvm_args: options.jvm_args.iter().map(ToString::to_string).collect(),
            env: (options.env.iter())
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            namespace: options.seat.map(|seat| seat.namespace.to_owned()),
            launches: 0,
            directory,
        };
        let properties = config::server_properties(options, &data, addresses);
        fs::write(node.file("server.properties"), properties)
            .and_then(|()| fs::write(node.file("log4j2.properties"), config::LOG4J2))
            .expect("the broker's configuration to be written");
        node.format(options.cluster_id.unwrap_or(CLUSTER_ID), options.format_args);
        node
    }

    /// Starts a JVM on these files and waits until the broker in it is ready.
    pub fn launch(&mut self) -> Result<Jvm, NotStarted> {
        self.launches += 1;
        let printed = File::create(self.printed()).expect("a file for what the JVM prints");
        let mut java = self.java();
        self.describe(&mut java);
        java.args(&self.jvm_args)
            .arg("kafka.Kafka")
            .arg(self.file("server.properties"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(printed.try_clone().expect("a second handle to that file"))
            .stderr(printed);
        let mut jvm = Jvm::start(&mut java, self.directory.path());
        let ready = tools::poll(START_LIMIT, || match jvm.ended() {
            Some(status) => Some(Err(format!("the broker's JVM ended ({status})"))),
            None => is_ready(&self.bootstrap).then_some(Ok(())),
        });
        match ready.unwrap_or_else(|| Err(format!("no broker within {START_LIMIT:?}"))) {
            Ok(()) => Ok(jvm),
            Err(error) => {
                let error = format!("{error}\n{}", self.log_tail());
                Err(if error.contains("Address already in use") {
                    NotStarted::PortTaken(error)
                } else {
                    NotStarted::Failed(error)
                })
            }
        }
    }

    /// The first segment of a partition's log.
    pub fn log_segment(&self, topic: &str, partition: i32) -> Vec<u8> {
        let name = format!("data/{topic}-{partition}/00000000000000000000.log");
        fs::read(self.file(&name)).expect("a log segment")
    }

    /// Removes the logs of a topic.
    pub fn wipe(&self, topic: &str) {
        let logs = fs::read_dir(self.file("data")).expect("the broker's data");
        for log in logs {
            let log = log.expect("an entry");
            let name = log.file_name().to_string_lossy().into_owned();
            if name.rsplit_once('-').is_some_and(|(of, _)| of == topic) {
                fs::remove_dir_all(log.path()).expect("the log to be removed");
            }
        }
    }

    /// The end of what the last JVM logged, and of what it printed.
    pub fn log_tail(&self) -> String {
        let end_of = |path: &Path| {
            // A JVM that never came so far as to log has no file.
            let text = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL)..].join("\n")
        };
        format!(
            "--- the end of the broker's log:\n{}\n--- and of what its JVM printed:\n{}\n---",
            end_of(&self.log()),
            end_of(&self.printed())
        )
    }

    /// Writes the cluster id and the first metadata into the data directory.
    fn format(&self, cluster_id: &str, arguments: &[&str]) {
        let mut java = tools::bounded(START_LIMIT, "java");
        self.describe(&mut java);
        let output = java
            .args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"])
            .arg(self.file("server.properties"))
            .args(arguments)
            .output()
            .expect("java to start and end");
        assert!(
            output.status.success(),
            "the broker's storage could not be formatted ({}): {}{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.log_tail()
        );
    }

    /// The command for a JVM in the broker's network.
    fn java(&self) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new("java") };
        // `ip` becomes the JVM: its process id is the JVM's.
        let mut ip = Command::new("ip");
        ip.args(["netns", "exec", namespace, "java"]);
        ip
    }

    /// Gives `java` the arguments that the broker and its tool share.
    fn describe(&self, java: &mut Command) {
        let property = |name: &str, path: &Path| format!("-D{name}={}", path.display());
        java.args(JVM_ARGS)
            .arg(property("broker.log", &self.log()))
            .arg(property("log4j2.configurationFile", &self.file("log4j2.properties")))
            .arg("-cp")
            .arg(jars::directory().join("*"));
    }

    fn log(&self) -> PathBuf {
        self.file(&format!("log-{}", self.launches))
    }

    fn printed(&self) -> PathBuf {
        self.file(&format!("printed-{}", self.launches))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Whether the broker answers, and answers for all its partitions.
///
/// The connection comes first because it fails at once, whereas kcat takes a
/// second to find out that nobody listens.
fn is_ready(bootstrap: &str) -> bool {
    std::net::TcpStream::connect(bootstrap).is_ok() && kcat::all_end_offsets(bootstrap).is_ok()
}
