//! What the producer said of each record of a topic.

use serde::Serialize;

/// What the producer said of records, and which of them are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictRow {
    /// `acknowledged`, `failed`, `unresolved` or `unknown`.
    pub verdict: &'static str,
    /// Records that are there.
    pub present: u64,
    /// Records that are not.
    pub missing: u64,
}

/// What the producer said of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The broker gave it an offset.
    Acknowledged,
    /// Given up with an error.
    Failed,
    /// Neither acknowledged nor given up.
    Unresolved,
    /// There is no report, or its list of ranges ends before.
    Unknown,
}

impl Verdict {
    /// All, in the order of the account.
    pub const ALL: [Self; 4] = [Self::Acknowledged, Self::Failed, Self::Unresolved, Self::Unknown];

    /// The word of the account.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Failed => "failed",
            Self::Unresolved => "unresolved",
            Self::Unknown => "unknown",
        }
    }
}

/// Ascending ranges of `seq`, first and last, as a report lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The ranges.
    pub ranges: Vec<[u64; 2]>,
    /// Whether more follow that are not listed.
    pub has_more: bool,
}

impl Listed {
    /// Whether a seq is in it; `None` where the list ends before.
    fn contains(&self, seq: u64) -> Option<bool> {
        let after = self.ranges.partition_point(|[first, _]| *first <= seq);
        let [_, last] = match after.checked_sub(1) {
            Some(at) => self.ranges[at],
            None => return (!self.ranges.is_empty() || !self.has_more).then_some(false),
        };
        if seq <= last {
            return Some(true);
        }
        (after < self.ranges.len() || !self.has_more).then_some(false)
    }
}

/// What a report says of a topic's records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Given up with an error.
    pub failed: Listed,
    /// Neither acknowledged nor given up.
    pub unresolved: Listed,
    /// The same of copies that the fault `duplicate` makes: failed, and unresolved.
    pub copies: [Listed; 2],
    /// How many records of the shard were generated, copies included.
    pub generated: u64,
    /// How many were acknowledged, failed and unresolved.
    pub counts: [u64; 3],
}

impl Verdicts {
    /// The verdict on a record that was generated, or on its copy.
    #[must_use]
    pub fn of(&self, seq: u64, is_copy: bool) -> Verdict {
        let [failed, unresolved] =
            if is_copy { self.copies.each_ref() } else { [&self.failed, &self.unresolved] };
        match (failed.contains(seq), unresolved.contains(seq)) {
            (Some(true), _) => Verdict::Failed,
            (_, Some(true)) => Verdict::Unresolved,
            (Some(false), Some(false)) => Verdict::Acknowledged,
            _ => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_told_and_what_may_follow_is_not_guessed() {
        let listed = |ranges: &[[u64; 2]], has_more| Listed { ranges: ranges.to_vec(), has_more };
        let verdicts = Verdicts {
            failed: listed(&[[2, 3], [7, 7]], false),
            unresolved: listed(&[[10, 11]], true),
            ..Verdicts::default()
        };
        let told = [0, 2, 3, 4, 7, 10, 12].map(|seq| verdicts.of(seq, false));
        use Verdict::{Acknowledged, Failed, Unknown, Unresolved};
        assert_eq!(told, [Acknowledged, Failed, Failed, Acknowledged, Failed, Unresolved, Unknown]);
        assert_eq!(listed(&[], true).contains(0), None);
        assert_eq!(listed(&[], false).contains(0), Some(false));
    }
}
