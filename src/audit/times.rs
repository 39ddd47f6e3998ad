//! The times of a live run against those of its report.
//!
//! In a live run the clock gave the times, so a record can only be made again for a time that it shows,
//! and a stage that moves all times by an hour leaves nothing by which one record tells. The report has
//! a digest of what was sent. Where what was read has another one, something happened to the times,
//! and a constant shift, a cut and a rounding are recognised by it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::compare::Change;
use super::examine::{Asked, Differs, Examined, Part, examine, ts_of};
use super::{Audit, Read, Verdict, Verdicts};
use crate::delivery::times::{TimesDigest, weight};
use crate::event::Kind;

/// What a report says of the times of a topic's acknowledged records, by partition.
pub type SentTimes = BTreeMap<i32, TimesDigest>;

/// What is said of the times of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimesVerdict {
    /// They are those that were sent.
    AsSent,
    /// They are others.
    Differ,
    /// Nothing tells.
    NotVerified,
}

/// The times of a topic of a live run in the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimesAccount {
    /// What is said of them.
    pub verdict: TimesVerdict,
    /// Records whose times were compared, or could not be.
    pub records: u64,
    /// What was done to them, or why nothing tells, in words; empty where they are as sent.
    pub words: String,
    /// By how much all of them were moved, ms, where that is so.
    pub shift_ms: Option<i64>,
    /// To which multiples of ms they were cut or rounded, where that is so.
    pub precision_ms: Option<i64>,
}

/// Multiples to which times are cut in the field, ms: minutes to hundredths of a second.
const PRECISIONS: [i64; 4] = [60_000, 1_000, 100, 10];

/// The differences of time zones are multiples of this, ms.
const QUARTER_MS: i64 = 15 * 60 * 1000;

/// The farthest zone is so many of them away.
const QUARTERS: i64 = 14 * 4;

/// Records that may be made again, in all, to find out what was done to their times: a second or so.
const TRIES: u32 = 20_000;

/// Shifts that are kept once one of them was found at a record.
const KEPT_SHIFTS: usize = 4;

/// What was read of the times of both topics.
#[derive(Debug)]
pub(super) struct Times {
    /// Whether the clock gave them.
    is_live: bool,
    sent: [Option<SentTimes>; 2],
    /// Whether the records are read from the partitions that they were sent to.
    is_own: bool,
    found: [Found; 2],
    tries: u32,
    shifts: Vec<i64>,
}

#[derive(Debug, Default)]
struct Found {
    partitions: SentTimes,
    all: TimesDigest,
    /// Greatest common divisor of the times.
    divisor: u64,
    /// Records whose pair was told by nothing but the value.
    by_value: u64,
    /// Records that show no time.
    without: u64,
    /// The coarsest unit of the times, ms.
    precision_ms: i64,
}

impl Times {
    pub(super) fn new(is_live: bool) -> Self {
        let (sent, found) = Default::default();
        Self { is_live, sent, is_own: false, found, tries: TRIES, shifts: Vec::new() }
    }

    /// Notes the time that the first copy of a record shows, if it was acknowledged.
    pub(super) fn note(
        &mut self,
        read: &Read<'_>,
        verdicts: &Verdicts,
        (seq, is_copy): (u64, bool),
        ms: Option<i64>,
    ) {
        let Some(sent) = self.sent[read.kind as usize].as_ref().filter(|_| self.is_live) else {
            return;
        };
        if verdicts.of(seq, is_copy) != Verdict::Acknowledged {
            return;
        }
        let (found, weight) = (&mut self.found[read.kind as usize], weight(seq, is_copy));
        let Some(ms) = ms else { return found.without += 1 };
        let precision = read.row.map_or(1, |row| row.precision_ns / 1_000_000);
        found.precision_ms = found.precision_ms.max(i64::try_from(precision).unwrap_or(i64::MAX));
        found.all.add(weight, ms);
        found.divisor = common_divisor(found.divisor, ms.unsigned_abs());
        found.by_value += u64::from(read.run().is_none());
        // Memory follows the report, not what was read.
        if let Some(partition) = read.partition.filter(|n| self.is_own && sent.contains_key(n)) {
            found.partitions.entry(partition).or_default().add(weight, ms);
        }
    }

    /// What is said of the times of a topic; `None` where its settings give them.
    pub(super) fn account(&self, kind: Kind, records: u64) -> Option<TimesAccount> {
        if !self.is_live {
            return None;
        }
        let not_verified = |records, words: &str| TimesAccount {
            verdict: TimesVerdict::NotVerified,
            records,
            words: words.to_owned(),
            shift_ms: None,
            precision_ms: None,
        };
        let Some(sent) = &self.sent[kind as usize] else {
            return Some(not_verified(records, "no report has their digest"));
        };
        let found = &self.found[kind as usize];
        if found.without > 0 {
            return Some(not_verified(found.without, "not all records show one"));
        }
        let mut all = TimesDigest::default();
        sent.values().for_each(|own| all.merge(own));
        if let Some(changed) = found.against(&all) {
            return Some(changed);
        }
        // Where some are missing, the partitions that are whole still tell.
        let (mut compared, mut open) = (0, 0);
        for (number, own) in sent {
            let read = found.partitions.get(number).copied().unwrap_or_default();
            let of_one = Found { partitions: SentTimes::new(), all: read, ..*found };
            match of_one.against(own) {
                Some(TimesAccount { verdict: TimesVerdict::AsSent, records, .. }) => {
                    compared += records;
                }
                Some(changed) => return Some(changed),
                None => open += own.records,
            }
        }
        let words = format!(
            "a digest tells only of all records of a partition, and of {open} some are not there{}",
            if compared > 0 { format!("; {compared} are as sent") } else { String::new() }
        );
        Some(not_verified(open, &words))
    }
}

impl Found {
    /// What these times are, held against those that were sent; `None` where not all are there, and
    /// none is outside of what was sent.
    fn against(&self, sent: &TimesDigest) -> Option<TimesAccount> {
        let Self { all, by_value, .. } = self;
        if all.records == sent.records && self.precision_ms > 1 {
            return Some(self.coarse(sent));
        }
        if all.records != sent.records {
            let is_outside = all.records > 0
                && self.precision_ms <= 1
                && all.records < sent.records
                && (all.first_ms < sent.first_ms || all.last_ms > sent.last_ms);
            return is_outside.then(|| TimesAccount {
                verdict: TimesVerdict::Differ,
                records: all.records,
                words: "some are before or after all that were sent".to_owned(),
                shift_ms: None,
                precision_ms: None,
            });
        }
        let of = |times: &TimesDigest| (times.first_ms, times.last_ms, times.sum);
        // A pair that its value alone tells may be another one with the same value.
        let is_same = of(all) == of(sent) && (*by_value > 0 || all.digest == sent.digest);
        let (words, shift_ms, precision_ms) =
            if is_same { (String::new(), None, None) } else { self.change(sent) };
        let verdict = if is_same { TimesVerdict::AsSent } else { TimesVerdict::Differ };
        Some(TimesAccount { verdict, records: all.records, words, shift_ms, precision_ms })
    }

    /// What these times are that were written to no more than a precision.
    fn coarse(&self, sent: &TimesDigest) -> TimesAccount {
        let Self { all, precision_ms, by_value, .. } = self;
        let unit = in_words(*precision_ms);
        let unit = unit.trim_start_matches('+');
        let shift_sec = all.first_ms.div_euclid(1_000) - sent.first_ms.div_euclid(1_000);
        let moved = sent.weights.wrapping_mul(shift_sec.cast_unsigned());
        let is_moved = all.digest_sec == sent.digest_sec.wrapping_add(moved);
        let (verdict, words) =
            match (is_moved && *precision_ms <= 1_000 && *by_value == 0, shift_sec) {
                (true, 0) => (TimesVerdict::AsSent, String::new()),
                (true, by) => {
                    (TimesVerdict::Differ, format!("all are shifted by {}", in_words(by * 1_000)))
                }
                (false, _) => {
                    let words =
                        format!("they are written to {unit}, of which the report has no digest");
                    (TimesVerdict::NotVerified, words)
                }
            };
        let shift_ms = (verdict == TimesVerdict::Differ).then_some(shift_sec * 1_000);
        TimesAccount {
            verdict,
            records: all.records,
            words,
            shift_ms,
            precision_ms: Some(*precision_ms),
        }
    }

    /// What was done to the times of so many records.
    fn change(&self, sent: &TimesDigest) -> (String, Option<i64>, Option<i64>) {
        let Self { all, divisor, by_value, .. } = self;
        let shift = all.first_ms.saturating_sub(sent.first_ms);
        let moved = |by: i64| {
            let (by, records) = (by.cast_unsigned(), all.records);
            all.sum == sent.sum.wrapping_add(by.wrapping_mul(records))
                && (*by_value > 0
                    || all.digest == sent.digest.wrapping_add(by.wrapping_mul(sent.weights)))
        };
        if all.last_ms.saturating_sub(sent.last_ms) == shift && moved(shift) {
            return (format!("all are shifted by {}", in_words(shift)), Some(shift), None);
        }
        let precision =
            PRECISIONS.into_iter().find(|ms| divisor.is_multiple_of(ms.cast_unsigned()));
        let Some(precision) = precision else {
            return ("they differ, and not by one amount".to_owned(), None, None);
        };
        let unit = in_words(precision);
        let unit = unit.trim_start_matches('+');
        let zone = nearest(shift, QUARTER_MS);
        for by in [0, zone] {
            let (first, last) = (all.first_ms - by, all.last_ms - by);
            let down = |ms: i64| ms - ms.rem_euclid(precision);
            let near = |ms: i64| nearest(ms, precision);
            let is_cut = (first, last) == (down(sent.first_ms), down(sent.last_ms))
                && self.keeps_seconds(sent, precision, by);
            let is_rounded = (first, last) == (near(sent.first_ms), near(sent.last_ms));
            let what = match (is_cut, is_rounded) {
                (true, _) => "cut",
                (_, true) => "rounded",
                _ => continue,
            };
            let zone = match by {
                0 => String::new(),
                by => format!(" and shifted by {}", in_words(by)),
            };
            let shift = (by != 0).then_some(by);
            return (format!("all are {what} to {unit}{zone}"), shift, Some(precision));
        }
        (format!("all are multiples of {unit}, and were not"), None, Some(precision))
    }
}

impl Found {
    /// Whether a cut to this precision, and then a shift, fits the sums: it takes half the precision from
    /// a time in the mean, and leaves its second as it was if it is no coarser.
    fn keeps_seconds(&self, sent: &TimesDigest, precision: i64, by: i64) -> bool {
        if precision <= 1_000 {
            let moved = sent.weights.wrapping_mul((by / 1_000).cast_unsigned());
            return self.by_value > 0 || self.all.digest_sec == sent.digest_sec.wrapping_add(moved);
        }
        let records = i128::from(self.all.records);
        let taken = sent.sum.wrapping_sub(self.all.sum).cast_signed();
        i128::from(taken) + i128::from(by) * records > i128::from(precision) * records / 4
    }
}

/// The multiple of a unit that is nearest.
fn nearest(ms: i64, unit: i64) -> i64 {
    let up = ms.saturating_add(unit / 2);
    up - up.rem_euclid(unit)
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A shift, as in `+1 h` or `-250 ms`.
fn in_words(ms: i64) -> String {
    let units = [(3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];
    let (unit, name) = units.into_iter().find(|(unit, _)| ms % unit == 0).unwrap_or((1, "ms"));
    let zone = if ms != 0 && ms % QUARTER_MS == 0 && ms.abs() <= QUARTERS * QUARTER_MS {
        ", as another time zone does"
    } else {
        ""
    };
    format!("{:+} {name}{zone}", ms / unit)
}

impl<'p> Audit<'p> {
    /// Holds the times of a live run against those of its report. `is_own` says that the records are read
    /// from the partitions that they were sent to.
    pub fn compare_times(&mut self, sent: [Option<SentTimes>; 2], is_own: bool) {
        self.times.sent = sent;
        self.times.is_own = is_own;
    }

    /// What the comparison of a record comes to, and the time that it shows, if it shows any.
    pub(super) fn examined(
        &mut self,
        read: &Read<'_>,
        asked: &Asked,
        twin_ms: Option<i64>,
    ) -> (Examined, Option<i64>) {
        let examined = examine(self.expectation.plan, asked, twin_ms, read, &mut self.buffer);
        if let Some(row) = &read.row {
            return (examined, row.moment().map(|moment| moment.ms()));
        }
        let is_of_value = |differs: &Differs| differs.part == Part::Value;
        let shown_ms = match examined.differs.iter().any(is_of_value) {
            // It may have been compared as the record of another time.
            true => ts_of(read.value).or(read.timestamp_ms).unwrap_or(examined.ts_ms),
            false => examined.ts_ms,
        };
        (self.retimed(read, asked, (twin_ms, shown_ms), examined), Some(shown_ms))
    }

    /// Of a record of a live run whose value does not fit the time that it shows: the same, compared as
    /// the record of a time from which a shift or a cut leads there, if there is one that fits.
    fn retimed(
        &mut self,
        read: &Read<'_>,
        asked: &Asked,
        (twin_ms, shown_ms): (Option<i64>, i64),
        examined: Examined,
    ) -> Examined {
        let is_beside = |differs: &Differs| differs.part == Part::Value && differs.at != "/ts";
        if asked.is_backfill || examined.is_untimed || !examined.differs.iter().any(is_beside) {
            return examined;
        }
        let shown = asked.unshifted(self.expectation.plan, shown_ms);
        let (is_known, candidates) = self.candidates(read, shown);
        for ms in candidates {
            if !is_known {
                if self.times.tries == 0 {
                    break;
                }
                self.times.tries -= 1;
            }
            let Some(other) = self.at_time(read, asked, twin_ms, ms) else { continue };
            let shift = shown - ms;
            let is_new = !self.times.shifts.contains(&shift);
            if is_new && self.times.shifts.len() < KEPT_SHIFTS && shift % QUARTER_MS == 0 {
                self.times.shifts.push(shift);
            }
            return other;
        }
        examined
    }

    /// The times that a record may have had, and whether few of them are to be tried.
    fn candidates(&self, read: &Read<'_>, shown: i64) -> (bool, Vec<i64>) {
        let Times { sent, found, shifts, .. } = &self.times;
        let (sent, found) = (&sent[read.kind as usize], &found[read.kind as usize]);
        let mut all: Vec<i64> = shifts.iter().map(|shift| shown - shift).collect();
        // The first one of a partition has the earliest time there.
        if let Some(sent) = sent {
            let of_partition = read.partition.and_then(|number| sent.get(&number));
            all.extend(of_partition.map(|own| own.first_ms));
            all.extend(sent.values().map(|own| own.first_ms).min());
        }
        let divisor = common_divisor(found.divisor, shown.unsigned_abs());
        let cut =
            PRECISIONS.into_iter().skip(1).find(|ms| divisor.is_multiple_of(ms.cast_unsigned()));
        // One time of ten ends with a 0.
        let needed = |ms: i64| match ms {
            10 => 3,
            100 => 2,
            _ => 0,
        };
        match cut.filter(|ms| found.all.records >= needed(*ms)) {
            Some(precision) => all.extend((1..precision).map(|ms| shown + ms)),
            None if shifts.is_empty() => {
                let zones = (1..=QUARTERS).flat_map(|n| [n, -n]);
                all.extend(zones.map(|n| shown - n * QUARTER_MS));
            }
            None => return (true, all),
        }
        (false, all)
    }

    /// A record compared as that of another time, if only its time differs then.
    fn at_time(
        &mut self,
        read: &Read<'_>,
        asked: &Asked,
        twin_ms: Option<i64>,
        ms: i64,
    ) -> Option<Examined> {
        let plan = self.expectation.plan;
        let own = ms.checked_sub(asked.unshifted(plan, 0))?;
        let as_then = Read { timestamp_ms: Some(own), has_append_time: false, ..*read };
        let mut other = examine(plan, asked, twin_ms, &as_then, &mut self.buffer);
        let only_time = |differs: &Differs| differs.part != Part::Value || differs.at == "/ts";
        if other.pair_ms != ms || other.is_untimed || !other.differs.iter().all(only_time) {
            return None;
        }
        if let Some(shown) = read.timestamp_ms.filter(|ms| !read.has_append_time && *ms != own) {
            other.differs.push(Differs {
                part: Part::Timestamp,
                at: String::new(),
                change: Change::Value,
                expected: own.to_string(),
                found: shown.to_string(),
            });
        }
        Some(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times of records, one every 137 ms, as they were sent and as they were read.
    fn times(change: impl Fn(i64) -> i64) -> (TimesDigest, Found) {
        let (mut sent, mut found) = (TimesDigest::default(), Found::default());
        for seq in 0..40_u64 {
            let ms = 1_790_000_000_123 + 137 * seq.cast_signed();
            sent.add(weight(seq, false), ms);
            found.all.add(weight(seq, false), change(ms));
            found.divisor = common_divisor(found.divisor, change(ms).unsigned_abs());
        }
        (sent, found)
    }

    fn told(change: impl Fn(i64) -> i64) -> (TimesVerdict, String) {
        let (sent, found) = times(change);
        let TimesAccount { verdict, words, .. } = found.against(&sent).unwrap();
        (verdict, words)
    }

    #[test]
    fn what_was_done_to_all_times_is_named() {
        let differ = |words: &str| (TimesVerdict::Differ, words.to_owned());
        assert_eq!(told(|ms| ms), (TimesVerdict::AsSent, String::new()));
        let hour = 3_600_000;
        for (shift, words) in [
            (hour, "+1 h, as another time zone does"),
            (-hour * 11 / 2, "-330 min, as another time zone does"),
            (-24 * 365 * hour, "-8760 h"),
            (1, "+1 ms"),
            (-12_000, "-12 s"),
        ] {
            assert_eq!(told(|ms| ms + shift), differ(&format!("all are shifted by {words}")));
        }
        for (precision, words) in
            [(60_000, "1 min"), (1_000, "1 s"), (100, "100 ms"), (10, "10 ms")]
        {
            let cut = |ms: i64| ms - ms % precision;
            assert_eq!(told(cut), differ(&format!("all are cut to {words}")));
        }
        assert_eq!(told(|ms| (ms + 500) / 1000 * 1000), differ("all are rounded to 1 s"));
        let both = "all are cut to 1 s and shifted by +2 h, as another time zone does";
        assert_eq!(told(|ms| ms - ms % 1000 + 2 * hour), differ(both));
        let one = |ms: i64| if ms % 2 == 0 { ms + 4 } else { ms };
        assert_eq!(told(one), differ("they differ, and not by one amount"));
    }

    #[test]
    fn of_some_records_only_a_time_outside_of_all_tells() {
        let (mut sent, found) = times(|ms| ms);
        sent.add(1, sent.last_ms + 1);
        assert_eq!(found.against(&sent), None);
        let (mut sent, found) = times(|ms| ms + 3_600_000);
        sent.add(1, sent.last_ms + 1);
        let told = found.against(&sent).unwrap();
        assert_eq!(told.words, "some are before or after all that were sent");
    }

    #[test]
    fn two_times_that_were_exchanged_differ_unless_values_alone_told_the_pairs() {
        let (sent, mut found) = times(|ms| ms);
        let exchange = weight(3, false).wrapping_sub(weight(4, false)).wrapping_mul(137);
        found.all.digest = found.all.digest.wrapping_add(exchange);
        assert_eq!(found.against(&sent).unwrap().verdict, TimesVerdict::Differ);
        found.by_value = 1;
        assert_eq!(found.against(&sent).unwrap().verdict, TimesVerdict::AsSent);
    }
}
