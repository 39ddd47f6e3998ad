//! Files of lines, each a JSON object: an answer key, and what a pipeline flagged.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::Problem;
use crate::exit::Exit;

/// Most bytes of a line: an incident of an answer key names a thousand GPUs in 64 KiB.
pub(super) const MOST_BYTES: u64 = 16 << 20;

/// Takes each line of a file, or of stdin for `-`, with its number; empty ones are left out.
///
/// # Errors
/// The file cannot be read, or a line is too long, or not what it must be: the error names it.
pub(super) fn each(
    path: &Path,
    take: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<(), Problem> {
    let name = path.display().to_string();
    let opened: io::Result<Box<dyn BufRead>> = if path == Path::new("-") {
        Ok(Box::new(BufReader::new(io::stdin())))
    } else {
        File::open(path)
            .map(|file| -> Box<dyn BufRead> { Box::new(BufReader::with_capacity(1 << 16, file)) })
    };
    let mut lines = Lines::of(opened.map_err(|e| unread(&name, &e))?);
    lines.each(&name, take)
}

pub(super) fn unread(name: &str, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::InvalidData => (format!("{name} {error}"), Exit::DataErr),
        _ => (format!("cannot read {name}: {error}"), Exit::NoInput),
    }
}

/// The lines of a file.
pub(super) struct Lines<R> {
    from: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(from: R) -> Self {
        Self { from, number: 0, line: Vec::new() }
    }

    /// The next line that is not empty, and its number from 1.
    fn advance(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            self.line.clear();
            self.number += 1;
            let from = self.from.by_ref();
            let read = from.take(MOST_BYTES + 1).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            if self.line.len() as u64 > MOST_BYTES {
                let problem =
                    format!("line {}: it is longer than {} MiB", self.number, MOST_BYTES >> 20);
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, &self.line)));
            }
        }
    }

    /// Takes each line.
    ///
    /// # Errors
    /// A line cannot be read, is too long, or is refused: the error names it.
    pub(super) fn each(
        &mut self,
        name: &str,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), String>,
    ) -> Result<(), Problem> {
        while let Some((number, line)) = self.advance().map_err(|e| unread(name, &e))? {
            take(number, line)
                .map_err(|problem| (format!("{name} line {number}: {problem}"), Exit::DataErr))?;
        }
        Ok(())
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().map(|line| line.map(|(number, line)| (number, line.to_vec())));
        next.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_no_more_memory_than_a_line_may_have() {
        let endless = BufReader::new(io::repeat(b'x').take(1 << 40));
        let (problem, exit) = Lines::of(endless).each("key", |_, _| Ok(())).unwrap_err();
        assert_eq!(
            (problem.as_str(), exit),
            ("key line 1: it is longer than 16 MiB", Exit::DataErr)
        );
    }

    #[test]
    fn empty_lines_are_counted_and_left_out() {
        let lines = Lines::of(&b"a\n \n\r\nb"[..]);
        let lines: Vec<_> = lines.map(Result::unwrap).collect();
        assert_eq!(lines, [(1, b"a\n".to_vec()), (4, b"b".to_vec())]);
    }
}
