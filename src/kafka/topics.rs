//! The configuration of topics, asked of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::ClientConfig;

use super::admin::Admin;
use super::causes::{self, Cause};
use super::errors::class;
use super::native::{Client, Code, ErrorCode, Rights, TopicConfig, topic_rights};
use crate::delivery::FailureClass;
use crate::event_time::TopicLimits;

/// How long a broker may take to tell rights, or its own settings.
pub(super) const ASIDE: Duration = Duration::from_secs(2);

/// Asks for the limits of topics with a client made for it, in their order.
///
/// # Errors
/// Why they are not known, in words: this client may not ask, or nobody answered.
pub async fn limits(
    config: &ClientConfig,
    topics: [&str; 2],
    within: Duration,
) -> Result<[TopicLimits; 2], String> {
    let config = config.clone();
    let client = move || Client::producer(&config, ()).map_err(|error| error.to_string());
    asked(move || client().map(Arc::new), topics, within).await
}

impl Admin {
    /// The same with the client of the run, which is connected already.
    ///
    /// # Errors
    /// As [`limits`].
    pub async fn topic_limits(
        &self,
        topics: [&str; 2],
        within: Duration,
    ) -> Result<[TopicLimits; 2], String> {
        let client = self.shared();
        asked(move || Ok(client), topics, within).await
    }

    /// Whether a topic is compacted; `None` if that is not known within this time.
    #[must_use]
    pub fn compacts(
        &self,
        topic: &str,
        within: Duration,
        stopped: impl Fn() -> bool,
    ) -> Option<bool> {
        let answer = self.client().topic_configs(&[topic], within, stopped).ok()?;
        Some(of(answer.into_iter().next()?).ok()?.compacts)
    }

    /// Whether this client may write to a topic; `None` if that is not known within this time.
    #[must_use]
    pub fn may_write(&self, topic: &str, within: Duration) -> Option<bool> {
        topic_rights(self.client(), &[topic], within).remove(topic)?.ok()?
    }

    /// What this client may not do with these topics, as far as the cluster tells.
    #[must_use]
    pub fn refused(&self, topics: &[&str]) -> BTreeMap<String, Cause> {
        refused(self.client(), topics)
    }

    /// Creates a compacted topic of one partition, unless there is a topic of this name; whether it did.
    ///
    /// # Errors
    /// [`NotCreated`].
    pub fn create_compacted(
        &self,
        topic: &str,
        within: Duration,
        stopped: impl Fn() -> bool,
    ) -> Result<bool, NotCreated> {
        // A question for one topic by its name creates it on many clusters, and not compacted.
        if self.topics(within).is_some_and(|all| all.iter().any(|name| name == topic)) {
            return Ok(false);
        }
        let created = self.client().create_topic(topic, COMPACTED, within, stopped);
        match created {
            Ok(()) => Ok(true),
            Err((code, _)) if code.is(Code::TopicAlreadyExists) => Ok(false),
            Err((code, words)) => Err(NotCreated {
                is_denied: class(code) == FailureClass::Denied,
                text: words.unwrap_or_else(|| code.to_string()),
            }),
        }
    }
}

/// The settings of a topic that keeps the last record of each key.
const COMPACTED: &[(&str, &str)] = &[("cleanup.policy", "compact")];

/// Why a topic was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct NotCreated {
    text: String,
    /// Whether this client may not create it.
    pub is_denied: bool,
}

async fn asked<L: Send + Sync + 'static>(
    client: impl FnOnce() -> Result<Arc<Client<L>>, String> + Send + 'static,
    topics: [&str; 2],
    within: Duration,
) -> Result<[TopicLimits; 2], String> {
    let names = topics.map(str::to_owned);
    let asking = Asking::default();
    let stopped = Arc::clone(&asking.0);
    let asked = tokio::task::spawn_blocking(move || {
        let client = client()?;
        let [first, second] = names.each_ref().map(String::as_str);
        // A topic that is named twice is asked for once.
        let topics = if first == second { vec![first] } else { vec![first, second] };
        let stopped = || stopped.load(Ordering::Relaxed);
        client.topic_configs(&topics, within, stopped).map_err(in_words)
    });
    let answer = asked.await.map_err(|error| error.to_string())??;
    let limits = answer.into_iter().map(|topic| of(topic).map_err(in_words));
    let limits = limits.collect::<Result<Vec<_>, _>>()?;
    match limits.as_slice() {
        [both] if topics[0] == topics[1] => Ok([both.clone(), both.clone()]),
        [first, second] => Ok([first.clone(), second.clone()]),
        _ => Err("the cluster answered for other topics".to_owned()),
    }
}

/// Ends the question once nobody waits for its answer.
#[derive(Default)]
struct Asking(Arc<AtomicBool>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn of(topic: TopicConfig) -> Result<TopicLimits, ErrorCode> {
    let settings = topic?;
    let value = |name: &str| settings.iter().find(|(found, _)| found == name)?.1.clone();
    Ok(TopicLimits::of(value))
}

/// What this client may not do with topics, as far as the cluster tells.
pub(super) fn refused<L>(client: &Client<L>, topics: &[&str]) -> BTreeMap<String, Cause> {
    if topics.is_empty() {
        return BTreeMap::new();
    }
    let rights = topic_rights(client, topics, ASIDE);
    let refused = rights.into_iter().filter_map(|(topic, rights): (_, Rights)| {
        let cause = match rights {
            Ok(Some(false)) => causes::may_not_write(&topic),
            Err(code) if class(code) == FailureClass::Denied => causes::may_not_describe(&topic),
            Ok(_) | Err(_) => return None,
        };
        Some((topic, cause))
    });
    refused.collect()
}

fn in_words(code: ErrorCode) -> String {
    if code.is(Code::TopicAuthorizationFailed) {
        return "this client may not ask for it (DescribeConfigs)".to_owned();
    }
    code.to_string()
}
