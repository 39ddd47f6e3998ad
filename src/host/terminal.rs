//! The terminal: what it can show, and how wide it is.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::termios::tcgetwinsize;

/// How the user wants the terminal to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// When to use colors.
    pub color: Color,
    /// Whether a run may show its progress.
    pub bar: bool,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal that has them, unless the environment says no.
    Auto,
    /// In files and pipes, too.
    Always,
    /// Nowhere.
    Never,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: Color::Auto, bar: true }
    }
}

static STYLE: OnceLock<Style> = OnceLock::new();

/// Sets the style of the process, once.
pub fn set_style(style: Style) {
    let _first_one_stays = STYLE.set(style);
}

fn style() -> Style {
    STYLE.get().copied().unwrap_or_default()
}

/// Width in columns of a terminal that does not tell it.
const COLUMNS: usize = 80;

/// Whether what is written to this stream may have colors.
pub fn has_colors(stream: &impl IsTerminal) -> bool {
    match style().color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            stream.is_terminal() && has_commands() && !is_unwanted
        }
    }
}

/// Whether a line on stderr can be drawn anew.
#[must_use]
pub fn can_redraw() -> bool {
    style().bar && io::stderr().is_terminal() && has_commands()
}

/// Whether somebody may be reading stderr as it is written.
#[must_use]
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether the terminal takes escape sequences.
fn has_commands() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// A line for stdout: on a terminal broken between words, and indented from the second row on.
#[must_use]
pub fn wrapped(line: &str, indent: usize) -> String {
    let stdout = io::stdout();
    if stdout.is_terminal() { wrapped_at(columns_of(stdout), line, indent) } else { line.into() }
}

fn wrapped_at(columns: usize, line: &str, indent: usize) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let width = word.trim_end().chars().count();
        // A word that is longer than a row is for the terminal to wrap.
        if used > indent && used + width > columns {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            used = indent;
        }
        text.push_str(word);
        used += word.chars().count();
    }
    text
}

/// Columns of the terminal behind stderr.
#[must_use]
pub fn columns() -> usize {
    columns_of(io::stderr())
}

fn columns_of(stream: impl AsFd) -> usize {
    let size = tcgetwinsize(stream).ok();
    size.map(|size| size.ws_col.into()).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

/// Whether the locale says that text is UTF-8.
#[must_use]
pub fn is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_words_and_indented() {
        let wrapped = |line| wrapped_at(12, line, 2);
        assert_eq!(wrapped("ok a b c"), "ok a b c");
        assert_eq!(wrapped("ok  one two three"), "ok  one two\n  three");
        assert_eq!(wrapped("twelve chars is it"), "twelve chars\n  is it");
        assert_eq!(wrapped("a very-long-word-indeed b"), "a very-long-word-indeed\n  b");
        assert_eq!(wrapped(""), "");
    }
}
