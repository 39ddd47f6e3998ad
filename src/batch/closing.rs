//! After a batch, one record for each partition whose time closes the windows of a consumer.
//!
//! Windows close by the times of what comes after them, and after a batch nothing comes: without this,
//! a consumer never shows the last of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::Batch;
use crate::delivery::{Closing, Offsets};
use crate::event::Kind;
use crate::kafka::closing::{self, Addressed, Answered};
use crate::plan::Buffer;
use crate::send_loop::LoopEnd;

impl Batch<'_> {
    /// Sends a record to each partition of both topics, `CLOSE_WINDOWS` behind the latest time that was
    /// sent, if all of the batch was. A signal ends the wait for the answers.
    pub(super) async fn close_windows(&self, ends: &Offsets, ended: &LoopEnd) -> Option<Closing> {
        let Self { settings, cluster, stop, .. } = self;
        let behind = SignedDuration::try_from(settings.close_windows?).ok()?;
        let latest_ms = ended.latest_ms.filter(|_| ended.sent_all)?;
        let at = Timestamp::from_millisecond(latest_ms).ok()?.saturating_add(behind).ok()?;
        let records = self.closing_records(ends, at);
        let count = |kind: Kind| records.iter().filter(|r| r.kind == kind).count() as u64;
        let counts = Kind::BOTH.map(count);
        let cancelled = Arc::new(AtomicBool::new(false));
        let (config, within) = (cluster.config.clone(), settings.delivery_timeout);
        let flag = Arc::clone(&cancelled);
        let send =
            move || closing::send(&config, &records, within, &|| flag.load(Ordering::Relaxed));
        let mut sending = tokio::task::spawn_blocking(send);
        let seen = stop.received().count();
        let answered = tokio::select! {
            answered = &mut sending => answered,
            _ = stop.beyond(seen) => {
                cancelled.store(true, Ordering::Relaxed);
                sending.await
            }
        };
        let failed = |error: tokio::task::JoinError| Answered {
            problem: Some(error.to_string()),
            ..Answered::default()
        };
        let Answered { acknowledged, problem, .. } = answered.unwrap_or_else(failed);
        Some(Closing { at, records: counts, acknowledged, problem })
    }

    fn closing_records(&self, ends: &Offsets, at: Timestamp) -> Vec<Addressed> {
        let (mut records, mut buffer) = (Vec::new(), Buffer::default());
        for kind in Kind::BOTH {
            let partitions = &ends[kind as usize];
            let count = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
            for partition in partitions.keys().copied() {
                let record = self.plan.closing(kind, (partition, count), at, &mut buffer);
                let headers = record.headers().iter();
                records.push(Addressed {
                    topic: record.topic.to_owned(),
                    kind,
                    partition,
                    timestamp_ms: record.timestamp_ms,
                    key: record.key.map(str::to_owned),
                    headers: headers.map(|(name, value)| (*name, (*value).to_owned())).collect(),
                    value: record.value.unwrap_or_default().to_vec(),
                });
            }
        }
        records
    }
}
