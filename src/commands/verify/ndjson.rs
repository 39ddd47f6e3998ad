//! Files of lines, each a JSON object: an answer key, and what a pipeline flagged.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::Problem;
use crate::exit::Exit;

/// Takes each line of a file, or of stdin for `-`; empty ones are left out.
///
/// # Errors
/// The file cannot be read, or a line is not what it must be: the error names it.
pub(super) fn each<T: DeserializeOwned>(
    path: &Path,
    what: &str,
    mut take: impl FnMut(T) -> Result<(), String>,
) -> Result<(), Problem> {
    let name = path.display().to_string();
    let unread = |e: io::Error| (format!("cannot read {name}: {e}"), Exit::NoInput);
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, File::open(path).map_err(unread)?))
    };
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(unread)?;
        if line.trim().is_empty() {
            continue;
        }
        let parsed = serde_json::from_str(&line).map_err(|e| format!("it is no {what}: {e}"));
        parsed
            .and_then(&mut take)
            .map_err(|problem| (format!("{name} line {number}: {problem}"), Exit::DataErr))?;
    }
    Ok(())
}
