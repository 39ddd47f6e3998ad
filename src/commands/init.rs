//! Process 1, which the program is in a container.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{process, thread};

use crate::exit::{Exit, Signal};
use crate::host::signals::Stop;

/// Lets SIGTERM and SIGINT end a command that does not wait for them itself. Returns once they do.
///
/// Elsewhere they do so unasked. For process 1 the kernel drops a signal that has no handler, and
/// `docker stop` would have to wait and kill.
pub fn end_on_signal() {
    if process::id() == 1 {
        let (listens, ready) = sync_channel(1);
        thread::spawn(move || {
            // Without a handler the command still runs, and can still be killed.
            if let Ok(signal) = signal(&listens) {
                process::exit(i32::from(Exit::Signalled(signal).code()));
            }
        });
        // Without one the sender is gone, and nobody needs to wait either.
        let _ready = ready.recv();
    }
}

/// Waits for the first of the two signals.
fn signal(listens: &SyncSender<()>) -> io::Result<Signal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = Stop::listen()?;
        let _nobody_waits = listens.send(());
        Ok(stop.first().await)
    })
}
