//! What librdkafka says beside its delivery reports: logs, errors, statistics.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::statistics::{Broker, Statistics, Window};
use tracing::{debug, warn};

use super::causes::{Cause, Understood, Way, of_code};
use super::native::{Code, ErrorCode};
use crate::delivery::{FailureClass, LatencyParts, Share};
use crate::host::limits;
use crate::net::unbracketed;
use crate::settings::Server;

/// Different lines of the log that are counted; further ones are left to the debug level.
const LINES: usize = 64;

/// What was heard so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// How the client goes to the brokers.
    pub(super) way: Way,
    /// Why the cluster refuses this client, if it does.
    pub(super) denied: Option<Cause>,
    /// What the system gives too little of.
    pub(super) exhausted: Option<String>,
    /// The brokers that the client has learned of, if it writes statistics.
    pub(super) learned: Vec<Server>,
    /// Where the time of the records went, if it writes statistics.
    pub(super) latency_parts: LatencyParts,
    /// The last error.
    pub(super) last_error: Option<Cause>,
    /// The servers that answered in another protocol, each in words.
    pub(super) other_protocol: BTreeMap<String, Cause>,
    /// The brokers that the cluster named and that cannot be connected to, each with why.
    pub(super) unreached: BTreeMap<String, String>,
    /// What is wrong with the certificate of a broker.
    certificate: Option<String>,
    /// Errors that are logged already.
    said: BTreeSet<ErrorCode>,
    /// Lines that were logged, and how often each came again.
    lines: BTreeMap<String, u64>,
}

impl Heard {
    pub(super) fn of(way: Way) -> Self {
        Self { way, ..Self::default() }
    }

    pub(super) fn log(&mut self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "SSLCERTVRFY" {
            let said = message.rsplit("callback failed: ").next();
            self.certificate = said.map(str::to_owned);
        }
        let understood = self.understood(None, message);
        let text = understood.cause.to_string();
        // Errors also come to `error`, which logs each of them once.
        match level {
            RDKafkaLogLevel::Warning if self.is_new(facility, &text) => {
                warn!(target: "librdkafka", "{facility}: {text}");
            }
            RDKafkaLogLevel::Warning => {}
            _ => debug!(target: "librdkafka", "{facility}: {text}"),
        }
        // librdkafka calls a connection that was closed on it an error only at times.
        if facility == "FAIL" {
            self.take(understood);
        }
    }

    /// Whether a line is the first of its kind; the others are counted. Numbers make no other line.
    fn is_new(&mut self, facility: &str, text: &str) -> bool {
        let kind = text.split(|c: char| c.is_ascii_digit()).collect::<String>();
        let line = format!("{facility}: {kind}");
        if let Some(again) = self.lines.get_mut(&line) {
            *again += 1;
            return false;
        }
        if self.lines.len() >= LINES {
            return false;
        }
        self.lines.insert(line, 0);
        true
    }

    /// Says how often lines came again, once.
    pub(super) fn say_repeated(&mut self) {
        for (line, again) in &mut self.lines {
            if *again > 0 {
                let times = if *again == 1 { "once".to_owned() } else { format!("{again} times") };
                warn!(target: "librdkafka", "{line}: said {times} more");
                *again = 0;
            }
        }
    }

    fn understood(&self, code: Option<ErrorCode>, text: &str) -> Understood {
        self.way.understood(code, text, self.certificate.as_deref())
    }

    /// Keeps what an error says.
    fn take(&mut self, Understood { cause, class, other_protocol, unreached }: Understood) {
        if let Some(server) = other_protocol {
            self.other_protocol.insert(server, cause.clone());
        }
        self.unreached.extend(unreached);
        match class {
            FailureClass::Denied => self.denied = Some(cause),
            _ => self.last_error = Some(cause),
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
        let mut understood = self.understood(Some(code), reason);
        if reason.is_empty() {
            understood.cause = of_code(code);
        }
        let text = understood.cause.to_string();
        if self.said.insert(code) {
            warn!(target: "librdkafka", "{text}");
        } else {
            debug!(target: "librdkafka", "{text}");
        }
        if limits::is_exhausted(&text).is_some() {
            self.exhausted = Some(text);
        }
        // This one only sums up the others, which say more.
        if !code.is(Code::AllBrokersDown) || self.last_error.is_none() {
            self.take(understood);
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
        Some(Server { host: unbracketed(host).to_owned(), port: port.parse().ok()? })
    });
    let mut servers: Vec<_> = servers.collect();
    servers.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    servers
}
