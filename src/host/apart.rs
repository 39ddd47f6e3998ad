//! Work that may block for ever, on a thread of its own: a pipe that nobody reads, a FIFO that
//! nobody opens. Whoever waits for it can stop waiting.

use std::io;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::sync::oneshot;

use super::signals::Stop;
use crate::exit::Signal;

/// Work on its way.
#[derive(Debug)]
pub struct Apart<T>(oneshot::Receiver<T>);

/// How a wait ended.
#[derive(Debug)]
pub enum Waited<T> {
    /// The work is done.
    Done(T),
    /// A signal came first.
    Signal(Signal),
    /// The time is over.
    Late,
}

impl<T: Send + 'static> Apart<T> {
    /// Starts the work. The end of the process ends it.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let (done, result) = oneshot::channel();
        let work = move || {
            let _nobody_waits = done.send(work());
        };
        std::thread::Builder::new().name("output".into()).spawn(work)?;
        Ok(Self(result))
    }

    /// Waits until the work is done, one more signal than `seen` came, or the time is over.
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

/// Does the work, and waits for it no longer than this. Says whether it was done.
pub fn briefly(within: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let (done, ended) = sync_channel(1);
    let work = move || {
        work();
        let _nobody_waits = done.send(());
    };
    let thread = std::thread::Builder::new().name("output".into()).spawn(work);
    thread.is_ok() && ended.recv_timeout(within).is_ok()
}
