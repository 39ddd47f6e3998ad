//! Why records failed.

/// Why a record failed, as far as the exit code cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureClass {
    /// No answer came: the record's time ran out, or the brokers were gone.
    Silence,
    /// The cluster refused for lack of permission.
    Denied,
    /// The cluster, or the client library, refused otherwise.
    Refused,
    /// It was taken back before it had an answer, because the run was over.
    Purged,
    /// It was acknowledged, and was not in the log any more at the end.
    Truncated,
}

/// Failures of one kind in one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// Their class.
    pub class: FailureClass,
    /// How many.
    pub count: u64,
}

/// Why a record failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the client library calls it.
    pub kind: String,
    /// Its class.
    pub class: FailureClass,
}
