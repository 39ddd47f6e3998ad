//! Says a line where there is no log: in a generator, whose stderr systemd leads to /dev/null.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::OFlags;

use super::files;

/// The journal's own socket. It is absent early at boot, when generators run before anything else.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// The kernel's log, from which the journal takes lines later. A container has none.
const KERNEL: &str = "/dev/kmsg";

/// Facility daemon, priority error: syslog(3).
const DAEMON_ERROR: u8 = 3 << 3 | 3;

/// Says what is wrong, on stderr if it leads anywhere, else in the journal or in the kernel's log.
pub fn complain(identifier: &str, problem: &str) {
    let problem = problem.replace('\n', "; ");
    if files::is_null("/proc/self/fd/2") {
        // If neither takes the line, nobody is left to tell.
        let _unheard = log(Path::new(JOURNAL), Path::new(KERNEL), identifier, &problem);
    } else {
        let _closed = writeln!(io::stderr(), "{identifier}: {problem}");
    }
}

/// Logs a line without ever waiting: a boot must not wait for the journal.
fn log(journal: &Path, kernel: &Path, identifier: &str, problem: &str) -> io::Result<()> {
    let entry = format!("PRIORITY=3\nSYSLOG_IDENTIFIER={identifier}\nMESSAGE={problem}\n");
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    if socket.send_to(entry.as_bytes(), journal).is_ok() {
        return Ok(());
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut kernel = File::options().write(true).custom_flags(flags).open(kernel)?;
    // One write is one line there.
    kernel.write_all(format!("<{DAEMON_ERROR}>{identifier}: {problem}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_an_entry_and_without_it_the_kernel_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let [journal, kernel] = ["journal", "kernel"].map(|name| directory.path().join(name));
        std::fs::write(&kernel, "").unwrap();
        log(&journal, &kernel, "generator", "no list").unwrap();
        assert_eq!(std::fs::read_to_string(&kernel).unwrap(), "<27>generator: no list\n");

        let socket = UnixDatagram::bind(&journal).unwrap();
        log(&journal, &kernel, "generator", "no list").unwrap();
        let mut entry = [0; 100];
        let length = socket.recv(&mut entry).unwrap();
        let entry = String::from_utf8_lossy(&entry[..length]);
        assert_eq!(entry, "PRIORITY=3\nSYSLOG_IDENTIFIER=generator\nMESSAGE=no list\n");
        assert_eq!(std::fs::read_to_string(&kernel).unwrap(), "<27>generator: no list\n");
    }
}
