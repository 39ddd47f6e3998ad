//! What librdkafka says beside its delivery reports: logs, errors, statistics.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::statistics::{Broker, Statistics, Window};
use tracing::{debug, warn};

use super::errors::{class, other_protocol, plain};
use super::native::{Code, ErrorCode};
use crate::delivery::{FailureClass, LatencyParts, Share};
use crate::host::limits;
use crate::settings::Server;

/// What was heard so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Why the cluster refuses this client, if it does.
    pub(super) denied: Option<String>,
    /// What the system gives too little of.
    pub(super) exhausted: Option<String>,
    /// The brokers that the client has learned of, if it writes statistics.
    pub(super) learned: Vec<Server>,
    /// Where the time of the records went, if it writes statistics.
    pub(super) latency_parts: LatencyParts,
    /// The last error.
    pub(super) last_error: Option<String>,
    /// The servers that answered in another protocol, each in words.
    pub(super) other_protocol: BTreeMap<String, String>,
    /// Errors that are logged already.
    said: BTreeSet<ErrorCode>,
}

impl Heard {
    pub(super) fn log(&mut self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let text = plain(message);
        self.other_protocol.extend(other_protocol(message));
        // Errors also come to `error`, which logs each of them once.
        match level {
            RDKafkaLogLevel::Warning => warn!(target: "librdkafka", "{facility}: {text}"),
            _ => debug!(target: "librdkafka", "{facility}: {text}"),
        }
        // librdkafka calls a connection that was closed on it an error only at times.
        if facility == "FAIL" {
            self.last_error = Some(text);
        }
    }

    pub(super) fn statistics(&mut self, json: &str) {
        let statistics: Statistics = match serde_json::from_str(json) {
            Ok(statistics) => statistics,
            Err(error) => return debug!(target: "librdkafka", "its statistics: {error}"),
        };
        for broker in statistics.brokers.values() {
            count(&mut self.latency_parts, broker);
        }
        self.learned = learned_brokers(statistics);
    }

    pub(super) fn error(&mut self, code: ErrorCode, reason: &str) {
        self.other_protocol.extend(other_protocol(reason));
        let text = if reason.is_empty() { code.to_string() } else { plain(reason) };
        if self.said.insert(code) {
            warn!(target: "librdkafka", "{text}");
        } else {
            debug!(target: "librdkafka", "{text}");
        }
        if limits::is_exhausted(&text).is_some() {
            self.exhausted = Some(text.clone());
        }
        match class(code) {
            FailureClass::Denied => self.denied = Some(text),
            // This one only sums up the others, which say more.
            _ if code.is(Code::AllBrokersDown) && self.last_error.is_some() => {}
            _ => self.last_error = Some(text),
        }
    }
}

/// Counts what a broker's windows of the last interval say.
fn count(parts: &mut LatencyParts, broker: &Broker) {
    let add = |share: &mut Share, window: Option<&Window>| {
        let Some(window) = window else { return };
        let figures = (u64::try_from(window.sum), u64::try_from(window.cnt));
        if let (Ok(sum), Ok(count)) = figures {
            share.add(sum, count);
        }
    };
    add(&mut parts.batching, broker.int_latency.as_ref());
    add(&mut parts.sending, broker.outbuf_latency.as_ref());
    add(&mut parts.round_trip, broker.rtt.as_ref());
    add(&mut parts.throttle, broker.throttle.as_ref());
}

/// The brokers in a client's statistics that it has learned of, and not only been told.
fn learned_brokers(statistics: Statistics) -> Vec<Server> {
    let learned = statistics.brokers.into_values().filter(|broker| broker.nodeid >= 0);
    let servers = learned.filter_map(|broker| {
        let (host, port) = broker.nodename.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Server { host, port: port.parse().ok()? })
    });
    let mut servers: Vec<_> = servers.collect();
    servers.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    servers
}
