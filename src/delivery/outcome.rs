//! What a run comes to: exit code and reason. Nothing else decides these.

use super::{Closing, Counts, FailureClass};
use crate::exit::{Exit, Signal};

/// Why a run stopped sending, or waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The plan was carried out.
    Completed,
    /// A signal came.
    Signalled(Signal),
    /// No answer came for the whole delivery timeout.
    Silence,
    /// The client can send nothing any more.
    Fatal,
}

/// Why a run could not begin to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A signal came first.
    Stopped(Signal),
    /// The seed file cannot be read.
    SeedUnreadable,
    /// The seed file is not valid.
    SeedInvalid,
    /// A setting does not fit the cluster, the topics or the unit.
    Misconfigured,
    /// The system gives too little: descriptors, threads or memory.
    Exhausted,
    /// The cluster refuses access.
    Denied,
    /// No broker answered, or a topic or a leader is missing.
    Unavailable,
}

impl Cause {
    /// The exit code of a run that could not begin for this.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Stopped(signal) => Exit::Signalled(signal),
            Self::SeedUnreadable => Exit::NoInput,
            Self::SeedInvalid => Exit::DataErr,
            Self::Misconfigured => Exit::Config,
            Self::Exhausted => Exit::OsErr,
            Self::Denied => Exit::NoPerm,
            Self::Unavailable => Exit::Unavailable,
        }
    }
}

/// Why a run could not begin to send, and in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotStarted {
    /// What kind of problem it is.
    pub cause: Cause,
    /// The problem.
    pub reason: String,
}

impl NotStarted {
    /// A problem of this kind.
    #[must_use]
    pub fn new(cause: Cause, problem: &impl ToString) -> Self {
        Self { cause, reason: problem.to_string() }
    }
}

/// How the sending ended, and what the cluster said.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Why the run stopped sending, or waiting.
    pub ending: Ending,
    /// Whether all of the plan was sent.
    pub sent_all: bool,
    /// Whether a second signal came.
    pub stopped_again: bool,
    /// Why the cluster refuses this client as a whole, if it does.
    pub denied: Option<String>,
    /// Why the client can send nothing any more, if it cannot.
    pub fatal: Option<(FailureClass, String)>,
    /// The last error that the client reported.
    pub last_error: Option<String>,
    /// What is wrong with the topics, as far as they tell.
    pub topics: Option<String>,
    /// Why the unit cannot reach its brokers any more, as far as the unit is the reason.
    pub egress: Option<String>,
    /// Why some records could not be looked up in the log.
    pub unread: Option<String>,
    /// Which logs were cut back, and why.
    pub truncated: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum RunEnd {
    /// It could not begin to send.
    NotStarted(NotStarted),
    /// There was nothing to send.
    NothingPlanned,
    /// It sent records.
    Sent(Evidence),
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code.
    pub exit: Exit,
    /// Why not every planned record was delivered.
    pub reason: Option<String>,
}

impl Outcome {
    /// The outcome of a run that ended like this, with these counts.
    #[must_use]
    pub fn of(end: &RunEnd, counts: &Counts) -> Self {
        match end {
            RunEnd::NothingPlanned => Self { exit: Exit::Success, reason: None },
            RunEnd::NotStarted(NotStarted { cause, reason }) => {
                Self { exit: cause.exit(), reason: Some(reason.clone()) }
            }
            RunEnd::Sent(evidence) => {
                let exit = evidence.exit(counts);
                Self { exit, reason: evidence.reason(exit) }
            }
        }
    }

    /// The outcome where windows were to be closed as well.
    #[must_use]
    pub fn with(self, closing: Option<&Closing>) -> Self {
        match closing.and_then(Closing::problem) {
            Some(problem) if self.exit == Exit::Success => {
                Self { exit: Exit::IoErr, reason: Some(problem) }
            }
            _ => self,
        }
    }

    /// The outcome in one word, for the report.
    #[must_use]
    pub fn word(&self) -> &'static str {
        word(self.exit)
    }
}

/// The outcome of a run with this exit code, in one word.
#[must_use]
pub fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Success => "delivered",
        Exit::Signalled(_) => "interrupted",
        Exit::IoErr => "incomplete",
        Exit::Unavailable => "unavailable",
        Exit::NoPerm => "denied",
        Exit::DataErr | Exit::NoInput => "no-seed",
        Exit::Config | Exit::Usage => "misconfigured",
        Exit::Software | Exit::OsErr | Exit::BrokenPipe => "failed",
    }
}

impl Evidence {
    fn exit(&self, counts: &Counts) -> Exit {
        let missing = counts.total_missing();
        match self.ending {
            Ending::Signalled(signal) if missing == 0 => return Exit::Signalled(signal),
            Ending::Signalled(_) => return Exit::IoErr,
            _ if self.sent_all && missing == 0 => return Exit::Success,
            // It could deliver, and what it delivered is gone.
            _ if self.truncated.is_some() => return Exit::IoErr,
            _ => {}
        }
        let refused = counts.total_failed() > 0
            && counts.total_unresolved() == 0
            && counts.failures().all(|(_, _, f)| f.class == FailureClass::Denied);
        let none = counts.total_delivered() == 0;
        if refused || (none && self.is_denied()) {
            Exit::NoPerm
        } else if none {
            Exit::Unavailable
        } else {
            Exit::IoErr
        }
    }

    fn is_denied(&self) -> bool {
        let fatal = self.fatal.as_ref().map(|(class, _)| *class);
        self.denied.is_some() || fatal == Some(FailureClass::Denied)
    }

    fn reason(&self, exit: Exit) -> Option<String> {
        if exit == Exit::Success {
            return None;
        }
        let Self { topics, egress, truncated, unread, .. } = self.clone();
        let reasons = [egress, topics, truncated, self.ended_by(exit), unread];
        let reasons = reasons.into_iter().flatten().collect::<Vec<_>>();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    fn ended_by(&self, exit: Exit) -> Option<String> {
        let fatal = || self.fatal.as_ref().map(|(_, text)| text.clone());
        let last_error = || self.last_error.as_ref().map(|error| format!("last error: {error}"));
        match self.ending {
            Ending::Signalled(signal) => {
                let again =
                    if self.stopped_again { ", a second signal ended the wait" } else { "" };
                Some(format!("stopped by {}{again}", signal.name()))
            }
            Ending::Fatal => fatal(),
            Ending::Silence => {
                let error = last_error().map(|error| format!("; {error}")).unwrap_or_default();
                Some(format!("no answer from the cluster within the delivery timeout{error}"))
            }
            Ending::Completed if exit == Exit::NoPerm => self.denied.clone().or_else(fatal),
            Ending::Completed => fatal().or_else(last_error),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::delivery::{Failure, Settled, truncation};
    use crate::event::Kind;
    use crate::exit::Signal;

    /// Counts with these counts of each topic.
    pub(crate) fn counts(acknowledged: u64, failed: &[(FailureClass, u64)], open: u64) -> Counts {
        let mut counts = Counts::default();
        for kind in Kind::BOTH {
            let failures: u64 = failed.iter().map(|(_, count)| count).sum();
            counts.generated(kind, acknowledged + failures + open);
            for index in 0..acknowledged {
                counts.acknowledged(kind, index, (0, i64::try_from(index).unwrap()));
            }
            for (class, count) in failed {
                for _ in 0..*count {
                    counts.failed(kind, Failure { kind: format!("{class:?}"), class: *class });
                }
            }
        }
        counts
    }

    /// What a run of this ending was told: nothing.
    pub(crate) fn evidence(ending: Ending, sent_all: bool) -> Evidence {
        Evidence {
            ending,
            sent_all,
            stopped_again: false,
            denied: None,
            fatal: None,
            last_error: None,
            topics: None,
            egress: None,
            unread: None,
            truncated: None,
        }
    }

    #[test]
    fn the_exit_code_follows_from_the_counts() {
        use Ending::{Completed, Fatal, Signalled, Silence};
        use FailureClass::{Denied, Refused};
        let silence = FailureClass::Silence;
        let (term, int) = (Signal::Terminate, Signal::Interrupt);
        for (acknowledged, failed, open, ending, denied, exit) in [
            // everything planned was acknowledged
            (20, &[][..], 0, Completed, false, 0),
            // nothing was planned
            (0, &[], 0, Completed, false, 0),
            // an error on the way that hurt nobody
            (20, &[], 0, Completed, true, 0),
            // one record each is missing, whatever the reason
            (19, &[(silence, 1)], 0, Completed, false, 74),
            (19, &[(Refused, 1)], 0, Completed, false, 74),
            (19, &[], 1, Silence, false, 74),
            // nothing was delivered
            (0, &[(silence, 20)], 0, Completed, false, 69),
            (0, &[(Refused, 20)], 0, Completed, false, 69),
            (0, &[(silence, 10)], 10, Silence, false, 69),
            // a broker went away before all that was planned was generated
            (10, &[], 0, Fatal, false, 74),
            (0, &[], 0, Fatal, false, 69),
            // the cluster refused all that failed
            (0, &[(Denied, 20)], 0, Completed, false, 77),
            (10, &[(Denied, 10)], 0, Completed, false, 77),
            (10, &[(Denied, 9), (silence, 1)], 0, Completed, false, 74),
            (0, &[], 0, Fatal, true, 77),
            // a signal, with everything delivered and not
            (5, &[], 0, Signalled(term), false, 143),
            (5, &[], 0, Signalled(int), false, 130),
            (0, &[], 0, Signalled(term), false, 143),
            (5, &[(silence, 1)], 0, Signalled(term), false, 74),
            (5, &[], 1, Signalled(int), false, 74),
            (0, &[], 5, Signalled(int), false, 74),
        ] {
            let counts = counts(acknowledged, failed, open);
            let mut evidence = evidence(ending, ending == Completed);
            evidence.denied = denied.then(|| "no rights".to_owned());
            let code = Outcome::of(&RunEnd::Sent(evidence), &counts).exit.code();
            assert_eq!(code, exit, "{acknowledged} {failed:?} {open} {ending:?} {denied}");
        }
    }

    #[test]
    fn a_log_that_was_cut_back_is_an_error_even_if_nothing_is_left_of_the_run() {
        for (there, sent_all, exit) in [(2, true, 74), (0, true, 74), (5, true, 0), (0, false, 74)]
        {
            let mut counts = counts(5, &[], 0);
            for kind in Kind::BOTH {
                counts.recount(kind, &[(0, there)].into(), 5 - there, truncation());
            }
            let truncated = (there < 5).then(|| "the log of t was cut back".to_owned());
            let evidence = Evidence { truncated, ..evidence(Ending::Completed, sent_all) };
            let outcome = Outcome::of(&RunEnd::Sent(evidence), &counts);
            assert_eq!(outcome.exit.code(), exit, "{there}");
            let reason = (exit == 74).then_some("the log of t was cut back");
            assert_eq!(outcome.reason.as_deref(), reason);
        }
    }

    #[test]
    fn what_was_found_in_the_log_counts_as_delivered() {
        use Ending::{Completed, Fatal, Signalled, Silence};
        let term = Signal::Terminate;
        for (found, ending, sent_all, exit) in [
            // two records of each topic had no acknowledgement
            (2, Completed, true, 0),
            (2, Silence, true, 0),
            (2, Fatal, true, 0),
            (1, Completed, true, 74),
            (1, Silence, true, 74),
            // not all was generated
            (2, Silence, false, 74),
            (2, Signalled(term), false, 143),
            (1, Signalled(term), false, 74),
        ] {
            let mut counts = counts(0, &[(FailureClass::Silence, 1)], 1);
            for kind in Kind::BOTH {
                counts.settle(kind, Settled { found, not_found: 2 - found });
            }
            let end = RunEnd::Sent(evidence(ending, sent_all));
            assert_eq!(
                Outcome::of(&end, &counts).exit.code(),
                exit,
                "{found} {ending:?} {sent_all}"
            );
        }
    }

    #[test]
    fn the_reason_says_what_ended_the_run_and_what_is_behind_it() {
        use Ending::{Completed, Silence};
        let reason = |evidence: Evidence, acknowledged| {
            let counts = counts(acknowledged, &[(FailureClass::Denied, 1)], 0);
            Outcome::of(&RunEnd::Sent(evidence), &counts).reason.unwrap_or_default()
        };
        let last_error = Some("10.0.0.1:9092 is down".to_owned());
        let silent = Evidence { last_error: last_error.clone(), ..evidence(Silence, false) };
        assert_eq!(
            reason(silent, 1),
            "no answer from the cluster within the delivery timeout; last error: 10.0.0.1:9092 is down"
        );
        let denied = Some("no rights".to_owned());
        let refused = Evidence { denied, last_error, ..evidence(Completed, true) };
        assert_eq!(reason(refused, 1), "no rights");
        let again = Evidence {
            stopped_again: true,
            topics: Some("topic t is not there any more".to_owned()),
            unread: Some("2 records of t not looked up: late".to_owned()),
            ..evidence(Ending::Signalled(Signal::Terminate), false)
        };
        assert_eq!(
            reason(again, 1),
            "topic t is not there any more; stopped by SIGTERM, a second signal ended the wait; \
             2 records of t not looked up: late"
        );
        assert_eq!(reason(evidence(Completed, true), 1), "");
    }
}
