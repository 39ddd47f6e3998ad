//! A file that is written as the run goes, and is at its place when it is whole.
//!
//! A regular file is written without a name, or beside its place, and moved there at the end. For stdout, a FIFO or a device
//! it is kept in a temporary file until then: a reader that stops must not stop the run.
//!
//! A disk that hangs must not either. So a thread writes, and whoever has a line hands it over; at most
//! `MOST_WAITING` pieces of `PIECE` bytes wait for that thread. A disk that takes none of them for
//! `PATIENCE` is given up, and with it the file.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::files::{self, Replacement, Target};
use super::signals::Stop;

/// How long a line may wait before it is handed over to be written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Bytes that are handed over at a time, about.
const PIECE: usize = 1 << 16;

/// How many pieces may wait to be written: 8 MiB.
const MOST_WAITING: usize = 128;

/// How long a disk may take nothing. Writing back to a busy one takes seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two looks whether a piece can be handed over.
const RETRY: Duration = Duration::from_millis(5);

/// A file on its way.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    out: Background,
    /// The same file, if it is to take a place.
    replacement: Option<Replacement>,
}

impl Spool {
    /// Opens a file for `path`. A signal to `stop`, if there is one, ends the wait for a disk that
    /// hangs.
    ///
    /// # Errors
    /// The system's error for the path, or there is no thread for it.
    pub fn create(path: &Path, stop: Option<Stop>) -> io::Result<Self> {
        files::check_writable(path)?;
        let place = if files::is_stdout(path) { None } else { Some(files::target(path)?) };
        let (file, replacement) = match place {
            Some(Target::Replaced(place)) => {
                let new = Replacement::of(place)?;
                (new.file.try_clone()?, Some(new))
            }
            _ => (tempfile::tempfile()?, None),
        };
        let out = Background::start(file.try_clone()?, stop)?;
        Ok(Self { path: path.into(), file, out, replacement })
    }

    /// Whether it goes to a reader, who may come late or never, and not to a file.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.replacement.is_none()
    }

    /// Puts the whole file at its place. A device, a FIFO or stdout can block for ever.
    ///
    /// # Errors
    /// The system's error.
    pub fn publish(self) -> io::Result<()> {
        let Self { path, mut file, out, replacement } = self;
        out.finish()?;
        if let Some(replacement) = replacement {
            return replacement.put();
        }
        file.rewind()?;
        if files::is_stdout(&path) {
            let mut out = io::stdout().lock();
            io::copy(&mut file, &mut out)?;
            out.flush()?;
            files::release_stdout();
            return Ok(());
        }
        let mut to = File::options().write(true).open(&path)?;
        io::copy(&mut file, &mut to).map(drop)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.hand_over()
    }
}

/// Writes on a thread.
#[derive(Debug)]
struct Background {
    /// What is not handed over yet.
    piece: Vec<u8>,
    handed_over: Instant,
    pieces: SyncSender<Vec<u8>>,
    /// `None` once its error has been told.
    thread: Option<JoinHandle<io::Result<()>>>,
    stop: Option<Stop>,
}

impl Background {
    fn start(mut to: impl Write + Send + 'static, stop: Option<Stop>) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(MOST_WAITING);
        let work = move || {
            waiting.iter().try_for_each(|piece| to.write_all(&piece))?;
            to.flush()
        };
        let thread = std::thread::Builder::new().name("spool".into()).spawn(work)?;
        let (piece, handed_over, thread) = (Vec::new(), Instant::now(), Some(thread));
        Ok(Self { piece, handed_over, pieces, thread, stop })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE || self.handed_over.elapsed() >= FLUSH_EVERY {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Hands over what was written so far; waits as long as the disk has patience for.
    fn hand_over(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let (mut piece, since) = (std::mem::take(&mut self.piece), Instant::now());
        loop {
            piece = match self.pieces.try_send(piece) {
                Ok(()) => break,
                Err(TrySendError::Full(piece)) => piece,
                // The thread has ended with an error.
                Err(TrySendError::Disconnected(_)) => {
                    return self.ended().and_then(|()| {
                        Err(io::Error::other("it could not be written to the disk"))
                    });
                }
            };
            let signal = self.stop.as_ref().and_then(|stop| stop.received().first);
            if since.elapsed() >= PATIENCE || signal.is_some() {
                let ms = since.elapsed().as_millis();
                let problem = format!("the disk has taken nothing of it for {ms} ms");
                return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
            }
            std::thread::sleep(RETRY);
        }
        self.handed_over = Instant::now();
        Ok(())
    }

    /// How its thread ended, once.
    fn ended(&mut self) -> io::Result<()> {
        let written = self.thread.take().map_or(Ok(Ok(())), JoinHandle::join);
        written.unwrap_or_else(|_| Err(io::Error::other("its thread failed")))
    }

    /// Waits until all is written.
    fn finish(mut self) -> io::Result<()> {
        let handed_over = self.hand_over();
        // Without a sender the thread comes to its end.
        self.pieces = sync_channel(0).0;
        if handed_over.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return handed_over;
        }
        // What the system said is more to the point.
        self.ended().and(handed_over)
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
        let mut spool = Spool::create(&path, None).unwrap();
        spool.write_all(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "older");
        spool.out.handed_over = Instant::now().checked_sub(FLUSH_EVERY).unwrap();
        spool.write_all(b"two\n").unwrap();
        while spool.file.metadata().unwrap().len() < 8 {
            std::thread::yield_now();
        }
        let names = || fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names(), 1, "nothing is beside it that a killed process would leave");
        spool.write_all(b"three\n").unwrap();
        spool.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(names(), 1);
    }

    /// A disk that hangs until somebody lets go, and then takes all or fails.
    struct Hung(std::sync::mpsc::Receiver<io::Result<()>>);

    impl Write for Hung {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().unwrap_or(Ok(()))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_stops_nobody_and_takes_no_more_memory_than_there_is_for_it() {
        let (let_go, hung) = std::sync::mpsc::channel();
        let (stopper, stop) = Stop::channel();
        let mut out = Background::start(Hung(hung), Some(stop)).unwrap();
        // One piece is with the disk, the others wait.
        let mut given = 0;
        let line = [b'.'; 1024];
        stopper.send(crate::exit::Signal::Terminate);
        let refused = loop {
            match out.write(&line) {
                Ok(()) => given += line.len(),
                Err(error) => break error,
            }
        };
        assert!(refused.to_string().contains("the disk has taken nothing of it for "), "{refused}");
        assert!((PIECE * MOST_WAITING..=PIECE * (MOST_WAITING + 2)).contains(&given), "{given}");
        drop(let_go);
    }

    #[test]
    fn an_error_of_the_disk_is_told_at_the_end() {
        let (let_go, hung) = std::sync::mpsc::channel();
        let mut out = Background::start(Hung(hung), None).unwrap();
        out.write(b"one").unwrap();
        let_go.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        let error = out.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.ndjson");
        let mut spool = Spool::create(&path, None).unwrap();
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
        let mut spool = Spool::create(&path, None).unwrap();
        spool.write_all(b"one\n").unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path).unwrap()
        });
        spool.publish().unwrap();
        assert_eq!(reader.join().unwrap(), "one\n");
    }
}
