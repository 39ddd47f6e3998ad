//! One log line with values instead of borrows: it can wait for whoever writes it.

use std::fmt::{self, Debug};

use tracing::field::{Field, Value, Visit, display};
use tracing::{Dispatch, Event, Metadata};

/// Longest value that is written whole, bytes. A terminal shows no more, and what collects logs cuts
/// longer lines into several.
const LONGEST: usize = 8 << 10;

/// An event, rendered.
pub(super) struct Entry {
    pub(super) metadata: &'static Metadata<'static>,
    /// The text of every field, in the order of the metadata.
    texts: Vec<Option<String>>,
}

impl Entry {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut entry = Self { metadata, texts: vec![None; metadata.fields().len()] };
        event.record(&mut entry);
        entry
    }

    /// Has the event written. Every value is text now, which the journal and stderr show as the value.
    pub(super) fn write(&self, to: &Dispatch) {
        let shown: Vec<_> = self.texts.iter().map(|text| text.as_ref().map(display)).collect();
        let values: Vec<_> =
            shown.iter().map(|text| text.as_ref().map(|text| text as &dyn Value)).collect();
        // What the macros of `tracing` call.
        let values = self.metadata.fields().value_set_all(&values);
        to.event(&Event::new(self.metadata, &values));
    }

    fn put(&mut self, field: &Field, text: String) {
        self.texts[field.index()] = Some(cut(text));
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }
}

impl Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts.iter().flatten()).finish()
    }
}

/// The text, or its beginning and how much of it is missing.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        let missing = text.len() - end;
        text.truncate(end);
        text.push_str(&format!(" [{missing} more bytes]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, cut};

    #[test]
    fn a_text_is_cut_between_two_characters() {
        let whole = "x".repeat(LONGEST);
        assert_eq!(cut(whole.clone()), whole);
        let (begin, end) = ("x".repeat(LONGEST - 1), "éé");
        assert_eq!(cut(format!("{begin}{end}")), format!("{begin} [4 more bytes]"));
    }
}
