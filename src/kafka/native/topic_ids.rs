//! The ids of topics: a topic that is deleted and created again has another one.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::client::Client;

/// What librdkafka shows where a broker told no id.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The ids of those of these topics that a broker tells, in the form of Kafka's own tools. None if it does
/// not answer in time, or is older than 2.8.
pub(in crate::kafka) fn topic_ids<L>(
    client: &Client<L>,
    broker: i32,
    topics: &[&str],
    within: Duration,
) -> BTreeMap<String, String> {
    let names = topics.iter().map(|topic| CString::new(*topic)).collect::<Result<Vec<_>, _>>();
    let Ok(names) = names else { return BTreeMap::new() };
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let within = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
    let kafka = client.ptr();
    let mut ids = BTreeMap::new();
    // SAFETY: the client is alive, and the names are until they were copied. What is created here is
    // destroyed once. What an event points to lives as long as the event; the event of another kind
    // than the one that was asked for has no result.
    unsafe {
        let queue = rd::rd_kafka_queue_new(kafka);
        let asked =
            rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = rd::rd_kafka_AdminOptions_new(kafka, operation);
        let (text, length) = (ptr::null_mut(), 0);
        // A time out of range is not taken, and the poll below ends in time all the same.
        let _taken = rd::rd_kafka_AdminOptions_set_request_timeout(options, within, text, length);
        let _taken = rd::rd_kafka_AdminOptions_set_broker(options, broker, text, length);
        rd::rd_kafka_DescribeTopics(kafka, asked, options, queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_TopicCollection_destroy(asked);
        let event = rd::rd_kafka_queue_poll(queue, within);
        if !event.is_null() {
            let result = rd::rd_kafka_event_DescribeTopics_result(event);
            if !result.is_null() {
                let mut count = 0;
                let described = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
                for at in 0..count {
                    let topic = *described.add(at);
                    if rd::rd_kafka_TopicDescription_error(topic).is_null() {
                        let name = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic));
                        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
                        let id = CStr::from_ptr(rd::rd_kafka_Uuid_base64str(id));
                        ids.insert(text_of(name), text_of(id));
                    }
                }
            }
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
    }
    ids.retain(|_, id| id != NO_ID);
    // Kafka's tools use the alphabet for URLs.
    ids.values_mut().for_each(|id| *id = id.replace('+', "-").replace('/', "_"));
    ids
}

fn text_of(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}
