//! Where the lines come from: a file, stdin or a pipe, and in which form they are written.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::rc::Rc;
use std::sync::OnceLock;

use super::super::Problem;
use crate::exit::Exit;

/// Longest line that is read, bytes.
const LONGEST: u64 = 64 << 20;

/// Most bytes of a pipe that are kept on the disk, where several reports are held against it.
const MOST_KEPT: u64 = 64 << 30;

/// Bytes that are looked at to see what the input is.
const SNIFFED: usize = 1 << 16;

/// What begins like this is no text; what it is, and what makes text of it.
const PACKED: [(&[u8], &str); 9] = [
    (b"\x1f\x8b", "gzip: pipe it through zcat"),
    (b"\x28\xb5\x2f\xfd", "zstd: pipe it through zstdcat"),
    (b"\xfd7zXZ\0", "xz: pipe it through xzcat"),
    (b"BZh", "bzip2: pipe it through bzcat"),
    (b"PK\x03\x04", "zip: pipe it through unzip -p"),
    (b"PAR1", "Parquet: export it as CSV or NDJSON, as duckdb -csv does"),
    (b"SQLite format 3\0", "a SQLite database: export its rows with sqlite3 -header -csv"),
    (b"\xff\xfe", "UTF-16: pipe it through iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16: pipe it through iconv -f UTF-16 -t UTF-8"),
];

/// Lines, or the elements of a JSON array, from one place.
pub(super) struct Source {
    /// What errors call it.
    pub(super) name: String,
    reader: Box<dyn BufRead>,
    is_array: bool,
}

/// What came of reading a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There is one.
    Line,
    /// There is one that is longer than is read; it was passed over.
    TooLong,
    /// There are no more.
    End,
}

impl Source {
    /// Opens a file, or stdin for `-`. What can be read only once is kept, if it is asked for `again`.
    pub(super) fn open(path: &Path, again: bool) -> Result<Self, Problem> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
        let unread = |e: io::Error| (format!("cannot read {name}: {e}"), Exit::NoInput);
        let file = if is_stdin { None } else { Some(File::open(path).map_err(unread)?) };
        let is_once = match &file {
            Some(file) => !file.metadata().map_err(unread)?.is_file(),
            None => true,
        };
        let input: Box<dyn Read> = match file {
            file if again && is_once => {
                Box::new(kept(file).map_err(|e| (format!("{name}: {e}"), Exit::IoErr))?)
            }
            Some(file) => Box::new(file),
            None => Box::new(io::stdin()),
        };
        let mut reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(SNIFFED, input));
        let begin = reader.fill_buf().map_err(unread)?;
        if let Some((_, what)) = PACKED.iter().find(|(magic, _)| begin.starts_with(magic)) {
            return Err((format!("{name} is {what}"), Exit::DataErr));
        }
        if begin.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        let begin = reader.fill_buf().map_err(unread)?;
        let is_array = begin.trim_ascii_start().starts_with(b"[");
        Ok(Self { name, reader, is_array })
    }

    /// What numbers count.
    pub(super) fn unit(&self) -> &'static str {
        if self.is_array { "element" } else { "line" }
    }

    /// The next line without its end, or the next element of the array.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> Result<Next, Problem> {
        line.clear();
        let read = if self.is_array { self.element(line) } else { self.line(line) };
        read.map_err(|e| (format!("cannot read {}: {e}", self.name), Exit::Unavailable))
    }

    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<Next> {
        let read = (&mut self.reader).take(LONGEST).read_until(b'\n', line)? as u64;
        if read < LONGEST || line.ends_with(b"\n") {
            return Ok(if read == 0 { Next::End } else { Next::Line });
        }
        *line = Vec::new();
        self.reader.skip_until(b'\n')?;
        Ok(Next::TooLong)
    }

    /// An element ends where its brackets close. One that is too long is passed over.
    fn element(&mut self, element: &mut Vec<u8>) -> io::Result<Next> {
        let (mut depth, mut in_string, mut is_escaped, mut length) = (0_u32, false, false, 0_u64);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(if length == 0 { Next::End } else { Next::Line });
            }
            let mut taken = 0;
            let mut is_whole = false;
            for byte in buffer {
                taken += 1;
                let between = depth == 0 && length == 0;
                if between && (byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']')) {
                    continue;
                }
                if depth == 0 && !in_string && matches!(byte, b',' | b']') {
                    is_whole = true;
                    break;
                }
                length += 1;
                if length <= LONGEST {
                    element.push(*byte);
                }
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' if in_string => is_escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => {
                        depth = depth.saturating_sub(1);
                        if depth == 0 {
                            is_whole = true;
                            break;
                        }
                    }
                    _ => {}
                }
            }
            self.reader.consume(taken);
            if is_whole {
                if length > LONGEST {
                    *element = Vec::new();
                    return Ok(Next::TooLong);
                }
                return Ok(Next::Line);
            }
        }
    }

    /// The first line, as far as it is there to be looked at.
    pub(super) fn first_line(&mut self) -> Result<String, Problem> {
        let failed = |e| (format!("cannot read {}: {e}", self.name), Exit::Unavailable);
        let begin = self.reader.fill_buf().map_err(failed)?;
        let line = begin.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty());
        Ok(String::from_utf8_lossy(line.unwrap_or_default()).into_owned())
    }

    /// The rows of a table, its header first.
    pub(super) fn table(self, delimiter: u8) -> (String, csv::Reader<Bounded>, Rc<Bytes>) {
        let bytes = Rc::new(Bytes::default());
        let bounded = Bounded { reader: self.reader, bytes: Rc::clone(&bytes) };
        let is_plain = delimiter == b'|';
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(!is_plain)
            .trim(if is_plain { csv::Trim::All } else { csv::Trim::Headers })
            .flexible(true)
            .from_reader(bounded);
        (self.name, reader, bytes)
    }
}

/// What was read of a table.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    /// Bytes since the last row.
    pub(super) since_row: Cell<u64>,
    /// Whether the quotes so far are an odd number.
    pub(super) has_odd_quotes: Cell<bool>,
}

/// Refuses a row that is longer than a line may be: a quote that nothing closes.
pub(super) struct Bounded {
    reader: Box<dyn BufRead>,
    bytes: Rc<Bytes>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let quotes = buffer[..read].iter().filter(|byte| **byte == b'"').count();
        let Bytes { since_row, has_odd_quotes } = &*self.bytes;
        has_odd_quotes.set(has_odd_quotes.get() ^ (quotes % 2 == 1));
        since_row.set(since_row.get() + read as u64);
        if since_row.get() > LONGEST {
            let what = format!("a row has more than {LONGEST} bytes; is a quote not closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(read)
    }
}

/// A pipe's bytes, from the first one on, however often they are asked for.
fn kept(pipe: Option<File>) -> io::Result<File> {
    static KEPT: OnceLock<File> = OnceLock::new();
    let mut file = match KEPT.get() {
        Some(file) => file.try_clone()?,
        None => {
            let mut file = tempfile::tempfile()?;
            let mut limited: Box<dyn Read> = match pipe {
                Some(pipe) => Box::new(pipe.take(MOST_KEPT + 1)),
                None => Box::new(io::stdin().take(MOST_KEPT + 1)),
            };
            if io::copy(&mut limited, &mut file)? > MOST_KEPT {
                let what = "more than 64 GiB are not kept for several reports; give a file";
                return Err(io::Error::other(what));
            }
            KEPT.get_or_init(|| file).try_clone()?
        }
    };
    file.rewind()?;
    Ok(file)
}
