//! The topics: whether they are there, and take and keep what a run would send.

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;

use super::{Finding, Found, bad, ok, skipped};
use crate::books::FailureClass;
use crate::event::Kind;
use crate::event_time::Conflict;
use crate::exit::Exit;
use crate::kafka::{config, errors, topics};
use crate::session::topic_check;
use crate::settings::{EventTimeGuard, Settings};

/// Checks both topics.
pub(super) fn check(settings: &Settings, metadata: &Metadata) -> Vec<Finding> {
    let mut findings = check_topics(settings, metadata);
    if findings.iter().all(|topic| matches!(topic.result, Found::Well(_))) {
        findings.extend(check_limits(settings));
    }
    findings
}

fn check_topics(settings: &Settings, metadata: &Metadata) -> Vec<Finding> {
    let named = [(&settings.topic_metric, "TOPIC_METRIC"), (&settings.topic_token, "TOPIC_TOKEN")];
    named.map(|(topic, setting)| check_topic(topic, setting, metadata)).into()
}

fn check_topic(topic: &str, setting: &str, metadata: &Metadata) -> Finding {
    let name = format!("topic {topic}");
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
        let remedy = format!(
            "create it, or name another with {setting}; a run creates it only where the cluster \
             creates topics on demand"
        );
        return bad(name, "does not exist, or may not be seen", remedy, Exit::Unavailable);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => ok(name, format!("{} partitions", found.partitions().len())),
        Some(code) if errors::class(code) == FailureClass::Denied => {
            bad(name, code.to_string(), "grant this client Write on the topic", Exit::NoPerm)
        }
        Some(code) => bad(name, code.to_string(), "see the broker's log", Exit::Unavailable),
    }
}

/// Whether the topics take and keep what a run would send.
fn check_limits(settings: &Settings) -> Vec<Finding> {
    let topics = Kind::BOTH.map(|kind| kind.topic(settings));
    let config = config::client(settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let limits = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(topics::limits(&config, topics, topic_check::ANSWER_WITHIN))
    });
    let name = |topic: &str| format!("limits of {topic}");
    let limits = match limits {
        Ok(limits) => limits,
        Err(why) => return topics.map(|topic| skipped(name(topic), why.clone())).into(),
    };
    let is_off = settings.event_time_guard == EventTimeGuard::Off;
    let conflicts = topic_check::conflicts(settings, &limits);
    let findings = topics.iter().zip(conflicts).map(|(topic, conflict)| match conflict {
        None => ok(name(topic), "it takes and keeps the events of a run"),
        Some(conflict) if is_off => {
            skipped(name(topic), format!("{} (EVENT_TIME_GUARD=off)", conflict.problem))
        }
        Some(Conflict { problem, remedy }) => bad(name(topic), problem, remedy, Exit::Config),
    });
    findings.collect()
}
