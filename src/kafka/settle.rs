//! Looks up in the log what is in doubt at the end of a run.
//!
//! A record without an acknowledgement may be in the log all the same: its time ran out on the way,
//! its answer was lost, or librdkafka took the success of a later batch for its own. An acknowledged
//! one may be gone, if the log was cut back. The plan makes each record again, so the log can tell.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;

use super::reader::{self, ReadRecord, Unread};
use crate::audit::{Author, Authorship};
use crate::delivery::{Doubts, Sightings, digest};
use crate::event::Kind;

/// How long the end of the log is watched for a record without an answer, which may be on its way to
/// the broker still, and for one that was acknowledged: a new leader shows its last records only once its
/// followers have them.
const WATCHED_FOR: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// What is looked up in one topic.
#[derive(Debug)]
pub struct Searched<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The events that are in it.
    pub kinds: &'a [Kind],
    /// From which offset of each partition on it is read.
    pub from: &'a BTreeMap<i32, i64>,
    /// The records without an acknowledgement, the metrics first.
    pub doubts: &'a [Doubts; 2],
    /// Whether it is another topic than the one that acknowledged records: what it lacks does not come.
    pub is_remade: bool,
}

/// The lowest and the highest epoch of the leaders that wrote the records of each partition.
pub type Epochs = BTreeMap<i32, (i32, i32)>;

/// Reads a topic to its end, and writes down which records of this process are there.
///
/// It does not stop when all are found: their copies lie behind.
///
/// # Errors
/// [`Unread`]: it was not read to its end. What was seen until then is written down.
pub fn settle(
    config: &ClientConfig,
    searched: &Searched<'_>,
    authorship: &mut Authorship<'_>,
    sightings: &mut [Sightings; 2],
    epochs: &mut Epochs,
    within: Duration,
    stopped: impl Fn() -> bool,
) -> Result<(), Unread> {
    let Searched { topic, kinds, from, doubts, is_remade } = searched;
    let mut at_the_end = None;
    reader::read_on(config, topic, from, within, stopped, |record| {
        let Some(record) = record else {
            let since = *at_the_end.get_or_insert_with(Instant::now);
            let is_watched = |[open, acknowledged]: [u64; 2]| {
                let acknowledged = if *is_remade { 0 } else { acknowledged };
                let watched = [open, acknowledged].into_iter().zip(WATCHED_FOR);
                watched.into_iter().any(|(unseen, long)| unseen > 0 && since.elapsed() < long)
            };
            let unseen = |kind: &Kind| sightings[*kind as usize].unseen(&doubts[*kind as usize]);
            return kinds.iter().map(unseen).any(is_watched);
        };
        if let Some(epoch) = record.leader_epoch() {
            let (lowest, highest) = epochs.entry(record.partition()).or_insert((epoch, epoch));
            (*lowest, *highest) = (epoch.min(*lowest), epoch.max(*highest));
        }
        match author(authorship, kinds, record) {
            Author::Own(kind, index) => {
                let digest = digest(record.value());
                let doubts = &doubts[kind as usize];
                sightings[kind as usize].own(index, record.partition(), digest, doubts);
            }
            Author::Other => sightings[kinds[0] as usize].other(),
            Author::Unnamed => {}
        }
        true
    })
}

fn author(authorship: &mut Authorship<'_>, kinds: &[Kind], record: &ReadRecord<'_>) -> Author {
    let headers: Vec<_> = record.headers().collect();
    let read = record.for_audit(kinds[0], kinds.len() == 1, &headers);
    authorship.of(kinds, &read)
}
