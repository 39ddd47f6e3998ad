//! A TCP proxy between the program and a broker, which can lose answers and break connections.
//!
//! A killed broker may or may not have answered what it wrote. To have it written for certain and
//! the answer lost for certain, something has to stand in between. So it is with a connection that
//! only one side knows to be gone.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// A proxy on a free loopback port. Its threads end with their connections, or with the process.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Where to connect to.
    broker: OnceLock<String>,
    /// Those that have not been broken.
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Those that only the client has open.
    half_open: Mutex<Vec<Arc<Connection>>>,
    /// How many connections a storm has come upon.
    struck: AtomicUsize,
}

struct Connection {
    client: TcpStream,
    broker: TcpStream,
    fate: AtomicU8,
}

/// What becomes of what comes next on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    Forwarded,
    AnswersLost,
    Broken,
    Over,
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
        for connection in self.shared.connections.lock().expect("a lock").iter() {
            connection.meets(Fate::AnswersLost);
        }
    }

    /// Strikes the connections that there are: one is reset, the next is left half open (the broker
    /// loses it, the client hears nothing), the third is spared, and so on over all calls.
    pub fn strike(&self) {
        let mut connections = self.shared.connections.lock().expect("a lock");
        connections.retain(|connection| !connection.has_met(Fate::Over));
        connections.retain(|connection| {
            let turn = self.shared.struck.fetch_add(1, Ordering::SeqCst) % 3;
            match turn {
                0 => connection.reset(),
                1 => {
                    connection.lose_broker();
                    self.shared.half_open.lock().expect("a lock").push(Arc::clone(connection));
                }
                _ => return true,
            }
            false
        });
    }

    /// How many connections are half open.
    pub fn half_open(&self) -> usize {
        self.shared.half_open.lock().expect("a lock").len()
    }
}

impl Shared {
    fn connect(&self, client: TcpStream) -> io::Result<()> {
        let broker = self.broker.get().ok_or(io::ErrorKind::NotConnected)?;
        let broker = TcpStream::connect(broker)?;
        let fate = AtomicU8::new(Fate::Forwarded as u8);
        let connection = Arc::new(Connection { client, broker, fate });
        self.connections.lock().expect("a lock").push(Arc::clone(&connection));
        let asked = Arc::clone(&connection);
        thread::spawn(move || asked.forward_questions());
        thread::spawn(move || connection.forward_answers());
        Ok(())
    }
}

impl Connection {
    fn meets(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::SeqCst);
    }

    fn has_met(&self, fate: Fate) -> bool {
        self.fate.load(Ordering::SeqCst) == fate as u8
    }

    /// Takes the connection from the broker, and tells the client nothing.
    fn lose_broker(&self) {
        self.meets(Fate::Broken);
        // Either side may be closed already, here and below.
        let _ = self.broker.shutdown(Shutdown::Both);
    }

    /// Resets the client's side as soon as both threads have let go of it, which is at once.
    fn reset(&self) {
        let _ = set_socket_linger(&self.client, Some(Duration::ZERO));
        self.lose_broker();
        // Ends the wait for a question; nothing is sent.
        let _ = self.client.shutdown(Shutdown::Read);
    }

    fn forward_questions(&self) {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = (&self.client).read(&mut bytes) {
            if (&self.broker).write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        self.close();
    }

    fn forward_answers(&self) {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = (&self.broker).read(&mut bytes) {
            let lost = self.has_met(Fate::AnswersLost);
            if !lost && (&self.client).write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        self.close();
    }

    /// Closes both sides, unless the connection is broken already.
    fn close(&self) {
        if !self.has_met(Fate::Broken) {
            self.meets(Fate::Over);
            let _ = self.client.shutdown(Shutdown::Both);
            let _ = self.broker.shutdown(Shutdown::Both);
        }
    }
}
