//! The stop signals: SIGTERM, SIGINT, and SIGHUP where it is not ignored.
//!
//! Every command ends within two seconds of one, with 128 and its number as the exit code. Which
//! of these a command calls depends on what it has left to finish:
//!
//! | left to finish | call | effect of a signal |
//! |---|---|---|
//! | nothing | none: `main` has called [`end_at_once`] | ends the process there and then |
//! | what takes a moment: a key, the account of what was read so far | [`Stop::listen_briefly`] | loops look at [`Stop::received`] and finish; [`MOMENT`] later the process ends, whatever it is blocked in |
//! | records that are to be delivered | [`Stop::listen`] | every loop and every wait looks at it; nothing else ends the process |
//!
//! A command that calls none of the last two needs no look at signals in any of its loops, however
//! long they take or block.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fs, io, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use tokio::sync::watch;

use crate::exit::{Exit, Signal};

/// How long after a signal a command may still finish something. The end of its log takes up to
/// half a second more, and all of it two seconds at the most.
pub const MOMENT: Duration = Duration::from_secs(1);

/// Whether a signal ends the process there and then.
static ENDS_AT_ONCE: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Lets a stop signal end the process at once, until somebody listens to it.
///
/// The default action would do that too, but not for process 1, as the program is in a container:
/// the kernel drops a signal for which that has no handler.
pub fn end_at_once() {
    let ends = ENDS_AT_ONCE.get_or_init(|| Arc::new(AtomicBool::new(true)));
    for (number, signal) in handled() {
        let status = Exit::Signalled(signal).code().into();
        // Without a handler the default action is there.
        let _default = flag::register_conditional_shutdown(number, status, Arc::clone(ends));
    }
}

/// Has a write beyond the limit of a file's size fail, instead of ending the process: `ulimit -f`, and
/// `LimitFSIZE=` of systemd.
pub fn survive_file_size_limit() {
    // Without a handler the signal ends the process, as it would anyway.
    let _default = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// The signals received so far: the first decides the exit code, the second ends all waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// The first signal.
    pub first: Option<Signal>,
    /// Whether another one arrived.
    pub again: bool,
    /// The latest signal, and how many arrived.
    latest: Option<(Signal, u32)>,
}

impl Received {
    /// How many signals arrived.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.latest.map_or(0, |(_, count)| count)
    }
}

/// A listener for stop signals.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Received>);

/// The sending side of a [`Stop`].
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Received>);

/// The stop signals that this process handles, each with its number.
fn handled() -> impl Iterator<Item = (i32, Signal)> {
    let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    let all = [(SIGHUP, Signal::Hangup), (SIGINT, Signal::Interrupt), (SIGTERM, Signal::Terminate)];
    // Under nohup(1) the run is to outlive the terminal.
    all.into_iter().filter(move |(number, _)| *number != SIGHUP || ignored & 1 == 0)
}

/// The mask of ignored signals in proc_pid_status(5), SIGHUP lowest.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

impl Stop {
    /// A connected pair.
    #[must_use]
    pub fn channel() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(Received::default());
        (Stopper(sender), Self(receiver))
    }

    /// Listens to the signals of this process until it ends.
    ///
    /// # Errors
    /// The handlers cannot be installed, or there is no thread for them.
    pub fn listen() -> io::Result<Self> {
        Self::listen_with(|_| {})
    }

    /// The same for a command that finishes in a [`MOMENT`] what it has begun. If it does not,
    /// because it is blocked or busy, the process ends then; at a second signal it ends at once.
    ///
    /// # Errors
    /// The handlers cannot be installed, or there is no thread for them.
    pub fn listen_briefly() -> io::Result<Self> {
        Self::listen_with(|received| {
            let Some(first) = received.first else { return };
            let end = move || low_level::exit(Exit::Signalled(first).code().into());
            let later = move || {
                thread::sleep(MOMENT);
                end();
            };
            if received.again || thread::Builder::new().name("end".into()).spawn(later).is_err() {
                end();
            }
        })
    }

    /// Listens, and calls `then` on the thread that does with what was received by then.
    fn listen_with(then: impl Fn(Received) + Send + 'static) -> io::Result<Self> {
        let (stopper, stop) = Self::channel();
        let handled: Vec<_> = handled().collect();
        let mut signals = Signals::new(handled.iter().map(|(number, _)| number))?;
        let work = move || {
            for received in signals.forever() {
                let signals = handled.iter().filter(|(number, _)| *number == received);
                signals.for_each(|(_, signal)| {
                    stopper.send(*signal);
                    then(stopper.received());
                });
            }
        };
        thread::Builder::new().name("signals".into()).spawn(work)?;
        if let Some(ends) = ENDS_AT_ONCE.get() {
            ends.store(false, Ordering::SeqCst);
        }
        Ok(stop)
    }

    /// The signals so far.
    #[must_use]
    pub fn received(&self) -> Received {
        *self.0.borrow()
    }

    /// Waits for the first signal.
    pub async fn first(&self) -> Signal {
        match self.until(|received| received.first.is_some()).await.first {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// Waits for the second signal.
    pub async fn again(&self) {
        self.until(|received| received.again).await;
    }

    /// Waits until more signals than these have arrived.
    pub async fn beyond(&self, seen: u32) -> Signal {
        match self.until(|received| received.count() > seen).await.latest {
            Some((signal, _)) => signal,
            None => std::future::pending().await,
        }
    }

    async fn until(&self, condition: impl Fn(&Received) -> bool) -> Received {
        let mut receiver = self.0.clone();
        let received = receiver.wait_for(condition).await.map(|received| *received);
        match received {
            Ok(received) => received,
            // No signal can arrive any more.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Stopper {
    fn received(&self) -> Received {
        *self.0.borrow()
    }

    /// Counts a signal.
    pub fn send(&self, signal: Signal) {
        self.0.send_modify(|received| {
            received.again |= received.first.is_some();
            received.first = received.first.or(Some(signal));
            received.latest = Some((signal, received.count().saturating_add(1)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_as_the_kernel_has_them() {
        assert_eq!(ignored("SigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
