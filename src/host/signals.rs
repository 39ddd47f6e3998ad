//! Turns SIGTERM, SIGINT and SIGHUP into a value that a run can wait for.

use std::{fs, io, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;

use crate::exit::Signal;

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
pub(super) fn handled() -> impl Iterator<Item = (i32, Signal)> {
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
        let (stopper, stop) = Self::channel();
        let handled: Vec<_> = handled().collect();
        let mut signals = Signals::new(handled.iter().map(|(number, _)| number))?;
        let work = move || {
            for received in signals.forever() {
                let signals = handled.iter().filter(|(number, _)| *number == received);
                signals.for_each(|(_, signal)| stopper.send(*signal));
            }
        };
        thread::Builder::new().name("signals".into()).spawn(work)?;
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
