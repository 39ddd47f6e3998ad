//! Kafka's protocol, as far as one request on one connection needs it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const CORRELATION_ID: i32 = 0x7357;
/// The longest that the broker may take to carry out a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// The start of a request that is not of a flexible version.
pub fn request(api: i16, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(api.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(CORRELATION_ID.to_be_bytes());
    put_string(&mut bytes, "system-tests");
    bytes
}

/// Sends one request and returns its response behind the correlation id.
pub fn exchange(bootstrap: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(bootstrap)?;
    stream.set_read_timeout(Some(PATIENCE + PATIENCE))?;
    let mut framed = Vec::new();
    put_count(&mut framed, request.len());
    framed.extend(request);
    stream.write_all(&framed)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = Vec::new();
    stream.take(u64::from(u32::from_be_bytes(length))).read_to_end(&mut body)?;
    if !body.starts_with(&CORRELATION_ID.to_be_bytes()) {
        return Err(io::Error::other(format!("the answer to another request: {body:?}")));
    }
    Ok(body.split_off(size_of::<i32>()))
}

/// Appends a string.
pub fn put_string(bytes: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).expect("a name or config is shorter than 32 KiB");
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// Appends the length of an array.
pub fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = i32::try_from(count).expect("a count fits an i32");
    bytes.extend(count.to_be_bytes());
}

/// Appends how many milliseconds the broker may take.
pub fn put_patience(bytes: &mut Vec<u8>) {
    let patience = i32::try_from(PATIENCE.as_millis()).expect("the time limit fits an i32");
    bytes.extend(patience.to_be_bytes());
}

/// Takes the bytes of a number off the front.
pub fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// Takes a string off the front; a null one, whose length is -1, comes out empty.
pub fn take_string(rest: &mut &[u8]) -> Option<String> {
    let length = i16::from_be_bytes(take(rest)?).max(0);
    let (head, tail) = rest.split_at_checked(usize::from(length.unsigned_abs()))?;
    *rest = tail;
    String::from_utf8(head.to_vec()).ok()
}
