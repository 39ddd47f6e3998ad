//! A change of one line of an env file, which leaves every other byte as it is.

use super::env_file::{self, Assignment, EnvFileError};

/// Why an env file is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file breaks the syntax.
    #[error("{0}")]
    Syntax(String),
    /// A line at the end would become part of the value before it.
    #[error("the value of {key} on line {line} is not closed; end it before a line can follow")]
    OpenEnd {
        /// The last key.
        key: String,
        /// Its line, from 1.
        line: usize,
    },
}

impl From<EnvFileError> for EditError {
    fn from(error: EnvFileError) -> Self {
        Self::Syntax(error.to_string())
    }
}

/// An env file with one line changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole content.
    pub content: Vec<u8>,
    /// The line of the change, from 1.
    pub line: usize,
}

/// Sets `key` to `value`, which must need no quotes: in its last assignment, which is the one that
/// counts, or in a new line at the end.
///
/// # Errors
/// [`EditError`], where the result would not read as the file did but for this key.
pub fn set(content: &[u8], key: &str, value: &str) -> Result<Edited, EditError> {
    let before = env_file::parse(content)?;
    let assignment = format!("{key}={value}");
    let mut edited = content.to_vec();
    if let Some(last) = before.iter().rfind(|a| a.key == key) {
        edited.splice(last.span.clone(), assignment.bytes());
        return Ok(Edited { content: edited, line: last.line });
    }
    if edited.last().is_some_and(|end| *end != b'\n') {
        edited.push(b'\n');
    }
    let line = 1 + edited.iter().filter(|byte| **byte == b'\n').count();
    edited.extend(assignment.bytes().chain([b'\n']));
    let after = env_file::parse(&edited)?;
    let same = |(a, b): (&Assignment, &Assignment)| (&a.key, &a.value) == (&b.key, &b.value);
    let kept = after.len() == before.len() + 1 && before.iter().zip(&after).all(same);
    match before.last() {
        Some(Assignment { key, line, .. }) if !kept => {
            Err(EditError::OpenEnd { key: key.clone(), line: *line })
        }
        _ => Ok(Edited { content: edited, line }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(before: &str, after: &str, line: usize) {
        let edited = set(before.as_bytes(), "EGRESS_ALLOW", "10.0.0.7").unwrap();
        assert_eq!(
            (String::from_utf8(edited.content).unwrap().as_str(), edited.line),
            (after, line)
        );
    }

    #[test]
    fn the_last_assignment_is_replaced_and_nothing_else() {
        becomes("EGRESS_ALLOW=::1\n", "EGRESS_ALLOW=10.0.0.7\n", 1);
        becomes(
            "# EGRESS_ALLOW=1\r\nBATCH=1\n  EGRESS_ALLOW = '::1\n::2' \n# end",
            "# EGRESS_ALLOW=1\r\nBATCH=1\n  EGRESS_ALLOW=10.0.0.7\n# end",
            3,
        );
        becomes("EGRESS_ALLOW=1\nEGRESS_ALLOW=\\\n2", "EGRESS_ALLOW=1\nEGRESS_ALLOW=10.0.0.7", 2);
        becomes("EGRESS_ALLOW=1\r\nBATCH=1\r\n", "EGRESS_ALLOW=10.0.0.7\r\nBATCH=1\r\n", 1);
    }

    #[test]
    fn a_file_without_the_key_gets_a_line_at_its_end() {
        becomes("", "EGRESS_ALLOW=10.0.0.7\n", 1);
        becomes("BATCH=1", "BATCH=1\nEGRESS_ALLOW=10.0.0.7\n", 2);
        becomes("#EGRESS_ALLOW=\n\n", "#EGRESS_ALLOW=\n\nEGRESS_ALLOW=10.0.0.7\n", 3);
    }

    #[test]
    fn a_file_whose_end_would_swallow_the_line_is_left_alone() {
        for open in ["BATCH=1\nRUN_ID='x", "BATCH=1\nRUN_ID=\"x", "BATCH=1\nRUN_ID=x\\"] {
            assert_eq!(
                set(open.as_bytes(), "EGRESS_ALLOW", "::1").unwrap_err().to_string(),
                "the value of RUN_ID on line 2 is not closed; end it before a line can follow"
            );
        }
    }

    #[test]
    fn a_file_that_breaks_the_syntax_is_left_alone() {
        assert_eq!(
            set(b"BATCH 1\n", "EGRESS_ALLOW", "::1").unwrap_err().to_string(),
            "line 1: \"BATCH ...\" has no \"=\"; expected KEY=value, or \"#\" before a comment"
        );
    }
}
