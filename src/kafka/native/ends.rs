//! Where partitions begin and end, with one question to each of their leaders.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{IsError, KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::kafka) enum Edge {
    /// That of its first record.
    Start,
    /// The one behind its last record, as far as the client's `isolation.level` lets it read.
    End,
}

/// Asks the leaders of all these partitions of a topic for their ends.
///
/// # Errors
/// As [`edges`].
pub(in crate::kafka) fn ends(
    client: &Client<impl ClientContext>,
    topic: &str,
    partitions: &[i32],
    within: Duration,
) -> Result<BTreeMap<i32, i64>, RDKafkaErrorCode> {
    edges(client, topic, partitions, (Edge::End, within))
}

/// Asks the leaders of all these partitions of a topic where they begin or end.
///
/// The wrapper asks for one partition at a time, twice, and librdkafka sends no more than five such
/// questions at once.
///
/// # Errors
/// What the first leader that did not answer says, or that its answer has no offset.
pub(in crate::kafka) fn edges(
    client: &Client<impl ClientContext>,
    topic: &str,
    partitions: &[i32],
    (edge, within): (Edge, Duration),
) -> Result<BTreeMap<i32, i64>, RDKafkaErrorCode> {
    let mut asked = TopicPartitionList::new();
    // Either is asked for as a time that no record has.
    let time = match edge {
        Edge::Start => Offset::Beginning,
        Edge::End => Offset::End,
    };
    for partition in partitions {
        let added = asked.add_partition_offset(topic, *partition, time);
        added.map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
    }
    let within = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client and the list are alive, and nobody else uses the list meanwhile.
    let error = unsafe { rd::rd_kafka_offsets_for_times(client.native_ptr(), asked.ptr(), within) };
    if error.is_error() {
        return Err(error.into());
    }
    let offset =
        |(partition, offset, error): (i32, Offset, Result<(), KafkaError>)| match (error, offset) {
            (Ok(()), Offset::Offset(offset)) => Ok((partition, offset)),
            (Err(error), _) => {
                Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument))
            }
            _ => Err(RDKafkaErrorCode::InvalidArgument),
        };
    let answers = asked.elements();
    answers.iter().map(|a| offset((a.partition(), a.offset(), a.error()))).collect()
}
