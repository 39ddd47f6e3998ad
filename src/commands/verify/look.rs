//! The commands with which a user looks at a record.

use jiff::Timestamp;

use crate::audit::{Example, Look, TopicAccount};
use crate::cli::VerifyOptions;
use crate::host::program::quoted;
use crate::plan::Plan;
use crate::settings::{DEFINITIONS, Settings};

/// Settings that decide the bytes of a record.
const OF_A_RECORD: [&str; 11] = [
    "GPU_SEED",
    "SLEEP_SEC",
    "HOSTNAME",
    "WORKLOAD",
    "ARRIVALS",
    "EVENT_START",
    "RECORD_KEY",
    "RECORD_HEADERS",
    "BATCH",
    "FAULTS",
    "INCIDENTS",
];

struct Commands {
    /// `kcat` and how it finds the cluster, or the file.
    source: Result<String, String>,
    generate: String,
    is_backfill: bool,
}

/// The commands for the records of a run.
pub(super) fn of(settings: &Settings, options: &VerifyOptions, plan: &Plan) -> Box<dyn Look> {
    let source = match &options.input {
        Some(path) => Err(path.display().to_string()),
        None => Ok(settings.kafka_bootstrap.to_string()),
    };
    let identity = &plan.identity;
    let mut generate = format!(
        "vm4-producer generate --run-id {} --run-seed {}",
        identity.run_id, identity.run_seed
    );
    for definition in DEFINITIONS.iter().filter(|d| OF_A_RECORD.contains(&d.name)) {
        let resolved = settings.resolved(definition.name);
        let value = resolved.map(|resolved| resolved.shown()).unwrap_or_default();
        if !value.is_empty() && definition.default != Some(value) {
            generate.push_str(&format!(" --{} {}", definition.flag(), quoted(value)));
        }
    }
    if plan.event_start().is_none() && plan.incidents().is_some() {
        // What happens to a pair is a matter of the schedule, which began with the run.
        generate.push_str(&format!(" --event-start {:.3}", identity.started_at));
    }
    Box::new(Commands { source, generate, is_backfill: plan.event_start().is_some() })
}

impl Look for Commands {
    fn read(&self, topic: &TopicAccount, example: &Example) -> String {
        let name = topic.topics.get(usize::from(example.topic)).unwrap_or(&topic.topic);
        let offset = example.offset;
        match (&self.source, example.partition) {
            (Ok(bootstrap), Some(partition)) => {
                format!("kcat -C -b {bootstrap} -t {name} -p {partition} -o {offset} -c 1 -J")
            }
            (Err(file), None) if file != "-" => format!("sed -n {offset}p {}", quoted(file)),
            (_, Some(partition)) => format!("partition {partition}, offset {offset}"),
            (_, None) => format!("line {offset}"),
        }
    }

    fn sent(&self, _: &TopicAccount, seq: u64, ts_ms: Option<i64>) -> String {
        let at = ts_ms.filter(|_| !self.is_backfill);
        let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let at = at.map(|at| format!(" --at {at:.3}")).unwrap_or_default();
        format!("{} --seq {seq}{at}", self.generate)
    }
}
