//! Text to typed value, one function a kind of setting.
//!
//! Each returns only *why* a text is refused; the setting's name, value, source and expectation are
//! added by [`super::SettingError`].

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::allow_list::AllowList;
use crate::workload::Name;
use crate::workload::arrivals::Law;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The expectation says it all.
    #[error("it is not what was expected")]
    Unexpected,
    /// This reason says more than the expectation.
    #[error("{0}")]
    Because(String),
}

impl Refusal {
    /// The reason, if there is more to say than the expectation.
    pub(super) fn because(self) -> Option<String> {
        match self {
            Self::Unexpected => None,
            Self::Because(reason) => Some(reason),
        }
    }
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(reason: T) -> Self {
        Self::Because(reason.into())
    }
}

/// Most pairs in a run: what `BATCH` may ask for.
pub(super) const BATCH_MAX: u64 = 1_000_000_000_000;

/// Decimal digits only: no sign, no exponent, no white space, unlike `str::parse`.
pub(super) fn digits<T: FromStr>(text: &str) -> Option<T> {
    let only_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    only_digits.then(|| text.parse().ok()).flatten()
}

pub(super) fn batch(text: &str) -> Result<u64, Refusal> {
    digits(text).filter(|n| *n <= BATCH_MAX).ok_or(Refusal::Unexpected)
}

pub(super) fn seed(text: &str) -> Result<u64, Refusal> {
    digits(text).ok_or(Refusal::Unexpected)
}

/// Units of a duration, in seconds.
const UNITS: &[(&str, f64)] =
    &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// Seconds as a decimal number, or a number with a unit, within `min..=max` seconds.
fn seconds(text: &str, min: f64, max: f64) -> Result<Duration, Refusal> {
    let behind = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e').unwrap_or(text.len());
    let (number, unit) = text.split_at(behind);
    let unit = if unit.is_empty() { "s" } else { unit };
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(Refusal::Unexpected)?;
    let number: f64 = number.parse().map_err(|_| Refusal::Unexpected)?;
    let number = number * unit;
    if !number.is_finite() || number < min || number > max || number.is_sign_negative() {
        return Err(Refusal::Unexpected);
    }
    Ok(Duration::from_secs_f64(number))
}

/// The longest run there can be, and the longest time in it, s: a year.
const LONGEST_SEC: f64 = 31_536_000.0;

/// A time within a run: seconds, or a number with a unit; at most a year.
pub fn time(text: &str) -> Option<Duration> {
    seconds(text, 0.0, LONGEST_SEC).ok()
}

pub(super) fn sleep(text: &str) -> Result<Duration, Refusal> {
    seconds(text, 0.0, 86_400.0)
}

/// `RATE`, as the time between two pairs.
pub(super) fn rate(text: &str) -> Result<Duration, Refusal> {
    if text.contains(':') {
        return Err("stages are not built yet; one number is the rate of the whole run".into());
    }
    let number = text.strip_suffix("/s").unwrap_or(text);
    let rate: f64 = number.parse().map_err(|_| Refusal::Unexpected)?;
    if number != text {
        return Err(format!("it has a unit; write {number}").into());
    }
    match rate {
        0.0 => Err("with no pair a second the run would not end; BATCH=0 sends nothing".into()),
        rate if rate > 1e6 => Err("SLEEP_SEC=0 sends as fast as possible".into()),
        rate if (1e-4..=1e6).contains(&rate) => Ok(Duration::from_secs_f64(1.0 / rate)),
        _ => Err(Refusal::Unexpected),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, Refusal> {
    seconds(text, 0.001, LONGEST_SEC)
}

pub(super) fn delivery_timeout(text: &str) -> Result<Duration, Refusal> {
    seconds(text, 1.0, 3_600.0)
}

pub(super) fn path(text: &str) -> Result<PathBuf, Refusal> {
    if text.is_empty() || text.contains('\0') {
        return Err(Refusal::Unexpected);
    }
    if text.contains("://") {
        return Err("it is a URL, and nothing is fetched from one".into());
    }
    Ok(PathBuf::from(text))
}

/// 1 to `max` characters of `[A-Za-z0-9._-]`, the alphabet of Kafka's topic names.
pub(super) fn word(text: &str, max: usize) -> Result<String, Refusal> {
    if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-".contains(*c)) {
        return Err(format!("it has {c:?}").into());
    }
    match text.len() {
        0 => Err("it is empty".into()),
        n if n > max => Err(format!("it has {n} characters").into()),
        _ => Ok(text.to_owned()),
    }
}

/// A [`word`] that no other program takes for one of its options.
pub(super) fn name(text: &str, max: usize) -> Result<String, Refusal> {
    if text.starts_with('-') {
        return Err(r#"it starts with "-", as an option does"#.into());
    }
    word(text, max)
}

pub(super) fn topic(text: &str) -> Result<String, Refusal> {
    if matches!(text, "." | "..") {
        return Err("Kafka reserves it".into());
    }
    word(text, 249)
}

pub(super) fn run_id(text: &str) -> Result<String, Refusal> {
    name(text, 128)
}

pub(super) fn profile(text: &str) -> Result<String, Refusal> {
    if text.starts_with('.') {
        return Err("it starts with a dot".into());
    }
    if text.contains('\\') {
        return Err("systemd-escape(1) made it; a unit's name takes it as it is".into());
    }
    word(text, 128)
}

/// An instant that both a Kafka timestamp and a four-digit year can hold.
pub(super) fn instant(text: &str) -> Result<Timestamp, Refusal> {
    since_1970(text.parse().map_err(|_| Refusal::Unexpected)?)
}

pub(super) fn since_1970(instant: Timestamp) -> Result<Timestamp, Refusal> {
    if instant < Timestamp::UNIX_EPOCH {
        return Err("it is before 1970".into());
    }
    Ok(instant)
}

/// `EGRESS_ALLOW`.
pub(super) fn prefixes(text: &str) -> Result<AllowList, Refusal> {
    Ok(text.parse::<AllowList>()?)
}

/// A parser of one of a closed list of words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $parser:ident: $($(#[$doc:meta])* $variant:ident = $word:literal),+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All, as they are written.
            pub(super) const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as it is written in the setting.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        pub(super) fn $parser(text: &str) -> Result<$name, Refusal> {
            match text { $($word => Ok($name::$variant),)+ _ => Err(Refusal::Unexpected) }
        }
    };
}

/// `WORKLOAD`.
pub(super) fn workload(text: &str) -> Result<Name, Refusal> {
    Name::ALL.into_iter().find(|name| name.word() == text).ok_or(Refusal::Unexpected)
}

/// `ARRIVALS`.
pub(super) fn arrivals(text: &str) -> Result<Law, Refusal> {
    Law::ALL.into_iter().find(|law| law.word() == text).ok_or(Refusal::Unexpected)
}

words! {
    /// Whether a run waits for each pair's time.
    Pace, pace:
    /// Each pair waits for its time.
    Wall = "wall",
    /// Full speed.
    None = "none"
}

words! {
    /// What the key of a record is.
    RecordKey, record_key:
    /// `HOST/GPU_INDEX`.
    Gpu = "gpu",
    /// No key.
    None = "none"
}

words! {
    /// Whether records carry headers.
    RecordHeaders, record_headers:
    /// `run`, `seq` and `content-type`.
    On = "on",
    /// No headers.
    Off = "off"
}

words! {
    /// Whether a run is refused that a topic would not keep.
    EventTimeGuard, event_time_guard:
    /// It is.
    On = "on",
    /// It is sent.
    Off = "off"
}

words! {
    /// How the log is written, where it does not go to the journal.
    LogFormat, log_format:
    /// Lines for people.
    Text = "text",
    /// One JSON object a line.
    Json = "json"
}

/// The levels of the log.
pub(super) const LOG_LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// `RUST_LOG`: checked here, so that a bad filter is an error and not silence.
pub(super) fn log_filter(text: &str) -> Result<String, Refusal> {
    // A word alone is a level or a target; for the filter a mistyped level is the target of nothing.
    for word in text.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', ':'])) {
        let is_level = LOG_LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        let is_target = ["librdkafka", "vm4_producer"].contains(&word);
        if !(word.is_empty() || is_level || is_target || digits::<u8>(word).is_some()) {
            return Err(format!("{word:?} is neither a level nor a target of this program").into());
        }
    }
    let filter = tracing_subscriber::EnvFilter::try_new(text);
    filter.map(|_| text.to_owned()).map_err(|e| e.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_plain_decimals() {
        assert_eq!(batch("020"), Ok(20));
        for text in ["-1", "1e3", "+1", " 1", "1.0", "", "0x10", "1000000000001"] {
            assert!(batch(text).is_err(), "{text:?}");
        }
        for text in ["nan", "-1", "inf", "-0", "", "1 s", "86401"] {
            assert!(sleep(text).is_err(), "{text:?}");
        }
        assert_eq!(sleep("0.0005"), Ok(Duration::from_micros(500)));
        assert!(delivery_timeout("0").is_err());
    }

    #[test]
    fn durations_may_have_a_unit() {
        for (text, ms) in
            [("500ms", 500), ("10m", 600_000), ("1.5s", 1_500), ("1d", 86_400_000), ("500us", 0)]
        {
            assert_eq!(sleep(text).map(|d| d.as_millis()), Ok(ms), "{text}");
        }
        for text in ["ms", "1 s", "5x", "2d", "1ms2", "m10", "-1s", "infs", "nans", "1S"] {
            assert!(sleep(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_run_is_named_as_no_option_is() {
        assert_eq!(run_id("night-7"), Ok("night-7".to_owned()));
        assert_eq!(run_id("-x"), Err(r#"it starts with "-", as an option does"#.into()));
    }

    #[test]
    fn a_mistyped_level_of_the_log_is_refused() {
        for text in
            ["info", "WARN", "off", "vm4_producer", "vm4_producer::batch=debug,warn", "", "3"]
        {
            assert!(log_filter(text).is_ok(), "{text:?}");
        }
        assert_eq!(
            log_filter("warn,inof").unwrap_err().to_string(),
            "\"inof\" is neither a level nor a target of this program"
        );
    }

    #[test]
    fn instants_need_a_zone_and_a_time_after_1970() {
        assert!(instant("2026-01-01T00:00:00Z").is_ok());
        assert_eq!(instant("2026-01-01T02:00:00+02:00"), instant("2026-01-01T00:00:00Z"));
        assert!(instant("2026-01-01T00:00:00").is_err());
        assert_eq!(instant("1969-12-31T23:59:59Z").unwrap_err().to_string(), "it is before 1970");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(text: String) {
            let _read_or_refused = sleep(&text);
            let _read_or_refused = instant(&text);
            let _read_or_refused = prefixes(&text);
        }
    }
}
