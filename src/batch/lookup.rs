//! After a run: is what has no acknowledgement in the log, and is what has one there still?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Cluster;
use crate::audit::Authorship;
use crate::delivery::{Offsets, Reading, Settled, Sightings, Totals, truncation};
use crate::event::Kind;
use crate::host::signals::Stop;
use crate::kafka::Config;
use crate::kafka::admin::Admin;
use crate::kafka::producer::KafkaSink;
use crate::kafka::reader::Unread;
use crate::kafka::settle::{self, Epochs, Searched};
use crate::plan::Plan;

/// Shortest time for reading the log, however long the run has waited before: a request on a slow
/// link, or a refused connection.
const SHORTEST: Duration = Duration::from_millis(700);

/// How long the question may take whether a topic is there, and which partitions it has by now.
const PARTITIONS_WITHIN: Duration = Duration::from_millis(200);

/// How long the questions may take where the logs end, and which ids the topics have. Every run asks
/// them at its end.
const ASKED_FOR: Duration = Duration::from_millis(500);

/// How long the cluster may take to tell the ids at the start. Nobody waits for them.
const IDS_WITHIN: Duration = Duration::from_secs(5);

/// How long what the client takes back at the end is waited for, in steps.
const TAKEN_BACK: (u32, Duration) = (30, Duration::from_millis(10));

/// How long a topic must be missing, in steps: a broker that has just started may not know it yet.
const MISSING_FOR: (u32, Duration) = (15, Duration::from_millis(200));

/// Partitions that a reason names.
const NAMED: usize = 8;

/// Numbers of partitions, for each topic.
type Partitions = [BTreeSet<i32>; 2];

/// The ids of topics.
type Ids = BTreeMap<String, String>;

/// What the lookup needs to know of the run.
pub(super) struct Lookup {
    /// The ends of the partitions before the first record.
    pub(super) ends: Offsets,
    /// The ids of the topics then, once the cluster has told.
    pub(super) ids: Receiver<Ids>,
    /// What is left of the delivery timeout; `None` if the cluster answers nothing.
    pub(super) within: Option<Duration>,
    /// Whether records carry their run and seq.
    pub(super) has_headers: bool,
}

/// What it says beside the counts.
#[derive(Default)]
pub(super) struct Findings {
    /// Why some records could not be looked up.
    pub(super) unread: Option<String>,
    /// Which logs were cut back, and why.
    pub(super) truncated: Option<String>,
}

/// Asks for the ids of the topics, and does not wait for them.
pub(super) fn ask_ids(plan: &Plan, sink: &KafkaSink) -> Receiver<Ids> {
    let (told, ids) = mpsc::channel();
    let (admin, topics) = (sink.admin(), distinct(plan));
    let ask = move || {
        let topics: Vec<_> = topics.iter().map(String::as_str).collect();
        // Nobody listens any more if the run is over.
        let _told = told.send(admin.topic_ids(&topics, IDS_WITHIN));
    };
    // Without the thread the ids are not known.
    let _started = std::thread::Builder::new().name("topic-ids".into()).spawn(ask);
    ids
}

/// The names of the topics, each once.
fn distinct(plan: &Plan) -> Vec<String> {
    let mut topics = Kind::BOTH.map(|kind| plan.topic(kind).to_owned()).to_vec();
    topics.dedup();
    topics
}

/// Takes back what has no answer, so that it does not arrive after it was looked for, and waits for what
/// the client knows of each such record.
pub(super) async fn take_back(sink: &KafkaSink) {
    sink.purge();
    let (steps, step) = TAKEN_BACK;
    for _ in 0..steps {
        sink.collect();
        if sink.is_idle() {
            return;
        }
        tokio::time::sleep(step).await;
    }
}

/// Looks up every record in doubt, and writes what it found into the totals.
pub(super) async fn settle(
    plan: &Arc<Plan>,
    cluster: &Cluster,
    sink: &KafkaSink,
    stop: &Stop,
    totals: &mut Totals,
    lookup: Lookup,
) -> Findings {
    let Lookup { ends, ids, within, has_headers } = lookup;
    let deadline = Instant::now() + within.unwrap_or_default().max(SHORTEST);
    let reader = Reader {
        plan: Arc::clone(plan),
        admin: sink.admin(),
        config: cluster.config.clone(),
        stop: stop.clone(),
        deadline,
        ends,
        has_headers,
        totals: totals.clone(),
    };
    // Reading blocks. Where the reader fails in itself, all stays as it was.
    let read = tokio::task::spawn_blocking(move || reader.read(within.is_some(), &ids)).await;
    let Ok((read, findings)) = read else { return Findings::default() };
    *totals = read;
    findings
}

/// For each partition of either the higher offset.
fn later(ends: &BTreeMap<i32, i64>, acknowledged: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
    let mut later = ends.clone();
    for (partition, offset) in acknowledged {
        let end = later.entry(*partition).or_insert(*offset);
        *end = (*end).max(*offset);
    }
    later
}

/// What the reading thread takes along.
struct Reader {
    plan: Arc<Plan>,
    admin: Admin,
    config: Config,
    stop: Stop,
    deadline: Instant,
    /// Where the logs ended before the run.
    ends: Offsets,
    has_headers: bool,
    totals: Totals,
}

/// What the cluster says of the topics at the end.
#[derive(Default)]
struct Present {
    /// Where the logs of the partitions end that have acknowledged records.
    ends: Offsets,
    /// The topics that have another id than at the start, with both.
    remade: BTreeMap<String, (String, String)>,
    /// The topics that are not there, or may not be seen.
    missing: BTreeSet<String>,
}

/// What was read of one topic.
struct TopicRead {
    topic: String,
    kinds: Vec<Kind>,
    epochs: Epochs,
    result: Result<(), Unread>,
}

impl Reader {
    fn read(self, asks: bool, ids: &Receiver<Ids>) -> (Totals, Findings) {
        let now = if asks { self.present(ids) } else { Present::default() };
        let cut = self.cut_back(&now);
        let is_cut = cut.each_ref().map(|partitions| !partitions.is_empty());
        // Also those that were answered late after all: only the log tells which are in it twice.
        let in_doubt: u64 = self.totals.doubts.iter().map(|doubts| doubts.in_doubt.len()).sum();
        if in_doubt == 0 && is_cut == [false; 2] {
            return (self.totals, Findings::default());
        }
        self.announce(in_doubt, &cut, &now);
        let generated = Kind::BOTH.map(|kind| self.totals.counts.topic(kind).generated());
        let mut sent = self.plan.sent(generated).into_iter();
        let mut sightings = Kind::BOTH.map(|kind| {
            let sent = sent.next().unwrap_or_default();
            Sightings::new(sent, &self.totals.doubts[kind as usize], is_cut[kind as usize])
        });
        let concerns = |kind: &Kind| {
            is_cut[*kind as usize] || !self.totals.doubts[*kind as usize].in_doubt.is_empty()
        };
        let topics = distinct(&self.plan).into_iter().map(|topic| {
            let kinds = Kind::BOTH.into_iter().filter(|kind| self.plan.topic(*kind) == topic);
            let kinds: Vec<_> = kinds.collect();
            (topic, kinds)
        });
        let topics: Vec<_> = topics.filter(|(_, kinds)| kinds.iter().any(concerns)).collect();
        let mut authorship = Authorship::new(&self.plan);
        let mut read = Vec::new();
        let mut shares = u32::try_from(topics.len()).unwrap_or(1);
        for (topic, kinds) in topics {
            // A topic that cannot be read leaves time for the other.
            let left = self.deadline.saturating_duration_since(Instant::now()) / shares;
            shares -= 1;
            let mut epochs = Epochs::new();
            let result = if now.missing.contains(&topic) && !self.is_back(&topic, left) {
                Err(Unread::NoTopic(topic.clone()))
            } else if self.has_headers {
                let from = self.from(&topic, &kinds, is_cut, &now);
                let doubts = &self.totals.doubts;
                let is_remade = now.remade.contains_key(&topic);
                let searched =
                    Searched { topic: &topic, kinds: &kinds, from: &from, doubts, is_remade };
                let stopped = || self.stop.received().again;
                let (see, epochs) = (&mut sightings, &mut epochs);
                settle::settle(&self.config, &searched, &mut authorship, see, epochs, left, stopped)
            } else {
                Err(Unread::Failed("they have no headers".to_owned()))
            };
            read.push(TopicRead { topic, kinds, epochs, result });
        }
        drop(authorship);
        self.conclude(sightings, &read, &cut, &now)
    }

    /// Asks the cluster about the topics, briefly.
    fn present(&self, ids: &Receiver<Ids>) -> Present {
        let mut missing = BTreeSet::from_iter(distinct(&self.plan));
        missing.retain(|topic| self.admin.is_missing(topic, PARTITIONS_WITHIN));
        let until = Instant::now() + ASKED_FOR;
        let left = || until.saturating_duration_since(Instant::now());
        let ends = Kind::BOTH.map(|kind| {
            let partitions = self.totals.counts.topic(kind).partitions();
            let partitions: Vec<_> = partitions.map(|p| p.partition).collect();
            let is_asked = !partitions.is_empty() && !missing.contains(self.plan.topic(kind));
            if !is_asked || left().is_zero() {
                return BTreeMap::new();
            }
            self.admin.ends(self.plan.topic(kind), &partitions, left()).unwrap_or_default()
        });
        let before = ids.try_recv().unwrap_or_default();
        if before.is_empty() || left().is_zero() {
            return Present { ends, missing, ..Present::default() };
        }
        let topics: Vec<_> = before.keys().map(String::as_str).collect();
        let by_now = self.admin.topic_ids(&topics, left());
        let remade = before.into_iter().filter_map(|(topic, before)| {
            let by_now = by_now.get(&topic).filter(|by_now| **by_now != before)?.clone();
            Some((topic, (before, by_now)))
        });
        Present { ends, remade: remade.collect(), missing }
    }

    /// Whether a topic that was missing appears after all.
    fn is_back(&self, topic: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        let (steps, step) = MISSING_FOR;
        (0..steps).any(|_| {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stop.received().again {
                return false;
            }
            std::thread::sleep(step.min(left));
            !self.admin.partitions(topic, left).is_empty()
        })
    }

    /// The partitions whose acknowledged records are in doubt: their offsets went back, their logs end
    /// below the last of them, or the topic is another one or missing.
    fn cut_back(&self, now: &Present) -> Partitions {
        Kind::BOTH.map(|kind| {
            let topic = self.totals.counts.topic(kind);
            let mut cut: BTreeSet<_> = topic.cut_back().into_iter().collect();
            let name = self.plan.topic(kind);
            let is_another = now.remade.contains_key(name) || now.missing.contains(name);
            let ends = &now.ends[kind as usize];
            let cut_back = topic.partitions().filter(|p| {
                is_another || ends.get(&p.partition).is_some_and(|end| *end <= p.last_offset)
            });
            cut.extend(cut_back.map(|p| p.partition));
            cut
        })
    }

    fn announce(&self, in_doubt: u64, cut: &Partitions, now: &Present) {
        if in_doubt > 0 {
            info!("looking up in the log {in_doubt} records without acknowledgement");
        }
        for (kind, cut) in Kind::BOTH.into_iter().zip(cut) {
            if !cut.is_empty() {
                let acknowledged = self.totals.counts.topic(kind).acknowledged();
                let (topic, cut) = (self.plan.topic(kind), numbered(cut));
                if now.missing.contains(topic) {
                    warn!(
                        "topic {topic} is not there any more, or may not be seen: it had \
                         {acknowledged} acknowledged records"
                    );
                    continue;
                }
                warn!(
                    "the log of {topic} was cut back ({cut}): looking up in it {acknowledged} \
                     acknowledged records"
                );
            }
        }
    }

    /// From which offsets on a topic is to be read.
    fn from(
        &self,
        topic: &str,
        kinds: &[Kind],
        is_cut: [bool; 2],
        now: &Present,
    ) -> BTreeMap<i32, i64> {
        let is_remade = now.remade.contains_key(topic);
        let mut from = BTreeMap::new();
        for kind in kinds {
            let slot = *kind as usize;
            let ends = &self.ends[slot];
            let own = if is_cut[slot] {
                let acknowledged = self.totals.counts.topic(*kind).partitions();
                let firsts = acknowledged.map(|p| (p.partition, p.first_offset));
                let firsts: BTreeMap<_, _> = firsts.collect();
                let begin = |(partition, end): (&i32, &i64)| {
                    let first = firsts.get(partition).copied().unwrap_or(*end).min(*end);
                    // A log that is shorter than before the run is another one.
                    let is_shorter = now.ends[slot].get(partition).is_some_and(|now| now < end);
                    (*partition, if is_remade || is_shorter { 0 } else { first })
                };
                ends.iter().map(begin).collect()
            } else {
                later(ends, &self.totals.doubts_from[slot])
            };
            for (partition, offset) in own {
                let lowest = from.entry(partition).or_insert(offset);
                *lowest = offset.min(*lowest);
            }
        }
        // Those that were added during the run are read from their start. A topic that was made anew may
        // have fewer.
        let present = self.admin.partitions(topic, PARTITIONS_WITHIN);
        if !present.is_empty() {
            from.retain(|partition, _| present.contains(partition));
        }
        for partition in present {
            from.entry(partition).or_insert(0);
        }
        from
    }

    /// Writes down what follows from what was seen.
    fn conclude(
        mut self,
        sightings: [Sightings; 2],
        read: &[TopicRead],
        cut: &Partitions,
        now: &Present,
    ) -> (Totals, Findings) {
        let run = &self.plan.identity.run_id;
        let before = Kind::BOTH.map(|kind| self.totals.counts.topic(kind).acknowledged());
        let others: u64 = sightings.iter().map(Sightings::others).sum();
        // The records of a backfill are the same to the last byte, whoever sends them.
        let is_backfill = self.plan.event_start().is_some();
        let repeated = is_backfill && sightings.iter().any(|seen| seen.repeated() > 0);
        if others > 0 {
            warn!(
                "another process uses the run id {run}: {others} records in the log have it and are \
                 not of this process"
            );
        }
        let mut is_whole = [false; 2];
        for topic in read {
            topic.kinds.iter().for_each(|kind| is_whole[*kind as usize] = topic.result.is_ok());
        }
        for (kind, sightings) in Kind::BOTH.into_iter().zip(sightings) {
            let slot = kind as usize;
            let Totals { counts, doubts, times, .. } = &mut self.totals;
            let doubts = &mut doubts[slot];
            let is_shared = others > 0 || repeated;
            let there = sightings.conclude(Reading { is_whole: is_whole[slot], is_shared }, doubts);
            let (found, not_found) = (doubts.found.len(), doubts.not_found.len());
            if let Some(there) = there {
                counts.recount(kind, &there, doubts.truncated.len(), truncation());
                // They are those of other records now.
                times[slot].clear();
            }
            counts.settle(kind, Settled { found, not_found });
        }
        let unread = read.iter().filter_map(|topic| self.unread(topic, others > 0));
        let unread: Vec<_> = unread.collect();
        let truncated = read.iter().flat_map(|topic| {
            let of = |kind: &Kind| self.truncated(*kind, topic, before[*kind as usize], (cut, now));
            topic.kinds.iter().filter_map(of).collect::<Vec<_>>()
        });
        let truncated: Vec<_> = truncated.collect();
        let joined = |reasons: Vec<String>| (!reasons.is_empty()).then(|| reasons.join("; "));
        let findings = Findings { unread: joined(unread), truncated: joined(truncated) };
        (self.totals, findings)
    }

    /// Why records of a topic are still in doubt.
    fn unread(&self, read: &TopicRead, has_others: bool) -> Option<String> {
        let TopicRead { topic, kinds, result, .. } = read;
        let run = &self.plan.identity.run_id;
        let open = kinds.iter().map(|kind| self.totals.doubts[*kind as usize].open());
        let open: u64 = open.sum();
        match result {
            Err(error) => Some(format!("{open} records of {topic} not looked up: {error}")),
            Ok(()) if open == 0 => None,
            Ok(()) if has_others => Some(format!(
                "{open} records of {topic} may be in the log, but another process has written under \
                 the run id {run}: they cannot be told apart"
            )),
            Ok(()) => Some(format!(
                "{open} records of {topic} may be in the log, but records are there more than once, \
                 and another process under the run id {run} may have written them: those of a run \
                 with EVENT_START cannot be told apart"
            )),
        }
    }

    /// What happened to the acknowledged records of a log that was cut back, of which there were so many.
    fn truncated(
        &self,
        kind: Kind,
        TopicRead { topic, epochs, result, .. }: &TopicRead,
        before: u64,
        (cut, now): (&Partitions, &Present),
    ) -> Option<String> {
        if matches!(result, Err(Unread::NoTopic(_))) {
            // Nothing is known of its log, and why it was not read is said already.
            return None;
        }
        let slot = kind as usize;
        let counts = self.totals.counts.topic(kind);
        let gone = counts.truncated();
        let unknown = before - counts.acknowledged() - gone;
        let mut what = Vec::new();
        if gone > 0 {
            let why = match now.remade.get(topic) {
                Some((before, by_now)) => format!(
                    "the topic was deleted and created again: its id was {before} and is {by_now}"
                ),
                None => why(&cut[slot], [&self.ends[slot], &now.ends[slot]], epochs),
            };
            what.push(format!("{gone} acknowledged records are not in it any more; {why}"));
        }
        if unknown > 0 {
            what.push(format!(
                "whether {unknown} acknowledged records are still in it is not known"
            ));
        }
        let (cut, what) = (numbered(&cut[slot]), what.join("; "));
        (!what.is_empty()).then(|| format!("the log of {topic} was cut back ({cut}): {what}"))
    }
}

/// Why the logs of these partitions were cut back, as far as their ends before and after the run and the
/// epochs of their leaders tell.
fn why(cut: &BTreeSet<i32>, [before, by_now]: [&BTreeMap<i32, i64>; 2], epochs: &Epochs) -> String {
    let is_shorter = |partition: &&i32| {
        let both = before.get(*partition).zip(by_now.get(*partition));
        both.is_some_and(|(before, by_now)| by_now < before)
    };
    if let Some(partition) = cut.iter().find(is_shorter) {
        return format!(
            "partition {partition} is shorter than before the run: a broker came back with an empty or \
             an older log"
        );
    }
    let mut elected = cut.iter().filter_map(|partition| epochs.get(partition));
    match elected.find(|(from, to)| from < to) {
        Some((from, to)) => format!(
            "a leader that did not have them was elected (leader epoch {from}, then {to}): see \
             unclean.leader.election.enable and min.insync.replicas"
        ),
        None => {
            "a broker came back with an empty or an older log, or a leader that did not have them \
                 was elected"
                .to_owned()
        }
    }
}

/// Partitions by their numbers.
fn numbered(partitions: &BTreeSet<i32>) -> String {
    let named: Vec<_> = partitions.iter().take(NAMED).map(ToString::to_string).collect();
    let more = partitions.len() - named.len();
    let word = if partitions.len() == 1 { "partition" } else { "partitions" };
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{word} {}{more}", named.join(", "))
}
