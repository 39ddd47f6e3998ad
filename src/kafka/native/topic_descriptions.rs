//! What the cluster says of topics: the id of each, since a topic that is deleted and created again has
//! another one, and what this client may do with it. The question creates none of them, on no cluster.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::client::{Client, c_name};
use super::code::ErrorCode;
use super::request::{self, Patience};
use super::{c, text_at};

/// What librdkafka shows where a broker told no id.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// What a client may do with a topic, or why the cluster does not describe it.
pub(in crate::kafka) type Rights = Result<Option<MayWrite>, ErrorCode>;

/// Whether it may write; unknown where a broker tells no rights (before 2.3).
pub(in crate::kafka) type MayWrite = bool;

/// The ids of those of these topics that a broker tells, in the form of Kafka's own tools. None if it does
/// not answer in time, or is older than 2.8.
pub(in crate::kafka) fn topic_ids<L>(
    client: &Client<L>,
    broker: i32,
    topics: &[&str],
    within: Duration,
) -> BTreeMap<String, String> {
    // A run that is over does not wait for them.
    let patience = Patience { within, grace: Duration::ZERO };
    let of_broker = |options| {
        // SAFETY: the options live.
        let _taken =
            unsafe { rd::rd_kafka_AdminOptions_set_broker(options, broker, ptr::null_mut(), 0) };
    };
    let id = |topic| {
        // SAFETY: the description lives, and so do its id and the text of it, which ends in a nul.
        unsafe {
            let id = rd::rd_kafka_TopicDescription_topic_id(topic);
            text_at(rd::rd_kafka_Uuid_base64str(id))
        }
    };
    let described = described(client, topics, patience, of_broker, id).into_iter();
    let ids = described.filter_map(|(name, id)| Some((name, id.ok()?)));
    let ids = ids.filter(|(_, id)| id != NO_ID);
    // Kafka's tools use the alphabet for URLs.
    ids.map(|(name, id)| (name, id.replace('+', "-").replace('/', "_"))).collect()
}

/// The rights of this client to topics; none if nobody answers in time.
pub(in crate::kafka) fn topic_rights<L>(
    client: &Client<L>,
    topics: &[&str],
    within: Duration,
) -> BTreeMap<String, Rights> {
    let with_rights = |options| {
        // SAFETY: the options live; the error is ours and destroyed once.
        unsafe {
            let refused = rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
            if !refused.is_null() {
                rd::rd_kafka_error_destroy(refused);
            }
        }
    };
    let may_write = |topic| {
        const WRITE: c_int = rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE as c_int;
        let mut count = 0;
        // SAFETY: the description lives; the list has as many places as it says, and no operation is
        // read but as an integer.
        unsafe {
            let operations =
                rd::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
            let mut places = (0..count).map(|at| operations.cast::<c_int>().add(at).read());
            // Whoever may describe a topic has that right at least: an empty list is no answer.
            (!operations.is_null() && count > 0).then(|| places.any(|operation| operation == WRITE))
        }
    };
    described(client, topics, Patience::graceful(within), with_rights, may_write)
}

/// What the cluster describes of these topics: of each what `read` reads, or why it is not described.
/// Nothing if nobody answers in time.
fn described<L, T>(
    client: &Client<L>,
    topics: &[&str],
    patience: Patience,
    set: impl FnOnce(*mut rd::rd_kafka_AdminOptions_t),
    read: impl Fn(*const rd::rd_kafka_TopicDescription_t) -> T,
) -> BTreeMap<String, Result<T, ErrorCode>> {
    let names = topics.iter().map(|topic| c_name(topic)).collect::<Result<Vec<_>, _>>();
    let Ok(names) = names else { return BTreeMap::new() };
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let event = request::ask(
        client,
        operation,
        patience,
        || false,
        |options, queue| {
            set(options);
            // SAFETY: client, options and queue are alive, and the names are until they were copied. What is
            // created here is destroyed once.
            unsafe {
                let asked = rd::rd_kafka_TopicCollection_of_topic_names(
                    pointers.as_mut_ptr(),
                    pointers.len(),
                );
                rd::rd_kafka_DescribeTopics(client.ptr(), asked, options, queue);
                rd::rd_kafka_TopicCollection_destroy(asked);
            }
        },
    );
    let Ok(event) = event else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    // SAFETY: what the event points to lives as long as the event, and one of another kind than was
    // asked for has no result. The list has as many places as it says. No code is read but as an integer.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event.ptr());
        if result.is_null() {
            return found;
        }
        let mut count = 0;
        let descriptions = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for at in 0..count {
            let topic = *descriptions.add(at);
            let error = rd::rd_kafka_TopicDescription_error(topic);
            let code = if error.is_null() { 0 } else { c::rd_kafka_error_code(error) };
            let of_topic = ErrorCode::of(code).map(|()| read(topic));
            found.insert(text_at(rd::rd_kafka_TopicDescription_name(topic)), of_topic);
        }
    }
    found
}
