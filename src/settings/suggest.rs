//! What somebody meant who mistyped a name or a value: close enough to be worth saying, or nothing.

use super::properties::{self, Librdkafka, PropertyError};
use super::source::{DEFAULT_ENV_FILE, ENV_FILE_VARIABLE, PREFIX};
use super::{DEFINITIONS, definition};

/// What other programs call our settings. The command line takes the first kind as hidden aliases.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP"),
    ("BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP"),
    ("BROKER", "KAFKA_BOOTSTRAP"),
    ("BROKERS", "KAFKA_BOOTSTRAP"),
    ("KAFKA_BROKER", "KAFKA_BOOTSTRAP"),
    ("KAFKA_BROKERS", "KAFKA_BOOTSTRAP"),
    ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP"),
    ("COUNT", "BATCH"),
    ("RPS", "RATE"),
    ("HOST", "HOSTNAME"),
    ("HOSTS", "HOSTNAME"),
    ("INTERVAL", "SLEEP_SEC"),
    ("LOG", "RUST_LOG"),
    ("LOG_LEVEL", "RUST_LOG"),
    ("LOGLEVEL", "RUST_LOG"),
];

/// Shorter than this, a text is similar to everything.
const SHORTEST: usize = 3;

/// Names by which other programs know a setting, as flags.
pub fn other_flags(setting: &str) -> impl Iterator<Item = String> {
    let names = OTHER_NAMES.iter().filter(move |(_, ours)| *ours == setting);
    names.map(|(other, _)| other.to_ascii_lowercase().replace('_', "-"))
}

/// That there is no kind of this name, and which one is meant; where that is not clear, all of them.
pub(super) fn no_kind<'a>(typed: &str, kinds: impl Iterator<Item = &'a str> + Clone) -> String {
    let folded = typed.trim().to_ascii_lowercase().replace('_', "-");
    match near(&folded, kinds.clone()).first() {
        Some(nearest) => format!("there is no kind {typed:?}; the nearest is {nearest}"),
        None => {
            let all = kinds.collect::<Vec<_>>().join(", ");
            format!("there is no kind {typed:?}; the kinds are {all}")
        }
    }
}

/// Whether a flag that was offered for `typed` is near enough to be worth saying.
pub fn is_near(typed: &str, offered: &str) -> bool {
    near(typed, std::iter::once(offered)).len() == 1
}

/// The word of a closed list that was meant: the same but for capitals, or a slip of a key or two.
pub fn word<'a>(typed: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.trim().to_ascii_lowercase();
    near(&typed, words).into_iter().next()
}

/// The words within a third of the text's length, the nearest ones only.
fn near<'a>(typed: &str, words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let length = typed.chars().count();
    let within = (length / 3).max(1);
    let distance = |word: &'a str| (strsim::damerau_levenshtein(word, typed), word);
    let found =
        words.map(distance).filter(|(n, _)| *n == 0 || (length >= SHORTEST && *n <= within));
    let mut found: Vec<_> = found.collect();
    let best = found.iter().map(|(n, _)| *n).min();
    found.retain(|(n, _)| Some(*n) == best);
    found.into_iter().map(|(_, word)| word).collect()
}

/// Longer than any name of a setting or a property.
const NAME_MAX: usize = 64;

/// Whether a text looks like somebody's name for a setting: words of one case, or with one capital, and
/// with their digits at the end. A password or a key in base64 does not.
pub(super) fn is_name(text: &str) -> bool {
    let is_word = |word: &str| {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let small = letters.chars().skip(1).all(char::is_lowercase);
        let all = |is: fn(char) -> bool| letters.chars().all(is);
        all(char::is_uppercase) || all(char::is_lowercase) || (all(char::is_alphabetic) && small)
    };
    text.chars().count() <= NAME_MAX && text.split(['_', '.', '-', ' ', '\t']).all(is_word)
}

/// What to say about a key of an env file that is none.
pub(super) fn key(typed: &str, librdkafka: Librdkafka) -> String {
    if typed == ENV_FILE_VARIABLE {
        return "it names this file, and is read from the process environment only".into();
    }
    if let Some((_, rest)) = typed.split_once(char::is_whitespace)
        && typed.starts_with("export")
    {
        return format!("leave `export` out: {}=...", rest.trim());
    }
    if properties::is_jaas(&typed.to_ascii_lowercase().replace('_', ".")) {
        return properties::NO_JAAS.into();
    }
    match meant(typed, librdkafka).as_slice() {
        [] => format!("expected a setting, as {DEFAULT_ENV_FILE} lists them, or {PREFIX}PROPERTY"),
        [one] => format!("perhaps you mean {one}"),
        several => format!("perhaps you mean {}", several.join(" or ")),
    }
}

/// The settings and properties that a key may stand for, in the order of how sure that is.
fn meant(typed: &str, librdkafka: Librdkafka) -> Vec<String> {
    let folded = typed.trim().to_ascii_uppercase().replace(['-', '.', ' '], "_");
    let ours = OTHER_NAMES.iter().find(|(other, _)| *other == folded).map(|(_, ours)| *ours);
    if let Some(name) = definition(&folded).map(|d| d.name).or(ours) {
        return vec![name.into()];
    }
    let property = properties::named(&folded, librdkafka);
    if librdkafka(&property, "") != Err(PropertyError::Unknown) {
        return vec![format!("{PREFIX}{folded}")];
    }
    let names = || DEFINITIONS.iter().map(|d| d.name);
    let parts: Vec<_> = folded.split('_').collect();
    let has_parts = |name: &&str| {
        let of_name: Vec<_> = name.split('_').collect();
        of_name.windows(parts.len()).any(|window| window == parts)
    };
    let mut found: Vec<_> = names().filter(has_parts).collect();
    if found.is_empty() {
        found = near(&folded, names());
    }
    found.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties::check as librdkafka;

    #[test]
    fn a_key_is_recognised_by_its_spelling_its_other_names_and_its_parts() {
        for (typed, said) in [
            ("sleep-sec", "perhaps you mean SLEEP_SEC"),
            ("Batch", "perhaps you mean BATCH"),
            ("BACTH", "perhaps you mean BATCH"),
            ("SLEEPSEC", "perhaps you mean SLEEP_SEC"),
            ("BOOTSTRAP_SERVERS", "perhaps you mean KAFKA_BOOTSTRAP"),
            ("TOPIC", "perhaps you mean TOPIC_METRIC or TOPIC_TOKEN or RUN_TOPIC"),
            ("SEED", "perhaps you mean GPU_SEED or RUN_SEED"),
            ("TIMEOUT_SEC", "perhaps you mean DELIVERY_TIMEOUT_SEC"),
            ("LOG_LEVEL", "perhaps you mean RUST_LOG"),
            ("SASL_USERNAME", "perhaps you mean RDKAFKA_SASL_USERNAME"),
            ("sasl.username", "perhaps you mean RDKAFKA_SASL_USERNAME"),
            ("export BATCH", "leave `export` out: BATCH=..."),
        ] {
            assert_eq!(key(typed, librdkafka), said, "{typed}");
        }
    }

    #[test]
    fn a_key_that_is_like_none_gets_no_suggestion() {
        for typed in ["PATH", "X", "", "LANG", "EDITOR", "é"] {
            let said = key(typed, librdkafka);
            assert!(said.starts_with("expected a setting, as /etc/"), "{typed}: {said}");
        }
    }

    #[test]
    fn a_word_is_recognised_within_a_third_of_its_letters() {
        let words = || ["chat", "code", "reason", "uniform"].into_iter();
        for (typed, meant) in [
            ("Chat", Some("chat")),
            ("chta", Some("chat")),
            ("chats", Some("chat")),
            ("unifrom", Some("uniform")),
            ("reasons ", Some("reason")),
            ("x", None),
            ("", None),
            ("poison", None),
        ] {
            assert_eq!(word(typed, words()), meant, "{typed:?}");
        }
    }
}
