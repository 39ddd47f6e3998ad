//! One log line with values instead of borrows: it can wait for whoever writes it.

use std::fmt::{self, Debug};

use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use tracing::field::{self, Field, Visit, display};
use tracing::{Dispatch, Event, Metadata};

use super::SUMMARY_FIELDS;

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
            shown.iter().map(|text| text.as_ref().map(|text| text as &dyn field::Value)).collect();
        // What the macros of `tracing` call.
        let values = self.metadata.fields().value_set_all(&values);
        to.event(&Event::new(self.metadata, &values));
    }

    /// The event as a JSON object and a newline. Figures are numbers.
    pub(super) fn json(&self, now: Timestamp) -> String {
        let mut line = Map::new();
        line.insert("time".into(), format!("{now:.3}").into());
        line.insert("level".into(), self.metadata.level().as_str().into());
        for (field, text) in self.metadata.fields().iter().zip(&self.texts) {
            let Some(text) = text else { continue };
            let is_figure = SUMMARY_FIELDS.contains(&field.name()) && field.name() != "run";
            let number = text.parse::<Number>().ok().filter(|_| is_figure);
            line.insert(
                field.name().into(),
                number.map_or_else(|| text.as_str().into(), Value::Number),
            );
        }
        format!("{}\n", Value::Object(line))
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
