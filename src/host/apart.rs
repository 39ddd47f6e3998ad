//! Runs work that can block for ever, such as writing to a pipe that nobody reads, on a separate
//! thread. The caller can stop waiting for it.

use std::io;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::sync::oneshot;

use super::signals::Stop;
use crate::exit::Signal;

/// Work that has started.
#[derive(Debug)]
pub struct Apart<T>(oneshot::Receiver<T>);

/// How a wait ended.
#[derive(Debug)]
pub enum Waited<T> {
    /// The work is done.
    Done(T),
    /// A signal came first.
    Signal(Signal),
    /// The time limit passed.
    Late,
}

impl<T: Send + 'static> Apart<T> {
    /// Starts the work. The end of the process ends it.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let (done, result) = oneshot::channel();
        let work = move || {
            let _nobody_waits = done.send(work());
        };
        std::thread::Builder::new().name("output".into()).spawn(work)?;
        Ok(Self(result))
    }

    /// Waits until the work is done, however long that takes.
    ///
    /// # Errors
    /// The work ended without a result.
    pub fn join(self) -> io::Result<T> {
        self.0.blocking_recv().map_err(io::Error::other)
    }

    /// Waits until the work is done, more signals than `seen` arrived, or the time limit passed.
    ///
    /// # Errors
    /// The work ended without a result.
    pub fn wait(
        &mut self,
        stop: &Stop,
        seen: u32,
        within: Option<Duration>,
    ) -> io::Result<Waited<T>> {
        let over = async {
            match within {
                Some(within) => tokio::time::sleep(within).await,
                None => std::future::pending().await,
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                done = &mut self.0 => done.map(Waited::Done).map_err(io::Error::other),
                signal = stop.beyond(seen) => Ok(Waited::Signal(signal)),
                () = over => Ok(Waited::Late),
            }
        })
    }
}

/// Starts the work and waits for it up to this long; returns whether it was done.
pub fn briefly(within: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let (done, ended) = sync_channel(1);
    let work = move || {
        work();
        let _nobody_waits = done.send(());
    };
    let thread = std::thread::Builder::new().name("output".into()).spawn(work);
    thread.is_ok() && ended.recv_timeout(within).is_ok()
}
