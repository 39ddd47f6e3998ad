//! Which partition is read next: the one that is furthest behind in time.
//!
//! Both records of a pair, and the copies of a record, are then read near each other, whatever
//! partitions they are in and however fast each of them is fetched.

use std::time::{Duration, Instant};

/// Records of other partitions that may pass one that has none now. It is well below what the audit
/// remembers.
const MOST_PASSED: usize = 16_384;

/// How long those wait for it then. Behind that its broker is taken to be away.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was taken of a partition at once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) records: usize,
    /// The middle one of their times, ms since 1970: some of them may be shifted.
    pub(super) middle_ms: Option<i64>,
    /// Whether the broker put its own time on them.
    pub(super) has_append_time: bool,
}

/// How far each partition was taken.
#[derive(Debug)]
pub(super) struct Heads {
    heads: Vec<Head>,
    topics: Vec<Topic>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Head {
    topic: usize,
    /// Of the latest records, ms since 1970.
    time_ms: i64,
    is_at_end: bool,
    /// Whether it was once: a log that grows has an end, too.
    has_ended: bool,
    /// Set from when it had no record until it is behind no more.
    lag: Option<Lag>,
}

#[derive(Debug, Clone, Copy)]
struct Lag {
    /// Records of others that were taken in the meantime.
    passed: usize,
    /// When it was last seen to have records, or first to have none.
    since: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Topic {
    records: usize,
    has_append_time: bool,
}

impl Heads {
    /// Nothing of partitions that are of the topics with these numbers.
    pub(super) fn new(topics: impl Iterator<Item = usize>) -> Self {
        let heads: Vec<_> = topics.map(|topic| Head { topic, ..Head::default() }).collect();
        let topics = heads.iter().map(|head| head.topic + 1).max().unwrap_or_default();
        Self { heads, topics: vec![Topic::default(); topics] }
    }

    /// Whether a partition was not read to an end yet.
    pub(super) fn any_open(&self) -> bool {
        self.heads.iter().any(|head| !head.has_ended)
    }

    /// Whether a partition was read to an end that it had.
    pub(super) fn has_ended(&self, at: usize) -> bool {
        self.heads[at].has_ended
    }

    /// Whether nothing came of a partition since it was read to an end.
    pub(super) fn is_at_end(&self, at: usize) -> bool {
        self.heads[at].is_at_end
    }

    /// The partitions to ask, the one that is furthest behind first. Those that had an end are asked
    /// again only by a reader that `follows`.
    pub(super) fn in_order(&self, follows: bool) -> Vec<usize> {
        // The broker's time says nothing beside that of a producer: counts do, as well as they can.
        let mut clocks = self.topics.windows(2);
        let are_alike = clocks.all(|two| two[0].has_append_time == two[1].has_append_time);
        let rank = |at: usize| {
            let Head { topic, time_ms, is_at_end, .. } = self.heads[at];
            let of_topic = if are_alike { 0 } else { self.topics[topic].records };
            (is_at_end, of_topic, time_ms)
        };
        let is_asked = |at: &usize| follows || !self.heads[*at].has_ended;
        let mut order: Vec<_> = (0..self.heads.len()).filter(is_asked).collect();
        order.sort_unstable_by_key(|at| rank(*at));
        order
    }

    /// Whether the others wait for a partition that has nothing now.
    pub(super) fn is_waited_for(&self, at: usize) -> bool {
        let Head { is_at_end, lag, .. } = self.heads[at];
        let is_due = |lag: Lag| lag.passed > MOST_PASSED && lag.since.elapsed() < PATIENCE;
        !is_at_end && lag.is_some_and(is_due)
    }

    /// Notes what a partition had when it was asked.
    pub(super) fn took(&mut self, at: usize, taken: &Taken, is_at_end: bool) {
        let Taken { records, middle_ms, has_append_time } = *taken;
        let head = &mut self.heads[at];
        head.has_ended |= is_at_end;
        head.is_at_end = is_at_end || (head.is_at_end && records == 0);
        if records == 0 {
            head.lag.get_or_insert_with(|| Lag { passed: 0, since: Instant::now() });
            return;
        }
        head.time_ms = middle_ms.unwrap_or(head.time_ms);
        let (topic, time_ms) = (&mut self.topics[head.topic], head.time_ms);
        topic.records += records;
        topic.has_append_time = has_append_time;
        let mut others = self.heads.iter().enumerate().filter(|(other, _)| *other != at);
        let is_last = others.all(|(_, head)| head.is_at_end || time_ms <= head.time_ms);
        for (other, head) in self.heads.iter_mut().enumerate() {
            let Some(lag) = &mut head.lag else { continue };
            if other != at {
                lag.passed += records;
            } else if is_last {
                lag.since = Instant::now();
            } else {
                head.lag = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(heads: &mut Heads, at: usize, records: usize, ms: i64) {
        let taken = Taken { records, middle_ms: Some(ms), has_append_time: false };
        heads.took(at, &taken, false);
    }

    #[test]
    fn the_partition_that_is_furthest_behind_is_asked_first() {
        let mut heads = Heads::new([0, 0, 1].into_iter());
        took(&mut heads, 0, 256, 9_000);
        took(&mut heads, 1, 256, 2_000);
        took(&mut heads, 2, 256, 5_000);
        assert_eq!(heads.in_order(false), [1, 2, 0]);
        heads.took(1, &Taken::default(), true);
        assert_eq!(heads.in_order(false), [2, 0], "one that has ended is not asked again");
        assert_eq!(heads.in_order(true), [2, 0, 1], "but by a reader that follows");
        assert!(heads.any_open());
    }

    #[test]
    fn a_partition_that_lags_is_waited_for_until_it_has_caught_up() {
        let mut heads = Heads::new([0, 1].into_iter());
        took(&mut heads, 0, 1, 1_000);
        took(&mut heads, 1, 1, 1_000);
        heads.took(0, &Taken::default(), false);
        took(&mut heads, 1, MOST_PASSED, 9_000);
        assert!(!heads.is_waited_for(0), "so many may pass it");
        took(&mut heads, 1, 1, 9_001);
        assert!(heads.is_waited_for(0));
        took(&mut heads, 0, 256, 2_000);
        assert!(heads.is_waited_for(0), "it is behind still");
        took(&mut heads, 0, 256, 9_500);
        assert!(!heads.is_waited_for(0));
        heads.took(1, &Taken::default(), false);
        took(&mut heads, 0, MOST_PASSED + 1, 9_900);
        assert!(heads.is_waited_for(1));
        heads.took(1, &Taken::default(), true);
        assert!(!heads.is_waited_for(1), "nothing is to come");
    }

    #[test]
    fn topics_with_different_clocks_are_read_by_their_counts() {
        let mut heads = Heads::new([0, 1].into_iter());
        let of_the_broker =
            |records| Taken { records, middle_ms: Some(1_800_000_000_000), has_append_time: true };
        heads.took(0, &of_the_broker(10), false);
        took(&mut heads, 1, 20, 1_000);
        assert_eq!(heads.in_order(false), [0, 1]);
        heads.took(0, &of_the_broker(11), false);
        assert_eq!(heads.in_order(false), [1, 0]);
    }
}
