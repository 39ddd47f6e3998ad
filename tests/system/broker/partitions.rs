//! Adds partitions to topics with one CreatePartitions request, written out byte by
//! byte as [`topics`](super::topics) does, and for the same reasons.

use super::wire::{self, put_count, put_patience, put_string, take, take_string};

const CREATE_PARTITIONS: i16 = 37;
/// The newest version that is not of the flexible kind.
const VERSION: i16 = 1;

/// Gives each topic so many partitions, which is more than it has.
///
/// The new ones need not be usable yet.
pub fn add(bootstrap: &str, topics: &[&str], partitions: u32) -> Result<(), String> {
    let mut body = wire::request(CREATE_PARTITIONS, VERSION);
    put_count(&mut body, topics.len());
    for topic in topics {
        put_string(&mut body, topic);
        body.extend(partitions.to_be_bytes());
        body.extend((-1_i32).to_be_bytes()); // no assignments: the controller chooses
    }
    put_patience(&mut body);
    body.push(0); // add, do not only validate
    let answer = wire::exchange(bootstrap, &body)
        .map_err(|error| format!("no answer to CreatePartitions: {error}"))?;
    check(&answer)
        .unwrap_or_else(|| Err(format!("a malformed CreatePartitions answer: {answer:?}")))
}

/// Looks for errors in a response; `None` if it cannot be understood.
fn check(mut rest: &[u8]) -> Option<Result<(), String>> {
    let _throttle_ms = i32::from_be_bytes(take(&mut rest)?);
    for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
        let name = take_string(&mut rest)?;
        let code = i16::from_be_bytes(take(&mut rest)?);
        let message = take_string(&mut rest)?;
        if code != 0 {
            return Some(Err(format!("topic {name} got no partition: {message} (error {code})")));
        }
    }
    rest.is_empty().then_some(Ok(()))
}
