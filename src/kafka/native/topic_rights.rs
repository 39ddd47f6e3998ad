//! What this client may do with topics. The question creates none of them, on no cluster.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::client::{Client, millis};
use super::code::ErrorCode;
use super::events::Queue;
use super::topic_configs::answer;
use super::{c, text_at};

/// What a client may do with a topic, or why the cluster does not describe it.
pub(in crate::kafka) type Rights = Result<Option<MayWrite>, ErrorCode>;

/// Whether it may write; unknown where a broker tells no rights (before 2.3).
pub(in crate::kafka) type MayWrite = bool;

/// The rights of this client to topics; none if nobody answers in time.
pub(in crate::kafka) fn topic_rights<L>(
    client: &Client<L>,
    topics: &[&str],
    within: Duration,
) -> BTreeMap<String, Rights> {
    let names = topics.iter().map(|topic| CString::new(*topic)).collect::<Result<Vec<_>, _>>();
    let Ok(names) = names else { return BTreeMap::new() };
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: the client is alive, and outlives the queue.
    let queue = unsafe { Queue::own(rd::rd_kafka_queue_new(client.ptr())) };
    let Some(queue) = queue else { return BTreeMap::new() };
    // SAFETY: the client and the queue are alive, and the names are until they were copied. What is
    // created here is destroyed once.
    unsafe {
        let asked =
            rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = rd::rd_kafka_AdminOptions_new(client.ptr(), operation);
        let (text, size) = (ptr::null_mut(), 0);
        // A time out of range is not taken, and the poll below ends in time all the same.
        c::rd_kafka_AdminOptions_set_request_timeout(options, millis(within), text, size);
        let refused = rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
        if !refused.is_null() {
            rd::rd_kafka_error_destroy(refused);
        }
        rd::rd_kafka_DescribeTopics(client.ptr(), asked, options, queue.ptr());
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_TopicCollection_destroy(asked);
    }
    let Ok(event) = answer(&queue, within, || false) else { return BTreeMap::new() };
    let mut rights = BTreeMap::new();
    // SAFETY: what the event points to lives as long as the event, and one of another kind than was
    // asked for has no result. Each list has as many places as it says. No code and no operation is
    // read but as an integer.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event.ptr());
        if result.is_null() {
            return rights;
        }
        let mut count = 0;
        let described = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for at in 0..count {
            let topic = *described.add(at);
            let error = rd::rd_kafka_TopicDescription_error(topic);
            let code = if error.is_null() { 0 } else { c::rd_kafka_error_code(error) };
            let of_topic = ErrorCode::of(code).map(|()| may_write(topic));
            rights.insert(text_at(rd::rd_kafka_TopicDescription_name(topic)), of_topic);
        }
    }
    rights
}

/// # Safety
/// It is a description of librdkafka that lives.
unsafe fn may_write(topic: *const rd::rd_kafka_TopicDescription_t) -> Option<MayWrite> {
    const WRITE: c_int = rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE as c_int;
    let mut count = 0;
    // SAFETY: as the caller has it; the list has as many places as it says.
    unsafe {
        let operations = rd::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        let mut places = (0..count).map(|at| operations.cast::<c_int>().add(at).read());
        // Whoever may describe a topic has that right at least: an empty list is no answer.
        (!operations.is_null() && count > 0).then(|| places.any(|operation| operation == WRITE))
    }
}
