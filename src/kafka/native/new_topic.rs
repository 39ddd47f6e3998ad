//! Creates a topic.

use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings as rd;

use super::client::{Client, c_name};
use super::code::{Code, ErrorCode};
use super::request::{self, Patience};
use super::{c, text_at};

/// Has the broker choose how many replicas there are, as its own default says.
const REPLICAS_OF_THE_BROKER: c_int = -1;

/// A topic to create.
struct NewTopic(NonNull<rd::rd_kafka_NewTopic_t>);

impl NewTopic {
    /// One of this name, with one partition and these settings.
    fn new(name: &str, settings: &[(&str, &str)]) -> Result<Self, ErrorCode> {
        let name = c_name(name)?;
        // SAFETY: the name ends in a nul, and is copied; a text of no bytes is asked for.
        let made = unsafe {
            rd::rd_kafka_NewTopic_new(name.as_ptr(), 1, REPLICAS_OF_THE_BROKER, ptr::null_mut(), 0)
        };
        let made = Self(NonNull::new(made).ok_or(ErrorCode::from(Code::InvalidArgument))?);
        for (name, value) in settings {
            let (name, value) = (c_name(name)?, c_name(value)?);
            // SAFETY: the topic is ours, and both texts end in a nul and are copied.
            ErrorCode::of(unsafe {
                c::rd_kafka_NewTopic_set_config(made.0.as_ptr(), name.as_ptr(), value.as_ptr())
            })?;
        }
        Ok(made)
    }
}

impl Drop for NewTopic {
    fn drop(&mut self) {
        // SAFETY: it is ours.
        unsafe { rd::rd_kafka_NewTopic_destroy(self.0.as_ptr()) };
    }
}

impl<L> Client<L> {
    /// Has the cluster create a topic of one partition with these settings.
    ///
    /// # Errors
    /// Why it did not, with its words where it has some.
    pub(in crate::kafka) fn create_topic(
        &self,
        name: &str,
        settings: &[(&str, &str)],
        within: Duration,
        stopped: impl Fn() -> bool,
    ) -> Result<(), (ErrorCode, Option<String>)> {
        let plain = |code: Code| (ErrorCode::from(code), None);
        let topic = NewTopic::new(name, settings).map_err(|code| (code, None))?;
        let mut topics = [topic.0.as_ptr()];
        let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS;
        let patience = Patience::graceful(within);
        let event = request::ask(self, operation, patience, stopped, |options, queue| {
            let (first, count) = (topics.as_mut_ptr(), topics.len());
            // SAFETY: client, queue and topic are alive; all is copied before the call returns.
            unsafe { rd::rd_kafka_CreateTopics(self.ptr(), first, count, options, queue) };
        });
        let event = event.map_err(|code| (code, None))?;
        // SAFETY: the event is ours, and the answer lives as long; the list has as many places as it
        // says, and a text that is there ends in a nul.
        unsafe {
            let answer = rd::rd_kafka_event_CreateTopics_result(event.ptr());
            if answer.is_null() {
                return Err(plain(Code::BadMessage));
            }
            let mut count = 0;
            let results = rd::rd_kafka_CreateTopics_result_topics(answer, &raw mut count);
            if count == 0 {
                return Err(plain(Code::BadMessage));
            }
            let result = *results;
            let words = rd::rd_kafka_topic_result_error_string(result);
            let words = (!words.is_null()).then(|| text_at(words));
            ErrorCode::of(c::rd_kafka_topic_result_error(result)).map_err(|code| (code, words))
        }
    }
}
