//! Creates topics with one CreateTopics request, written out byte by byte.
//!
//! Kafka's own tool needs another set of jars and a new JVM for each topic,
//! which is more than a second of work each. kcat creates topics only as a
//! side effect and cannot choose how many partitions they get. This request
//! takes milliseconds, and it shares no code with the project under test.

use super::wire::{self, put_count, put_patience, put_string, take, take_string};

const CREATE_TOPICS: i16 = 19;
/// The oldest version that Kafka 4 accepts, and the simplest to write.
const VERSION: i16 = 2;

const DELETE_TOPICS: i16 = 20;
/// The oldest version that Kafka 4 accepts.
const DELETE_VERSION: i16 = 1;

/// Where the replicas of a new topic's partitions are.
#[derive(Clone, Copy)]
pub enum Replicas<'a> {
    /// So many, where the controller has them.
    Count(u16),
    /// On these brokers, by their numbers: the first one leads.
    On(&'a [u8]),
}

/// Creates each topic with its number of partitions, these replicas of each, and
/// `configs` (such as `("message.timestamp.type", "LogAppendTime")`).
///
/// Says which topic could not be created and why. The topics need not be usable
/// yet: a leader may still have to learn that it is one.
pub fn create(
    bootstrap: &str,
    topics: &[(&str, u32)],
    replicas: Replicas<'_>,
    configs: &[(&str, &str)],
) -> Result<(), String> {
    let answer = wire::exchange(bootstrap, &request(topics, replicas, configs))
        .map_err(|error| format!("no answer to CreateTopics: {error}"))?;
    check(&answer).unwrap_or_else(|| Err(format!("a malformed CreateTopics answer: {answer:?}")))
}

fn request(topics: &[(&str, u32)], replicas: Replicas<'_>, configs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = wire::request(CREATE_TOPICS, VERSION);
    put_count(&mut bytes, topics.len());
    for (name, partitions) in topics {
        put_string(&mut bytes, name);
        match replicas {
            Replicas::Count(count) => {
                bytes.extend(partitions.to_be_bytes());
                bytes.extend(count.to_be_bytes());
                put_count(&mut bytes, 0); // no assignments: the controller chooses
            }
            Replicas::On(brokers) => {
                bytes.extend((-1_i32).to_be_bytes());
                bytes.extend((-1_i16).to_be_bytes());
                put_count(&mut bytes, *partitions as usize);
                for partition in 0..*partitions {
                    bytes.extend(partition.to_be_bytes());
                    put_count(&mut bytes, brokers.len());
                    brokers.iter().for_each(|id| bytes.extend(i32::from(*id).to_be_bytes()));
                }
            }
        }
        put_count(&mut bytes, configs.len());
        for (key, value) in configs {
            put_string(&mut bytes, key);
            put_string(&mut bytes, value);
        }
    }
    put_patience(&mut bytes);
    bytes.push(0); // create, do not only validate
    bytes
}

/// Deletes a topic.
pub fn delete(bootstrap: &str, topic: &str) -> Result<(), String> {
    let mut bytes = wire::request(DELETE_TOPICS, DELETE_VERSION);
    put_count(&mut bytes, 1);
    put_string(&mut bytes, topic);
    put_patience(&mut bytes);
    let answer = wire::exchange(bootstrap, &bytes)
        .map_err(|error| format!("no answer to DeleteTopics: {error}"))?;
    // The throttle time, one topic's name, and its error code.
    match answer.as_slice() {
        [.., 0, 0] => Ok(()),
        _ => Err(format!("{topic} was not deleted: {answer:?}")),
    }
}

/// Looks for errors in a response; `None` if it cannot be understood.
fn check(answer: &[u8]) -> Option<Result<(), String>> {
    let mut rest = answer;
    let _throttle_ms = i32::from_be_bytes(take(&mut rest)?);
    for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
        let name = take_string(&mut rest)?;
        let code = i16::from_be_bytes(take(&mut rest)?);
        let message = take_string(&mut rest)?;
        if code != 0 {
            let error = format!("topic {name} was not created: {message} (error {code})");
            return Some(Err(error));
        }
    }
    rest.is_empty().then_some(Ok(()))
}
