//! The topics: whether they are there, and take and keep what a run would send.

use super::{Finding, Found, bad, counted, odd, ok, skipped};
use crate::batch::topic_limits;
use crate::event::Kind;
use crate::event_time::{Conflict, TopicLimits};
use crate::exit::Exit;
use crate::kafka::causes::{self, Cause};
use crate::kafka::inquiry::{self, Creation, Description, Journal};
use crate::kafka::{config, topics};
use crate::settings::{EventTimeGuard, Settings};

/// Partitions of a topic that is to be created, where the other one is not there either.
const PARTITIONS: usize = 3;

/// Checks both topics.
pub(super) fn check(settings: &Settings, cluster: &Description) -> Vec<Finding> {
    let mut findings = check_topics(settings, cluster);
    let topics = findings.iter().filter(|finding| finding.name.starts_with("topic "));
    if topics.into_iter().all(|topic| matches!(topic.result, Found::Well(_))) {
        findings.extend(check_limits(settings, cluster));
    }
    let run_topic = settings.run_topic.as_deref();
    findings.extend(run_topic.map(|topic| check_run_topic(settings, cluster, topic)));
    findings
}

/// Whether a run can describe itself in `RUN_TOPIC`.
fn check_run_topic(settings: &Settings, cluster: &Description, topic: &str) -> Finding {
    let name = format!("RUN_TOPIC {topic}");
    let bootstrap = &settings.kafka_bootstrap;
    let partitions = match cluster.topics.get(topic) {
        None => {
            return odd(
                name,
                "does not exist, or this client is not allowed to see it; a run creates it where it may",
                format!(
                    "kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {topic} \
                     --partitions 1 --config cleanup.policy=compact"
                ),
            );
        }
        Some(Err(error)) => return bad(name, error, "see the broker's log", Exit::Unavailable),
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
            name,
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
        let names = cluster.topics.keys().chain(named.iter().map(|(topic, _)| *topic));
        let other = causes::collides(topic, names.map(String::as_str));
        check_topic(topic, (setting, &created, other), cluster)
    };
    let mut findings: Vec<_> = named.map(check).into();
    let count = |(topic, _): (&String, &str)| cluster.topics.get(topic)?.as_ref().ok().copied();
    if let [Some(metric), Some(token)] = named.map(count)
        && metric != token
    {
        findings.push(odd(
            "partitions",
            format!("{metric} of {}, and {token} of {}", named[0].0, named[1].0),
            "give both topics the same number: a pair's key is in the same partition of both only then",
        ));
    }
    findings
}

fn check_topic(
    topic: &str,
    (setting, created, other): (&str, &str, Option<&str>),
    cluster: &Description,
) -> Finding {
    let name = format!("topic {topic}");
    if let Some(Cause { problem, remedy }) = cluster.refused.get(topic) {
        return bad(name, problem, remedy.clone().unwrap_or_default(), Exit::NoPerm);
    }
    match (cluster.topics.get(topic), other, &cluster.creation) {
        (Some(Ok(partitions)), _, _) => ok(name, counted(*partitions, "partition")),
        (Some(Err(error)), _, _) => bad(name, error, "see the broker's log", Exit::Unavailable),
        (None, Some(other), _) => {
            let remedy = format!("name another with {setting}, or delete {other}");
            bad(name, causes::collision(topic, other), remedy, Exit::Unavailable)
        }
        (None, None, Creation::On { .. }) => odd(
            name,
            created_on_demand(&cluster.creation),
            format!("or create it before; {created}"),
        ),
        (None, None, creation) => {
            let whether = match creation {
                Creation::Off => "this cluster creates none on demand (auto.create.topics.enable)",
                _ => "a run creates it only where the cluster creates topics on demand",
            };
            let remedy = format!("create it, or name another with {setting}; {whether}; {created}");
            let problem = "does not exist, or this client is not allowed to see it";
            bad(name, problem, remedy, Exit::Unavailable)
        }
    }
}

/// What a run would get that has its topic created.
fn created_on_demand(creation: &Creation) -> String {
    let Creation::On { partitions, retention_ms, policy } = creation else { return String::new() };
    let mut with = Vec::new();
    with.extend(partitions.as_ref().map(|n| format!("num.partitions={n}")));
    with.extend(retention_ms.map(|ms| format!("log.retention.ms={ms}")));
    with.extend(policy.as_ref().map(|policy| format!("log.cleanup.policy={policy}")));
    let with = with.join(", ");
    format!(
        "does not exist; a run has the cluster create it with the broker's own settings ({with})"
    )
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
    let differing = differing(settings, &limits);
    let found = topics.iter().zip(&limits).zip(conflicts);
    let findings = found.map(|((topic, limits), conflict)| match conflict {
        None => ok(name(topic), kept(limits)),
        Some(conflict) if is_off => {
            skipped(name(topic), format!("{} (EVENT_TIME_GUARD=off)", conflict.problem))
        }
        Some(Conflict { problem, remedy }) => bad(name(topic), problem, remedy, Exit::Config),
    });
    findings.chain(differing).collect()
}

/// What two topics keep of one run that is not the same.
fn differing(settings: &Settings, limits: &[TopicLimits; 2]) -> Option<Finding> {
    let policy = |limits: &TopicLimits| if limits.compacts { "compact" } else { "delete" };
    let retention = |limits: &TopicLimits| match limits.retention {
        Some(kept) => format!("{} s", kept.as_secs()),
        None => "for ever".to_owned(),
    };
    let differs = |name: &str, [metric, token]: [String; 2]| {
        (metric != token).then(|| format!("{name} {metric} and {token}"))
    };
    let both = limits.each_ref();
    let found = [
        differs("cleanup.policy", both.map(|limits| policy(limits).to_owned())),
        differs("retention.ms", both.map(retention)),
    ];
    let found: Vec<_> = found.into_iter().flatten().collect();
    let topics = format!("{} and {}", settings.topic_metric, settings.topic_token);
    (!found.is_empty()).then(|| {
        let remedy = "give both topics the same, or expect pairs of which one record is gone";
        odd("topics", format!("{topics} differ: {}", found.join(", ")), remedy)
    })
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
