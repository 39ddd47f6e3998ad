//! What the process was given, and where a value came from.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::OFlags;

use super::parse::LogFormat;

/// What a variable's name starts with if it sets a librdkafka property.
pub(super) const PREFIX: &str = "RDKAFKA_";

/// Path of the env file, unless `VM4_PRODUCER_ENV` names another.
pub const DEFAULT_ENV_FILE: &str = "/etc/vm4-producer.env";

/// Names another env file; set in the process environment only.
pub const ENV_FILE_VARIABLE: &str = "VM4_PRODUCER_ENV";

/// More than any env file needs; a larger one is a mistake (a device, a log).
const FILE_MAX_BYTES: u64 = 1 << 20;

/// What the process was given: nothing below here reads the environment or the command line.
#[derive(Debug, Default, Clone)]
pub struct Inputs {
    /// Key and value of each flag on the command line; a property is named as it was typed.
    pub flags: Vec<(Key, OsString)>,
    /// The process environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Defaults of a command that differ from the program's.
    pub command_defaults: &'static [(&'static str, &'static str)],
    /// Stands in for [`DEFAULT_ENV_FILE`].
    pub default_env_file: Option<PathBuf>,
    /// The time from which an `EVENT_START` as in `-1h` counts.
    pub now: Timestamp,
    /// The settings of a run that is over, and the report that has them.
    pub past: Option<PastSettings>,
    /// What the systemd unit gives its process, where a command looks at it from outside.
    pub unit: Option<UnitInputs>,
}

/// What a systemd unit gives its process beside the env files.
#[derive(Clone, Default)]
pub struct UnitInputs {
    /// The unit.
    pub name: String,
    /// Its variables. Those of the process itself beat them.
    pub environment: Vec<(String, String)>,
    /// Its credentials, by the property that each is named as.
    pub credentials: Vec<(String, Vec<u8>)>,
}

/// The names alone: the values may be secrets.
impl fmt::Debug for UnitInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = self.environment.iter().map(|(name, _)| name);
        let credentials = self.credentials.iter().map(|(name, _)| name);
        f.debug_list().entry(&self.name).entries(variables).entries(credentials).finish()
    }
}

/// The settings of a run that is over. What decides the events beats all but a flag; the rest, such
/// as the way to the cluster, is beaten by every source of this process.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PastSettings {
    /// The report.
    pub path: PathBuf,
    /// Name, value, and whether somebody chose it.
    pub values: Vec<(String, String, bool)>,
}

impl Inputs {
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
    }

    /// `LOG_FORMAT` of flags and environment, for what is said where the settings are not valid.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        let flag = self.flags.iter().find(|(key, _)| key.name() == "LOG_FORMAT");
        let value =
            flag.map(|(_, value)| value.as_os_str()).or_else(|| self.variable("LOG_FORMAT"));
        if value.is_some_and(|value| value == "json") { LogFormat::Json } else { LogFormat::Text }
    }

    /// The main env file, and whether the user named it.
    #[must_use]
    pub fn env_file(&self) -> (PathBuf, bool) {
        match self.variable(ENV_FILE_VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => (path.into(), true),
            None => {
                let default = || PathBuf::from(DEFAULT_ENV_FILE);
                (self.default_env_file.clone().unwrap_or_else(default), false)
            }
        }
    }
}

/// The file of a profile: `NAME.env` in the directory named as the main file without its `.env`.
#[must_use]
pub fn profile_file(env_file: &Path, profile: &str) -> PathBuf {
    env_file.with_extension("").join(format!("{profile}.env"))
}

/// What a value is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The setting of this name: `SLEEP_SEC`.
    Setting(&'static str),
    /// The librdkafka property of this name: `linger.ms`.
    Property(String),
}

impl Key {
    /// The name of the setting or of the property itself.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Setting(name) => name,
            Self::Property(name) => name,
        }
    }
}

/// The name as a variable: `RDKAFKA_LINGER_MS`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name) => f.write_str(name),
            Self::Property(name) => {
                let upper = name.to_ascii_uppercase().replace(['.', '-'], "_");
                write!(f, "{}{upper}", PREFIX)
            }
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody chose it.
    Default,
    /// Nobody chose it; the command has its own default.
    CommandDefault,
    /// An env file, the main one or that of a profile.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// Line of the key, from 1.
        line: usize,
    },
    /// Nobody chose `BATCH`, and `DURATION_SEC` ends the run.
    NoLimit,
    /// `SLEEP_SEC`, which follows from `RATE`.
    Rate,
    /// The report of a run that is over.
    Report(PathBuf),
    /// The file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The environment of this systemd unit.
    Unit(String),
    /// The process environment.
    Environment,
    /// The command line; the flag as it is typed, without the value: `-X linger.ms`.
    Flag(String),
}

impl Origin {
    /// Whether the user chose the value.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        !matches!(self, Self::Default | Self::CommandDefault | Self::NoLimit | Self::Rate)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::CommandDefault => f.write_str("default of this command"),
            Self::NoLimit => f.write_str("no limit beside DURATION_SEC"),
            Self::EnvFile { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Rate => f.write_str("RATE"),
            Self::Report(path) => write!(f, "report {}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Unit(name) => write!(f, "the environment of {name}"),
            Self::Environment => f.write_str("the environment"),
            Self::Flag(typed) => write!(f, "flag {typed}"),
        }
    }
}

/// A value as text, and where it came from. A secret one cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What the value is for.
    pub key: Key,
    /// Where it came from.
    pub origin: Origin,
    value: String,
}

impl Resolved {
    pub(super) fn new(key: Key, value: String, origin: Origin) -> Self {
        Self { key, origin, value }
    }

    /// The value itself. That of a property is for librdkafka alone: it may be a secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The value as it may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.is_secret() { "(not shown)" } else { &self.value }
    }

    /// Whether the value must never be shown.
    pub(super) fn is_secret(&self) -> bool {
        let has_user = self.value.contains("://") && self.value.contains('@');
        match &self.key {
            // A URL may have a password in front of it.
            Key::Setting(name) => {
                has_user || (*name == "KAFKA_BOOTSTRAP" && self.value.contains('@'))
            }
            Key::Property(name) => {
                matches!(self.origin, Origin::Credential(_)) || has_user || may_hold_a_secret(name)
            }
        }
    }

    /// The key's name as the user wrote it, but for capitals.
    pub(super) fn written(&self) -> String {
        match self.origin {
            Origin::Flag(_) | Origin::Credential(_) => self.key.name().to_owned(),
            _ => self.key.to_string(),
        }
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} from {}", self.key, self.shown(), self.origin)
    }
}

/// Where a process finds what it has open already, as `<(command)` of a shell hands it over.
const OPEN_ALREADY: [&str; 3] = ["/dev/fd", "/dev/stdin", "/proc/self/fd"];

/// Reads an env file or a credential. It does not wait for somebody to write to a FIFO: the generator
/// would keep a boot waiting.
pub(super) fn read_small_file(path: &Path) -> io::Result<Vec<u8>> {
    let is_open = OPEN_ALREADY.iter().any(|directory| path.starts_with(directory));
    let flags = if is_open { 0 } else { OFlags::NONBLOCK.bits().cast_signed() };
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !is_open && file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is a FIFO; expected a file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::other("larger than 1 MiB, which no env file is"));
    }
    Ok(bytes)
}

/// Whether the name alone says that the value must never be shown.
#[must_use]
pub fn may_hold_a_secret(property: &str) -> bool {
    const PARTS: [&str; 7] =
        ["password", "secret", "passphrase", ".pem", "sasl.username", "oauthbearer.config", "jaas"];
    PARTS.iter().any(|part| property.contains(part))
}
