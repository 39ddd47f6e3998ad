//! A server between the program and a cluster: it passes everything on, to one cluster and after a switch
//! to another, as a broker that comes back with another log. Whoever stands between may hold questions
//! back, answer them, and change answers.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::cluster::Cluster;

/// The requests whose answers have addresses in them: Metadata and FindCoordinator.
const WITH_ADDRESSES: [i16; 2] = [3, 10];

/// Bytes of the length and of the correlation id, with which a message begins.
const HEAD: usize = 8;

/// A question to a broker: its kind, and in which version it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    pub api: i16,
    pub version: i16,
}

/// Stands between the program and a cluster.
pub trait Between: Send + Sync + 'static {
    /// Is told of a question before it is passed on, and may wait. An answer keeps it from the cluster.
    fn asked(&self, _question: Question) -> Option<Vec<u8>> {
        None
    }

    /// Changes an answer, which begins behind the correlation id.
    fn answered(&self, _question: Question, _answer: &mut Vec<u8>) {}
}

/// Changes nothing.
impl Between for () {}

/// Where connections lead, and those that there are.
struct State {
    upstream: SocketAddr,
    connections: Vec<TcpStream>,
    is_over: bool,
}

impl State {
    /// Ends every connection.
    fn disconnect(&mut self) {
        for connection in self.connections.drain(..) {
            // It may be closed already.
            let _closed = connection.shutdown(Shutdown::Both);
        }
    }
}

/// The server. It ends when it is dropped, and its threads with their connections.
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
        Self::with(cluster, Arc::new(()))
    }

    /// The same with somebody between.
    pub fn with<B: Between>(cluster: &Cluster, between: Arc<B>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let upstream = address_of(cluster);
        let state =
            Arc::new(Mutex::new(State { upstream, connections: Vec::new(), is_over: false }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.lock().expect("a lock").is_over {
                    break;
                }
                // A connection that fails is one that the client opens again.
                let _failed = pass_on(&client, address.port(), &shared, &between);
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
        state.disconnect();
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // A lock is lost where a test has failed, and then the process ends soon.
        let Ok(mut state) = self.state.lock() else { return };
        state.is_over = true;
        state.disconnect();
        drop(state);
        // Ends the wait for a client.
        let _woken = TcpStream::connect(self.address);
    }
}

/// Passes on what comes on a connection, and the answers.
fn pass_on<B: Between>(
    client: &TcpStream,
    port: u16,
    shared: &Mutex<State>,
    between: &Arc<B>,
) -> io::Result<()> {
    let mut state = shared.lock().expect("a lock");
    let upstream = state.upstream;
    let server = TcpStream::connect(upstream)?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
        state.connections.push(stream.try_clone()?);
    }
    let asked = Arc::new(Mutex::new(HashMap::new()));
    let answers = Arc::new(Mutex::new(client.try_clone()?));
    // The other end may be closed already, here and below.
    let requests = (client.try_clone()?, server.try_clone()?, Arc::clone(&asked));
    let (is_between, own_answers) = (Arc::clone(between), Arc::clone(&answers));
    thread::spawn(move || {
        let (mut from, mut to, asked) = requests;
        while let Ok(frame) = frame(&mut from) {
            let [api, version] = [4, 6].map(|at| i16::from_be_bytes([frame[at], frame[at + 1]]));
            let question = Question { api, version };
            asked.lock().expect("a lock").insert(frame[8..12].to_vec(), question);
            let passed_on = match is_between.asked(question) {
                None => to.write_all(&frame),
                Some(mut answer) => {
                    is_between.answered(question, &mut answer);
                    own_answers.lock().expect("a lock").write_all(&framed(&frame[8..12], &answer))
                }
            };
            if passed_on.is_err() {
                break;
            }
        }
        // What was passed on is still read there.
        let _closed = to.shutdown(Shutdown::Write);
    });
    let (mut from, between) = (server, Arc::clone(between));
    thread::spawn(move || {
        while let Ok(mut frame) = frame(&mut from) {
            let question = asked.lock().expect("a lock").remove(&frame[4..HEAD]);
            if let Some(question) = question {
                if WITH_ADDRESSES.contains(&question.api) {
                    readdress(&mut frame, upstream.port(), port);
                }
                let mut answer = frame.split_off(HEAD);
                between.answered(question, &mut answer);
                frame = framed(&frame[4..HEAD], &answer);
            }
            if answers.lock().expect("a lock").write_all(&frame).is_err() {
                break;
            }
        }
        let _closed = answers.lock().expect("a lock").shutdown(Shutdown::Both);
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
    if frame.len() < HEAD { Err(io::ErrorKind::InvalidData.into()) } else { Ok(frame) }
}

/// An answer as a message: with its length and the correlation id of its question.
fn framed(correlation_id: &[u8], answer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(correlation_id.len() + answer.len()).expect("a length");
    [&length.to_be_bytes()[..], correlation_id, answer].concat()
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
