//! What became of the records that close the windows of a run's consumers.

use jiff::Timestamp;

/// The records of `CLOSE_WINDOWS`, which no other count has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The time of all of them.
    pub at: Timestamp,
    /// Records of each topic: one for each partition.
    pub records: [u64; 2],
    /// How many of them the broker gave an offset.
    pub acknowledged: [u64; 2],
    /// The first error.
    pub problem: Option<String>,
}

impl Closing {
    /// Why the windows are not closed; `None` if they are.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let [there, records] = [self.acknowledged, self.records].map(|of| of.iter().sum::<u64>());
        let because = self.problem.as_ref().map(|problem| format!(" ({problem})"));
        (there < records).then(|| {
            format!(
                "{there} of the {records} records that close the windows were acknowledged{}",
                because.unwrap_or_default()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Outcome;
    use crate::exit::Exit;

    fn outcome(acknowledged: [u64; 2], exit: Exit) -> Outcome {
        let problem = Some("UnknownTopicOrPartition".to_owned());
        let closing = Closing { at: Timestamp::UNIX_EPOCH, records: [3, 2], acknowledged, problem };
        Outcome { exit, reason: None }.with(Some(&closing))
    }

    #[test]
    fn a_run_whose_windows_stay_open_is_not_complete() {
        assert_eq!(outcome([3, 2], Exit::Success).exit, Exit::Success);
        let open = outcome([3, 1], Exit::Success);
        assert_eq!(open.exit, Exit::IoErr);
        assert_eq!(
            open.reason.unwrap(),
            "4 of the 5 records that close the windows were acknowledged (UnknownTopicOrPartition)"
        );
        assert_eq!(outcome([0, 0], Exit::NoPerm), Outcome { exit: Exit::NoPerm, reason: None });
        assert_eq!(Outcome { exit: Exit::Success, reason: None }.with(None).exit, Exit::Success);
    }
}
