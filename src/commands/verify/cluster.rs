//! The topics of a run on a cluster.

use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::{Past, Problem, Reading};
use crate::audit::{Audit, Log, Read};
use crate::cli::VerifyOptions;
use crate::event::Kind;
use crate::event_time::TopicLimits;
use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::host::{reporter, terminal};
use crate::kafka::logs::{Logs, Until};
use crate::kafka::reader::{ReadRecord, Unread};
use crate::kafka::{Config, config, topics};
use crate::settings::Settings;

/// Records between two drawings of the progress.
const DRAWN_EVERY: u64 = 16_384;

/// How many records were read, on a terminal.
struct Progress {
    is_shown: bool,
    read: u64,
    of: u64,
}

impl Progress {
    fn of(records: u64) -> Self {
        Self { is_shown: terminal::can_redraw(), read: 0, of: records }
    }

    fn next(&mut self) {
        self.read += 1;
        if self.is_shown && self.read.is_multiple_of(DRAWN_EVERY) {
            let Self { read, of, .. } = self;
            reporter::bar::draw(|_| format!("{read} of {of} records read"));
        }
    }
}

/// How long the topics' configuration is waited for. It is asked for while the logs are read.
const LIMITS_WITHIN: Duration = Duration::from_secs(2);

/// The logs of a run.
pub(super) struct Cluster {
    client: Config,
    logs: Logs,
    names: [String; 2],
    limits: Limits,
}

/// The answer to what the topics keep, once it is there.
struct Limits(Option<JoinHandle<Result<[TopicLimits; 2], String>>>);

impl Limits {
    fn ask(client: &Config, names: &[String; 2]) -> Self {
        let (client, names) = (client.clone(), names.clone());
        let asking = std::thread::Builder::new().spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let topics = [names[0].as_str(), names[1].as_str()];
            match runtime {
                Ok(runtime) => runtime.block_on(topics::limits(&client, topics, LIMITS_WITHIN)),
                Err(error) => Err(error.to_string()),
            }
        });
        Self(asking.ok())
    }

    fn answer(&mut self) -> Result<[TopicLimits; 2], String> {
        let asked = self.0.take().and_then(|asking| asking.join().ok());
        asked.unwrap_or_else(|| Err("it could not be asked for".to_owned()))
    }
}

impl Cluster {
    /// Asks where the logs begin and end.
    pub(super) fn open(
        settings: &Settings,
        options: &VerifyOptions,
        names: &[String; 2],
    ) -> Result<Self, Problem> {
        let (client, within) = (&config::client(settings), options.timeout);
        let both = [names[0].as_str(), names[1].as_str()];
        // One topic for both kinds of events is read once.
        let topics = if both[0] == both[1] { &both[..1] } else { &both[..] };
        let logs = Logs::open(client, topics, within).map_err(|unread| problem(&unread))?;
        let limits = Limits::ask(client, names);
        let isolation = logs.isolation();
        info!("reading {} offsets of {} with {isolation}", logs.offsets(), topics.join(" and "));
        Ok(Self { client: client.clone(), logs, names: names.clone(), limits })
    }

    /// How many partitions each topic has.
    pub(super) fn partitions(&self) -> [Option<u32>; 2] {
        [0, 1].map(|topic| u32::try_from(self.partitions_of(topic).len()).ok())
    }

    fn partitions_of(&self, topic: usize) -> Vec<crate::audit::LogPartition> {
        self.logs.partitions(if self.is_one() { 0 } else { topic })
    }

    fn is_one(&self) -> bool {
        self.names[0] == self.names[1]
    }

    /// Reads the logs into the audit.
    pub(super) fn read(
        mut self,
        audit: &mut Audit<'_>,
        options: &VerifyOptions,
        stop: &Stop,
        past: &Past,
    ) -> Reading {
        let until = Until { follows: options.follow, silent_for: options.timeout };
        let mut progress = Progress::of(self.logs.offsets());
        let is_one = self.is_one();
        let stopped = || stop.received().count() > 0;
        let read = self.logs.read(until, stopped, |topic, record| {
            let of_topic = (!is_one).then_some(Kind::BOTH[topic]);
            take(audit, of_topic, record, options.follow);
            progress.next();
            let is_complete = options.follow && audit.is_complete();
            if is_complete { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        reporter::bar::clear();
        let limits = self.limits.answer();
        let logs = [0, 1].map(|topic| {
            let mut partitions = self.partitions_of(topic);
            for log in &mut partitions {
                let name = self.names[topic].as_str();
                log.acknowledged =
                    past.run.as_ref().and_then(|run| run.offsets((topic, name), log.partition));
                if log.acknowledged.is_some_and(|(_, last)| log.end <= last) {
                    let end = topics::whole_end(&self.client, name, log.partition, LIMITS_WITHIN);
                    log.hidden_to = end.filter(|end| *end > log.end);
                }
            }
            let compacts = limits.as_ref().is_ok_and(|limits| limits[topic].compacts);
            Log { topic: self.names[topic].clone(), partitions, compacts }
        });
        let unknown = limits.err().map(|why| {
            format!("whether the topics are compacted, and when their records expire: {why}")
        });
        let unread = read.err().map(|unread| problem(&unread));
        Reading { logs, unread, unknown }
    }
}

/// Hands a record to the audit, and says which event it is: that of its topic, or in a topic of both
/// what its value tells.
pub(in crate::commands) fn take(
    audit: &mut Audit<'_>,
    of_topic: Option<Kind>,
    record: &ReadRecord<'_>,
    follows: bool,
) -> Kind {
    let headers: Vec<_> = record.headers().collect();
    let mut read = Read {
        kind: of_topic.unwrap_or(Kind::Metric),
        partition: Some(record.partition()),
        offset: record.offset(),
        leader_epoch: record.leader_epoch(),
        timestamp_ms: record.timestamp_ms(),
        has_append_time: record.has_append_time(),
        key: Some(record.key()),
        headers: Some(&headers),
        value: record.value(),
        seen_at_ms: follows.then(|| Timestamp::now().as_millisecond()),
    };
    if of_topic.is_none() {
        read.kind = audit.kind_of(&read).unwrap_or(Kind::Metric);
    }
    audit.read(&read);
    read.kind
}

fn problem(unread: &Unread) -> Problem {
    let exit = match unread {
        Unread::Denied(_) => Exit::NoPerm,
        _ => Exit::Unavailable,
    };
    (unread.to_string(), exit)
}
