//! The topics: whether they are there, and take and keep what a run would send.

use super::{Finding, Found, bad, counted, ok, skipped};
use crate::batch::topic_limits;
use crate::event::Kind;
use crate::event_time::{Conflict, TopicLimits};
use crate::exit::Exit;
use crate::kafka::inquiry::{self, Description, Journal};
use crate::kafka::{config, topics};
use crate::settings::{EventTimeGuard, Settings};

/// Partitions of a topic that is to be created, where the other one is not there either.
const PARTITIONS: usize = 3;

/// Checks both topics.
pub(super) fn check(settings: &Settings, cluster: &Description) -> Vec<Finding> {
    let mut findings = check_topics(settings, cluster);
    if findings.iter().all(|topic| matches!(topic.result, Found::Well(_))) {
        findings.extend(check_limits(settings, cluster));
    }
    let run_topic = settings.run_topic.as_deref();
    findings.extend(run_topic.map(|topic| check_run_topic(settings, cluster, topic)));
    findings
}

/// Whether a run can describe itself in `RUN_TOPIC`.
fn check_run_topic(settings: &Settings, cluster: &Description, topic: &str) -> Finding {
    let name = format!("RUN_TOPIC {topic}");
    let odd = |problem: &str, remedy: String| Finding {
        name: name.clone(),
        result: Found::Odd(problem.to_owned(), remedy),
    };
    let bootstrap = &settings.kafka_bootstrap;
    let partitions = match cluster.topics.get(topic) {
        None => {
            return odd(
                "does not exist, or this client is not allowed to see it; a run creates it where it may",
                format!(
                    "kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {topic} \
                     --partitions 1 --config cleanup.policy=compact"
                ),
            );
        }
        Some(Err(error)) => {
            let exit = if error.is_denied { Exit::NoPerm } else { Exit::Unavailable };
            return bad(name, error.to_string(), "grant this client Write on the topic", exit);
        }
        Some(Ok(partitions)) => *partitions,
    };
    let asked = inquiry::journal(&config::client(settings), topic, topic_limits::ANSWER_WITHIN);
    match asked {
        Err(why) => skipped(name, why.to_string()),
        Ok(Journal { may_write: Some(false), .. }) => bad(
            name,
            "this client may not write to it",
            "grant this client Write on the topic",
            Exit::NoPerm,
        ),
        Ok(Journal { compacts: Some(false), .. }) => odd(
            "is not compacted: what runs say there expires",
            format!(
                "kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics \
                 --entity-name {topic} --add-config cleanup.policy=compact"
            ),
        ),
        Ok(Journal { compacts: None, .. }) => {
            skipped(name, "whether it is compacted is not known: the cluster does not tell")
        }
        Ok(_) => ok(name, format!("{}, compacted", counted(partitions, "partition"))),
    }
}

fn check_topics(settings: &Settings, cluster: &Description) -> Vec<Finding> {
    let named = [(&settings.topic_metric, "TOPIC_METRIC"), (&settings.topic_token, "TOPIC_TOKEN")];
    // Both need the same number, to be joined by their key.
    let there = named.iter().find_map(|(topic, _)| cluster.topics.get(*topic)?.as_ref().ok());
    let partitions = there.copied().unwrap_or(PARTITIONS);
    let bootstrap = &settings.kafka_bootstrap;
    let command = format!("kafka-topics.sh --bootstrap-server {bootstrap} --create");
    let check = |(topic, setting): (&String, &str)| {
        let created = format!("{command} --topic {topic} --partitions {partitions}");
        check_topic(topic, setting, &created, cluster)
    };
    named.map(check).into()
}

fn check_topic(topic: &str, setting: &str, created: &str, cluster: &Description) -> Finding {
    let name = format!("topic {topic}");
    let Some(found) = cluster.topics.get(topic) else {
        let remedy = format!(
            "create it, or name another with {setting}; a run creates it only where the cluster \
             creates topics on demand; {created}"
        );
        return bad(
            name,
            "does not exist, or this client is not allowed to see it",
            remedy,
            Exit::Unavailable,
        );
    };
    match found {
        Ok(partitions) => ok(name, counted(*partitions, "partition")),
        Err(error) if error.is_denied => {
            bad(name, error.to_string(), "grant this client Write on the topic", Exit::NoPerm)
        }
        Err(error) => bad(name, error.to_string(), "see the broker's log", Exit::Unavailable),
    }
}

/// Whether the topics take and keep what a run would send.
fn check_limits(settings: &Settings, cluster: &Description) -> Vec<Finding> {
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
    let partitions = topics.map(|topic| {
        let found = cluster.topics.get(topic).and_then(|found| found.as_ref().ok());
        found.copied().unwrap_or(1)
    });
    let conflicts = topic_limits::conflicts(settings, &limits, partitions);
    let found = topics.iter().zip(&limits).zip(conflicts);
    let findings = found.map(|((topic, limits), conflict)| match conflict {
        None => ok(name(topic), kept(limits)),
        Some(conflict) if is_off => {
            skipped(name(topic), format!("{} (EVENT_TIME_GUARD=off)", conflict.problem))
        }
        Some(Conflict { problem, remedy }) => bad(name(topic), problem, remedy, Exit::Config),
    });
    findings.collect()
}

fn kept(limits: &TopicLimits) -> String {
    let whose = if limits.append_time {
        ", with the broker's time in place of theirs (message.timestamp.type=LogAppendTime)"
    } else {
        ""
    };
    format!("it takes and keeps the events of a run{whose}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_puts_its_own_time_on_records_is_told() {
        let limits = |value: &str| {
            TopicLimits::of(|name| (name == "message.timestamp.type").then(|| value.to_owned()))
        };
        assert_eq!(kept(&limits("CreateTime")), "it takes and keeps the events of a run");
        assert_eq!(
            kept(&limits("LogAppendTime")),
            "it takes and keeps the events of a run, with the broker's time in place of theirs \
             (message.timestamp.type=LogAppendTime)"
        );
    }
}
