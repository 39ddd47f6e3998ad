//! The topics: whether they are there, and take and keep what a run would send.

use super::{Finding, Found, bad, ok, skipped};
use crate::batch::topic_limits;
use crate::event::Kind;
use crate::event_time::Conflict;
use crate::exit::Exit;
use crate::kafka::inquiry::Description;
use crate::kafka::{config, topics};
use crate::settings::{EventTimeGuard, Settings};

/// Checks both topics.
pub(super) fn check(settings: &Settings, cluster: &Description) -> Vec<Finding> {
    let mut findings = check_topics(settings, cluster);
    if findings.iter().all(|topic| matches!(topic.result, Found::Well(_))) {
        findings.extend(check_limits(settings));
    }
    findings
}

fn check_topics(settings: &Settings, cluster: &Description) -> Vec<Finding> {
    let named = [(&settings.topic_metric, "TOPIC_METRIC"), (&settings.topic_token, "TOPIC_TOKEN")];
    named.map(|(topic, setting)| check_topic(topic, setting, cluster)).into()
}

fn check_topic(topic: &str, setting: &str, cluster: &Description) -> Finding {
    let name = format!("topic {topic}");
    let Some(found) = cluster.topics.get(topic) else {
        let remedy = format!(
            "create it, or name another with {setting}; a run creates it only where the cluster \
             creates topics on demand"
        );
        return bad(
            name,
            "does not exist, or this client is not allowed to see it",
            remedy,
            Exit::Unavailable,
        );
    };
    match found {
        Ok(partitions) => ok(name, format!("{partitions} partitions")),
        Err(error) if error.is_denied => {
            bad(name, error.to_string(), "grant this client Write on the topic", Exit::NoPerm)
        }
        Err(error) => bad(name, error.to_string(), "see the broker's log", Exit::Unavailable),
    }
}

/// Whether the topics take and keep what a run would send.
fn check_limits(settings: &Settings) -> Vec<Finding> {
    let topics = Kind::BOTH.map(|kind| settings.topic(kind));
    let config = config::client(settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let limits = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(topics::limits(&config, topics, topic_limits::ANSWER_WITHIN))
    });
    let name = |topic: &str| format!("limits of {topic}");
    let limits = match limits {
        Ok(limits) => limits,
        Err(why) => return topics.map(|topic| skipped(name(topic), why.clone())).into(),
    };
    let is_off = settings.event_time_guard == EventTimeGuard::Off;
    let conflicts = topic_limits::conflicts(settings, &limits);
    let findings = topics.iter().zip(conflicts).map(|(topic, conflict)| match conflict {
        None => ok(name(topic), "it takes and keeps the events of a run"),
        Some(conflict) if is_off => {
            skipped(name(topic), format!("{} (EVENT_TIME_GUARD=off)", conflict.problem))
        }
        Some(Conflict { problem, remedy }) => bad(name(topic), problem, remedy, Exit::Config),
    });
    findings.collect()
}
