//! Secrets that never touch the env file: the files of `$CREDENTIALS_DIRECTORY`.

use std::fs;
use std::io;
use std::path::Path;

use super::LoadError;
use super::properties::{self, Librdkafka};
use super::source::{Inputs, Key, Origin, Resolved, read_small_file};

/// Each file of `$CREDENTIALS_DIRECTORY` sets the librdkafka property that it is named as.
pub(super) fn credentials(
    inputs: &Inputs,
    librdkafka: Librdkafka,
) -> Result<Vec<Resolved>, LoadError> {
    let Some(directory) = inputs.variable("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()) else {
        return Ok(Vec::new());
    };
    let directory = Path::new(directory);
    let named_by = || Some("in CREDENTIALS_DIRECTORY".to_owned());
    let fail =
        |path: &Path, source| LoadError::File { path: path.into(), named_by: named_by(), source };
    let mut credentials = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| fail(directory, e))? {
        let path = entry.map_err(|e| fail(directory, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A Kubernetes secret volume keeps its data behind names that start with two dots.
        if name.starts_with('.') {
            continue;
        }
        let bytes = read_small_file(&path).map_err(|e| fail(&path, e))?;
        let value = String::from_utf8(bytes)
            .map_err(|_| fail(&path, io::Error::other("not valid UTF-8; expected text")))?;
        // An editor or `echo` ends the file with a newline that is no part of the secret.
        let value = value.strip_suffix('\n').unwrap_or(&value).to_owned();
        // A unit that loads an optional credential has an empty one in its stead.
        if value.is_empty() {
            continue;
        }
        let key = Key::Property(properties::named(&name, librdkafka));
        credentials.push(Resolved::new(key, value, Origin::Credential(name)));
    }
    Ok(credentials)
}
