//! After a run: is what has no acknowledgement in the log?

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::info;

use super::Cluster;
use crate::delivery::{Doubts, Offsets, Settled, Totals};
use crate::event::Kind;
use crate::host::signals::Stop;
use crate::kafka::Config;
use crate::kafka::admin::Admin;
use crate::kafka::producer::KafkaSink;
use crate::kafka::settle::{self, Run};
use crate::plan::Plan;
use crate::workload::Shard;

/// Shortest time for reading the log, however long the run has waited before: a request on a slow
/// link, or a refused connection.
const SHORTEST: Duration = Duration::from_millis(700);

/// How long the question may take which partitions there are by now.
const PARTITIONS_WITHIN: Duration = Duration::from_millis(200);

/// What the lookup needs to know of the run.
pub(super) struct Lookup {
    /// The ends of the partitions before the first record.
    pub(super) ends: Offsets,
    /// Which part of the run this process is.
    pub(super) shard: Shard,
    /// What is left of the delivery timeout.
    pub(super) within: Duration,
    /// Whether records carry their run and seq.
    pub(super) has_headers: bool,
}

/// Looks up every record in doubt, and writes what it found into the totals; returns why some could
/// not be looked up.
pub(super) async fn settle(
    plan: &Plan,
    cluster: &Cluster,
    sink: &KafkaSink,
    stop: &Stop,
    totals: &mut Totals,
    lookup: Lookup,
) -> Option<String> {
    let (unread, doubts) = look_up(plan, cluster, sink, stop, totals, lookup).await;
    for (kind, doubts) in Kind::BOTH.into_iter().zip(&doubts) {
        let (found, not_found) = (doubts.found.len(), doubts.not_found.len());
        totals.counts.settle(kind, Settled { found, not_found });
    }
    totals.doubts = doubts;
    unread
}

async fn look_up(
    plan: &Plan,
    cluster: &Cluster,
    sink: &KafkaSink,
    stop: &Stop,
    totals: &Totals,
    lookup: Lookup,
) -> (Option<String>, [Doubts; 2]) {
    let doubts = totals.doubts.clone();
    // Also those that were answered late after all: only the log tells which are in it twice.
    let in_doubt: u64 = doubts.iter().map(|doubts| doubts.in_doubt.len()).sum();
    if in_doubt == 0 {
        return (None, doubts);
    }
    if !lookup.has_headers {
        return (Some("records without headers cannot be looked up in the log".into()), doubts);
    }
    // What is still in the queue must not arrive after it was looked for.
    sink.purge();
    info!("looking up in the log {in_doubt} records without acknowledgement");
    let reader = Reader {
        admin: sink.admin(),
        config: cluster.config.clone(),
        topics: Kind::BOTH.map(|kind| plan.topic(kind).to_owned()),
        run: Run { id: plan.identity.run_id.clone(), shard: lookup.shard },
        stop: stop.clone(),
        deadline: Instant::now() + lookup.within.max(SHORTEST),
        from: [0, 1].map(|slot| later(&lookup.ends[slot], &totals.doubts_from[slot])),
    };
    // Reading blocks. A reader that failed in itself has found nothing.
    let read = tokio::task::spawn_blocking(move || reader.read(doubts)).await;
    read.unwrap_or_else(|_| (None, totals.doubts.clone()))
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
    admin: Admin,
    config: Config,
    topics: [String; 2],
    run: Run,
    stop: Stop,
    deadline: Instant,
    from: Offsets,
}

impl Reader {
    fn read(mut self, mut doubts: [Doubts; 2]) -> (Option<String>, [Doubts; 2]) {
        let mut unread = Vec::new();
        let mut shares = if doubts.iter().all(|d| !d.in_doubt.is_empty()) { 2 } else { 1 };
        for (slot, doubts) in doubts.iter_mut().enumerate() {
            if doubts.in_doubt.is_empty() {
                continue;
            }
            self.add_partitions(slot);
            // A topic that cannot be read leaves time for the other.
            let left = self.deadline.saturating_duration_since(Instant::now()) / shares;
            shares = 1;
            let stopped = || self.stop.received().again;
            let (topic, from) = (&self.topics[slot], &self.from[slot]);
            let read = settle::settle(&self.config, topic, from, &self.run, doubts, left, stopped);
            if let Err(error) = read {
                let open = doubts.open();
                unread.push(format!("{open} records of {topic} not looked up: {error}"));
            }
        }
        let unread = (!unread.is_empty()).then(|| unread.join("; "));
        (unread, doubts)
    }

    /// Partitions that were added during the run are read from their start.
    fn add_partitions(&mut self, slot: usize) {
        let partitions = self.admin.partitions(&self.topics[slot], PARTITIONS_WITHIN);
        for partition in partitions {
            self.from[slot].entry(partition).or_insert(0);
        }
    }
}
