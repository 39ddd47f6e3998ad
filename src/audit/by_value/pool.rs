//! Records without identity that wait, and what their values say.

use std::collections::{BTreeMap, HashMap};

use crate::audit::examine::ts_of;
use crate::audit::json::{Json, digest, digest_but_ts};
use crate::audit::record::{Owned, Read};
use crate::audit::seen::{CHUNK, LENGTH};

/// What records take that are kept at first, bytes.
const KEPT: usize = 64 << 20;

/// What records take that wait for the time of their pair, bytes.
const MOST_UNTIMED: usize = 16 << 20;

/// What a value says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// The digest of its JSON, or of its bytes.
    pub(super) whole: u64,
    /// The same without its time.
    pub(super) but_ts: Option<u64>,
    /// Its time, ms since 1970.
    pub(super) ts_ms: Option<i64>,
}

impl Said {
    pub(super) fn of(value: &[u8]) -> Self {
        let json = Json::of(value);
        Self {
            whole: digest(value, json.as_ref()),
            but_ts: json.as_ref().and_then(digest_but_ts),
            // What is no JSON may still show it.
            ts_ms: match &json {
                Some(json) => json.ts_ms(),
                None => ts_of(Some(value)),
            },
        }
    }
}

/// A record without identity.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) read: Owned,
    /// `None` of a record without a value.
    pub(super) said: Option<Said>,
}

/// Records without identity that wait, and the times of a live run's pairs.
#[derive(Debug)]
pub(in super::super) struct Pool {
    pub(super) rows: Vec<Row>,
    pub(super) bytes: usize,
    pub(super) limit: usize,
    /// How many waited when that was looked at before the end.
    pub(super) looked_at: u64,
    /// Event times of live pairs by place, in chunks; [`i64::MIN`] stands for none.
    pub(super) times: BTreeMap<u64, Box<[i64]>>,
    /// Whether any record was without identity.
    pub(super) is_used: bool,
    /// Records of which nothing tells the time before the other one of their pair is read, by place.
    pub(super) untimed: HashMap<u64, Vec<(u64, Owned)>>,
    pub(super) untimed_bytes: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            limit: KEPT,
            looked_at: 0,
            times: BTreeMap::new(),
            is_used: false,
            untimed: HashMap::new(),
            untimed_bytes: 0,
        }
    }
}

impl Pool {
    pub(super) fn keep(&mut self, row: Row) {
        self.bytes += row.read.size() + size_of::<Row>();
        self.rows.push(row);
    }

    /// Whether those that wait may be the ones that are left, and more wait than when that was seen last.
    pub(in super::super) fn is_worth_a_look(&mut self, left: Option<u64>) -> bool {
        let waiting = self.rows.len() as u64;
        let is = waiting > self.looked_at + self.looked_at / 8
            && left.is_some_and(|left| left <= waiting);
        if is {
            self.looked_at = waiting;
        }
        is
    }

    /// Keeps a record of the pair `seq` whose time nothing tells; whether there is room.
    pub(in super::super) fn wait_for_time(
        &mut self,
        read: &Read<'_>,
        seq: u64,
        place: u64,
    ) -> bool {
        let owned = Owned::of(read);
        let is_room = self.untimed_bytes + owned.size() <= MOST_UNTIMED;
        if is_room {
            self.untimed_bytes += owned.size();
            self.untimed.entry(place).or_default().push((seq, owned));
        }
        is_room
    }

    /// The records that waited for the time of a pair.
    pub(in super::super) fn timed(&mut self, place: u64) -> Vec<(u64, Owned)> {
        if self.untimed.is_empty() {
            return Vec::new();
        }
        let waited = self.untimed.remove(&place).unwrap_or_default();
        self.untimed_bytes -= waited.iter().map(|(_, owned)| owned.size()).sum::<usize>();
        waited
    }

    /// All that waited in vain.
    pub(in super::super) fn never_timed(&mut self) -> Vec<(u64, Owned)> {
        let mut rest: Vec<_> = std::mem::take(&mut self.untimed).into_values().flatten().collect();
        rest.sort_by_key(|(seq, _)| *seq);
        rest
    }

    /// Notes the time of a live pair.
    pub(in super::super) fn note_time(&mut self, place: u64, ms: i64) {
        if self.is_used {
            let chunk = self.times.entry(place / CHUNK);
            chunk.or_insert_with(|| vec![i64::MIN; LENGTH].into())[(place % CHUNK) as usize] = ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_value_says_is_the_same_however_a_stage_wrote_it() {
        let said = |text: &str| Said::of(text.as_bytes());
        let (a, b) = (
            said(r#"{"ts":"1970-01-01T00:00:01.500Z","n":0.70}"#),
            said(r#"{"n": 7e-1, "ts":"1970-01-01T00:00:01.500Z"}"#),
        );
        assert_eq!(a, b);
        assert_eq!(a.ts_ms, Some(1_500));
        let other = said(r#"{"n":0.7,"ts":"1970-01-01T00:00:02.500Z"}"#);
        assert_eq!((a.but_ts == other.but_ts, a.whole == other.whole), (true, false));
        assert_eq!((said("{\"a\":").but_ts, said("{\"a\":").ts_ms), (None, None));
    }
}
