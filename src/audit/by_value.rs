//! Which pair a record without headers is, by what its value says.

use std::collections::BTreeSet;

use super::examine::{Asked, ts_of};
use super::record::Read;
use super::timetable::Timetable;
use crate::event::Kind;
use crate::plan::{Buffer, Plan};
use crate::workload::Shard;

/// Most pairs that are tried for one record.
const MOST_TRIED: usize = 1_024;

/// How far a live pair is looked for around its scheduled time, ms.
const AROUND_MS: i64 = 2_000;

/// What is known of the pairs of values.
#[derive(Debug, Default)]
pub(super) struct ByValue {
    /// The last pair of each topic that was found, by place.
    last: [u64; 2],
}

/// What is known of a pair's record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Whether it was read, and its copy if there is to be one.
    pub(super) is_there: bool,
    /// The event time of the pair's other record, ms since 1970, if that was read lately.
    pub(super) twin_ms: Option<i64>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// It is this pair: its bytes, or its time and GPU.
    Pair(u64),
    /// It may be several.
    Ambiguous,
    /// It is none.
    None,
}

impl ByValue {
    /// Finds the pair of a record.
    pub(super) fn find<'p>(
        &mut self,
        (plan, shard): (&'p Plan, Shard),
        timetable: &mut Timetable,
        read: &Read<'_>,
        buffer: &mut Buffer<'p>,
        known: impl Fn(u64) -> Known,
    ) -> Match {
        let own = (!read.has_append_time).then_some(read.timestamp_ms).flatten();
        let Some(ms) = ts_of(read.value).or(own) else { return Match::None };
        let is_backfill = plan.event_start().is_some();
        let around = if is_backfill { 0 } else { AROUND_MS };
        let mut due = timetable.between(ms - around, ms + around, MOST_TRIED);
        if let Some(shift) = plan.clock_skew() {
            let ms = ms - i64::try_from(shift.as_millis()).unwrap_or_default();
            due.extend(timetable.between(ms - around, ms + around, MOST_TRIED));
        }
        // Values of one partition come in the order of their pairs.
        let last = self.last[read.kind as usize];
        let has_value = read.value.is_some_and(|value| !value.is_empty());
        let near = if is_backfill { 0..0 } else { last.saturating_sub(32)..last + 224 };
        let key = read.key.flatten();
        // Metrics of one GPU in one second have the same value. The likeliest comes first: a record that
        // is still to come, whose pair's other one has this time, or else the first of them.
        let mut tried: Vec<_> = near.chain(due.iter().copied()).collect();
        if !is_backfill {
            tried.sort_by_cached_key(|place| {
                let Known { is_there, twin_ms } = known(*place);
                (is_there, twin_ms != Some(ms), *place)
            });
        }
        let mut is_pair = |place: &u64| {
            let asked = asked(plan, shard.seq_at(*place), read.kind, timetable, *place);
            let at = asked.due_ms.filter(|_| is_backfill);
            let at = at.unwrap_or_else(|| asked.unshifted(plan, ms));
            let expected = asked.expected(plan, at, buffer);
            // Many have no value at all: their keys tell them apart, as far as they do.
            expected.value == read.value
                && (has_value || key.is_none() || key == expected.key.map(str::as_bytes))
        };
        if !has_value {
            let same: BTreeSet<_> = tried.iter().copied().filter(&mut is_pair).collect();
            match (same.len(), same.first()) {
                (0, _) => {}
                (1, Some(place)) => return Match::Pair(shard.seq_at(*place)),
                _ => return Match::Ambiguous,
            }
        } else if let Some(place) = tried.into_iter().find(&mut is_pair) {
            self.last[read.kind as usize] = place;
            return Match::Pair(shard.seq_at(place));
        }
        if !is_backfill {
            return Match::None;
        }
        let Some(gpu) = gpu_of(plan, read) else { return Match::None };
        let has_gpu = |place: &u64| {
            let (host, index) = &gpu;
            let moment_ms = || timetable.ms(*place).unwrap_or_default();
            let own = plan.gpu_at(read.kind, shard.seq_at(*place), moment_ms);
            own.and_then(|own| plan.key_of(own).rsplit_once('/')).is_some_and(|(own, number)| {
                number.parse() == Ok(*index) && host.as_ref().is_none_or(|host| host == own)
            })
        };
        let mut same = due.iter().copied().filter(has_gpu).map(|place| shard.seq_at(place));
        match (same.next(), same.next()) {
            (Some(seq), None) => Match::Pair(seq),
            (Some(_), Some(_)) => Match::Ambiguous,
            (None, _) => Match::None,
        }
    }
}

/// The record of a pair whose copy has the same value.
fn asked(plan: &Plan, seq: u64, kind: Kind, timetable: &mut Timetable, place: u64) -> Asked {
    let is_backfill = plan.event_start().is_some();
    let is_asked = is_backfill || plan.incidents().is_some();
    Asked {
        seq,
        kind,
        faults: plan.faults_at(seq, kind),
        due_ms: is_asked.then(|| timetable.ms(place)).flatten(),
        is_backfill,
    }
}

/// Host and index of a record's GPU, as far as key or value name them.
fn gpu_of(plan: &Plan, read: &Read<'_>) -> Option<(Option<String>, u64)> {
    let key = read.key.flatten().and_then(|key| std::str::from_utf8(key).ok());
    let from_key = key
        .and_then(|key| key.rsplit_once('/'))
        .and_then(|(host, index)| Some((Some(host.to_owned()), index.parse().ok()?)));
    let known = from_key.filter(|_| (0..plan.gpus()).any(|gpu| Some(plan.key_of(gpu)) == key));
    known.or_else(|| {
        let json: serde_json::Value = serde_json::from_slice(read.value?).ok()?;
        let host = json.get("host").and_then(|host| host.as_str()).map(str::to_owned);
        let host = host.filter(|_| read.kind == Kind::Metric);
        Some((host, json.get("gpu_index")?.as_u64()?))
    })
}
