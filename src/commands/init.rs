//! Process 1, which the program is in a container.

use std::io;
use std::{process, thread};

use crate::exit::{Exit, Signal};
use crate::host::signals::Stop;

/// Lets SIGTERM and SIGINT end a command that does not wait for them itself.
///
/// Elsewhere they do so unasked. For process 1 the kernel drops a signal that has no handler, and
/// `docker stop` would have to wait and kill.
pub fn end_on_signal() {
    if process::id() == 1 {
        thread::spawn(|| {
            // Without a handler the command still runs, and can still be killed.
            if let Ok(signal) = signal() {
                process::exit(i32::from(Exit::Signalled(signal).code()));
            }
        });
    }
}

/// Waits for the first of the two signals.
fn signal() -> io::Result<Signal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Ok(Stop::listen()?.first().await) })
}
