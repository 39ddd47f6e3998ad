//! Reads and writes files: seed file, report, env file.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};

use super::signals::Stop;
use crate::exit::Signal;
use crate::settings::{Settings, lacking_rights};
use crate::workload::doubts;
use crate::workload::seed::{self, Seed, SeedError};

/// Why a run has no seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedFileError {
    /// The file cannot be read.
    #[error("cannot read the seed file {} (GPU_SEED from {origin}): {problem}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where its path came from.
        origin: String,
        /// The error.
        problem: String,
    },
    /// A signal came before a pipe had given all of it.
    #[error("{}: before the seed file {} had been read", signal.name(), path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
        /// The signal.
        signal: Signal,
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
    /// The built-in copy, because this default file does not exist.
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

/// Reads the seed file of the settings, or the built-in copy if the default file is absent. A command
/// that listens to signals passes its `stop`: a pipe may keep it waiting.
///
/// # Errors
/// [`SeedFileError`], which names the file.
pub fn seed(settings: &Settings, stop: Option<&Stop>) -> Result<(Seed, SeedSource), SeedFileError> {
    let path = settings.gpu_seed.clone();
    let signal = || stop.and_then(|stop| stop.received().first);
    let (bytes, source) = match read_seed(&path, || signal().is_some()) {
        Ok(bytes) => (bytes, SeedSource::File(path.clone())),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !settings.is_set("GPU_SEED") => {
            (seed::BUILT_IN.into(), SeedSource::BuiltIn(path.clone()))
        }
        Err(e)
            if e.kind() == io::ErrorKind::Interrupted
                && let Some(signal) = signal() =>
        {
            return Err(SeedFileError::Stopped { path, signal });
        }
        Err(e) => {
            let origin =
                settings.resolved("GPU_SEED").map(|r| r.origin.to_string()).unwrap_or_default();
            let problem = format!("{e}{}", lacking_rights(&e));
            return Err(SeedFileError::Unreadable { path, origin, problem });
        }
    };
    let parsed = if bytes.len() as u64 > seed::MAX_BYTES {
        let problem = format!("larger than {} MiB; expected one row a GPU", seed::MAX_BYTES >> 20);
        Err(SeedError { line: 1, row: None, field: None, problem })
    } else {
        seed::parse(&bytes)
    };
    let mut seed = parsed.map_err(|error| SeedFileError::Invalid { path, error })?;
    seed.warnings.extend(doubts(&seed.rows));
    Ok((seed, source))
}

/// How long a seed may take to come through a pipe.
const SEED_WITHIN: Duration = Duration::from_secs(10);

/// How often a wait for it looks for a signal.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Reads a seed file, or what it is made of; `-` is stdin. A signal, which `is_stopped` tells of, ends
/// the wait for a pipe.
///
/// # Errors
/// The system's, or what the path leads to is no file and no pipe.
pub fn read_seed(path: &Path, is_stopped: impl Fn() -> bool) -> io::Result<Vec<u8>> {
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory; expected a file"));
    }
    if metadata.is_file() {
        return read_whole_seed(path);
    }
    if !metadata.file_type().is_fifo() {
        return Err(io::Error::other("it is neither a regular file nor a pipe"));
    }
    // Opening a FIFO that nobody writes to blocks for ever.
    let (path, (done, read)) = (path.to_owned(), sync_channel(1));
    let work = move || {
        let _late = done.send(read_whole_seed(&path));
    };
    std::thread::Builder::new().name("seed".into()).spawn(work)?;
    let deadline = Instant::now() + SEED_WITHIN;
    loop {
        if let Ok(read) = read.recv_timeout(LOOK_EVERY) {
            return read;
        }
        if is_stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if Instant::now() >= deadline {
            let problem = format!("nobody wrote all of it within {} s", SEED_WITHIN.as_secs());
            return Err(io::Error::other(problem));
        }
    }
}

fn read_whole_seed(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(seed::MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks before the run whether a report can be written to `path`.
///
/// It does not open a FIFO: that would block until a reader comes, and a reader that already waits
/// would see the end of the file.
///
/// # Errors
/// The system's error for the path.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if is_stdout(path) {
        return if stdout_leads_nowhere() {
            Err(io::Error::other("stdout is closed, or is a /dev/null that can be read too"))
        } else {
            Ok(())
        };
    }
    match target(path)? {
        Target::Replaced(path) => temporary(&path).map(drop),
        Target::Fifo => Ok(rustix::fs::access(path, Access::WRITE_OK)?),
        // Without this, opening a terminal line would wait for its carrier.
        Target::Device => {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            Ok(rustix::fs::open(path, flags, Mode::empty()).map(drop)?)
        }
    }
}

/// Whether two paths lead to one file or pipe, of which one would overwrite or mix with the other: by
/// another name, through a link, or as the file that stdout goes to. A device takes whatever comes.
#[must_use]
pub fn is_one_place(a: &Path, b: &Path) -> bool {
    match (is_stdout(a), is_stdout(b)) {
        (true, true) => true,
        (true, false) => is_where_stdout_goes(b),
        (false, true) => is_where_stdout_goes(a),
        (false, false) => place(a).is_some_and(|of_a| place(b) == Some(of_a)),
    }
}

/// Whether stdout goes to the file or pipe of this path.
fn is_where_stdout_goes(path: &Path) -> bool {
    let inode = |path: &Path| {
        let there = fs::metadata(path).ok()?;
        let is_kept = there.is_file() || there.file_type().is_fifo();
        is_kept.then(|| (there.dev(), there.ino()))
    };
    inode(path).is_some_and(|there| inode(Path::new("/proc/self/fd/1")) == Some(there))
}

/// What a path leads to: the place in a directory, or the inode of a FIFO; `None` for a device, and
/// for what cannot be told.
fn place(path: &Path) -> Option<(PathBuf, Option<(u64, u64)>)> {
    match target(path).ok()? {
        Target::Device => None,
        Target::Fifo => {
            let there = fs::metadata(path).ok()?;
            Some((PathBuf::new(), Some((there.dev(), there.ino()))))
        }
        Target::Replaced(path) => {
            let directory = fs::canonicalize(directory_of(&path)).ok()?;
            Some((directory.join(path.file_name()?), None))
        }
    }
}

/// Whether the path leads to a file, or to nothing yet: what is written there can be replaced.
#[must_use]
pub fn is_replaced(path: &Path) -> bool {
    !is_stdout(path) && matches!(target(path), Ok(Target::Replaced(_)))
}

/// Writes a report. A file is replaced atomically; writing to a device, a FIFO or stdout can block
/// for ever.
///
/// # Errors
/// The system's error for the path.
pub fn write_report(path: &Path, content: &[u8]) -> io::Result<()> {
    if is_stdout(path) {
        let mut out = io::stdout().lock();
        out.write_all(content).and_then(|()| out.flush())?;
        release_stdout();
        return Ok(());
    }
    write_atomically(path, content)
}

/// Whether the path names the standard output of this process.
#[must_use]
pub fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Lets a reader of stdout see its end, though the process goes on: whoever reads all of it before
/// the next output would wait for ever.
pub fn release_stdout() {
    let null = fs::File::options().write(true).open("/dev/null");
    // Without it the reader waits for the end of the process.
    let _open_still = null.and_then(|null| Ok(rustix::stdio::dup2_stdout(&null)?));
}

/// Whether stdout was closed at the start of the process. The standard library has then opened
/// /dev/null in its place, for reading and writing, which no shell does for `>/dev/null`.
fn stdout_leads_nowhere() -> bool {
    let both_ways = rustix::fs::fcntl_getfl(io::stdout())
        .is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR);
    both_ways && is_null("/proc/self/fd/1")
}

/// Whether the path leads to /dev/null.
pub(super) fn is_null(path: &str) -> bool {
    let device = |path: &str| {
        let there = fs::metadata(path).ok().filter(|there| there.file_type().is_char_device());
        there.map(|there| there.rdev())
    };
    device(path).is_some_and(|found| device("/dev/null") == Some(found))
}

/// Replaces a file atomically.
fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let Target::Replaced(path) = target(path)? else {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    };
    let mut new = Replacement::of(path)?;
    new.file.write_all(content)?;
    new.put()
}

/// A file that is to take a place. Where the file system allows it, it has no name until then, so that a
/// process that is killed leaves nothing behind.
#[derive(Debug)]
pub(super) struct Replacement {
    /// What is written into it.
    pub(super) file: fs::File,
    /// Its own name beside the place, if it has to have one.
    named: Option<tempfile::NamedTempFile>,
    place: PathBuf,
}

impl Replacement {
    /// An empty file for this place.
    pub(super) fn of(place: PathBuf) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(NEW_FILE);
        if let Ok(file) = rustix::fs::open(directory_of(&place), flags, mode) {
            return Ok(Self { file: file.into(), named: None, place });
        }
        let named = temporary(&place)?;
        Ok(Self { file: named.as_file().try_clone()?, named: Some(named), place })
    }

    /// Puts the whole file at its place.
    pub(super) fn put(self) -> io::Result<()> {
        let Self { mut file, named, place } = self;
        file.sync_all()?;
        let named = match named.map_or_else(|| name(&file, &place), Ok) {
            Ok(named) => named,
            // Without /proc it cannot be given a name.
            Err(_) => {
                let mut named = temporary(&place)?;
                file.rewind()?;
                io::copy(&mut file, &mut named)?;
                named.as_file().sync_all()?;
                named
            }
        };
        named.persist(place).map(drop).map_err(|error| error.error)
    }
}

/// Gives a file without a name one beside this place.
fn name(file: &fs::File, place: &Path) -> io::Result<tempfile::NamedTempFile> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |name: &Path| {
        rustix::fs::linkat(CWD, &own, CWD, name, AtFlags::SYMLINK_FOLLOW)?;
        file.try_clone()
    };
    tempfile::Builder::new().prefix(PREFIX).make_in(directory_of(place), link)
}

/// Rewrites a file atomically, with the mode and owner that it had. If the path is a link, the link
/// stays.
///
/// # Errors
/// The system's error for the path.
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

/// What is at the path of an output file.
pub(super) enum Target {
    /// A file, or nothing; it is replaced atomically. A link to a file stays.
    Replaced(PathBuf),
    /// A FIFO.
    Fifo,
    /// A device, or something like it.
    Device,
}

pub(super) fn target(path: &Path) -> io::Result<Target> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(io::Error::other("it is a directory")),
        Ok(there) if there.is_file() => Ok(match fs::canonicalize(path) {
            Ok(path) => Target::Replaced(path),
            // An open file without a name, as /proc/self/fd can contain.
            Err(_) => Target::Device,
        }),
        Ok(there) if there.file_type().is_fifo() => Ok(Target::Fifo),
        Ok(_) => Ok(Target::Device),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Target::Replaced(path.into())),
        Err(e) => Err(e),
    }
}

/// Whether an output goes to a reader, who may come late or never, and not to a file.
#[must_use]
pub fn is_stream(path: &Path) -> bool {
    is_stdout(path) || matches!(target(path), Ok(Target::Fifo | Target::Device))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the name of a file begins with that is not at its place yet.
const PREFIX: &str = ".vm4-producer-";

/// The mode of a new file, but for the umask.
const NEW_FILE: u32 = 0o644;

fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let directory = directory_of(path);
    let created = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(fs::Permissions::from_mode(NEW_FILE))
        .tempfile_in(directory);
    created.map_err(|error| {
        let text = error.to_string();
        // The name of a file that is not there would tell nobody anything.
        let problem = text.split(" at path ").next().unwrap_or_default();
        io::Error::new(error.kind(), problem)
    })
}
