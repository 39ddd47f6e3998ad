//! Moves leaders, with two requests that are written out byte by byte as
//! [`topics`](super::topics) does, and for the same reasons.
//!
//! AlterPartitionReassignments gives the replicas of a partition another order, whose first
//! is the preferred leader; ElectLeaders makes it the leader. No data moves.

use std::ops::Range;

use super::wire::{self, put_count, put_patience, put_string, take, take_string};

const ALTER_PARTITION_REASSIGNMENTS: i16 = 45;
/// The oldest version. All are of the flexible kind: lengths are one more than they are, in a
/// byte (as all are small here), and an empty set of tagged fields ends each structure.
const ALTER_VERSION: i16 = 0;
const NO_TAGS: u8 = 0;

const ELECT_LEADERS: i16 = 43;
/// The newest version that is not of the flexible kind.
const ELECT_VERSION: i16 = 1;
const PREFERRED: u8 = 0;
/// The broker leads the partition already.
const ELECTION_NOT_NEEDED: i16 = 84;

/// Makes the first of `brokers`, which are those that have the partitions, their leader.
pub fn move_to(
    bootstrap: &str,
    topic: &str,
    partitions: Range<u32>,
    brokers: &[u8],
) -> Result<(), String> {
    let order = order_request(topic, partitions.clone(), brokers);
    let answer = wire::exchange(bootstrap, &order)
        .map_err(|error| format!("no answer to AlterPartitionReassignments: {error}"))?;
    if answer != order_answer(topic, partitions.clone()) {
        return Err(format!("{topic}: the replicas were not put in another order: {answer:?}"));
    }
    let answer = wire::exchange(bootstrap, &election_request(topic, partitions))
        .map_err(|error| format!("no answer to ElectLeaders: {error}"))?;
    check(&answer).unwrap_or_else(|| Err(format!("a malformed ElectLeaders answer: {answer:?}")))
}

fn order_request(topic: &str, partitions: Range<u32>, brokers: &[u8]) -> Vec<u8> {
    let mut bytes = wire::request(ALTER_PARTITION_REASSIGNMENTS, ALTER_VERSION);
    bytes.push(NO_TAGS);
    put_patience(&mut bytes);
    put_topic(&mut bytes, topic, partitions.len());
    for partition in partitions {
        bytes.extend(partition.to_be_bytes());
        bytes.push(compact(brokers.len()));
        for broker in brokers {
            bytes.extend(i32::from(*broker).to_be_bytes());
        }
        bytes.push(NO_TAGS);
    }
    bytes.extend([NO_TAGS, NO_TAGS]); // of the topic and of the request
    bytes
}

/// The only answer that says that all went well.
fn order_answer(topic: &str, partitions: Range<u32>) -> Vec<u8> {
    let no_error = [0, 0, 0]; // a code of two bytes and no message
    let mut bytes = vec![NO_TAGS];
    bytes.extend(0_i32.to_be_bytes()); // not throttled
    bytes.extend(no_error);
    put_topic(&mut bytes, topic, partitions.len());
    for partition in partitions {
        bytes.extend(partition.to_be_bytes());
        bytes.extend(no_error);
        bytes.push(NO_TAGS);
    }
    bytes.extend([NO_TAGS, NO_TAGS]);
    bytes
}

/// Appends a list of one topic, up to how many partitions it has there.
fn put_topic(bytes: &mut Vec<u8>, topic: &str, partitions: usize) {
    bytes.push(compact(1));
    bytes.push(compact(topic.len()));
    bytes.extend(topic.as_bytes());
    bytes.push(compact(partitions));
}

/// A length of the flexible kind.
fn compact(length: usize) -> u8 {
    let byte = u8::try_from(length + 1).ok().filter(|byte| *byte < 0x80);
    byte.expect("a length that fits seven bits")
}

fn election_request(topic: &str, partitions: Range<u32>) -> Vec<u8> {
    let mut bytes = wire::request(ELECT_LEADERS, ELECT_VERSION);
    bytes.push(PREFERRED);
    put_count(&mut bytes, 1);
    put_string(&mut bytes, topic);
    put_count(&mut bytes, partitions.len());
    for partition in partitions {
        bytes.extend(partition.to_be_bytes());
    }
    put_patience(&mut bytes);
    bytes
}

/// Looks for errors in an ElectLeaders response; `None` if it cannot be understood.
fn check(mut rest: &[u8]) -> Option<Result<(), String>> {
    let _throttle_ms = i32::from_be_bytes(take(&mut rest)?);
    let code = i16::from_be_bytes(take(&mut rest)?);
    if code != 0 {
        return Some(Err(format!("no leader was elected (error {code})")));
    }
    for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
        let topic = take_string(&mut rest)?;
        for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
            let partition = i32::from_be_bytes(take(&mut rest)?);
            let code = i16::from_be_bytes(take(&mut rest)?);
            let message = take_string(&mut rest)?;
            if code != 0 && code != ELECTION_NOT_NEEDED {
                let error = format!("{topic}, partition {partition}: {message} (error {code})");
                return Some(Err(error));
            }
        }
    }
    rest.is_empty().then_some(Ok(()))
}
