//! What is wrong with the settings, in words.

use std::fmt;
use std::path::PathBuf;

use super::definition;
use super::layers::Found;

/// A value that a setting cannot have. Its text names setting, value, source and expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The setting's name.
    pub name: String,
    /// The value; `None` where it may be a secret.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: String,
    /// Why the value is refused, where that says more than the expectation; else empty.
    pub because: String,
    /// What was expected.
    pub expected: String,
}

impl SettingError {
    pub(super) fn of_definition(found: &Found, name: &str, because: String) -> Self {
        let expected = definition(name).map_or("", |d| d.expected).to_owned();
        let Found { name, value, origin } = found.clone();
        Self { name, value: Some(value), origin, because, expected }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.value {
            // A long value is cut: the head is enough to find it.
            Some(value) if value.chars().count() > 80 => {
                write!(f, "{:?}...", value.chars().take(60).collect::<String>())?;
            }
            Some(value) => write!(f, "{value:?}")?,
            None => f.write_str("the value")?,
        }
        write!(f, " from {} is not valid: ", self.origin)?;
        if !self.because.is_empty() {
            write!(f, "{}; ", self.because)?;
        }
        write!(f, "expected {}", self.expected)
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Values that are not valid, each with its own text.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<SettingError>),
    /// An env file that breaks the syntax or holds an unknown key.
    #[error("{}: {problem}", path.display())]
    EnvFile {
        /// The env file.
        path: PathBuf,
        /// Line and problem.
        problem: String,
    },
    /// An env file or a credential that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
