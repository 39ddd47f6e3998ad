//! `demo`: a run against a broker inside the process, read back with a consumer and shown.

use std::time::Duration;

use tracing::info;

use super::run::{Problem, publish, sent};
use super::{begin, give_up_start, not_printed, of_output, prepared, write};
use crate::batch::Cluster;
use crate::exit::Exit;
use crate::host::apart::{Apart, Waited};
use crate::host::limits::Need;
use crate::host::signals::Stop;
use crate::kafka::embedded::EmbeddedBroker;
use crate::kafka::reader::{self, ReadRecord};
use crate::kafka::{Config, config};
use crate::report::Report;
use crate::settings::Settings;

/// Defaults of the demo that differ from the program's: small, and without waiting.
pub const DEFAULTS: &[(&str, &str)] = &[("BATCH", "5"), ("SLEEP_SEC", "0")];

/// How long reading back may take.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Runs the demo.
#[must_use]
pub fn demo(settings: &Settings) -> Exit {
    let stop = match begin(Need::of_demo()) {
        Ok(stop) => stop,
        Err(exit) => return exit,
    };
    let (identity, seed) = match prepared(settings) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let topics = [settings.topic_metric.as_str(), settings.topic_token.as_str()];
    let broker = match EmbeddedBroker::start(&topics) {
        Ok(broker) => broker,
        Err(error) => {
            return give_up_start(&format!("cannot start the embedded broker: {error}"));
        }
    };
    let bootstrap = broker.bootstrap();
    info!("embedded broker at {bootstrap}; KAFKA_BOOTSTRAP and RDKAFKA_* are not used");
    let config = config::embedded(&bootstrap, settings.delivery_timeout);
    let cluster = Cluster { config, egress: None, is_embedded: true };
    match sent(settings, &seed, identity, &cluster, &stop) {
        Ok((report, client)) => {
            let unshown = show(&broker, &cluster.config, &report, &stop).err();
            publish(settings, &report, client, &stop, unshown)
        }
        Err(exit) => exit,
    }
}

/// Prints what the broker has, however long a pager takes; a signal ends that.
fn show(
    broker: &EmbeddedBroker,
    config: &Config,
    report: &Report,
    stop: &Stop,
) -> Result<(), Problem> {
    let seen = stop.received().count();
    let text = read_back(broker, config, report)
        .map_err(|error| (format!("cannot read the records back: {error}"), Exit::IoErr))?;
    let printing = Apart::start(move || write(&text));
    match printing.and_then(|mut printing| printing.wait(stop, seen, None)) {
        Ok(Waited::Done(Ok(())) | Waited::Late) => Ok(()),
        Ok(Waited::Signal(signal)) => {
            Err((format!("{} ended the printing", signal.name()), Exit::Signalled(signal)))
        }
        Ok(Waited::Done(Err(error))) | Err(error) => Err((not_printed(&error), of_output(&error))),
    }
}

/// Every record as the broker has it, in the order of the pairs.
fn read_back(broker: &EmbeddedBroker, config: &Config, report: &Report) -> Result<String, String> {
    let mut records = Vec::new();
    for (rank, topic) in report.topics.iter().enumerate() {
        let (name, from, before) = (&topic.topic, broker.beginning(), records.len());
        let read = reader::read(
            config,
            name,
            &from,
            READ_WITHIN,
            || false,
            |record| {
                let seq = record.header("seq").and_then(|seq| seq.parse().ok()).unwrap_or(0_u64);
                let place = (seq, rank, record.partition(), record.offset());
                records.push((place, shown(name, record)));
            },
        );
        read.map_err(|error| error.to_string())?;
        let (read, expected) = ((records.len() - before) as u64, topic.acknowledged);
        if read < expected {
            return Err(format!("{read} of {expected} records of {name} came back"));
        }
    }
    records.sort_by_key(|(place, _)| *place);
    Ok(records.into_iter().map(|(_, text)| text).collect())
}

fn shown(topic: &str, record: &ReadRecord<'_>) -> String {
    let lossy = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
    format!(
        "pair {}  {topic} [{}] @ {}  key {}  run {}  timestamp {}\n    {}\n",
        record.header("seq").unwrap_or("-"),
        record.partition(),
        record.offset(),
        lossy(record.key()),
        record.header("run").unwrap_or("-"),
        record.timestamp_ms().unwrap_or_default(),
        lossy(record.value()),
    )
}
