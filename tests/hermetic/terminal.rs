//! A terminal: the program behind a pseudo-terminal, and the screen as a person sees it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::eventually;

/// Rows of a terminal that shows everything.
const ROWS: u16 = 200;

/// A program on a terminal, of which it is the foreground job.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<vt100::Parser>>,
    sent: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts the command, with its environment, on a terminal of so many columns and very many rows.
    pub fn start(command: &Command, columns: u16) -> Self {
        Self::sized(command, columns, ROWS)
    }

    /// Starts the command, with its environment, on a terminal of this size.
    pub fn sized(command: &Command, columns: u16, rows: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("a terminal of ours");
        unlockpt(&master).expect("a terminal that can be opened");
        let path = ptsname(&master, Vec::new()).expect("a name").into_bytes();
        let path = OsString::from_vec(path);
        let open = || File::options().read(true).write(true).open(&path).expect("the terminal");
        // Becomes nobody's controlling terminal by this: the test has none to lose.
        let terminal = open();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("a size");

        let mut on_terminal = Command::new("setsid");
        on_terminal.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            on_terminal.env(name, value.expect("a value"));
        }
        let end = || terminal.try_clone().expect("a descriptor");
        on_terminal.stdin(end()).stdout(end()).stderr(end());
        let child = on_terminal.spawn().expect("setsid runs");

        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().expect("a descriptor");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (seen, kept) = (Arc::clone(&screen), Arc::clone(&sent));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of a terminal is an error on Linux.
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                kept.lock().expect("a lock").extend_from_slice(&bytes[..n]);
                seen.lock().expect("a lock").process(&bytes[..n]);
            }
        });
        Self { child, keyboard, screen, sent, reader: Some(reader) }
    }

    /// Presses these keys.
    pub fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal that takes keys");
    }

    /// The lines on the screen, those that the terminal has wrapped in one, without white space at
    /// their ends.
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().expect("a lock").screen().contents();
        screen.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    /// Every byte that was sent to the terminal.
    pub fn sent(&self) -> Vec<u8> {
        self.sent.lock().expect("a lock").clone()
    }

    /// Waits until the screen shows this; the screen then.
    #[track_caller]
    pub fn until_it_shows(&self, text: &str) -> String {
        eventually(&format!("{text:?} on the screen"), || {
            Some(self.screen()).filter(|screen| screen.contains(text))
        })
    }

    /// Waits for the end of the program; its exit code. The screen shows all it has written.
    #[track_caller]
    pub fn finish(&mut self) -> i32 {
        let code = eventually("the end of the program", || self.child.try_wait().expect("a child"));
        // Nobody has the terminal open any more, so this ends with what was written last.
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader");
        }
        code.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
