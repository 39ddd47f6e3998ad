//! The kinds of faults, their parameters and defaults.

use std::time::Duration;

use jiff::SignedDuration;

use crate::event::Kind;

/// What is done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A second record with the same bytes, some time after the first.
    Duplicate,
    /// Sent that long after its time.
    Late,
    /// Sent after some of the pairs behind it.
    OutOfOrder,
    /// `ts` and record timestamp of the pair are off by that much.
    ClockSkew,
    /// Not sent at all.
    Drop,
    /// No value.
    Tombstone,
    /// Not JSON, or JSON that readers disagree about.
    Malformed,
    /// One field is not there.
    MissingField,
    /// One field is null.
    NullField,
    /// One field has a value of another type.
    WrongType,
    /// There is a field that the schema does not know.
    ExtraField,
    /// One field has another name.
    RenamedField,
    /// One field stands twice, with different values.
    DuplicateKey,
    /// One reading is a number that stands for "none" in the exporter.
    Sentinel,
    /// The request failed: it has no completion.
    FailedRequest,
    /// The value is that large.
    Oversize,
}

/// What a kind can be told beside its probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// Nothing.
    None,
    /// A length of time.
    Time(Duration),
    /// A length of time, into the past where it is negative.
    Shift(SignedDuration),
    /// Pairs of the run.
    Pairs(u64),
    /// Bytes.
    Bytes(usize),
}

/// Which records a kind can hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Both topics, each record on its own.
    Records,
    /// Both records of a pair together.
    Pairs,
    /// Records of this topic.
    Topic(Kind),
}

impl Fault {
    /// All, in the order of the documentation, of the header, and of precedence.
    pub const ALL: [Self; 16] = [
        Self::Duplicate,
        Self::Late,
        Self::OutOfOrder,
        Self::ClockSkew,
        Self::Drop,
        Self::Tombstone,
        Self::Malformed,
        Self::MissingField,
        Self::NullField,
        Self::WrongType,
        Self::ExtraField,
        Self::RenamedField,
        Self::DuplicateKey,
        Self::Sentinel,
        Self::FailedRequest,
        Self::Oversize,
    ];

    /// All, as they are written.
    pub const WORDS: [&'static str; 16] = {
        let mut words = [""; 16];
        let mut at = 0;
        while at < words.len() {
            words[at] = Self::ALL[at].word();
            at += 1;
        }
        words
    };

    /// The kind as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::OutOfOrder => "out-of-order",
            Self::ClockSkew => "clock-skew",
            Self::Drop => "drop",
            Self::Tombstone => "tombstone",
            Self::Malformed => "malformed",
            Self::MissingField => "missing-field",
            Self::NullField => "null-field",
            Self::WrongType => "wrong-type",
            Self::ExtraField => "extra-field",
            Self::RenamedField => "renamed-field",
            Self::DuplicateKey => "duplicate-key",
            Self::Sentinel => "sentinel",
            Self::FailedRequest => "failed-request",
            Self::Oversize => "oversize",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.word() == word)
    }

    /// The parameter where the user gives none. `docs/faults.md` has the sources.
    #[must_use]
    pub fn default_parameter(self) -> Parameter {
        match self {
            // What a client retries within: a lost acknowledgement is sent again after seconds.
            Self::Duplicate => Parameter::Time(Duration::from_secs(5)),
            // Median of the lateness that stream processors are tuned for.
            Self::Late => Parameter::Time(Duration::from_secs(10)),
            Self::OutOfOrder => Parameter::Pairs(50),
            // A clock that was stepped, which nobody noticed yet.
            Self::ClockSkew => Parameter::Shift(SignedDuration::from_secs(300)),
            // One byte more than a 16-bit length, or the TEXT column of a database, can hold.
            Self::Oversize => Parameter::Bytes(65_536),
            _ => Parameter::None,
        }
    }

    pub(super) fn scope(self) -> Scope {
        match self {
            Self::ClockSkew => Scope::Pairs,
            Self::Sentinel => Scope::Topic(Kind::Metric),
            Self::FailedRequest => Scope::Topic(Kind::Token),
            _ => Scope::Records,
        }
    }

    /// Whether it changes the value alone.
    #[must_use]
    pub fn changes_value(self) -> bool {
        self >= Self::Tombstone
    }
}
