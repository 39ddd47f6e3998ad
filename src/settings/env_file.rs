//! The syntax of systemd's `EnvironmentFile=`, read to the same values as systemd reads it.
//!
//! The program reads the file itself, so that a value means the same in a unit, in a shell and in
//! a container. The grammar follows systemd 254 and later state by state; where systemd drops an
//! assignment with a line in the journal, this reader stops with an error that names the line.

use std::mem;
use std::ops::Range;

use super::definition;

/// One `KEY=value` of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The key, white space around it removed.
    pub key: String,
    /// The value, quotes and escapes resolved.
    pub value: String,
    /// Line on which the key stands, from 1.
    pub line: usize,
    /// Bytes from the key to the end of the value, without the newline.
    pub span: Range<usize>,
}

/// What is wrong with an env file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvFileError {
    /// The bytes are not UTF-8.
    #[error("line {line}: not valid UTF-8; expected UTF-8 text")]
    NotUtf8 {
        /// Line of the first byte that is not UTF-8, from 1.
        line: usize,
    },
    /// The file starts with a byte order mark.
    #[error("line 1: starts with a byte order mark; expected plain UTF-8 without one")]
    ByteOrderMark,
    /// A line holds text but no `=`.
    #[error(
        "line {line}: {} has no \"=\"; expected KEY=value, or \"#\" before a comment",
        key.as_ref().map_or("it".to_owned(), |key| format!("\"{key} ...\""))
    )]
    NoEqualsSign {
        /// Line of the text, from 1.
        line: usize,
        /// Its first word, if that is a setting. The rest may be a secret.
        key: Option<&'static str>,
    },
    /// The value holds a control character, which systemd does not accept.
    #[error("line {line}: the value of {key} holds a control character; expected printable text")]
    ControlCharacter {
        /// Line of the key, from 1.
        line: usize,
        /// The key.
        key: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    PreKey,
    Key,
    PreValue,
    Value,
    ValueEscape,
    SingleQuote,
    DoubleQuote,
    DoubleQuoteEscape,
    Comment,
    CommentEscape,
}

/// Reads the assignments of an env file, in the file's order; of a repeated key all are returned.
///
/// # Errors
/// [`EnvFileError`] for what systemd would drop or misread: it names the line.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Assignment>, EnvFileError> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        EnvFileError::NotUtf8 { line: 1 + before.iter().filter(|b| **b == b'\n').count() }
    })?;
    if text.starts_with('\u{feff}') {
        return Err(EnvFileError::ByteOrderMark);
    }
    let mut reader = Reader::default();
    for (offset, c) in text.char_indices() {
        reader.offset = offset;
        reader.take(c)?;
        if c == '\n' {
            reader.line += 1;
        }
    }
    reader.offset = text.len();
    reader.finish()
}

/// The state machine: one character at a time, as systemd's `parse_env_file_internal()` does it.
struct Reader {
    state: State,
    line: usize,
    key_line: usize,
    /// Of the character at hand, in bytes.
    offset: usize,
    key_offset: usize,
    key: String,
    value: String,
    /// Length of `value` up to its last character that is not unquoted trailing white space.
    kept: usize,
    assignments: Vec<Assignment>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            state: State::PreKey,
            line: 1,
            key_line: 1,
            offset: 0,
            key_offset: 0,
            key: String::new(),
            value: String::new(),
            kept: 0,
            assignments: Vec::new(),
        }
    }
}

fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn is_white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

impl Reader {
    fn take(&mut self, c: char) -> Result<(), EnvFileError> {
        self.state = match self.state {
            State::PreKey | State::Key => return self.take_key(c),
            State::PreValue | State::Value => return self.take_value(c),
            State::ValueEscape => {
                // An escaped newline is a continuation: both characters disappear.
                if !is_newline(c) {
                    self.push_kept(c);
                }
                State::Value
            }
            State::SingleQuote if c == '\'' => State::PreValue,
            State::DoubleQuote if c == '"' => State::PreValue,
            State::DoubleQuote if c == '\\' => State::DoubleQuoteEscape,
            State::SingleQuote | State::DoubleQuote => {
                self.push_kept(c);
                self.state
            }
            State::DoubleQuoteEscape => {
                // As in a shell: only these four are unescaped, before others the backslash stays.
                if !matches!(c, '"' | '\\' | '`' | '$' | '\n') {
                    self.push_kept('\\');
                }
                if c != '\n' {
                    self.push_kept(c);
                }
                State::DoubleQuote
            }
            State::Comment if c == '\\' => State::CommentEscape,
            // Since systemd 254 a backslash at the end of a comment does not continue it.
            State::Comment | State::CommentEscape if is_newline(c) => State::PreKey,
            State::Comment | State::CommentEscape => State::Comment,
        };
        Ok(())
    }

    fn take_key(&mut self, c: char) -> Result<(), EnvFileError> {
        match (self.state, c) {
            (State::PreKey, '#' | ';') => self.state = State::Comment,
            (State::PreKey, c) if is_white_space(c) => {}
            (State::PreKey, c) => {
                self.state = State::Key;
                self.key_line = self.line;
                self.key_offset = self.offset;
                self.key.push(c);
            }
            (_, '=') => self.state = State::PreValue,
            (_, c) if is_newline(c) => return Err(self.no_equals_sign()),
            (_, c) => self.key.push(c),
        }
        Ok(())
    }

    fn take_value(&mut self, c: char) -> Result<(), EnvFileError> {
        match (self.state, c) {
            (_, c) if is_newline(c) => {
                self.complete()?;
                self.state = State::PreKey;
            }
            (State::PreValue, '\'') => self.state = State::SingleQuote,
            (State::PreValue, '"') => self.state = State::DoubleQuote,
            (_, '\\') => {
                // What stands before a backslash is kept, white space too.
                self.kept = self.value.len();
                self.state = State::ValueEscape;
            }
            (State::PreValue, c) if is_white_space(c) => {}
            (_, c) => {
                self.state = State::Value;
                self.value.push(c);
                if !is_white_space(c) {
                    self.kept = self.value.len();
                }
            }
        }
        Ok(())
    }

    fn push_kept(&mut self, c: char) {
        self.value.push(c);
        self.kept = self.value.len();
    }

    fn complete(&mut self) -> Result<(), EnvFileError> {
        self.value.truncate(self.kept);
        self.kept = 0;
        let key = mem::take(&mut self.key).trim_end_matches(is_white_space).to_owned();
        let value = mem::take(&mut self.value);
        let line = self.key_line;
        if value.chars().any(|c| c.is_ascii_control() && !matches!(c, '\t' | '\n')) {
            return Err(EnvFileError::ControlCharacter { line, key });
        }
        let span = self.key_offset..self.offset;
        self.assignments.push(Assignment { key, value, line, span });
        Ok(())
    }

    fn no_equals_sign(&self) -> EnvFileError {
        let word = self.key.split([' ', '\t', ':']).next().unwrap_or_default();
        let key = definition(word).map(|definition| definition.name);
        EnvFileError::NoEqualsSign { line: self.key_line, key }
    }

    /// The end of the file completes an open value, also one with an open quote, as in systemd.
    fn finish(mut self) -> Result<Vec<Assignment>, EnvFileError> {
        match self.state {
            State::PreKey | State::Comment | State::CommentEscape => {}
            State::Key => return Err(self.no_equals_sign()),
            _ => self.complete()?,
        }
        Ok(self.assignments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).unwrap().into_iter().map(|a| (a.key, a.value)).collect()
    }

    #[track_caller]
    fn reads(text: &str, value: &str) {
        assert_eq!(values(text), [("A".to_owned(), value.to_owned())], "{text:?}");
    }

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        for (text, value) in [
            ("A=1", "1"),
            ("A=", ""),
            ("  A = 1  \n", "1"),
            ("A=a b  c \t\n", "a b  c"),
            ("A='x y '", "x y "),
            ("A=\"x y \"", "x y "),
            // quotes in the middle of a bare word are ordinary characters
            ("A=x'y'", "x'y'"),
            // after a closing quote the value goes on, white space between is dropped
            ("A='x' y", "xy"),
            ("A='x' \"y\"", "xy"),
            // the trailing space after the second quote belongs to nothing
            ("A='x'  \n", "x"),
            ("A=x\\\ny", "xy"),
            ("A=x \\\n y", "x  y"),
            ("A=a\\b", "ab"),
            ("A=\\'x", "'x"),
            ("A=\\ \n", " "),
            ("A=\"a\\\"b\\\\c\\$d\\`e\"", "a\"b\\c$d`e"),
            ("A=\"a\\nb\"", "a\\nb"),
            ("A=\"a\\\nb\"", "ab"),
            ("A='a\\\nb'", "a\\\nb"),
            ("A='two\nlines'", "two\nlines"),
            ("A=x # not a comment", "x # not a comment"),
            ("A=1=2", "1=2"),
            // an open quote ends with the file
            ("A='open", "open"),
            ("A=\"open ", "open "),
            ("A=back\\", "back"),
            ("A=007\r\n", "007"),
            ("# c\n; c\n\n\tA=1\n# d", "1"),
            // since systemd 254 a comment ends with its line
            ("# c \\\nA=1", "1"),
        ] {
            reads(text, value);
        }
    }

    #[test]
    fn lines_are_counted_from_the_key() {
        let read = parse(b"# c\nA=1\\\n2\n\nB='x\ny'\nC=3").unwrap();
        let lines: Vec<_> = read.iter().map(|a| (a.key.as_str(), a.line)).collect();
        assert_eq!(lines, [("A", 2), ("B", 5), ("C", 7)]);
    }

    #[test]
    fn carriage_returns_end_a_line_but_are_counted_once() {
        let read = parse(b"A=1\r\nB=2\r\nC=3").unwrap();
        assert_eq!(read.iter().map(|a| a.line).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_line_without_an_equals_sign_is_named() {
        for text in ["A=1\nBATCH 20\nB=2", "A=1\nBATCH 20"] {
            assert_eq!(
                parse(text.as_bytes()).unwrap_err().to_string(),
                "line 2: \"BATCH ...\" has no \"=\"; expected KEY=value, or \"#\" before a comment"
            );
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_named_by_line() {
        assert_eq!(
            parse(b"A=1\nB=\xff").unwrap_err().to_string(),
            "line 2: not valid UTF-8; expected UTF-8 text"
        );
        assert_eq!(
            parse("\u{feff}A=1".as_bytes()).unwrap_err().to_string(),
            "line 1: starts with a byte order mark; expected plain UTF-8 without one"
        );
        assert_eq!(
            parse(b"\nA=a\x07b").unwrap_err().to_string(),
            "line 2: the value of A holds a control character; expected printable text"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            let _read_or_refused = parse(&bytes);
        }

        #[test]
        fn a_single_quoted_value_comes_back_whole(value in "[^'\\p{Cc}]{0,40}") {
            prop_assert_eq!(values(&format!("A='{value}'\n")), [("A".to_owned(), value)]);
        }
    }
}
