//! The configuration of topics, asked of the cluster.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;

use super::quiet::Quiet;
use crate::event_time::TopicLimits;

/// Asks for the limits of topics, in their order.
///
/// # Errors
/// Why they are not known, in words: this client may not ask, or nobody answered.
pub async fn limits(
    config: &ClientConfig,
    topics: [&str; 2],
    within: Duration,
) -> Result<[TopicLimits; 2], String> {
    let client: AdminClient<Quiet> =
        config.create_with_context(Quiet).map_err(|error| error.to_string())?;
    let specifiers = topics.map(ResourceSpecifier::Topic);
    let options = AdminOptions::new().request_timeout(Some(within));
    // A topic that is named twice is asked for once.
    let asked = if topics[0] == topics[1] { &specifiers[..1] } else { &specifiers[..] };
    let answer = client.describe_configs(asked, &options).await;
    let answer = answer.map_err(|error| match error.rdkafka_error_code() {
        Some(code) => in_words(code),
        None => error.to_string(),
    })?;
    let limits = answer.into_iter().map(|topic| topic.map(|topic| of(&topic)).map_err(in_words));
    let limits = limits.collect::<Result<Vec<_>, _>>()?;
    match limits.as_slice() {
        [both] => Ok([both.clone(), both.clone()]),
        [first, second] => Ok([first.clone(), second.clone()]),
        _ => Err("the cluster answered for other topics".to_owned()),
    }
}

fn of(topic: &ConfigResource) -> TopicLimits {
    TopicLimits::of(|name| topic.get(name)?.value.clone())
}

fn in_words(code: RDKafkaErrorCode) -> String {
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            "this client may not ask for it (DescribeConfigs)".to_owned()
        }
        _ => code.to_string(),
    }
}
