//! `HOSTNAME`: one host or a list of them, as in `gpu[01-16]`.

use std::fmt;

use super::parse::{self, Refusal, digits};

/// Most hosts in a list.
const HOSTS_MAX: usize = 10_000;

/// Longest name of a host, characters.
const NAME_MAX: usize = 253;

/// The hosts whose GPUs send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    text: String,
    names: Vec<String>,
}

impl Hosts {
    /// The names, at least one, each once, in the order of the list.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// As it was written: `gpu[01-16]`.
impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names separated by commas, each with any number of lists in brackets: `a,gpu[01-16,20]`.
pub(super) fn hosts(text: &str) -> Result<Hosts, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for pattern in split_outside_brackets(text)? {
        expand(text, pattern, &mut names)?;
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{:?} is in it twice", twice[0]).into());
    }
    Ok(Hosts { text: text.to_owned(), names })
}

/// The parts between the commas that are not in brackets.
fn split_outside_brackets(text: &str) -> Result<Vec<&str>, Refusal> {
    let (mut parts, mut from, mut inside) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match (c, inside) {
            ('[', false) => inside = true,
            (']', true) => inside = false,
            ('[', true) => return Err("it has \"[\" within brackets".into()),
            (']', false) => return Err("it has \"]\" without \"[\"".into()),
            (',', false) => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err("it has \"[\" without \"]\"".into());
    }
    parts.push(&text[from..]);
    Ok(parts)
}

/// Adds the names of one pattern of the whole list.
fn expand(whole: &str, pattern: &str, names: &mut Vec<String>) -> Result<(), Refusal> {
    let mut heads = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('[') {
        if before.is_empty() && rest.len() == pattern.len() {
            return Err("it has no name in front of \"[\"".into());
        }
        // The brackets are balanced by now.
        let Some((list, after)) = behind.split_once(']') else { return Err(Refusal::Unexpected) };
        let numbers = numbers(list)?;
        if heads.len().saturating_mul(numbers.len()).saturating_add(names.len()) > HOSTS_MAX {
            return Err(format!("it has more than {HOSTS_MAX} hosts").into());
        }
        let tails = |head: &String| {
            let head = format!("{head}{before}");
            numbers.iter().map(move |number| format!("{head}{number}")).collect::<Vec<_>>()
        };
        heads = heads.iter().flat_map(tails).collect();
        rest = after;
    }
    for head in heads {
        let name = format!("{head}{rest}");
        if name.is_empty() && !whole.is_empty() {
            return Err(format!("name {} of the list is empty", names.len() + 1).into());
        }
        if matches!(name.as_str(), "." | "..") {
            return Err(format!("{name:?} is a directory, and no host").into());
        }
        names.push(parse::name(&name, NAME_MAX)?);
    }
    if names.len() > HOSTS_MAX {
        return Err(format!("it has more than {HOSTS_MAX} hosts").into());
    }
    Ok(())
}

/// The numbers of a list in brackets, as wide as they are written: `08-10` is 08, 09, 10.
fn numbers(list: &str) -> Result<Vec<String>, Refusal> {
    let mut found = Vec::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (digits::<u32>(from), digits::<u32>(to)) else {
            return Err(format!("{part:?} in its brackets is neither a number nor a range").into());
        };
        if last < first {
            return Err(format!("the range {part:?} in its brackets runs backwards").into());
        }
        if usize::try_from(last - first).is_ok_and(|n| n >= HOSTS_MAX) {
            return Err(format!("it has more than {HOSTS_MAX} hosts").into());
        }
        let width = if from.starts_with('0') || from.len() == to.len() { from.len() } else { 0 };
        found.extend((first..=last).map(|number| format!("{number:0width$}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<String> {
        hosts(text).unwrap().names().to_vec()
    }

    fn refusal(text: &str) -> String {
        hosts(text).unwrap_err().to_string()
    }

    #[test]
    fn a_name_is_a_list_of_one() {
        assert_eq!(names("vm4"), ["vm4"]);
        assert_eq!(hosts("gpu[1-2]").unwrap().to_string(), "gpu[1-2]");
    }

    #[test]
    fn brackets_hold_numbers_and_ranges_as_wide_as_they_are_written() {
        assert_eq!(names("gpu[08-10]"), ["gpu08", "gpu09", "gpu10"]);
        assert_eq!(names("gpu[8-10]"), ["gpu8", "gpu9", "gpu10"]);
        assert_eq!(
            names("gpu[1,3-4]-a.example"),
            ["gpu1-a.example", "gpu3-a.example", "gpu4-a.example"]
        );
        assert_eq!(names("r[1-2]n[1-2]"), ["r1n1", "r1n2", "r2n1", "r2n2"]);
        assert_eq!(names("a,b[1-2],c"), ["a", "b1", "b2", "c"]);
        assert_eq!(names("gpu[0001-10000]").len(), 10_000);
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        for (text, problem) in [
            ("", "it is empty"),
            ("a,,b", "name 2 of the list is empty"),
            ("gpu[1-3],", "name 4 of the list is empty"),
            ("a/b", "it has '/'"),
            ("[1-2]", "it has no name in front of \"[\""),
            ("gpu[1-2", "it has \"[\" without \"]\""),
            ("gpu1-2]", "it has \"]\" without \"[\""),
            ("gpu[[1]]", "it has \"[\" within brackets"),
            ("gpu[]", "\"\" in its brackets is neither a number nor a range"),
            ("gpu[a-b]", "\"a-b\" in its brackets is neither a number nor a range"),
            ("gpu[1-2-3]", "\"1-2-3\" in its brackets is neither a number nor a range"),
            ("gpu[9-1]", "the range \"9-1\" in its brackets runs backwards"),
            (".", "\".\" is a directory, and no host"),
            ("gpu[1-2],..", "\"..\" is a directory, and no host"),
            ("gpu[1-2],-x", "it starts with \"-\", as an option does"),
            ("gpu[1-2],gpu2", "\"gpu2\" is in it twice"),
            ("gpu[0-10000]", "it has more than 10000 hosts"),
            ("gpu[0-4294967295]", "it has more than 10000 hosts"),
            ("a[1-1000]b[1-1000]c[1-1000]", "it has more than 10000 hosts"),
        ] {
            assert_eq!(refusal(text), problem, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(text in "[a-c,\\[\\]0-9/-]{0,24}") {
            if let Ok(hosts) = hosts(&text) {
                prop_assert!(!hosts.names().is_empty() && hosts.names().len() <= HOSTS_MAX);
            }
        }
    }
}
