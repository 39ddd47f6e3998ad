//! Where partitions end, with one question to each of their leaders.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{IsError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Asks the leaders of all these partitions of a topic for their ends.
///
/// The wrapper asks for one partition at a time, twice, and librdkafka sends no more than five such
/// questions at once.
///
/// # Errors
/// What the first leader that did not answer says, or that its answer has no end.
pub(in crate::kafka) fn ends(
    client: &Client<impl ClientContext>,
    topic: &str,
    partitions: &[i32],
    within: Duration,
) -> Result<BTreeMap<i32, i64>, RDKafkaErrorCode> {
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        // The end is asked for as a time that no record has.
        let added = asked.add_partition_offset(topic, *partition, Offset::End);
        added.map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
    }
    let within = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client and the list are alive, and nobody else uses the list meanwhile.
    let error = unsafe { rd::rd_kafka_offsets_for_times(client.native_ptr(), asked.ptr(), within) };
    if error.is_error() {
        return Err(error.into());
    }
    let end = |(partition, offset, error): (i32, Offset, Result<(), _>)| match (error, offset) {
        (Ok(()), Offset::Offset(end)) => Ok((partition, end)),
        _ => Err(RDKafkaErrorCode::InvalidArgument),
    };
    let answers = asked.elements();
    answers.iter().map(|a| end((a.partition(), a.offset(), a.error()))).collect()
}
