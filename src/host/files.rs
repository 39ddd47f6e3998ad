//! The files that are read and written: seed file, report, env file.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::settings::Settings;
use crate::workload::seed::{self, Seed, SeedError};

/// Why there is no seed to run with.
#[derive(Debug, thiserror::Error)]
pub enum SeedFileError {
    /// The file cannot be read.
    #[error("cannot read the seed file {} (GPU_SEED from {origin}): {problem}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where its path came from.
        origin: String,
        /// What is the matter.
        problem: String,
    },
    /// The file is not a valid seed.
    #[error("{}: {error}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: SeedError,
    },
}

/// Where a seed came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeedSource {
    /// This file.
    File(PathBuf),
    /// The copy in the program: this default file does not exist.
    BuiltIn(PathBuf),
}

impl std::fmt::Display for SeedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::BuiltIn(path) => write!(f, "built-in copy ({} does not exist)", path.display()),
        }
    }
}

/// Reads the seed file of the settings, or the built-in copy where the default file is absent.
///
/// # Errors
/// [`SeedFileError`], which names the file.
pub fn seed(settings: &Settings) -> Result<(Seed, SeedSource), SeedFileError> {
    let path = settings.gpu_seed.clone();
    let (bytes, source) = match read_seed(&path) {
        Ok(bytes) => (bytes, SeedSource::File(path.clone())),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !settings.is_set("GPU_SEED") => {
            (seed::BUILT_IN.into(), SeedSource::BuiltIn(path.clone()))
        }
        Err(e) => {
            let origin = settings.found("GPU_SEED").map(|f| f.origin.clone()).unwrap_or_default();
            return Err(SeedFileError::Unreadable { path, origin, problem: e.to_string() });
        }
    };
    let parsed = if bytes.len() as u64 > seed::MAX_BYTES {
        let problem = format!("larger than {} MiB; expected one row a GPU", seed::MAX_BYTES >> 20);
        Err(SeedError { line: 1, row: None, field: None, problem })
    } else {
        seed::parse(&bytes)
    };
    let seed = parsed.map_err(|error| SeedFileError::Invalid { path, error })?;
    Ok((seed, source))
}

fn read_seed(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory; expected a file"));
    }
    // Opening a pipe that nobody writes to would wait for ever.
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(seed::MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a report can be written to `path`, found out before the run and not after.
///
/// # Errors
/// What the system says.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if replaces(path)? { temporary(path).map(drop) } else { open_special(path).map(drop) }
}

/// Writes a file so that it is there as a whole or not at all.
///
/// # Errors
/// What the system says.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    if !replaces(path)? {
        return open_special(path)?.write_all(content);
    }
    let mut file = temporary(path)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

/// Writes a file anew, as a whole or not at all, with the mode and owner that it had. A link stays.
///
/// # Errors
/// What the system says.
pub fn rewrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return write_atomically(path, content),
        path => path?,
    };
    let before = fs::metadata(&path)?;
    let mut file = temporary(&path)?;
    std::os::unix::fs::fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
    file.as_file().set_permissions(before.permissions())?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

/// Whether `path` is to be replaced: a device or a pipe is written to instead.
fn replaces(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::Error::other("it is a directory")),
        Ok(metadata) => Ok(metadata.is_file()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}

fn open_special(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).open(path)
}

fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(".vm4-producer-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)
}
