//! A file that is written as the run goes, and is at its place when it is whole.
//!
//! A regular file is written beside its place and moved there at the end. For stdout, a FIFO or a device
//! it is kept in a temporary file until then: a reader that stops must not stop the run.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files::{self, Target};

/// How long a line may wait before it is in the file.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// A file on its way.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    out: BufWriter<File>,
    /// The file beside its place, and that place.
    beside: Option<(tempfile::NamedTempFile, PathBuf)>,
    flushed: Instant,
}

impl Spool {
    /// Opens a file for `path`.
    ///
    /// # Errors
    /// The system's error for the path.
    pub fn create(path: &Path) -> io::Result<Self> {
        files::check_writable(path)?;
        let place = if files::is_stdout(path) { None } else { Some(files::target(path)?) };
        let (file, beside) = match place {
            Some(Target::Replaced(place)) => {
                let file = files::temporary(&place)?;
                (file.as_file().try_clone()?, Some((file, place)))
            }
            _ => (tempfile::tempfile()?, None),
        };
        Ok(Self { path: path.into(), out: BufWriter::new(file), beside, flushed: Instant::now() })
    }

    /// Puts the whole file at its place. A device, a FIFO or stdout can block for ever.
    ///
    /// # Errors
    /// The system's error.
    pub fn publish(self) -> io::Result<()> {
        let Self { path, out, beside, .. } = self;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        if let Some((named, place)) = beside {
            file.sync_all()?;
            return named.persist(place).map(drop).map_err(|error| error.error);
        }
        file.rewind()?;
        if files::is_stdout(&path) {
            let mut out = io::stdout().lock();
            io::copy(&mut file, &mut out)?;
            return out.flush();
        }
        let mut to = File::options().write(true).open(&path)?;
        io::copy(&mut file, &mut to).map(drop)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if self.flushed.elapsed() >= FLUSH_EVERY {
            self.out.flush()?;
            self.flushed = Instant::now();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_is_at_its_place_when_it_is_whole_and_on_the_disk_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.ndjson");
        fs::write(&path, "older").unwrap();
        let mut spool = Spool::create(&path).unwrap();
        spool.write_all(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "older");
        let beside = spool.beside.as_ref().unwrap().0.path().to_owned();
        spool.flushed = Instant::now().checked_sub(FLUSH_EVERY).unwrap();
        spool.write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&beside).unwrap(), "one\ntwo\n", "a crash leaves that");
        spool.write_all(b"three\n").unwrap();
        spool.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        assert!(!beside.exists());
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.ndjson");
        let mut spool = Spool::create(&path).unwrap();
        spool.write_all(b"one\n").unwrap();
        drop(spool);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_reader_that_waits_at_a_fifo_gets_all_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let mut spool = Spool::create(&path).unwrap();
        spool.write_all(b"one\n").unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path).unwrap()
        });
        spool.publish().unwrap();
        assert_eq!(reader.join().unwrap(), "one\n");
    }
}
