//! A broker that comes back with another log: a server that passes everything on to one cluster, and
//! after a switch to another.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::cluster::Cluster;

/// The requests whose answers have addresses in them: Metadata and FindCoordinator.
const WITH_ADDRESSES: [i16; 2] = [3, 10];

/// Where connections lead, and those that there are.
struct State {
    upstream: SocketAddr,
    connections: Vec<TcpStream>,
}

/// The server. It lives as long as the tests.
pub struct Switch {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

fn address_of(cluster: &Cluster) -> SocketAddr {
    cluster.bootstrap().parse().expect("the address of one broker")
}

impl Switch {
    /// Leads to this cluster of one broker.
    pub fn to(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let upstream = address_of(cluster);
        let state = Arc::new(Mutex::new(State { upstream, connections: Vec::new() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that fails is one that the client opens again.
                let _failed = pass_on(&client, address.port(), &shared);
            }
        });
        Self { address, state }
    }

    /// Its address.
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    /// Ends every connection; new ones lead to this cluster.
    pub fn over_to(&self, cluster: &Cluster) {
        let mut state = self.state.lock().expect("a lock");
        state.upstream = address_of(cluster);
        for connection in state.connections.drain(..) {
            // It may be closed already.
            let _closed = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Passes on what comes on a connection, and the answers.
fn pass_on(client: &TcpStream, port: u16, shared: &Mutex<State>) -> io::Result<()> {
    let mut state = shared.lock().expect("a lock");
    let upstream = state.upstream;
    let server = TcpStream::connect(upstream)?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
        state.connections.push(stream.try_clone()?);
    }
    let asked = Arc::new(Mutex::new(HashMap::new()));
    let requests = (client.try_clone()?, server.try_clone()?, Arc::clone(&asked));
    thread::spawn(move || {
        let (mut from, mut to, asked) = requests;
        while let Ok(frame) = frame(&mut from) {
            let api = i16::from_be_bytes([frame[4], frame[5]]);
            asked.lock().expect("a lock").insert(frame[8..12].to_vec(), api);
            if to.write_all(&frame).is_err() {
                break;
            }
        }
        // The other end may be closed already.
        let _closed = to.shutdown(Shutdown::Both);
    });
    let answers = (server, client.try_clone()?);
    thread::spawn(move || {
        let (mut from, mut to) = answers;
        while let Ok(mut frame) = frame(&mut from) {
            let api = asked.lock().expect("a lock").remove(&frame[4..8]);
            if api.is_some_and(|api| WITH_ADDRESSES.contains(&api)) {
                readdress(&mut frame, upstream.port(), port);
            }
            if to.write_all(&frame).is_err() {
                break;
            }
        }
        let _closed = to.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// A message of the protocol with its length.
fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame)?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    frame.resize(4 + usize::try_from(length).expect("a length"), 0);
    from.read_exact(&mut frame[4..])?;
    if frame.len() < 8 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(frame) }
}

/// Puts one port in the place of another.
fn readdress(frame: &mut [u8], from: u16, to: u16) {
    let [from, to] = [from, to].map(|port| u32::from(port).to_be_bytes());
    for at in 4..frame.len() - 3 {
        if frame[at..at + 4] == from {
            frame[at..at + 4].copy_from_slice(&to);
        }
    }
}
