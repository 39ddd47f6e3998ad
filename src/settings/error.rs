//! What is wrong with the settings, in words.

use std::path::PathBuf;
use std::{fmt, io};

use super::source::{Origin, Resolved};
use super::{definition, suggest};

/// A value that a setting cannot have. Its text names setting, value, source and expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The name of the setting or the property, as the user wrote it.
    pub name: String,
    /// The value; `None` if it may be a secret.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
    /// Why the value is refused, if that says more than the expectation.
    pub because: Option<String>,
    /// What was expected.
    pub expected: &'static str,
}

impl SettingError {
    pub(super) fn new(
        resolved: &Resolved,
        because: Option<String>,
        expected: &'static str,
    ) -> Self {
        let whole = resolved.expose();
        let (value, because) = match whole.split_once('\n') {
            // What follows may be an assignment of a secret.
            Some((first, _)) => {
                (first, Some("it has more than one line; a quote may be open".into()))
            }
            None => (whole, because),
        };
        Self {
            name: resolved.written(),
            value: (!resolved.is_secret()).then(|| value.to_owned()),
            origin: resolved.origin.clone(),
            because,
            expected,
        }
    }

    pub(super) fn of_definition(resolved: &Resolved, because: Option<String>) -> Self {
        let definition = definition(resolved.key.name());
        let expected = definition.map_or("", |d| d.expected);
        let words = definition.map_or(&[][..], |d| d.words);
        let because = of_a_shell(resolved).or(because).or_else(|| hint(resolved, words));
        Self::new(resolved, because, expected)
    }
}

/// What a shell would take for something else than a value, whatever is wrong with the value then.
fn of_a_shell(refused: &Resolved) -> Option<String> {
    let value = refused.expose();
    let is_in_file = matches!(refused.origin, Origin::EnvFile { .. });
    if is_in_file && (value.contains(" #") || value.contains("# ")) {
        return Some("a comment needs a line of its own".into());
    }
    let is_variable = value.contains("${") || value.contains("$(");
    (is_in_file && is_variable)
        .then(|| "nothing is expanded in an env file; write the value".into())
}

/// What a value that is not even explained was probably meant to be.
fn hint(refused: &Resolved, words: &[&'static str]) -> Option<String> {
    let value = refused.expose();
    let is_time = refused.key.name().ends_with("_SEC") || refused.key.name() == "RATE";
    if is_time && let Some((whole, rest)) = value.split_once(',') {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits(whole) && digits(rest) {
            return Some(format!("it has a decimal comma; write {whole}.{rest}"));
        }
    }
    let word = suggest::word(value, words.iter().copied())?;
    Some(format!("perhaps you mean {word:?}"))
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin == Origin::Default && self.value.as_deref() == Some("") {
            write!(f, "{} is not set: ", self.name)?;
            self.because.iter().try_for_each(|because| write!(f, "{because}; "))?;
            return write!(f, "expected {}", self.expected);
        }
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
        if let Some(because) = &self.because {
            write!(f, "{because}; ")?;
        }
        write!(f, "expected {}", self.expected)
    }
}

/// What gives this process the right to read a file that it may not read; empty for other errors. A
/// unit has another user than whoever edits its files.
#[must_use]
pub fn lacking_rights(error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let uid = rustix::process::geteuid().as_raw();
    format!("; UID {uid} needs `chmod a+r` on the file, and `chmod a+x` on its directories")
}

/// A key of an env file that sets nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: line {line}: unknown key {key:?}; {hint}", path.display())]
pub struct UnknownKey {
    /// The env file.
    pub path: PathBuf,
    /// Line of the key, from 1.
    pub line: usize,
    /// The key as it stands there, if it looks like one. Its value is not kept: it may be a secret.
    pub key: String,
    /// What was probably meant, or what is expected.
    pub hint: String,
}

/// All that is wrong with what the sources say, so that one look is enough to put it right.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems {
    /// Keys that are none, in the order of the files.
    pub unknown: Vec<UnknownKey>,
    /// Values that are not valid.
    pub values: Vec<SettingError>,
}

impl Problems {
    /// These values if nothing is wrong.
    pub(super) fn unless_any<T>(self, good: Option<T>) -> Result<T, LoadError> {
        match good {
            Some(good) if self == Self::default() => Ok(good),
            _ => Err(LoadError::Settings(self)),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = self.unknown.iter().map(ToString::to_string);
        let texts: Vec<_> = unknown.chain(self.values.iter().map(ToString::to_string)).collect();
        f.write_str(&texts.join("\n"))
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Unknown keys and values that are not valid, a line each.
    #[error("{0}")]
    Settings(Problems),
    /// An env file that breaks the syntax.
    #[error("{}: {problem}", path.display())]
    EnvFile {
        /// The env file.
        path: PathBuf,
        /// Line and problem.
        problem: String,
    },
    /// An env file or a credential that cannot be read.
    #[error("cannot read {}{}: {source}{}", path.display(), named_by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default(), lacking_rights(source))]
    File {
        /// The file.
        path: PathBuf,
        /// The setting that names it, with its source.
        named_by: Option<String>,
        /// What the system says.
        source: io::Error,
    },
    /// The sources cannot be merged, which is a mistake in the program.
    #[error("cannot merge the settings: {0}")]
    Merge(#[from] Box<figment::Error>),
}
