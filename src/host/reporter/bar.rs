//! One line on stderr that is drawn anew.
//!
//! The line is not padded, and ends some columns before the margin: so what the terminal echoes (`^C`)
//! lands behind it, on the same line, and the next drawing removes both.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use crate::host::terminal;

/// Back to the first column, and clear the line.
const CLEAR: &str = "\r\x1b[K";

/// Columns that stay free at the end: the cursor's, and room for the echo of a key or two.
const MARGIN: usize = 5;

/// The line that is on the terminal now.
static DRAWN: Mutex<Option<String>> = Mutex::new(None);

/// Draws the line that `text` returns for the columns there are.
pub(crate) fn draw(text: impl FnOnce(usize) -> String) {
    let columns = terminal::columns().saturating_sub(MARGIN);
    let text: String = text(columns).chars().take(columns).collect();
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    show(&format!("{CLEAR}{text}"));
    *drawn = Some(text);
}

/// Removes the line.
pub(crate) fn clear() {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if drawn.take().is_some() {
        show(CLEAR);
    }
}

/// Calls `write`, which writes lines to stderr, with the line out of the way.
pub(crate) fn without(write: impl FnOnce()) {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if drawn.is_some() {
        show(CLEAR);
    }
    write();
    if let Some(text) = &*drawn {
        show(text);
    }
}

fn show(text: &str) {
    let mut stderr = io::stderr().lock();
    let _closed = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
