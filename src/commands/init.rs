//! Process 1, which the program is in a container.

use std::process;

use crate::exit::Exit;
use crate::host::signals;

/// Lets a stop signal end a command that does not wait for one itself.
///
/// Elsewhere it does so unasked. For process 1 the kernel drops a signal that has no handler, and
/// `docker stop` would have to wait and kill.
pub fn end_on_signal() {
    if process::id() == 1 {
        let end = |signal| process::exit(i32::from(Exit::Signalled(signal).code()));
        // Without a handler the command still runs, and can still be killed.
        let _deaf = signals::each(end);
    }
}
