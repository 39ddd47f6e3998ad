//! `EVENT_START`: a time, a day, or how far from now the first event is.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::parse::{self, Refusal};

/// A start of the events, as it may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// This time.
    At(Timestamp),
    /// So far from now: `-1h`, `now`.
    FromNow(SignedDuration),
    /// Midnight, so many days before that of today, UTC: `today`, `yesterday`.
    DaysAgo(i64),
}

/// The first event time; a start that counts from now is one by the time that this is asked.
pub(super) fn event_start(text: &str) -> Result<Timestamp, Refusal> {
    match read(text)? {
        Start::At(start) => Ok(start),
        Start::FromNow(_) | Start::DaysAgo(_) => Err("it is before 1970".into()),
    }
}

/// The time that a start is which counts from now, as text; `None` where it does not, or is not valid.
pub(super) fn counted_from(now: Timestamp, text: &str) -> Option<String> {
    let start = match read(text).ok()? {
        Start::At(_) => return None,
        Start::FromNow(distance) => now.checked_add(distance).ok()?,
        Start::DaysAgo(days) => {
            let today = midnight(Offset::UTC.to_datetime(now).date())?;
            today.checked_sub(SignedDuration::from_hours(24 * days)).ok()?
        }
    };
    // Event times are whole milliseconds.
    let start = Timestamp::from_millisecond(start.as_millisecond()).ok()?;
    (start >= Timestamp::UNIX_EPOCH).then(|| start.to_string())
}

fn read(text: &str) -> Result<Start, Refusal> {
    match text {
        "now" => return Ok(Start::FromNow(SignedDuration::ZERO)),
        "today" => return Ok(Start::DaysAgo(0)),
        "yesterday" => return Ok(Start::DaysAgo(1)),
        _ => {}
    }
    if let Some(distance) = text.strip_prefix('-').and_then(distance) {
        return Ok(Start::FromNow(-distance));
    }
    if let Some(distance) = text.strip_prefix('+').and_then(distance) {
        return Ok(Start::FromNow(distance));
    }
    if is_date(text)
        && let Ok(date) = text.parse::<Date>()
        && let Some(midnight) = midnight(date)
    {
        return parse::since_1970(midnight).map(Start::At);
    }
    parse::instant(text).map(Start::At).map_err(|refusal| match refusal {
        Refusal::Unexpected => meant(text).map_or(Refusal::Unexpected, Refusal::Because),
        refusal => refusal,
    })
}

/// The first instant of a day, UTC.
fn midnight(date: Date) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
}

/// How far from now, behind its sign.
fn distance(text: &str) -> Option<SignedDuration> {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    SignedDuration::try_from(parse::time(text).filter(|_| is_number)?).ok()
}

/// `YYYY-MM-DD`; jiff takes more for a date.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

/// What is missing in a text that is nearly a start.
fn meant(text: &str) -> Option<String> {
    if distance(text).is_some() && text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(format!(
            "it has no sign: -{text} is that long ago, +{text} that long from now"
        ));
    }
    if let Some(number) = parse::digits::<i64>(text) {
        let seconds = if text.len() > 11 { number / 1_000 } else { number };
        let time = Timestamp::from_second(seconds).ok().filter(|_| text.len() > 8)?;
        return Some(format!("as a count since 1970 it is {time}; write that"));
    }
    let is_without_zone = text.parse::<DateTime>().is_ok() && text.contains(':');
    is_without_zone
        .then(|| "it has no zone; Z at its end is UTC, +01:00 an hour ahead of it".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-30T17:26:05.123456Z".parse().unwrap()
    }

    #[test]
    fn a_start_may_count_from_now_or_be_a_day() {
        for (text, start) in [
            ("now", "2026-11-30T17:26:05.123Z"),
            ("-1h", "2026-11-30T16:26:05.123Z"),
            ("-7d", "2026-11-23T17:26:05.123Z"),
            ("-90", "2026-11-30T17:24:35.123Z"),
            ("-1.5h", "2026-11-30T15:56:05.123Z"),
            ("+5m", "2026-11-30T17:31:05.123Z"),
            ("-0s", "2026-11-30T17:26:05.123Z"),
            ("today", "2026-11-30T00:00:00Z"),
            ("yesterday", "2026-11-29T00:00:00Z"),
        ] {
            assert_eq!(counted_from(now(), text).as_deref(), Some(start), "{text}");
        }
        assert_eq!(event_start("2026-01-05"), event_start("2026-01-05T00:00:00Z"));
        for text in ["2026-01-05", "2026-01-05T00:00:00Z", "2026-01-05T01:00:00+01:00"] {
            assert_eq!(event_start(text).unwrap().to_string(), "2026-01-05T00:00:00Z", "{text}");
            assert_eq!(counted_from(now(), text), None, "{text}");
        }
    }

    #[test]
    fn a_start_that_is_nearly_one_is_refused_with_what_is_missing() {
        let zone = "it has no zone; Z at its end is UTC, +01:00 an hour ahead of it";
        for (text, because) in [
            ("2026-01-05T12:00:00", zone),
            ("2026-01-05 12:00:00", zone),
            ("2026-01-05T12:00:00.250", zone),
            ("2026-01-05T12:00", zone),
            ("1h", "it has no sign: -1h is that long ago, +1h that long from now"),
            ("1767571200", "as a count since 1970 it is 2026-01-05T00:00:00Z; write that"),
            ("1767571200000", "as a count since 1970 it is 2026-01-05T00:00:00Z; write that"),
            ("1969-12-31", "it is before 1970"),
        ] {
            assert_eq!(event_start(text).unwrap_err().to_string(), because, "{text}");
            assert_eq!(counted_from(now(), text), None, "{text}");
        }
        for text in [
            "",
            "-",
            "--1h",
            "-h",
            "-1w",
            "+",
            "tomorrow",
            "20260105",
            "2026-13-01",
            "-inf",
            "-nan",
            "-1e",
            "01/05/2026",
            "2026",
            "12",
            "-400d",
        ] {
            assert_eq!(event_start(text), Err(Refusal::Unexpected), "{text:?}");
        }
        // A clock that is not set yet.
        assert_eq!(counted_from(Timestamp::UNIX_EPOCH, "-1h"), None);
        assert_eq!(event_start("-1h").unwrap_err().to_string(), "it is before 1970");
    }
}
