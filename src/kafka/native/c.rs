//! The functions of librdkafka that take or return an error code, declared with an integer for it.
//!
//! The bindings declare an enum there. A broker may send any code, and an enum that holds a value which
//! it does not list is undefined behaviour. None of these functions is called through the bindings.

use std::ffi::{c_char, c_int, c_void};

use rdkafka::bindings as rd;

unsafe extern "C" {
    pub(super) fn rd_kafka_err2str(code: c_int) -> *const c_char;
    pub(super) fn rd_kafka_last_error() -> c_int;
    pub(super) fn rd_kafka_fatal_error(
        client: *mut rd::rd_kafka_t,
        text: *mut c_char,
        size: usize,
    ) -> c_int;
    pub(super) fn rd_kafka_producev(client: *mut rd::rd_kafka_t, ...) -> c_int;
    pub(super) fn rd_kafka_purge(client: *mut rd::rd_kafka_t, flags: c_int) -> c_int;
    pub(super) fn rd_kafka_metadata(
        client: *mut rd::rd_kafka_t,
        all: c_int,
        only: *mut rd::rd_kafka_topic_t,
        metadata: *mut *const rd::rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> c_int;
    pub(super) fn rd_kafka_offsets_for_times(
        client: *mut rd::rd_kafka_t,
        partitions: *mut rd::rd_kafka_topic_partition_list_t,
        timeout_ms: c_int,
    ) -> c_int;
    pub(super) fn rd_kafka_poll_set_consumer(client: *mut rd::rd_kafka_t) -> c_int;
    pub(super) fn rd_kafka_assign(
        client: *mut rd::rd_kafka_t,
        partitions: *const rd::rd_kafka_topic_partition_list_t,
    ) -> c_int;
    pub(super) fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
    pub(super) fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> c_int;
    pub(super) fn rd_kafka_ConfigResource_error(
        resource: *const rd::rd_kafka_ConfigResource_t,
    ) -> c_int;
    pub(super) fn rd_kafka_topic_result_error(result: *const rd::rd_kafka_topic_result_t) -> c_int;
    pub(super) fn rd_kafka_NewTopic_set_config(
        topic: *mut rd::rd_kafka_NewTopic_t,
        name: *const c_char,
        value: *const c_char,
    ) -> c_int;
    pub(super) fn rd_kafka_AdminOptions_set_request_timeout(
        options: *mut rd::rd_kafka_AdminOptions_t,
        timeout_ms: c_int,
        text: *mut c_char,
        size: usize,
    ) -> c_int;
    pub(super) fn rd_kafka_header_add(
        list: *mut rd::rd_kafka_headers_t,
        name: *const c_char,
        name_len: isize,
        value: *const c_void,
        value_len: isize,
    ) -> c_int;
    pub(super) fn rd_kafka_header_get_all(
        list: *const rd::rd_kafka_headers_t,
        position: usize,
        name: *mut *const c_char,
        value: *mut *const c_void,
        len: *mut usize,
    ) -> c_int;
    pub(super) fn rd_kafka_message_headers(
        message: *const rd::rd_kafka_message_t,
        list: *mut *mut rd::rd_kafka_headers_t,
    ) -> c_int;
    pub(super) fn rd_kafka_message_detach_headers(
        message: *mut rd::rd_kafka_message_t,
        list: *mut *mut rd::rd_kafka_headers_t,
    ) -> c_int;
    pub(super) fn rd_kafka_message_timestamp(
        message: *const rd::rd_kafka_message_t,
        kind: *mut c_int,
    ) -> i64;
}
