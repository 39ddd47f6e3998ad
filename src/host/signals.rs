//! SIGTERM and SIGINT, as a value that a run can wait on.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Signal;

/// The signals received so far: the first decides the exit code, the second ends all waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// The first signal.
    pub first: Option<Signal>,
    /// Whether another one came.
    pub again: bool,
}

/// A listener for stop signals.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Received>);

/// The sending side of a [`Stop`].
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Received>);

impl Stop {
    /// A connected pair.
    #[must_use]
    pub fn channel() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(Received::default());
        (Stopper(sender), Self(receiver))
    }

    /// Listens to SIGTERM and SIGINT of this process. Needs a tokio runtime.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        let (stopper, stop) = Self::channel();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    _ = terminate.recv() => Signal::Terminate,
                    _ = interrupt.recv() => Signal::Interrupt,
                };
                stopper.send(signal);
            }
        });
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

    async fn until(&self, condition: impl Fn(&Received) -> bool) -> Received {
        let mut receiver = self.0.clone();
        let received = receiver.wait_for(condition).await.map(|received| *received);
        match received {
            Ok(received) => received,
            // Nobody can send a signal any more: wait for ever.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Stopper {
    /// Notes a signal.
    pub fn send(&self, signal: Signal) {
        self.0.send_modify(|received| match received.first {
            None => received.first = Some(signal),
            Some(_) => received.again = true,
        });
    }
}
