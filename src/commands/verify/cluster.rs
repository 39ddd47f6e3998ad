//! The topics of a run on a cluster.

use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::{Past, Problem, Reading, Topics};
use crate::audit::{Audit, Log, LogPartition, Origin};
use crate::cli::VerifyOptions;
use crate::event::Kind;
use crate::event_time::TopicLimits;
use crate::exit::Exit;
use crate::host::signals::Stop;
use crate::host::{reporter, terminal};
use crate::kafka::logs::{Begin, Logs, Until};
use crate::kafka::reader::{ReadRecord, Unread};
use crate::kafka::{Config, config, topics};
use crate::plan::Plan;
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

/// How long before the first event of a run the reading begins where only its time is known, ms: the clocks
/// of machines differ.
const BEFORE_MS: i64 = 3_600_000;

/// How long the topics' configuration is waited for. It is asked for while the logs are read.
const LIMITS_WITHIN: Duration = Duration::from_secs(2);

/// The logs of a run.
pub(super) struct Cluster<'t> {
    logs: Logs,
    topics: &'t Topics,
    /// What the topics of each event are to the run.
    origins: [Origin; 2],
    /// Whether the records of the run have headers.
    has_headers: bool,
    limits: Limits,
}

/// The answer to what the topics keep, once it is there.
struct Limits(Option<JoinHandle<Result<Vec<TopicLimits>, String>>>);

impl Limits {
    fn ask(client: &Config, names: &[&str]) -> Self {
        let client = client.clone();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let asking = std::thread::Builder::new().spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let mut all = Vec::with_capacity(names.len());
            for two in names.chunks(2) {
                let asked = [two[0], two[two.len() - 1]];
                let limits = runtime.block_on(topics::limits(&client, asked, LIMITS_WITHIN))?;
                all.extend(limits.into_iter().take(two.len()));
            }
            Ok(all)
        });
        Self(asking.ok())
    }

    fn answer(&mut self) -> Result<Vec<TopicLimits>, String> {
        let asked = self.0.take().and_then(|asking| asking.join().ok());
        asked.unwrap_or_else(|| Err("it could not be asked for".to_owned()))
    }
}

impl<'t> Cluster<'t> {
    /// Asks where the logs begin and end.
    pub(super) fn open(
        settings: &Settings,
        options: &VerifyOptions,
        topics: &'t Topics,
        (plan, past): (&Plan, &Past),
    ) -> Result<Self, Problem> {
        let (client, within) = (&config::client(settings), options.timeout);
        let all = topics.all();
        let is_own = |kind: Kind| topics.of_event(kind) == [settings.topic(kind)];
        let run = past.run.as_ref();
        let since = run.map(|run| {
            let first =
                plan.event_start().map_or(run.started_at, |start| start.min(run.started_at));
            first.as_millisecond().saturating_sub(plan.most_set_back_ms()).saturating_sub(BEFORE_MS)
        });
        // Before the run began there can be copies of its records, which are asked for; and no more.
        let begins = |cluster_id: Option<&str>, number: usize, partition: i32| {
            let (kind, _) = topics.find(all[number])?;
            let run = run.filter(|_| is_own(kind) && !options.all)?;
            let has_offsets = run.has_start_offsets((kind as usize, all[number]));
            match of_cluster(Some(run), cluster_id) {
                Origin::Own if has_offsets => {
                    let start = run.start_offset((kind as usize, all[number]), partition);
                    start.map(Begin::At)
                }
                // Offsets would be those of another cluster; the times are its own.
                Origin::Own | Origin::UnknownCluster if !has_offsets => since.map(Begin::Since),
                _ => None,
            }
        };
        let logs = Logs::open(client, &all, within, begins).map_err(|unread| problem(&unread))?;
        let origins = Kind::BOTH.map(|kind| match is_own(kind) {
            true => of_cluster(run, logs.cluster_id()),
            false => Origin::Stage,
        });
        let limits = Limits::ask(client, &all);
        let isolation = logs.isolation();
        info!("reading {} offsets of {} with {isolation}", logs.offsets(), all.join(" and "));
        let has_headers = settings.record_headers == RecordHeaders::On;
        Ok(Self { logs, topics, origins, has_headers, limits })
    }

    /// Whether both topics are those that the run wrote.
    pub(super) fn is_own(&self) -> bool {
        self.origins == [Origin::Own; 2]
    }

    /// How many partitions each topic has.
    pub(super) fn partitions(&self) -> [Option<u32>; 2] {
        Kind::BOTH.map(|kind| u32::try_from(self.partitions_of(kind).len()).ok())
    }

    /// The partitions of all topics that have an event.
    fn partitions_of(&self, kind: Kind) -> Vec<LogPartition> {
        let all = self.topics.all().into_iter().enumerate();
        let own = all.filter_map(|(at, name)| Some((at, self.topics.number(kind, name)?)));
        own.flat_map(|(at, topic)| {
            self.logs.partitions(at).into_iter().map(move |log| LogPartition { topic, ..log })
        })
        .collect()
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
        let topics = self.topics;
        // The number of each topic among those of either event.
        let numbers: Vec<_> = topics
            .all()
            .into_iter()
            .map(|name| Kind::BOTH.map(|kind| topics.number(kind, name)))
            .collect();
        let stopped = || stop.received().count() > 0;
        let read = self.logs.read(until, stopped, |topic, record| {
            take(audit, numbers[topic], record, options.follow);
            progress.next();
            let is_complete = options.follow && audit.is_complete();
            if is_complete { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        reporter::bar::clear();
        // Who stops it waits for no answer.
        let limits = match stop.received().first {
            None => self.limits.answer(),
            Some(_) => Err("reading was stopped".to_owned()),
        };
        let logs = Kind::BOTH.map(|kind| self.log(kind, limits.as_deref().ok(), past));
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

    /// What is known of the topics of an event.
    fn log(&self, kind: Kind, limits: Option<&[TopicLimits]>, past: &Past) -> Log {
        let names = self.topics.of_event(kind);
        let mut partitions = self.partitions_of(kind);
        // The offsets of a report say nothing of another topic or cluster.
        if let ([name], Origin::Own, Some(run)) =
            (names, self.origins[kind as usize], past.run.as_ref())
        {
            for log in &mut partitions {
                log.acknowledged = run.offsets((kind as usize, name), log.partition);
            }
        }
        let all = self.topics.all();
        let compacts = limits.map(|limits| {
            let of =
                all.iter().zip(limits).filter(|(name, _)| names.iter().any(|own| own == *name));
            of.map(|(_, limits)| limits).any(|limits| limits.compacts)
        });
        Log {
            topic: names.join(" + "),
            topics: names.to_vec(),
            origin: self.origins[kind as usize],
            partitions,
            compacts,
            is_read: true,
            has_headers: self.has_headers,
        }
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
/// what its value tells. The topic has a number among those of either event that it has.
pub(in crate::commands) fn take(
    audit: &mut Audit<'_>,
    numbers: [Option<u16>; 2],
    record: &ReadRecord<'_>,
    follows: bool,
) -> Kind {
    let headers: Vec<_> = record.headers().collect();
    let of_topic = match numbers {
        [Some(_), None] => Some(Kind::Metric),
        [None, Some(_)] => Some(Kind::Token),
        _ => None,
    };
    let kind = of_topic.unwrap_or(Kind::Metric);
    let mut read = record.for_audit(kind, of_topic.is_some(), &headers);
    read.seen_at_ms = follows.then(|| Timestamp::now().as_millisecond());
    if of_topic.is_none() {
        read.kind = audit.kind_of(&read).unwrap_or(Kind::Metric);
    }
    read.topic = numbers[read.kind as usize].unwrap_or_default();
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
