//! Records of a live run, found by what the clock can have given them.

use super::found::Found;
use super::known::Known;
use super::pool::{Row, Said};
use super::seconds::{BySecond, Pace};
use super::{BEYOND, MOST_TRIED, Own};
use crate::audit::Audit;
use crate::audit::seen::CHUNK;
use crate::event::Kind;

/// Milliseconds in which the record of a live pair is looked for whose value does not tell its own.
const MS_TRIED: i64 = 2_000;

impl Audit<'_> {
    /// The times of live pairs that are known.
    pub(super) fn known(&self, found: &Found<'_>) -> Known {
        let kept = self.pool.times.iter().flat_map(|(chunk, times)| {
            let places = (chunk * CHUNK..).zip(times.iter().copied());
            places.filter(|(_, ms)| *ms != i64::MIN)
        });
        let places = self.topics.iter().flat_map(|topic| topic.originals.places.all());
        let places = places.filter_map(|(place, at)| Some((place, at.time_ms()?)));
        Known::of(kept.chain(places).chain(found.times.iter().copied()).collect())
    }

    /// Finds records of a live run; returns how many pairs it looked at.
    pub(super) fn by_clock(&mut self, found: &mut Found<'_>, is_last: bool) -> u64 {
        let known = self.known(found);
        let mut visited = self.usages_by_second(found, &known);
        let known = self.known(found);
        self.usages_by_bounds(found, &known);
        let known = self.known(found);
        self.at_known_times(found, &known);
        visited += known.0.len() as u64;
        if is_last && found.open().next().is_some() {
            // Where two pairs of a GPU are never in one millisecond, what is there twice is a copy.
            if self.expectation.plan.keeps_pairs_apart() {
                found.copies_if(|said| said.ts_ms.is_some());
            }
            self.metrics_by_bounds(found, &known);
            let known = self.known(found);
            self.at_known_times(found, &known);
            self.within_known_times(found, &known);
        }
        visited
    }

    /// From when to when a live pair was rendered, as far as the report bounds it, ms since 1970.
    fn rendered_ms(&mut self, place: u64) -> (i64, i64) {
        /// Clocks are set, and the first pair waits for a cluster.
        const SLACK_MS: i64 = 1_000;
        let (late, ran) = (self.expectation.lateness_ms, self.expectation.ran_ms);
        let (Some(late), Some((from, to))) = (late, ran) else { return (i64::MIN, i64::MAX) };
        let due = self.timetable.ms(place).unwrap_or(from);
        // What the run took beyond its schedule may have been before its first pair.
        let last = self.outline.end.and_then(|end| self.timetable.ms(end.checked_sub(1)?));
        let beyond = to.saturating_sub(last.unwrap_or(from)).max(0);
        let until = due.saturating_add(late).saturating_add(beyond).saturating_add(SLACK_MS);
        (due.max(from).saturating_sub(SLACK_MS), until.min(to))
    }

    /// Goes through the pairs in their order, and looks for each usage in the seconds in which usages
    /// were read: from that of the pair before on.
    fn usages_by_second(&mut self, found: &mut Found<'_>, known: &Known) -> u64 {
        let plan = self.expectation.plan;
        let skew = plan.clock_skew().and_then(|skew| i64::try_from(skew.as_millis()).ok());
        let by_second = BySecond::of(found, skew);
        let end = self.end_so_far();
        let [from, to] = by_second.span;
        let (from, to) = (known.places(from, end).start, known.places(to, end).end);
        let is_sparse = to.saturating_sub(from) > 64 * found.rows.len() as u64 + MOST_TRIED;
        if by_second.seconds.is_empty() || (is_sparse && !known.0.is_empty()) {
            return 0;
        }
        let (mut pace, mut since) = (Pace::default(), 0);
        for place in from..to {
            // Nothing says how long the run was: it ends where nothing more is found.
            since += 1;
            if self.outline.end.is_none() && since > BEYOND {
                break;
            }
            let own = (Kind::Token, place);
            let Some(open) = self.is_open(own).filter(|open| *open > 0) else { continue };
            let (mut least, mut most) = self.rendered_ms(place);
            if let (Some(low), high) = known.times(place) {
                (least, most) = (least.max(low), most.min(high.unwrap_or(i64::MAX)));
            }
            let due_ms = self.timetable.ms(place).unwrap_or_default();
            for second in by_second.tried(&pace, due_ms, (least, most)) {
                if let Some(ms) = self.usage_of(found, &by_second, (own, open), second) {
                    since = 0;
                    pace.note(second, due_ms, ms);
                    break;
                }
            }
        }
        to.saturating_sub(from)
    }

    /// Takes the usage of a pair of this second for what it is; its time.
    fn usage_of(
        &mut self,
        found: &mut Found<'_>,
        by_second: &BySecond,
        (own, open): (Own, u64),
        second: i64,
    ) -> Option<i64> {
        let (said, key) = self.says(own, second * 1_000)?;
        let said = said?;
        let rows = by_second.rows.get(&(said.but_ts?, second))?;
        let shift = said.ts_ms.map_or(0, |ms| ms - second * 1_000);
        let ms = |row: &Row| Some(row.said?.ts_ms? - shift);
        let fits = |number: &&u32| {
            let row = &found.rows[**number as usize];
            found.found[**number as usize].is_none()
                && ms(row).is_some_and(|ms| ms.div_euclid(1_000) == second)
                && row.read.is_of(Kind::Token, key)
        };
        let number = *rows.iter().find(fits)? as usize;
        let row = &found.rows[number];
        let (whole, ms) = (row.said?.whole, ms(row)?);
        found.first.insert(whole, own);
        found.assign(number, own);
        // Its copy has the same bytes.
        found.take(whole, own, open, key);
        found.times.push((own.1, ms));
        Some(ms)
    }

    /// Looks for the pairs of the usages that are left between those whose times are known.
    fn usages_by_bounds(&mut self, found: &mut Found<'_>, known: &Known) {
        let end = self.end_so_far();
        let plan = self.expectation.plan;
        let skew = plan.clock_skew().and_then(|skew| i64::try_from(skew.as_millis()).ok());
        for (number, _, said) in found.open().collect::<Vec<_>>() {
            let Some(Said { whole, ts_ms: Some(ms), .. }) = said else { continue };
            'shifts: for shift in [Some(0), skew].into_iter().flatten() {
                let ms = ms.saturating_sub(shift);
                let places = known.places(ms, end);
                if places.end - places.start > MOST_TRIED {
                    continue;
                }
                for own in places.map(|place| (Kind::Token, place)) {
                    let taken = found.taken.get(&own).copied().unwrap_or(0);
                    if self.is_open(own).is_none_or(|open| open <= taken) {
                        continue;
                    }
                    if self.is_whole(own, ms, whole) {
                        found.first.insert(whole, own);
                        found.assign(number, own);
                        found.times.push((own.1, ms));
                        break 'shifts;
                    }
                }
            }
        }
    }

    /// Looks for all that is left of pairs whose times are known.
    fn at_known_times(&mut self, found: &mut Found<'_>, known: &Known) {
        let is_clean = self.expectation.plan.is_clean();
        let times = || found.open().filter_map(|(_, _, said)| said?.ts_ms);
        let (Some(least), Some(most)) = (times().min(), times().max()) else {
            if found.open().next().is_some() && !is_clean {
                self.at_times(found, &known.0);
            }
            return;
        };
        // A fault may have taken or moved the time of a value.
        let within = |known: &Vec<(u64, i64)>| {
            let from = known.partition_point(|(_, ms)| *ms < least);
            from..known.partition_point(|(_, ms)| *ms <= most)
        };
        let range = if is_clean { within(&known.0) } else { 0..known.0.len() };
        self.at_times(found, &known.0[range]);
    }

    fn at_times(&mut self, found: &mut Found<'_>, known: &[(u64, i64)]) {
        for (place, ms) in known {
            for kind in Kind::BOTH {
                self.look(found, (kind, *place), *ms);
            }
        }
    }

    /// Takes metrics of pairs whose usage is not there: a GPU has the same one in each of them. The first
    /// that may have the time is as good as any other.
    fn metrics_by_bounds(&mut self, found: &mut Found<'_>, known: &Known) {
        let end = self.end_so_far();
        let mut left: Vec<_> = found.open().collect();
        left.sort_by_key(|(_, _, said)| said.and_then(|said| said.ts_ms));
        for (number, _, said) in left {
            let Some(Said { whole, ts_ms: Some(ms), .. }) = said else { continue };
            let places = known.places(ms, end);
            for own in (places.start..places.end.min(places.start.saturating_add(MOST_TRIED)))
                .map(|place| (Kind::Metric, place))
            {
                let taken = found.taken.get(&own).copied().unwrap_or(0);
                let is_known = known.times(own.1);
                let is_elsewhere =
                    is_known.0.is_some() && is_known.0 == is_known.1 && is_known.0 != Some(ms);
                if is_elsewhere || self.is_open(own).is_none_or(|open| open <= taken) {
                    continue;
                }
                if self.is_whole(own, ms, whole) {
                    found.first.insert(whole, own);
                    found.assign(number, own);
                    found.times.push((own.1, ms));
                    break;
                }
            }
        }
    }

    /// Looks for records of pairs neither of whose values tells the time, in every millisecond that the
    /// pairs around them leave.
    fn within_known_times(&mut self, found: &mut Found<'_>, known: &Known) {
        if self.expectation.plan.is_clean() {
            return;
        }
        for own in self.missing_records() {
            if found.open().next().is_none() {
                return;
            }
            if self.faults_of(own).is_empty() {
                continue;
            }
            let (from, to) = match known.times(own.1) {
                (Some(from), Some(to)) if to - from <= MS_TRIED => (from, to),
                // What was cut off before its time is the same at any.
                (from, to) => {
                    let any = from.or(to).unwrap_or_default();
                    (any, any)
                }
            };
            for ms in from..=to {
                if self.look(found, own, ms) {
                    break;
                }
            }
        }
    }
}
