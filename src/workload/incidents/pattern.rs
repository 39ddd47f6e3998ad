//! Which GPUs a pattern means.

use std::fmt;

/// A pattern of `HOST/GPU_INDEX`, each side with any number of `*`.
///
/// `*` stands for any text. Nothing else is special: a host's name may not hold any of it, and a few
/// lines are less to trust than a crate whose classes, ranges and escapes would have to be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuPattern {
    /// Pattern of the host.
    pub host: String,
    /// Pattern of the index on the host.
    pub index: String,
}

impl GpuPattern {
    /// Every GPU.
    #[must_use]
    pub fn all() -> Self {
        Self { host: "*".into(), index: "*".into() }
    }

    /// Whether it means a host, or a part of its GPUs.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        matches(self.host.as_bytes(), host.as_bytes())
    }

    /// Whether it means the GPUs of an index.
    #[must_use]
    pub fn has_index(&self, index: u32) -> bool {
        matches(self.index.as_bytes(), itoa::Buffer::new().format(index).as_bytes())
    }
}

impl fmt::Display for GpuPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.index)
    }
}

/// Whether a pattern means a text. Going back to the last `*` is enough, because one before it can
/// take nothing that the last one could not.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                p = star + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_stands_for_any_text_and_everything_else_for_itself() {
        for (pattern, text, is) in [
            ("*", "", true),
            ("*", "vm4", true),
            ("vm4", "vm4", true),
            ("vm4", "vm41", false),
            ("vm*", "vm4", true),
            ("*4", "vm4", true),
            ("g*1*a", "gpu1-1b-1a", true),
            ("g*1*a", "gpu1-1b", false),
            ("a*b*c", "abc", true),
            ("a.c", "abc", false),
            ("[a]", "a", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), is, "{pattern} {text}");
        }
    }

    /// The definition itself: the rest of the pattern matches at some place.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|from| by_definition(rest, &text[from..])),
            Some((c, rest)) => text.first() == Some(c) && by_definition(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_its_definition_says(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), by_definition(pattern, text));
        }
    }
}
