//! The workloads by name.

/// Where the token lengths, latencies and GPU values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Chat traffic.
    Chat,
    /// Code completion.
    Code,
    /// Reasoning models.
    Reason,
    /// Long contexts.
    Long,
    /// Coding agents.
    Agent,
    /// Uniform draws, GPU values as in the seed row: what the program replaces did.
    Uniform,
}

impl Name {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Chat, Self::Code, Self::Reason, Self::Long, Self::Agent, Self::Uniform];

    /// All, as they are written.
    pub const WORDS: [&'static str; 6] = {
        let [a, b, c, d, e, f] = Self::ALL;
        [a.word(), b.word(), c.word(), d.word(), e.word(), f.word()]
    };

    /// The name as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Code => "code",
            Self::Reason => "reason",
            Self::Long => "long",
            Self::Agent => "agent",
            Self::Uniform => "uniform",
        }
    }
}
