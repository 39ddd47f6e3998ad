//! How many partitions the keys of a run reach.

use super::{Finding, ok};
use crate::kafka::inquiry::Description;
use crate::kafka::partitions;
use crate::plan::keys;
use crate::settings::Settings;
use crate::workload::seed::Seed;

/// Says it of each topic that is there.
pub(super) fn check(settings: &Settings, seed: &Seed, cluster: &Description) -> Vec<Finding> {
    if !partitions::follow_from_keys(settings) {
        return Vec::new();
    }
    let keys = keys(&seed.rows, settings.hostname.names());
    let of = |topic: &str| {
        let count = *cluster.topics.get(topic)?.as_ref().ok()?;
        let reached = partitions::reached(keys.iter().map(String::as_str), count);
        let few = if reached < count { "; more hosts reach more (HOSTNAME)" } else { "" };
        let found = format!("{} keys reach {reached} of {count} partitions{few}", keys.len());
        Some(ok(format!("keys of {topic}"), found))
    };
    [&settings.topic_metric, &settings.topic_token].into_iter().filter_map(|t| of(t)).collect()
}
