//! The settings as they may be shown.

use super::source::Resolved;
use super::{DEFINITIONS, Settings};

/// A setting as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name as a variable.
    pub name: String,
    /// Its value as text; that of a secret is not shown; empty where there is none.
    pub value: &'a str,
    /// Where the value came from.
    pub source: String,
    /// Whether the user set it.
    pub is_set: bool,
}

impl<'a> Listed<'a> {
    fn of(resolved: &'a Resolved) -> Self {
        let is_set = resolved.origin.is_chosen() && !resolved.expose().is_empty();
        let (name, source) = (resolved.key.to_string(), resolved.origin.to_string());
        Self { name, value: resolved.shown(), source, is_set }
    }
}

impl Settings {
    /// Every setting as it may be shown, librdkafka properties last.
    pub fn listing(&self) -> impl Iterator<Item = Listed<'_>> {
        let named = DEFINITIONS.iter().map(move |d| match self.resolved(d.name) {
            Some(resolved) => Listed::of(resolved),
            None => Listed {
                name: d.name.to_owned(),
                value: "",
                source: "not set".to_owned(),
                is_set: false,
            },
        });
        named.chain(self.properties.values().map(Listed::of))
    }
}
