//! The configuration of topics and brokers.

use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::client::{Client, c_name};
use super::code::{Code, ErrorCode};
use super::events::Event;
use super::request::{self, Patience};
use super::{c, text_at};

/// The settings of a topic or a broker: name and value, or why they are not known.
pub(in crate::kafka) type TopicConfig = Result<Vec<(String, Option<String>)>, ErrorCode>;

impl<L> Client<L> {
    /// Asks for the settings of these topics, each of them once.
    ///
    /// # Errors
    /// Why none is known.
    pub(in crate::kafka) fn topic_configs(
        &self,
        topics: &[&str],
        within: Duration,
        stopped: impl Fn() -> bool,
    ) -> Result<Vec<TopicConfig>, ErrorCode> {
        self.configs(topics.iter().map(|topic| Resource::topic(topic)), within, stopped)
    }

    /// Asks a broker for its own settings.
    ///
    /// # Errors
    /// Why they are not known.
    pub(in crate::kafka) fn broker_config(&self, broker: i32, within: Duration) -> TopicConfig {
        let answer = self.configs(std::iter::once(Resource::broker(broker)), within, || false)?;
        answer.into_iter().next().unwrap_or(Err(Code::BadMessage.into()))
    }

    fn configs(
        &self,
        resources: impl Iterator<Item = Option<Resource>>,
        within: Duration,
        stopped: impl Fn() -> bool,
    ) -> Result<Vec<TopicConfig>, ErrorCode> {
        let no_memory = || ErrorCode::from(Code::CriticalSystemResource);
        let asked = resources.map(|resource| resource.ok_or_else(no_memory));
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        let mut places: Vec<_> = asked.iter().map(|resource| resource.0.as_ptr()).collect();
        let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
        let patience = Patience::graceful(within);
        let event = request::ask(self, operation, patience, stopped, |options, queue| {
            let (first, count) = (places.as_mut_ptr(), places.len());
            // SAFETY: client, queue and resources are alive; all is copied before the call returns.
            unsafe { rd::rd_kafka_DescribeConfigs(self.ptr(), first, count, options, queue) };
        })?;
        read(&event)
    }
}

/// What is asked for.
struct Resource(NonNull<rd::rd_kafka_ConfigResource_t>);

impl Resource {
    fn topic(name: &str) -> Option<Self> {
        Self::of(rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name)
    }

    fn broker(id: i32) -> Option<Self> {
        Self::of(rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER, &id.to_string())
    }

    fn of(kind: rd::rd_kafka_ResourceType_t, name: &str) -> Option<Self> {
        let name = c_name(name).ok()?;
        // SAFETY: the name ends in a nul, and is copied.
        NonNull::new(unsafe { rd::rd_kafka_ConfigResource_new(kind, name.as_ptr()) }).map(Self)
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        // SAFETY: it is ours.
        unsafe { rd::rd_kafka_ConfigResource_destroy(self.0.as_ptr()) };
    }
}

fn read(event: &Event) -> Result<Vec<TopicConfig>, ErrorCode> {
    // SAFETY: the event is ours, and the answer lives as long; each list has as many places as it says,
    // and each text ends in a nul.
    unsafe {
        let answer = rd::rd_kafka_event_DescribeConfigs_result(event.ptr());
        if answer.is_null() {
            return Err(Code::BadMessage.into());
        }
        let mut count = 0;
        let resources = rd::rd_kafka_DescribeConfigs_result_resources(answer, &raw mut count);
        let of = |at| {
            let resource = *resources.add(at);
            ErrorCode::of(c::rd_kafka_ConfigResource_error(resource))?;
            let mut count = 0;
            let entries = rd::rd_kafka_ConfigResource_configs(resource, &raw mut count);
            let entry = |at| {
                let entry = *entries.add(at);
                let value = rd::rd_kafka_ConfigEntry_value(entry);
                let value = (!value.is_null()).then(|| text_at(value));
                (text_at(rd::rd_kafka_ConfigEntry_name(entry)), value)
            };
            Ok((0..count).map(entry).collect())
        };
        Ok((0..count).map(of).collect())
    }
}
