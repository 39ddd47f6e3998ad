//! How this program is called, for a line that is to be typed.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Its name where the shell finds this very program under it; else the path by which it was started.
#[must_use]
pub fn as_typed() -> String {
    const NAME: &str = "vm4-producer";
    let Ok(own) = env::current_exe() else { return NAME.to_owned() };
    let id = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let is_own = |path: &Path| id(path).is_some() && id(path) == id(&own);
    let path = env::var_os("PATH").unwrap_or_default();
    let first = env::split_paths(&path).map(|directory| directory.join(NAME)).find(|p| p.is_file());
    if first.is_some_and(|found| is_own(&found)) {
        return NAME.to_owned();
    }
    let typed = env::args_os().next().map(std::path::PathBuf::from);
    let typed = typed.filter(|typed| typed.components().count() > 1 && is_own(typed));
    quoted(&typed.unwrap_or(own).to_string_lossy())
}

/// A word for a shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:,@%+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
