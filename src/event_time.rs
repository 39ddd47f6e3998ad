//! Whether a topic keeps what a run sends to it: event times, keys and batches against the topic's
//! own limits.
//!
//! A broker takes a record whose time is long past and deletes it at the next look at its retention,
//! without a word to anybody. It refuses a record that is too far from its clock, with the whole
//! batch around it.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What must not be deleted within this time after the run.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(1);

/// The configuration of a topic, as far as it decides what is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicLimits {
    /// `retention.ms`, if records are deleted by age.
    pub retention: Option<Duration>,
    /// `message.timestamp.type=LogAppendTime`: the broker puts its own time on each record.
    pub append_time: bool,
    /// `message.timestamp.before.max.ms`: how far in the past a record may be.
    pub before_max: Option<Duration>,
    /// `message.timestamp.after.max.ms`: how far in the future a record may be.
    pub after_max: Option<Duration>,
    /// `cleanup.policy` has `compact`: only the last record of each key stays.
    pub compacts: bool,
    /// `min.compaction.lag.ms`: how long a record is safe from that.
    pub compaction_lag: Option<Duration>,
    /// `retention.bytes`, if a partition keeps only so many.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`: the largest batch.
    pub max_batch_bytes: Option<u64>,
}

impl TopicLimits {
    /// The limits in a topic's configuration, which `value` looks up by name.
    #[must_use]
    pub fn of(value: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| value(name)?.parse::<i64>().ok();
        let ms = |name: &str| number(name).and_then(|ms| u64::try_from(ms).ok());
        // Kafka writes "no limit" as the largest number.
        let limit = |name: &str| ms(name).filter(|ms| *ms < i64::MAX as u64);
        let policy = value("cleanup.policy").unwrap_or_default();
        let has = |word: &str| policy.split(',').any(|part| part.trim() == word);
        let older = limit("message.timestamp.difference.max.ms");
        let duration = |ms: Option<u64>| ms.map(Duration::from_millis);
        Self {
            retention: duration(limit("retention.ms").filter(|_| has("delete"))),
            append_time: value("message.timestamp.type").as_deref() == Some("LogAppendTime"),
            // Brokers before 3.6 have one limit for both directions.
            before_max: duration(limit("message.timestamp.before.max.ms").or(older)),
            after_max: duration(limit("message.timestamp.after.max.ms").or(older)),
            compacts: has("compact"),
            compaction_lag: duration(ms("min.compaction.lag.ms")),
            retention_bytes: limit("retention.bytes").filter(|_| has("delete")),
            max_batch_bytes: ms("max.message.bytes"),
        }
    }
}

/// What a run sends to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Time of the first event.
    pub first: Timestamp,
    /// Time of the last event, as far as it is known beforehand.
    pub last: Timestamp,
    /// Whether the events carry times that the user chose.
    pub is_backfill: bool,
    /// Whether records have keys.
    pub has_keys: bool,
    /// Whether a key can have more than one record.
    pub repeats_keys: bool,
    /// What a partition gets at the least, bytes, as far as it is known beforehand.
    pub partition_bytes: u64,
    /// The largest batch that the client may send, bytes.
    pub batch_bytes: u64,
    /// How far a fault shifts times.
    pub shift: SignedDuration,
    /// How long a fault holds records back.
    pub delay: SignedDuration,
    /// How far behind the last event the records are that close windows.
    pub closing: SignedDuration,
    /// The largest record that a fault makes, bytes.
    pub oversize: Option<u64>,
}

/// What a topic would not keep, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// The first conflict between a run and a topic, in the order of what it costs.
#[must_use]
pub fn conflict(
    topic: &str,
    limits: &TopicLimits,
    load: &Load,
    now: Timestamp,
) -> Option<Conflict> {
    let of = |problem: String, remedy: String| Some(Conflict { problem, remedy });
    if !limits.append_time
        && let Some(conflict) = refused_times(topic, limits, load, now)
    {
        return Some(conflict);
    }
    if let Some(conflict) = deleted(topic, limits, load, now) {
        return Some(conflict);
    }
    let is_safe = limits.compaction_lag.is_some_and(|lag| lag >= KEPT_FOR.unsigned_abs());
    if limits.compacts && (!load.has_keys || (load.repeats_keys && !is_safe)) {
        let what = if load.has_keys {
            "keeps only the last record of each key"
        } else {
            "refuses records without a key"
        };
        let problem = format!("topic {topic} is compacted (cleanup.policy) and {what}");
        return of(problem, set("cleanup.policy=delete"));
    }
    if let (Some(max), Some(bytes)) = (limits.max_batch_bytes, load.oversize)
        && bytes > max
    {
        let problem = format!(
            "topic {topic} refuses records of more than {max} bytes (max.message.bytes), and oversize \
             makes them up to {bytes}"
        );
        let config = set("a larger max.message.bytes");
        return of(problem, format!("lower the bytes of oversize in FAULTS, or {config}"));
    }
    match limits.max_batch_bytes {
        Some(max) if load.batch_bytes > max => {
            let problem = format!(
                "topic {topic} refuses batches of more than {max} bytes (max.message.bytes), and the \
                 client sends up to {}",
                load.batch_bytes
            );
            of(problem, format!("set RDKAFKA_BATCH_SIZE={max}, or a larger max.message.bytes"))
        }
        _ => None,
    }
}

/// What of the times a topic would refuse, or delete within the hour.
fn refused_times(
    topic: &str,
    limits: &TopicLimits,
    load: &Load,
    now: Timestamp,
) -> Option<Conflict> {
    let (age, lead) = (now.duration_since(load.first), load.last.duration_since(now));
    let (shift, zero) = (load.shift, SignedDuration::ZERO);
    let ahead = Side {
        way: "future",
        config: "message.timestamp.after.max.ms",
        limit: limits.after_max,
        reach: lead,
        events: format!("the events reach {} ahead", words(lead)),
        with_fault: (lead.saturating_add(shift.max(zero)), "clock-skew", "ahead"),
    };
    let behind = Side {
        way: "past",
        config: "message.timestamp.before.max.ms",
        limit: limits.before_max,
        reach: age,
        events: format!("the events begin {} ago", words(age)),
        with_fault: (
            age.saturating_add(load.delay).saturating_sub(shift.min(zero)),
            if shift.is_negative() { "clock-skew" } else { "late" },
            "back",
        ),
    };
    let far = ahead.with_fault.0.saturating_add(load.closing);
    let closing = closing_conflict(topic, limits.after_max, far);
    ahead.conflict(topic).or(closing).or_else(|| behind.conflict(topic))
}

/// What a topic would delete within the hour, by age or by size.
fn deleted(topic: &str, limits: &TopicLimits, load: &Load, now: Timestamp) -> Option<Conflict> {
    let age = match load.is_backfill {
        _ if limits.append_time => SignedDuration::ZERO,
        true => now.duration_since(load.first),
        false => load.delay,
    };
    if let Some(kept) = exceeded(age, limits.retention, KEPT_FOR) {
        let (since, later) = match load.is_backfill && !limits.append_time {
            true => {
                (format!(", and the events begin {} ago", words(age)), ", or a later EVENT_START")
            }
            false => (String::new(), ""),
        };
        let problem = format!(
            "topic {topic} keeps records for {kept} (retention.ms){since}: the broker would delete them \
             within the hour"
        );
        return Some(Conflict { problem, remedy: format!("{}{later}", set("retention.ms=-1")) });
    }
    let max = limits.retention_bytes.filter(|max| load.partition_bytes > *max)?;
    let problem = format!(
        "topic {topic} keeps {max} bytes of a partition (retention.bytes), and the run sends at least {}: \
         the broker would delete the first ones",
        load.partition_bytes
    );
    Some(Conflict { problem, remedy: set("retention.bytes=-1") })
}

/// What of the records that close windows a topic would refuse.
fn closing_conflict(topic: &str, max: Option<Duration>, far: SignedDuration) -> Option<Conflict> {
    let (max, far) = (exceeded(far, max, SignedDuration::ZERO)?, words(far));
    let problem = format!(
        "topic {topic} refuses records of more than {max} in the future \
         (message.timestamp.after.max.ms), and those of CLOSE_WINDOWS reach {far} ahead"
    );
    let remedy = set("a larger message.timestamp.after.max.ms");
    Some(Conflict { problem, remedy: format!("lower CLOSE_WINDOWS, or {remedy}") })
}

/// How far times reach to one side of the broker's clock, and may.
struct Side {
    way: &'static str,
    config: &'static str,
    limit: Option<Duration>,
    reach: SignedDuration,
    events: String,
    /// How far they reach with a fault, which one, and to where.
    with_fault: (SignedDuration, &'static str, &'static str),
}

impl Side {
    fn conflict(self, topic: &str) -> Option<Conflict> {
        let Self { way, config, limit, reach, events, with_fault: (far, fault, to) } = self;
        let larger = set(&format!("a larger {config}"));
        let exceeded = |reach| exceeded(reach, limit, SignedDuration::ZERO);
        let (max, what, remedy) = match exceeded(reach) {
            Some(max) => (max, events, larger),
            None => (
                exceeded(far)?,
                format!("with {fault} they reach {} {to}", words(far)),
                format!("lower the time of {fault} in FAULTS, or {larger}"),
            ),
        };
        let problem = format!(
            "topic {topic} refuses records of more than {max} in the {way} ({config}), and {what}"
        );
        Some(Conflict { problem, remedy })
    }
}

fn set(config: &str) -> String {
    format!("set {config} on the topic")
}

/// The limit in words, if `time` comes nearer to it than `margin`.
fn exceeded(
    time: SignedDuration,
    limit: Option<Duration>,
    margin: SignedDuration,
) -> Option<String> {
    let limit = SignedDuration::try_from(limit?).ok()?;
    (time > limit.saturating_sub(margin)).then(|| words(limit))
}

/// A duration in its largest unit that loses little.
fn words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds.unsigned_abs() {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn limits(config: &[(&str, &str)]) -> TopicLimits {
        let defaults = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "604800000"),
            ("message.timestamp.type", "CreateTime"),
            ("message.timestamp.before.max.ms", "9223372036854775807"),
            ("message.timestamp.after.max.ms", "3600000"),
            ("max.message.bytes", "1048588"),
        ];
        TopicLimits::of(|name| {
            let found = config.iter().chain(&defaults).find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn load(from_hours: i64, to_hours: i64) -> Load {
        Load {
            first: NOW + SignedDuration::from_hours(from_hours),
            last: NOW + SignedDuration::from_hours(to_hours),
            is_backfill: true,
            has_keys: true,
            repeats_keys: true,
            partition_bytes: 1_000_000,
            batch_bytes: 1_000_000,
            shift: SignedDuration::ZERO,
            delay: SignedDuration::ZERO,
            closing: SignedDuration::ZERO,
            oversize: None,
        }
    }

    fn told(config: &[(&str, &str)], load: &Load) -> String {
        conflict("t", &limits(config), load, NOW).map(|c| c.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_backfill_within_the_topics_limits_is_fine() {
        assert_eq!(told(&[], &load(-24, 0)), "");
        assert_eq!(told(&[("retention.ms", "-1")], &load(-24 * 365, 0)), "");
        assert_eq!(told(&[("message.timestamp.type", "LogAppendTime")], &load(-24 * 365, 24)), "");
    }

    #[test]
    fn what_the_broker_would_delete_within_the_hour_is_told_with_the_remedy() {
        assert_eq!(
            told(&[], &load(-24 * 327, -24 * 326)),
            "topic t keeps records for 7 d (retention.ms), and the events begin 327 d ago: the broker \
             would delete them within the hour; set retention.ms=-1 on the topic, or a later \
             EVENT_START"
        );
        // half an hour before the retention is over
        let config = [("retention.ms", "88200000")];
        assert!(told(&config, &load(-24, 0)).starts_with("topic t keeps records for 24 h"));
        assert_eq!(told(&[("retention.ms", "93600000")], &load(-24, 0)), "");
    }

    #[test]
    fn what_the_broker_would_refuse_is_told_with_the_remedy() {
        assert_eq!(
            told(&[], &load(0, 48)),
            "topic t refuses records of more than 60 min in the future \
             (message.timestamp.after.max.ms), and the events reach 2 d ahead; set a larger \
             message.timestamp.after.max.ms on the topic"
        );
        let old = [("message.timestamp.before.max.ms", "3600000")];
        assert!(told(&old, &load(-3, 0)).starts_with(
            "topic t refuses records of more than 60 min in the past \
             (message.timestamp.before.max.ms), and the events begin 3 h ago"
        ));
        assert_eq!(
            told(&[("max.message.bytes", "600")], &load(0, 0)),
            "topic t refuses batches of more than 600 bytes (max.message.bytes), and the client sends \
             up to 1000000; set RDKAFKA_BATCH_SIZE=600, or a larger max.message.bytes"
        );
    }

    #[test]
    fn faults_that_a_topic_would_refuse_are_told_by_their_kind() {
        let hours = SignedDuration::from_hours;
        let live = Load { is_backfill: false, ..load(0, 0) };
        assert_eq!(
            told(&[], &Load { shift: hours(2), ..live.clone() }),
            "topic t refuses records of more than 60 min in the future \
             (message.timestamp.after.max.ms), and with clock-skew they reach 2 h ahead; lower the \
             time of clock-skew in FAULTS, or set a larger message.timestamp.after.max.ms on the topic"
        );
        assert_eq!(told(&[], &Load { shift: hours(-2), ..live.clone() }), "");
        let old = [("message.timestamp.before.max.ms", "7200000")];
        assert_eq!(
            told(&old, &Load { delay: hours(3), ..live.clone() }),
            "topic t refuses records of more than 2 h in the past \
             (message.timestamp.before.max.ms), and with late they reach 3 h back; lower the \
             time of late in FAULTS, or set a larger message.timestamp.before.max.ms on the topic"
        );
        let both = Load { shift: hours(-1), delay: hours(2), ..live.clone() };
        assert!(told(&old, &both).contains("with clock-skew they reach 3 h back"));
        assert_eq!(told(&old, &Load { shift: hours(-1), ..live.clone() }), "");
        assert_eq!(
            told(&[], &Load { closing: hours(2), ..live.clone() }),
            "topic t refuses records of more than 60 min in the future \
             (message.timestamp.after.max.ms), and those of CLOSE_WINDOWS reach 2 h ahead; lower \
             CLOSE_WINDOWS, or set a larger message.timestamp.after.max.ms on the topic"
        );
        assert_eq!(told(&[], &Load { closing: hours(1), ..live.clone() }), "");
        assert_eq!(
            told(&[], &Load { oversize: Some(2_000_000), ..live.clone() }),
            "topic t refuses records of more than 1048588 bytes (max.message.bytes), and oversize \
             makes them up to 2000000; lower the bytes of oversize in FAULTS, or set a larger \
             max.message.bytes on the topic"
        );
        assert_eq!(told(&[], &Load { oversize: Some(1_000_000), ..live }), "");
    }

    #[test]
    fn a_compacted_topic_loses_records_of_the_same_key_and_refuses_those_without() {
        let compacts = [("cleanup.policy", "compact")];
        assert_eq!(
            told(&compacts, &load(0, 0)),
            "topic t is compacted (cleanup.policy) and keeps only the last record of each key; set \
             cleanup.policy=delete on the topic"
        );
        let without = Load { has_keys: false, is_backfill: false, ..load(0, 0) };
        assert!(told(&compacts, &without).contains("refuses records without a key"));
        let live = Load { is_backfill: false, ..load(0, 0) };
        assert!(told(&compacts, &live).contains("keeps only the last record of each key"));
        assert_eq!(told(&compacts, &Load { repeats_keys: false, ..live.clone() }), "");
        let later = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "3600000")];
        assert_eq!(told(&later, &live), "");
    }

    #[test]
    fn a_live_run_is_told_what_the_topic_would_delete_within_the_hour() {
        let live = Load { is_backfill: false, ..load(0, 0) };
        let deleted = "topic t keeps records for 1 s (retention.ms): the broker would delete them within \
                       the hour; set retention.ms=-1 on the topic";
        assert_eq!(told(&[("retention.ms", "1000")], &live), deleted);
        let append = [("retention.ms", "1000"), ("message.timestamp.type", "LogAppendTime")];
        assert_eq!(told(&append, &live), deleted);
        assert_eq!(told(&append, &load(-24 * 365, 0)), deleted, "its time is the broker's");
        assert_eq!(told(&[("retention.ms", "3600000")], &live), "");
        let late = Load { delay: SignedDuration::from_mins(30), ..live.clone() };
        assert!(told(&[("retention.ms", "3600000")], &late).contains("within the hour"));
        assert_eq!(
            told(&[("retention.bytes", "999999")], &live),
            "topic t keeps 999999 bytes of a partition (retention.bytes), and the run sends at least \
             1000000: the broker would delete the first ones; set retention.bytes=-1 on the topic"
        );
        for fine in [("retention.bytes", "1000000"), ("retention.bytes", "-1")] {
            assert_eq!(told(&[fine], &live), "");
        }
        let compacts = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "86400000")];
        let short = [compacts[0], compacts[1], ("retention.ms", "1000"), ("retention.bytes", "1")];
        assert_eq!(told(&short, &live), "", "a topic that only compacts deletes by neither");
    }

    #[test]
    fn brokers_before_3_6_have_one_limit_for_both_directions() {
        let value = |name: &str| match name {
            "message.timestamp.difference.max.ms" => Some("7200000".to_owned()),
            _ => None,
        };
        let limits = TopicLimits::of(value);
        assert_eq!(limits.before_max, Some(Duration::from_secs(7_200)));
        assert_eq!(limits.after_max, limits.before_max);
    }
}
