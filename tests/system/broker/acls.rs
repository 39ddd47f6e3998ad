//! Grants rights with one CreateAcls request, written out byte by byte as
//! [`topics`](super::topics) does, and for the same reasons.

use super::wire::{self, put_count, put_string, take, take_string};

const CREATE_ACLS: i16 = 30;
/// The oldest version that Kafka 4 accepts, and the simplest to write.
const VERSION: i16 = 1;
const TOPIC: u8 = 2;
const LITERAL: u8 = 3;
const ALLOW: u8 = 3;

/// What a principal may be allowed to do with a topic.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Operation {
    /// Send records to it, which includes to ask about it.
    Write = 4,
    /// Ask about it.
    Describe = 8,
}

/// Allows `user` an operation on topics, from any host.
pub fn allow(
    bootstrap: &str,
    user: &str,
    operation: Operation,
    topics: &[&str],
) -> Result<(), String> {
    let mut body = wire::request(CREATE_ACLS, VERSION);
    put_count(&mut body, topics.len());
    for topic in topics {
        body.push(TOPIC);
        put_string(&mut body, topic);
        body.push(LITERAL);
        put_string(&mut body, &format!("User:{user}"));
        put_string(&mut body, "*");
        body.push(operation as u8);
        body.push(ALLOW);
    }
    let answer = wire::exchange(bootstrap, &body)
        .map_err(|error| format!("no answer to CreateAcls: {error}"))?;
    check(&answer).unwrap_or_else(|| Err(format!("a malformed CreateAcls answer: {answer:?}")))
}

/// Looks for errors in a response; `None` if it cannot be understood.
fn check(mut rest: &[u8]) -> Option<Result<(), String>> {
    let _throttle_ms = i32::from_be_bytes(take(&mut rest)?);
    for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
        let code = i16::from_be_bytes(take(&mut rest)?);
        let message = take_string(&mut rest)?;
        if code != 0 {
            return Some(Err(format!("no right was granted: {message} (error {code})")));
        }
    }
    rest.is_empty().then_some(Ok(()))
}
