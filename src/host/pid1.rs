//! Process 1, which the program is in a container.

use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::flag;

use super::signals;
use crate::exit::Exit;

/// Lets a stop signal end a command that does not wait for one itself.
///
/// Elsewhere it does so unasked. For process 1 the kernel drops a signal that has no handler, and
/// `docker stop` would have to wait and kill.
pub fn end_on_signal() {
    if process::id() != 1 {
        return;
    }
    let always = Arc::new(AtomicBool::new(true));
    for (number, signal) in signals::handled() {
        let status = Exit::Signalled(signal).code().into();
        // Without a handler the command still runs, and can still be killed.
        let _deaf = flag::register_conditional_shutdown(number, status, Arc::clone(&always));
    }
}
