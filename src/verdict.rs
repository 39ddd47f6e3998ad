//! The verdict of a run: its exit code, from the books and how it ended.

use crate::books::{Books, FailureClass};
use crate::exit::Exit;
use crate::run::Ending;

/// The exit code of a run.
///
/// `planned` is set if all of the plan was generated, `denied` if the cluster refused the client as a
/// whole.
#[must_use]
pub fn verdict(books: &Books, ending: Ending, planned: bool, denied: bool) -> Exit {
    let missing = books.total_missing();
    match ending {
        Ending::Signalled(signal) if missing == 0 => return Exit::Signalled(signal),
        Ending::Signalled(_) => return Exit::IoErr,
        _ if planned && missing == 0 => return Exit::Success,
        _ => {}
    }
    let refused = books.total_failed() > 0
        && books.total_unresolved() == 0
        && books.failures().all(|(_, _, f)| f.class == FailureClass::Denied);
    if refused || (denied && books.total_delivered() == 0) {
        Exit::NoPerm
    } else if books.total_delivered() == 0 {
        Exit::Unavailable
    } else {
        Exit::IoErr
    }
}

/// The verdict in one word, for the report.
#[must_use]
pub fn outcome(exit: Exit) -> &'static str {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::books::{Failure, Settled};
    use crate::event::Kind;
    use crate::exit::Signal;

    /// Books with these counts of each topic.
    pub(crate) fn books(acknowledged: u64, failed: &[(FailureClass, u64)], open: u64) -> Books {
        let mut books = Books::default();
        for kind in Kind::BOTH {
            for offset in 0..acknowledged {
                books.generated(kind);
                books.acknowledged(kind, 0, i64::try_from(offset).unwrap());
            }
            for (class, count) in failed {
                for _ in 0..*count {
                    books.generated(kind);
                    books.failed(kind, Failure { kind: format!("{class:?}"), class: *class });
                }
            }
            for _ in 0..open {
                books.generated(kind);
            }
        }
        books
    }

    #[test]
    fn the_exit_code_follows_from_the_books() {
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
            let books = books(acknowledged, failed, open);
            let planned = ending == Completed;
            let verdict = verdict(&books, ending, planned, denied).code();
            assert_eq!(verdict, exit, "{acknowledged} {failed:?} {open} {ending:?} {denied}");
        }
    }

    #[test]
    fn what_was_found_in_the_log_counts_as_delivered() {
        use Ending::{Completed, Fatal, Signalled, Silence};
        let term = Signal::Terminate;
        for (found, ending, planned, exit) in [
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
            let mut books = books(0, &[(FailureClass::Silence, 1)], 1);
            for kind in Kind::BOTH {
                books.settle(kind, Settled { found, not_found: 2 - found });
            }
            let verdict = verdict(&books, ending, planned, false).code();
            assert_eq!(verdict, exit, "{found} {ending:?} {planned}");
        }
    }
}
