//! What the account of a run comes to: closed, not closed, or undecided.
//!
//! Something that is proved wrong leaves the account open. What could not be told leaves it undecided,
//! and says what would decide. Only an account with neither is closed.

use serde::Serialize;

use super::{KeyAccount, MissingAccount, TimesVerdict, TopicAccount, TornAccount};

/// What an account comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closure {
    /// Every record is there, once, and as it was sent.
    Closed,
    /// Something is proved wrong.
    NotClosed,
    /// Nothing is proved wrong, and something could not be told.
    Undecided,
}

impl Closure {
    /// The words of the headline.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::NotClosed => "NOT CLOSED",
            Self::Undecided => "UNDECIDED",
        }
    }

    /// What these findings come to, and what leaves them undecided, one sentence each.
    pub(super) fn of(
        topics: &[TopicAccount],
        torn: &TornAccount,
        key: Option<&KeyAccount>,
        is_end_known: bool,
    ) -> (Self, Vec<String>) {
        let mut undecided: Vec<_> = topics.iter().flat_map(of_topic).collect();
        if !is_end_known {
            undecided.push(
                "how many pairs the run had, so what is missing behind the last one that was found; \
                 the report of the run would decide (--report FILE)"
                    .to_owned(),
            );
        }
        let is_decided = topics.iter().all(|topic| open(topic) == 0);
        let is_key_wrong = key.is_some_and(|key| !key.agrees && (is_decided || contradicts(key)));
        let is_wrong = torn.other_time + torn.other_partition > 0
            || is_key_wrong
            || topics.iter().any(|topic| wrong(topic) > 0);
        let closure = match (is_wrong, undecided.is_empty()) {
            (true, _) => Self::NotClosed,
            (false, false) => Self::Undecided,
            (false, true) => Self::Closed,
        };
        (closure, undecided)
    }
}

/// Findings of a topic that are proved wrong.
fn wrong(topic: &TopicAccount) -> u64 {
    let missing = topic.missing_of(|missing| missing.why.is_proved());
    let read = &topic.read;
    let times = topic.times.as_ref().filter(|times| times.verdict == TimesVerdict::Differ);
    let times = topic.outside_run + times.map_or(0, |times| times.records);
    let copies = topic.remaining_copies + read.extra_copies;
    missing + copies + read.first_altered + read.misplaced + read.unexpected + times
}

/// Records of a topic that may be there all the same.
fn open(topic: &TopicAccount) -> u64 {
    topic.missing_of(|missing| !missing.why.is_proved())
}

/// Whether an answer key differs in more than records that were not found.
fn contradicts(key: &KeyAccount) -> bool {
    key.lines.wrong > 0
        || key.records.iter().any(|row| row.undeclared > 0)
        || !key.incidents_not_found.is_empty()
        || !key.incidents_undeclared.is_empty()
}

/// What a topic leaves undecided.
fn of_topic(topic: &TopicAccount) -> Vec<String> {
    let name = &topic.topic;
    let missing = topic.missing_by_cause.iter().filter_map(|missing| {
        let MissingAccount { why, records, of_copies, .. } = missing;
        let decides = why.would_decide()?;
        let what = if *of_copies { "copies" } else { "records" };
        Some(format!("{records} {what} of {name}, {}; {decides} would decide", why.words()))
    });
    let mut all: Vec<_> = missing.collect();
    if topic.untimed > 0 {
        all.push(format!(
            "whether {} records of {name} are as they were sent: nothing tells their time; a topic or \
             an export that keeps it would decide",
            topic.untimed
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::missing::Why;
    use super::super::{KeyLines, KeyRow, ReadAccount};
    use super::*;

    fn missing(why: Why) -> TopicAccount {
        let missing = MissingAccount {
            why,
            of_copies: false,
            records: 3,
            ranges: vec![[0, 2]],
            more: 0,
            evidence: String::new(),
        };
        TopicAccount { missing: 3, missing_by_cause: vec![missing], ..TopicAccount::default() }
    }

    fn read(read: ReadAccount) -> TopicAccount {
        TopicAccount { read, ..TopicAccount::default() }
    }

    fn of(topics: &[TopicAccount]) -> Closure {
        Closure::of(topics, &TornAccount::default(), None, true).0
    }

    #[test]
    fn what_is_proved_leaves_an_account_open_and_what_is_not_leaves_it_undecided() {
        use Closure::{Closed, NotClosed, Undecided};
        let whole = TopicAccount::default;
        for (topic, expected) in [
            (whole(), Closed),
            (read(ReadAccount { reencoded: 9, ..ReadAccount::default() }), Closed),
            (read(ReadAccount { first_altered: 1, ..ReadAccount::default() }), NotClosed),
            (read(ReadAccount { extra_copies: 1, ..ReadAccount::default() }), NotClosed),
            (read(ReadAccount { unexpected: 1, ..ReadAccount::default() }), NotClosed),
            (TopicAccount { remaining_copies: 1, ..whole() }, NotClosed),
            (TopicAccount { untimed: 1, ..whole() }, Undecided),
            (missing(Why::NeverAcknowledged), NotClosed),
            (missing(Why::Expired), NotClosed),
            (missing(Why::Compacted), NotClosed),
            (missing(Why::Truncated), NotClosed),
            (missing(Why::Lost), NotClosed),
            (missing(Why::Absent), NotClosed),
            (missing(Why::NoVerdict), NotClosed),
            (missing(Why::NotRead), Undecided),
            (missing(Why::Unmatched), Undecided),
            (missing(Why::Hidden), Undecided),
            (missing(Why::ExpiredOrLost), Undecided),
            (missing(Why::CompactedOrLost), Undecided),
        ] {
            let text = format!("{topic:?}");
            assert_eq!(of(&[whole(), topic]), expected, "{text}");
        }
        assert_eq!(of(&[missing(Why::NotRead), missing(Why::Lost)]), NotClosed, "one is proved");
    }

    #[test]
    fn pairs_are_torn_by_what_is_there_and_not_by_what_may_be_there() {
        let whole = [TopicAccount::default(), TopicAccount::default()];
        let of = |torn: TornAccount| Closure::of(&whole, &torn, None, true).0;
        let torn = TornAccount::default;
        assert_eq!(of(TornAccount { only_metric: 1, only_token: 1, ..torn() }), Closure::Closed);
        assert_eq!(of(TornAccount { other_time: 1, ..torn() }), Closure::NotClosed);
        assert_eq!(of(TornAccount { other_partition: 1, ..torn() }), Closure::NotClosed);
    }

    #[test]
    fn an_answer_key_is_wrong_by_what_was_not_found_only_where_all_was_read() {
        let key = |undeclared| KeyAccount {
            agrees: false,
            records: vec![KeyRow { declared: 2, found: 1, undeclared, ..KeyRow::default() }],
            lines: KeyLines::default(),
            incidents_not_found: Vec::new(),
            incidents_undeclared: Vec::new(),
        };
        let of = |topic, undeclared| {
            Closure::of(&[topic], &TornAccount::default(), Some(&key(undeclared)), true).0
        };
        assert_eq!(of(TopicAccount::default(), 0), Closure::NotClosed);
        assert_eq!(of(missing(Why::NotRead), 0), Closure::Undecided);
        assert_eq!(of(missing(Why::NotRead), 1), Closure::NotClosed);
    }

    #[test]
    fn an_account_says_what_would_decide_it() {
        let topics = [TopicAccount { topic: "t".into(), ..missing(Why::NotRead) }];
        let (closure, undecided) = Closure::of(&topics, &TornAccount::default(), None, false);
        assert_eq!(closure, Closure::Undecided);
        assert_eq!(undecided.len(), 2);
        assert_eq!(undecided[0], "3 records of t, not read; reading to the end would decide");
        assert!(undecided[1].ends_with("would decide (--report FILE)"), "{}", undecided[1]);
    }
}
