//! A TCP proxy between the program and a broker, which can lose the broker's answers.
//!
//! A killed broker may or may not have answered what it wrote. To have it written for certain and
//! the answer lost for certain, something has to stand in between.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

/// A proxy on a free loopback port. Its threads end with their connections, or with the process.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Where to connect to.
    broker: OnceLock<String>,
    /// One switch for each connection so far: its answers are lost.
    muted: Mutex<Vec<Arc<AtomicBool>>>,
}

impl Proxy {
    /// Starts to listen. Connections are refused until it is told whom to forward to.
    pub fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("its address").to_string();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A broker that is down is the client's problem: the connection closes.
                let _ = accepting.connect(client);
            }
        });
        Self { address, shared }
    }

    /// Where clients connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Forwards to this address from now on.
    pub fn forward_to(&self, broker: String) {
        self.shared.broker.set(broker).expect("no address so far");
    }

    /// Loses all further answers on the connections that there are. Questions get through.
    pub fn lose_answers(&self) {
        for muted in self.shared.muted.lock().expect("a lock").iter() {
            muted.store(true, Ordering::SeqCst);
        }
    }
}

impl Shared {
    fn connect(&self, client: TcpStream) -> io::Result<()> {
        let broker = self.broker.get().ok_or(io::ErrorKind::NotConnected)?;
        let broker = TcpStream::connect(broker)?;
        let (questions, answers) = (client.try_clone()?, broker.try_clone()?);
        let muted = Arc::new(AtomicBool::new(false));
        self.muted.lock().expect("a lock").push(Arc::clone(&muted));
        thread::spawn(move || forward(questions, broker, &AtomicBool::new(false)));
        thread::spawn(move || forward(answers, client, &muted));
        Ok(())
    }
}

/// Copies one direction until either side closes, then closes both.
fn forward(mut from: TcpStream, mut to: TcpStream, muted: &AtomicBool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !muted.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
