//! One record against the one that was sent: which of its parts differ.

use jiff::Timestamp;
use serde_json::Value;

use super::compare::{Change, differences, shortened};
use super::moment::{MS, within_calendar};
use super::record::Read;
use super::rows::Row;
use crate::event::Kind;
use crate::faults::{Fault, FaultSet};
use crate::plan::{Buffer, Plan, Record, When};

/// Moments of a coarse time at which a live record is rendered, before it counts as untimed.
const MOMENTS: i64 = 8;

/// Which part of a record differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The value.
    Value,
    /// The key.
    Key,
    /// The record timestamp.
    Timestamp,
    /// A header.
    Header,
    /// The partition.
    Partition,
}

impl Part {
    /// The word of the account.
    #[must_use]
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Key => "key",
            Self::Timestamp => "timestamp",
            Self::Header => "header",
            Self::Partition => "partition",
        }
    }
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Differs {
    pub(super) part: Part,
    /// JSON pointer, or the name of a header; `*` for all headers.
    pub(super) at: String,
    pub(super) change: Change,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Differs {
    /// Whether the record is another one for it: a header that a stage added is beside the record.
    pub(super) fn alters(&self) -> bool {
        !(self.part == Part::Header && self.change == Change::Added)
    }
}

/// The record of the plan that a record is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) seq: u64,
    pub(super) kind: Kind,
    /// The faults in force.
    pub(super) faults: FaultSet,
    /// When it is due by the schedule, ms since 1970, where that is asked for.
    pub(super) due_ms: Option<i64>,
    /// Whether that is its event time: the clock did not give it.
    pub(super) is_backfill: bool,
}

impl Asked {
    /// The record as it was sent, had its pair this event time.
    pub(super) fn expected<'a, 'p>(
        &self,
        plan: &'p Plan,
        ms: i64,
        buffer: &'a mut Buffer<'p>,
    ) -> Record<'a> {
        let at = Timestamp::from_millisecond(ms).unwrap_or_default();
        let when = When { at, moment_ms: self.due_ms.unwrap_or(ms) };
        plan.expected((self.seq, self.kind), when, self.faults, buffer)
    }

    /// The event time of the pair from a time that its record shows, which a fault may have shifted.
    pub(super) fn unshifted(&self, plan: &Plan, ms: i64) -> i64 {
        let shift = plan.clock_skew().filter(|_| self.faults.has(Fault::ClockSkew));
        ms - shift.map_or(0, |shift| i64::try_from(shift.as_millis()).unwrap_or_default())
    }
}

/// What the comparison of a record came to.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// The event time of its pair, ms since 1970.
    pub(super) pair_ms: i64,
    /// The time that the record shows a consumer: another one where a fault shifted it.
    pub(super) ts_ms: i64,
    /// Whether neither the record nor its pair's other one has its time.
    pub(super) is_timeless: bool,
    /// Whether it was not compared for that.
    pub(super) is_untimed: bool,
    /// Whether the value is the same JSON in other bytes.
    pub(super) is_reencoded: bool,
    pub(super) differs: Vec<Differs>,
}

impl Examined {
    /// In how many places the value is another one; as a whole, in more than all.
    pub(super) fn changes_of_value(&self) -> usize {
        let changes = self.differs.iter().filter(|differs| differs.part == Part::Value);
        changes.fold(0, |sum, differs| if differs.at.is_empty() { usize::MAX } else { sum + 1 })
    }

    /// Whether the value is the one of the plan, if for another time.
    pub(super) fn has_value_but_for_time(&self) -> bool {
        self.differs.iter().all(|differs| differs.part != Part::Value || differs.at == "/ts")
    }
}

/// Holds a record against the one of the plan. The pair's other record was from `twin_ms`, if it is
/// known.
pub(super) fn examine<'p>(
    plan: &'p Plan,
    asked: &Asked,
    twin_ms: Option<i64>,
    read: &Read<'_>,
    buffer: &mut Buffer<'p>,
) -> Examined {
    if let Some(row) = &read.row {
        return examine_row(row, plan, asked, twin_ms, buffer);
    }
    let own = (!read.has_append_time).then_some(read.timestamp_ms).flatten();
    let in_value = || ts_of(read.value);
    // The run's own clock is not known: where record and value disagree, what fits best tells.
    let at = match asked.due_ms.filter(|_| asked.is_backfill) {
        Some(due) => Some(due),
        None => own.or_else(in_value).map(|ms| asked.unshifted(plan, ms)).or(twin_ms),
    };
    let pair_ms = at.unwrap_or_default();
    let mut examined = Examined { pair_ms, is_timeless: at.is_none(), ..Examined::default() };
    let expected = asked.expected(plan, pair_ms, buffer);
    examined.ts_ms = expected.timestamp_ms;
    if expected.value == read.value {
        beside_the_value(&expected, read, &mut examined.differs);
        return examined;
    }
    // A table with a column for the whole value may not tell an empty one from none.
    let is_nothing = |value: Option<&[u8]>| value.is_none_or(<[u8]>::is_empty);
    let is_of_a_table = read.identity.is_some() && read.headers.is_none();
    if is_of_a_table && is_nothing(read.value) && is_nothing(expected.value) {
        examined.is_reencoded = true;
        beside_the_value(&expected, read, &mut examined.differs);
        return examined;
    }
    if at.is_none() {
        examined.is_untimed = true;
        return examined;
    }
    let mut found = differences(expected.value, read.value);
    if !asked.is_backfill && !found.is_empty() {
        let shown = in_value().map(|ms| asked.unshifted(plan, ms));
        for other in [shown, twin_ms].into_iter().flatten().filter(|other| *other != pair_ms) {
            let expected = asked.expected(plan, other, buffer);
            let again = differences(expected.value, read.value);
            if expected.value == read.value || again.len() < found.len() {
                (examined.ts_ms, examined.pair_ms) = (expected.timestamp_ms, other);
                found = again;
            }
        }
    }
    let expected = asked.expected(plan, examined.pair_ms, buffer);
    examined.is_reencoded = found.is_empty() && expected.value != read.value;
    examined.differs.extend(found.into_iter().map(|found| Differs {
        part: Part::Value,
        at: found.pointer,
        change: found.change,
        expected: found.expected,
        found: found.found,
    }));
    beside_the_value(&expected, read, &mut examined.differs);
    examined
}

/// Holds the row against the record of the plan. The pair's other record was from `twin_ms`, if it is
/// known.
fn examine_row<'p>(
    row: &Row<'_>,
    plan: &'p Plan,
    asked: &Asked,
    twin_ms: Option<i64>,
    buffer: &mut Buffer<'p>,
) -> Examined {
    let own = row.moment().map(|moment| asked.unshifted(plan, moment.ms()));
    let due = asked.due_ms.filter(|_| asked.is_backfill);
    let at = due.or(own).or(twin_ms);
    let Some(at) = at else {
        return Examined { is_untimed: true, is_timeless: true, ..Examined::default() };
    };
    let mut tried = vec![at];
    let is_coarse = row.precision_ns > MS && due.is_none() && own.is_some();
    if is_coarse {
        // A live value follows from its millisecond, which the table does not have.
        let unit = i64::try_from(row.precision_ns / MS).unwrap_or(1_000);
        tried.extend(twin_ms.filter(|twin| (*twin - at).abs() <= unit));
        tried.extend((1..MOMENTS).map(|n| at + n * unit / MOMENTS));
    }
    let mut best: Option<(Examined, usize)> = None;
    for ms in tried {
        let expected = asked.expected(plan, ms, buffer);
        let ts_ms = expected.timestamp_ms;
        let (differences, is_reencoded) = row.differences(expected.value);
        if best.as_ref().is_some_and(|(_, fewest)| *fewest <= differences.len()) {
            continue;
        }
        let count = differences.len();
        let differs = differences.into_iter().map(|found| Differs {
            part: Part::Value,
            at: found.pointer,
            change: found.change,
            expected: found.expected,
            found: found.found,
        });
        let is_reencoded = is_reencoded && count == 0;
        let differs = differs.collect();
        let examined =
            Examined { pair_ms: ms, ts_ms, is_reencoded, differs, ..Examined::default() };
        best = Some((examined, count));
        if count == 0 {
            break;
        }
    }
    let (examined, count) = best.unwrap_or_default();
    if is_coarse && count > 0 {
        return Examined { is_untimed: true, differs: Vec::new(), ..examined };
    }
    examined
}

/// Key, timestamp and headers.
fn beside_the_value(expected: &Record<'_>, read: &Read<'_>, out: &mut Vec<Differs>) {
    let key = expected.key.map(str::as_bytes);
    if let Some(found) = read.key.filter(|found| *found != key) {
        let change = one_sided(key, found);
        let (expected, found) = (text(key), text(found));
        out.push(Differs { part: Part::Key, at: String::new(), change, expected, found });
    }
    if let Some(ms) = read.timestamp_ms.filter(|_| !read.has_append_time)
        && ms != expected.timestamp_ms
    {
        out.push(Differs {
            part: Part::Timestamp,
            at: String::new(),
            change: Change::Value,
            expected: expected.timestamp_ms.to_string(),
            found: ms.to_string(),
        });
    }
    let Some(headers) = read.headers else { return };
    let wanted = expected.headers();
    let same = wanted.len() == headers.len()
        && wanted.iter().zip(headers).all(|(a, b)| a.0 == b.0 && a.1.as_bytes() == b.1);
    if !same {
        compare_headers(wanted, headers, out);
    }
}

fn compare_headers(
    wanted: &[crate::plan::Header<'_>],
    headers: &[(&str, &[u8])],
    out: &mut Vec<Differs>,
) {
    let mut differs = |at: &str, change, expected: Option<&str>, found: Option<&[u8]>| {
        let (expected, found) = (text(expected.map(str::as_bytes)), text(found));
        out.push(Differs { part: Part::Header, at: at.to_owned(), change, expected, found });
    };
    if headers.is_empty() {
        return differs("*", Change::Removed, None, None);
    }
    for (name, value) in wanted {
        match headers.iter().find(|(found, _)| found == name) {
            None => differs(name, Change::Removed, Some(value), None),
            Some((_, found)) if *found != value.as_bytes() => {
                differs(name, Change::Value, Some(value), Some(found));
            }
            Some(_) => {}
        }
    }
    for (at, (name, value)) in headers.iter().enumerate() {
        let is_wanted = wanted.iter().any(|(wanted, _)| wanted == name);
        let is_first = headers[..at].iter().all(|(before, _)| before != name);
        if !is_wanted || !is_first {
            differs(name, Change::Added, None, Some(value));
        }
    }
}

fn one_sided(expected: Option<&[u8]>, found: Option<&[u8]>) -> Change {
    match (expected, found) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        _ => Change::Value,
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map(|bytes| shortened(&String::from_utf8_lossy(bytes))).unwrap_or_default()
}

/// The event time that a value names, ms since 1970.
pub(super) fn ts_of(value: Option<&[u8]>) -> Option<i64> {
    const MARK: &[u8] = b"\"ts\":\"";
    let value = value?;
    let quick = value.windows(MARK.len()).position(|window| window == MARK).and_then(|at| {
        let text = value.get(at + MARK.len()..at + MARK.len() + 24)?;
        let at = std::str::from_utf8(text).ok()?.parse::<Timestamp>().ok()?;
        Some(at.as_millisecond())
    });
    let slowly = || {
        let json: Value = serde_json::from_slice(value).ok()?;
        match json.get("ts")? {
            Value::String(text) => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
            ms => ms.as_i64().map(within_calendar),
        }
    };
    quick.or_else(slowly)
}
