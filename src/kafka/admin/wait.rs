//! Waits for the answers of a cluster, each question asked again until it is answered or makes no sense
//! any more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::causes::{self, Cause};
use super::super::delivery_reports::DeliveryReports;
use super::super::errors::class;
use super::super::native::{Client, Code, Edge, ErrorCode, Metadata};
use super::{Bound, NamedTopic, NotReady};
use crate::delivery::FailureClass;
use crate::host::limits;
use crate::settings::Server;

/// How long a topic may take to appear: a cluster that creates topics needs a moment for it.
const TOPIC_GRACE: Duration = Duration::from_secs(5);

/// Pause between two questions about a topic that is not there yet.
const TOPIC_POLL: Duration = Duration::from_millis(100);

/// Shortest and longest single wait for metadata: a refusal is noticed in between. The waits double,
/// because an answer that comes after its wait is lost, and a slow link answers late.
const SLICES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// Single wait of a client that asks one question.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

/// Single wait for a leader. A question that is given up still takes one of the five places that
/// requests to a broker have.
pub(in crate::kafka) const LEADER_SLICE: Duration = SLICES[1];

/// Pause before a leader that was not ready is asked again.
const LEADER_POLL: Duration = Duration::from_millis(20);

/// Leaders that are asked at the same time.
const ASKED_AT_ONCE: usize = 16;

/// A bounded wait for answers.
pub(in crate::kafka) struct Wait<'a> {
    pub(in crate::kafka) client: &'a Client<DeliveryReports>,
    pub(in crate::kafka) bound: Bound,
    pub(in crate::kafka) cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Wait<'_> {
    pub(in crate::kafka) fn left(&self) -> Duration {
        self.bound.deadline.saturating_duration_since(Instant::now())
    }

    fn last_error(&self) -> Option<Cause> {
        self.client.listener().heard().last_error.clone()
    }

    /// The brokers that were named by another server, if it is they that cannot be connected to.
    fn advertised(&self) -> Option<NotReady> {
        let heard = self.client.listener().heard();
        let bootstrap = &heard.way.bootstrap;
        let is_told = |server: &String| !bootstrap.split(',').any(|own| own == server);
        let mut unreached = heard.unreached.clone();
        unreached.retain(|server, _| is_told(server));
        let is_any = !unreached.is_empty();
        is_any.then(|| NotReady::Advertised(causes::advertised(bootstrap, &unreached)))
    }

    /// What makes further waiting pointless.
    fn check(&self) -> Result<(), NotReady> {
        if (self.cancelled)() {
            return Err(NotReady::Cancelled);
        }
        let heard = self.client.listener().heard();
        if let Some(reason) = &heard.denied {
            return Err(NotReady::Denied(reason.clone()));
        }
        if let Some(text) = &heard.exhausted {
            return Err(NotReady::Exhausted(limits::described(text)));
        }
        drop(heard);
        if let Some((code, text)) = self.client.fatal_error() {
            let heard = self.client.listener().heard();
            let understood = heard.way.understood(Some(code), &text, None);
            return Err(match understood.class {
                FailureClass::Denied => NotReady::Denied(understood.cause),
                _ => NotReady::Fatal(understood.cause),
            });
        }
        Ok(())
    }

    /// Fails if every server has answered that it is no broker.
    fn check_protocol(&self) -> Result<(), NotReady> {
        let heard = self.client.listener().heard();
        if heard.other_protocol.len() < self.bound.servers.max(1) {
            return Ok(());
        }
        let mut answers = heard.other_protocol.values();
        let first = answers.next().cloned().unwrap_or_else(|| Cause::bare(""));
        let problems = answers.map(|cause| cause.problem.as_str());
        let problem: Vec<_> = std::iter::once(first.problem.as_str()).chain(problems).collect();
        Err(NotReady::NoKafka(Cause { problem: problem.join("; "), remedy: first.remedy }))
    }

    fn unreachable(&self) -> NotReady {
        if let Some(advertised) = self.advertised() {
            return advertised;
        }
        let cause = match self.last_error() {
            Some(cause) => self.client.listener().heard().way.at_first(&cause),
            None => Cause::bare("neither an answer nor an error came back"),
        };
        NotReady::Unreachable { within: self.bound.within, cause }
    }

    /// Metadata of a topic, or of all, from the first broker that answers.
    pub(in crate::kafka) fn for_answer(
        &self,
        topic: Option<&str>,
        mut slices: Slices,
    ) -> Result<Metadata, NotReady> {
        loop {
            self.check()?;
            let left = self.left();
            match self.client.metadata(topic, left.min(slices.next())) {
                Ok(metadata) => return Ok(metadata),
                Err(_) if left.is_zero() => return Err(self.unreachable()),
                Err(code) => check_denied(code)?,
            }
            self.check_protocol()?;
        }
    }

    /// The brokers, as soon as the client has learned of any.
    pub(in crate::kafka) fn for_brokers(&self) -> Result<Vec<Server>, NotReady> {
        loop {
            self.check()?;
            let brokers = self.client.listener().heard().learned.clone();
            if !brokers.is_empty() {
                return Ok(brokers);
            }
            self.check_protocol()?;
            if self.left().is_zero() {
                return Err(self.unreachable());
            }
            std::thread::sleep(LEADER_POLL);
        }
    }

    pub(in crate::kafka) fn for_topic(&self, topic: NamedTopic<'_>) -> Result<Metadata, NotReady> {
        let (name, setting) = topic;
        let mut until = None;
        loop {
            let metadata = self.for_answer(Some(name), Slices::default())?;
            let Some(reason) = topic_state(&metadata, topic)? else { return Ok(metadata) };
            let now = Instant::now();
            let until = *until.get_or_insert(self.bound.deadline.min(now + TOPIC_GRACE));
            // Another question needs some time too.
            if now + TOPIC_POLL >= until {
                let reason = self.collision(name).unwrap_or(reason);
                return Err(NotReady::NoTopic { topic: name.into(), reason, setting });
            }
            std::thread::sleep(TOPIC_POLL);
        }
    }

    /// The topic that keeps this one from being created, in words, if the cluster names one in time.
    fn collision(&self, topic: &str) -> Option<String> {
        let metadata = self.client.metadata(None, LEADER_SLICE.min(self.left())).ok()?;
        let names = metadata.topics.iter().map(|topic| topic.name.as_str());
        Some(causes::collision(topic, causes::collides(topic, names)?))
    }

    /// Asks the leader of each partition for the partition's end, some at the same time.
    pub(in crate::kafka) fn for_leaders(
        &self,
        topic: &str,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>, NotReady> {
        let ends = Mutex::new(Ok(BTreeMap::new()));
        let rest = Mutex::new(partitions.iter());
        let work = || {
            loop {
                let next = lock(&rest).next();
                let Some(partition) = next.filter(|_| lock(&ends).is_ok()) else { return };
                let end = self.for_leader(topic, *partition);
                let mut ends = lock(&ends);
                match (end, ends.as_mut()) {
                    (Ok(end), Ok(ends)) => drop(ends.insert(*partition, end)),
                    (Err(error), Ok(_)) => *ends = Err(error),
                    (_, Err(_)) => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..partitions.len().min(ASKED_AT_ONCE) {
                // This thread does the work that no other can be started for.
                let _started = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        ends.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, topic: &str, partition: i32, within: Duration) -> Result<i64, ErrorCode> {
        let ends = self.client.edges(topic, &[partition], (Edge::End, within))?;
        ends.get(&partition).copied().ok_or(Code::BadMessage.into())
    }

    fn for_leader(&self, topic: &str, partition: i32) -> Result<i64, NotReady> {
        loop {
            self.check()?;
            let left = self.left();
            match self.end(topic, partition, left.min(LEADER_SLICE)) {
                Ok(end) => return Ok(end),
                Err(code) if left.is_zero() => {
                    if let Some(advertised) = self.advertised() {
                        return Err(advertised);
                    }
                    let topic = topic.to_owned();
                    let is_late = code.is(Code::OperationTimedOut);
                    let last_error = is_late.then(|| self.last_error()).flatten();
                    let cause = last_error.unwrap_or_else(|| Cause::bare(code.to_string()));
                    let within = self.bound.within;
                    return Err(NotReady::NoLeader { topic, partition, within, cause });
                }
                Err(code) => check_denied(code)?,
            }
            std::thread::sleep(LEADER_POLL.min(left));
        }
    }
}

/// Waits that double.
#[derive(Debug)]
pub(in crate::kafka) struct Slices {
    next: Duration,
    longest: Duration,
}

impl Default for Slices {
    fn default() -> Self {
        let [next, longest] = SLICES;
        Self { next, longest }
    }
}

impl Slices {
    /// For the first question of a client: only the first broker that it reaches is certain to be one
    /// of the bootstrap servers, so the question has to wait for that one.
    pub(in crate::kafka) fn first_contact() -> Self {
        Self { next: FIRST_CONTACT, longest: FIRST_CONTACT }
    }

    fn next(&mut self) -> Duration {
        let slice = self.next;
        self.next = (slice * 2).min(self.longest);
        slice
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_denied(code: ErrorCode) -> Result<(), NotReady> {
    match class(code) {
        FailureClass::Denied => Err(NotReady::Denied(causes::of_code(code))),
        _ => Ok(()),
    }
}

/// `Ok(None)` where the topic is there, the reason where it may still come.
fn topic_state(metadata: &Metadata, topic: NamedTopic<'_>) -> Result<Option<String>, NotReady> {
    let (name, setting) = topic;
    let Some(found) = metadata.topic(name) else {
        return Ok(Some("the cluster does not know it".into()));
    };
    let Some(code) = found.error else {
        let empty = found.partitions.is_empty();
        return Ok(empty.then(|| "it has no partitions".into()));
    };
    match code.known() {
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::LeaderNotAvailable) => {
            Ok(Some(code.to_string()))
        }
        _ if class(code) == FailureClass::Denied => Err(NotReady::Denied(Cause {
            problem: format!("topic {name}: {code}"),
            ..causes::may_not_describe(name)
        })),
        _ => Err(NotReady::NoTopic { topic: name.into(), reason: code.to_string(), setting }),
    }
}
