//! Usages of a live run by the second of their pair, and how far the run has come.

use std::collections::HashMap;

use super::found::Found;
use super::pool::Said;

/// Seconds in which a live pair is looked for.
const SECONDS_TRIED: usize = 16;

/// Records by what they say beside their time, and by the second of their pair.
pub(super) struct BySecond {
    pub(super) rows: HashMap<(u64, i64), Vec<u32>>,
    /// The seconds, ascending.
    pub(super) seconds: Vec<i64>,
    /// The first and the last time, ms.
    pub(super) span: [i64; 2],
}

impl BySecond {
    /// What is left, where a fault may have moved times this far, ms.
    pub(super) fn of(found: &Found<'_>, skew: Option<i64>) -> Self {
        let mut by = Self { rows: HashMap::new(), seconds: Vec::new(), span: [i64::MAX, i64::MIN] };
        for (number, _, said) in found.open() {
            let Some(Said { but_ts: Some(but_ts), ts_ms: Some(ms), .. }) = said else { continue };
            for shift in [Some(0), skew].into_iter().flatten() {
                let ms = ms.saturating_sub(shift);
                let second = ms.div_euclid(1_000);
                by.span = [by.span[0].min(ms), by.span[1].max(ms)];
                by.seconds.push(second);
                by.rows.entry((but_ts, second)).or_default().extend(u32::try_from(number));
            }
        }
        by.seconds.sort_unstable();
        by.seconds.dedup();
        by
    }

    /// The seconds in which a pair is looked for that is due then: from where the pairs before it are on,
    /// and where the schedule has it.
    pub(super) fn tried(&self, pace: &Pace, due_ms: i64, (least, most): (i64, i64)) -> Vec<i64> {
        let least = least.div_euclid(1_000).max(pace.second.unwrap_or(i64::MIN));
        let most = most.div_euclid(1_000);
        let at = |from: i64| self.seconds.partition_point(|second| *second < from);
        let first = at(least);
        let near = pace.expected(due_ms).map(|expected| at(expected.saturating_sub(1)).max(first));
        let tried =
            (first..first + SECONDS_TRIED).chain(near.into_iter().flat_map(|at| at..at + 4));
        let tried = tried.filter_map(|at| self.seconds.get(at).copied());
        tried.filter(|second| *second <= most).collect()
    }
}

/// How far a live run has come.
#[derive(Default)]
pub(super) struct Pace {
    /// The second of the last pair.
    pub(super) second: Option<i64>,
    /// When it was due, and its time, ms.
    pub(super) last: Option<(i64, i64)>,
    /// The second of one that is far ahead.
    pub(super) ahead: Option<i64>,
}

impl Pace {
    /// Seconds that are near.
    const NEAR: i64 = 5;

    /// The second in which a pair is by the schedule, from the last one on.
    pub(super) fn expected(&self, due_ms: i64) -> Option<i64> {
        self.last.map(|(was, ms)| ms.saturating_add(due_ms - was).div_euclid(1_000))
    }

    /// Notes a pair. A time that a stage moved far ahead must not take all others with it: two have to
    /// agree.
    pub(super) fn note(&mut self, second: i64, due_ms: i64, ms: i64) {
        let is_near = |from: i64| second <= from.saturating_add(Self::NEAR);
        let agrees = self.ahead.is_some_and(|ahead| second >= ahead && is_near(ahead));
        if self.second.is_none_or(is_near) || self.expected(due_ms).is_some_and(is_near) || agrees {
            *self = Self { second: Some(second), last: Some((due_ms, ms)), ahead: None };
        } else {
            self.ahead = Some(second);
        }
    }
}
