//! The exit codes of the program, as in sysexits.h.

use std::fmt;
use std::process::ExitCode;

/// A signal that asks the run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP, as from a terminal that closes. It does what SIGTERM does.
    Hangup,
    /// SIGINT, as from Ctrl-C.
    Interrupt,
    /// SIGTERM, as from `systemctl stop`.
    Terminate,
}

impl Signal {
    /// The Linux number of the signal that the exit code names; for SIGHUP that is SIGTERM.
    #[must_use]
    pub fn exit_number(self) -> u8 {
        match self {
            Self::Interrupt => 2,
            Self::Hangup | Self::Terminate => 15,
        }
    }

    /// The signal's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// What the process exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every planned record is in Kafka.
    Success,
    /// Bad command line.
    Usage,
    /// The seed file is not valid.
    DataErr,
    /// A named file is missing or unreadable.
    NoInput,
    /// Nothing could be delivered.
    Unavailable,
    /// Internal error.
    Software,
    /// Too few file descriptors or threads, or too little memory.
    OsErr,
    /// Some records are not known to be in Kafka, or output could not be written.
    IoErr,
    /// The cluster refused authentication or authorization.
    NoPerm,
    /// A setting is not valid.
    Config,
    /// The reader of stdout went away, as after `| head`.
    BrokenPipe,
    /// Stopped by a signal; everything generated was delivered.
    Signalled(Signal),
}

/// The documented exit codes and when each is used, in the order of the documentation.
pub const DOCUMENTED: &[(Exit, &str)] = &[
    (Exit::Success, "every planned record is in Kafka: acknowledged, or found in its log"),
    (Exit::Usage, "bad command line"),
    (
        Exit::DataErr,
        "the seed file is not valid (the error names file, line, row and field), or a report that is \
         to be verified is not",
    ),
    (
        Exit::NoInput,
        "a named file is missing or unreadable, there is no run of that id to verify, or it sent nothing",
    ),
    (
        Exit::Unavailable,
        "nothing could be delivered, as when no broker is reached or a topic cannot be created; \
         verify could not decide, as where a log was not read to its end",
    ),
    (Exit::Software, "internal error: please report it"),
    (
        Exit::OsErr,
        "too few file descriptors or threads, or too little memory; the error names the limit",
    ),
    (
        Exit::IoErr,
        "some records are not known to be in Kafka, among them those of CLOSE_WINDOWS, or the report or \
         the answer key could not be written; verify found records missing, altered or more \
         than once",
    ),
    (Exit::NoPerm, "the cluster refused authentication or authorization"),
    (
        Exit::Config,
        "a setting is not valid (the error names value, source and what was expected), the \
         unit's egress allow list blocks a broker, or a topic would not keep the events",
    ),
    (
        Exit::Signalled(Signal::Interrupt),
        "stopped by SIGINT; everything generated was delivered (else 74)",
    ),
    (Exit::BrokenPipe, "the reader of stdout went away"),
    (
        Exit::Signalled(Signal::Terminate),
        "stopped by SIGTERM or SIGHUP; everything generated was delivered (else 74)",
    ),
];

impl Exit {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Usage => 64,
            Self::DataErr => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::OsErr => 71,
            Self::IoErr => 74,
            Self::NoPerm => 77,
            Self::Config => 78,
            Self::BrokenPipe => 128 + 13,
            Self::Signalled(signal) => 128 + signal.exit_number(),
        }
    }

    /// The name that `systemctl status` shows for the code.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Usage => "USAGE",
            Self::DataErr => "DATAERR",
            Self::NoInput => "NOINPUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::Software => "SOFTWARE",
            Self::OsErr => "OSERR",
            Self::IoErr => "IOERR",
            Self::NoPerm => "NOPERM",
            Self::Config => "CONFIG",
            Self::BrokenPipe => "SIGPIPE",
            // Two signals share a code, and systemd knows only the code.
            Self::Signalled(Signal::Hangup) => Signal::Terminate.name(),
            Self::Signalled(signal) => signal.name(),
        }
    }

    /// The errno that `systemctl status` shows beside the status text; `None` on success.
    #[must_use]
    pub fn errno(self) -> Option<u32> {
        // Numbers of errno(3) on Linux: EIO 5, EACCES 13, EINVAL 22, ENOENT 2,
        // EAGAIN 11, EHOSTUNREACH 113.
        match self {
            Self::Success | Self::Signalled(_) | Self::BrokenPipe => None,
            Self::NoInput => Some(2),
            Self::IoErr | Self::Software => Some(5),
            Self::OsErr => Some(11),
            Self::NoPerm => Some(13),
            Self::Usage | Self::DataErr | Self::Config => Some(22),
            Self::Unavailable => Some(113),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.name())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
