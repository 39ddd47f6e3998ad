//! The topics of a run on a cluster.

use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::{Past, Problem, Reading};
use crate::audit::{Audit, Log, Origin, Read};
use crate::cli::VerifyOptions;
use crate::event::Kind;
use crate::event_time::TopicLimits;
use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::host::{reporter, terminal};
use crate::kafka::logs::{Logs, Until};
use crate::kafka::reader::{ReadRecord, Unread};
use crate::kafka::{Config, config, topics};
use crate::report::past::PastRun;
use crate::settings::{RecordHeaders, Settings};

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
    logs: Logs,
    names: [String; 2],
    /// What each topic is to the run.
    origins: [Origin; 2],
    /// Whether the records of the run have headers.
    has_headers: bool,
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
        past: &Past,
    ) -> Result<Self, Problem> {
        let (client, within) = (&config::client(settings), options.timeout);
        let both = [names[0].as_str(), names[1].as_str()];
        // One topic for both kinds of events is read once.
        let topics = if both[0] == both[1] { &both[..1] } else { &both[..] };
        let own = Kind::BOTH.map(|kind| settings.topic(kind));
        let run = past.run.as_ref();
        let logs = Logs::open(client, topics, within, |_, _, _| None);
        let logs = logs.map_err(|unread| problem(&unread))?;
        let origins = [0, 1].map(|topic| match names[topic] == own[topic] {
            true => of_cluster(run, logs.cluster_id()),
            false => Origin::Stage,
        });
        let limits = Limits::ask(client, names);
        let isolation = logs.isolation();
        info!("reading {} offsets of {} with {isolation}", logs.offsets(), topics.join(" and "));
        let has_headers = settings.record_headers == RecordHeaders::On;
        Ok(Self { logs, names: names.clone(), origins, has_headers, limits })
    }

    /// Whether both topics are those that the run wrote.
    pub(super) fn is_own(&self) -> bool {
        self.origins == [Origin::Own; 2]
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
        self.logs.look_behind();
        let limits = self.limits.answer();
        let logs = [0, 1].map(|topic| {
            let mut partitions = self.partitions_of(topic);
            // The offsets of a report say nothing of another topic or cluster.
            if self.origins[topic] == Origin::Own {
                let (name, run) = (self.names[topic].as_str(), past.run.as_ref());
                for log in &mut partitions {
                    log.acknowledged =
                        run.and_then(|run| run.offsets((topic, name), log.partition));
                }
            }
            let compacts = limits.as_ref().ok().map(|limits| limits[topic].compacts);
            Log {
                topic: self.names[topic].clone(),
                origin: self.origins[topic],
                partitions,
                compacts,
                is_read: true,
                has_headers: self.has_headers,
            }
        });
        let unknown = limits.err().map(|why| {
            format!("whether the topics are compacted, and when their records expire: {why}")
        });
        let unread = read.err().map(|unread| match (&unread, stop.received().first) {
            (Unread::Stopped, Some(signal)) => {
                (format!("stopped by {}", signal.name()), Exit::Signalled(signal))
            }
            _ => problem(&unread),
        });
        let cluster_id = self.logs.cluster_id().map(str::to_owned);
        Reading { logs, cluster_id, unread, unknown, input: None }
    }
}

/// What a topic of the run's name on a cluster is to the run.
fn of_cluster(run: Option<&PastRun>, cluster_id: Option<&str>) -> Origin {
    match (run.and_then(|run| run.cluster_id.as_deref()), cluster_id) {
        (Some(own), Some(found)) if own == found => Origin::Own,
        (Some(_), Some(_)) => Origin::OtherCluster,
        _ => Origin::UnknownCluster,
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
        is_told: of_topic.is_some(),
        partition: Some(record.partition()),
        offset: record.offset(),
        leader_epoch: record.leader_epoch(),
        timestamp_ms: record.timestamp_ms(),
        has_append_time: record.has_append_time(),
        key: Some(record.key()),
        headers: Some(&headers),
        value: record.value(),
        identity: None,
        row: None,
        seen_at_ms: follows.then(|| Timestamp::now().as_millisecond()),
    };
    if of_topic.is_none() {
        read.kind = audit.kind_of(&read).unwrap_or(Kind::Metric);
    }
    audit.read(&read);
    read.kind
}

/// Why a log was not read to its end, with the exit code.
pub(super) fn problem(unread: &Unread) -> Problem {
    let exit = match unread {
        Unread::Denied(_) => Exit::NoPerm,
        _ => Exit::Unavailable,
    };
    (unread.to_string(), exit)
}
