//! `demo`: a run against a broker inside the process, read back with a consumer and shown.

use std::fmt::Write as _;
use std::time::Duration;

use rdkafka::message::{Headers, Message, OwnedMessage};
use tracing::info;

use super::run::{publish, sent};
use super::{begin, give_up, not_printed, of_output, prepared, write};
use crate::exit::Exit;
use crate::host::apart::{Apart, Waited};
use crate::host::limits::{self, Need};
use crate::host::log;
use crate::host::signals::Stop;
use crate::kafka::config;
use crate::kafka::embedded::EmbeddedBroker;
use crate::report::Report;
use crate::session::Cluster;
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
            let text = format!("cannot start the embedded broker: {error}");
            let exhausted = limits::is_exhausted(&text).is_some();
            let exit = if exhausted { Exit::OsErr } else { Exit::Software };
            return give_up(&limits::described(&text), exit);
        }
    };
    let bootstrap = broker.bootstrap();
    let address = bootstrap.clone();
    log::say(move || {
        info!("embedded broker at {address}; KAFKA_BOOTSTRAP and RDKAFKA_* are not used")
    });
    let config = config::embedded(&bootstrap, settings.delivery_timeout);
    let cluster = Cluster { config, guard: None, is_embedded: true };
    match sent(settings, &seed, identity, &cluster, &stop) {
        Ok(session) => {
            let unshown = show(&broker, &session.report, &stop).err();
            publish(settings, session, &stop, unshown)
        }
        Err(exit) => exit,
    }
}

/// Prints what the broker has, however long a pager takes; a signal ends that.
fn show(broker: &EmbeddedBroker, report: &Report, stop: &Stop) -> Result<(), (String, Exit)> {
    let seen = stop.received().count();
    let text = read_back(broker, report)
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
fn read_back(broker: &EmbeddedBroker, report: &Report) -> Result<String, String> {
    let mut records = Vec::new();
    for (rank, topic) in report.topics.iter().enumerate() {
        let expected = usize::try_from(topic.acknowledged).unwrap_or(usize::MAX);
        let read = broker.read(&topic.topic, expected, READ_WITHIN).map_err(|e| e.to_string())?;
        if read.len() < expected {
            return Err(format!(
                "{} of {expected} records of {} came back",
                read.len(),
                topic.topic
            ));
        }
        records.extend(read.into_iter().map(|record| (seq(&record), rank, record)));
    }
    records.sort_by_key(|(seq, rank, record)| (*seq, *rank, record.partition(), record.offset()));
    let mut text = String::new();
    for (_, _, record) in &records {
        describe(record, &mut text).map_err(|e| e.to_string())?;
    }
    Ok(text)
}

fn header<'m>(record: &'m OwnedMessage, name: &str) -> Option<&'m str> {
    let headers = record.headers()?;
    let value = headers.iter().find(|header| header.key == name)?.value?;
    std::str::from_utf8(value).ok()
}

fn seq(record: &OwnedMessage) -> u64 {
    header(record, "seq").and_then(|seq| seq.parse().ok()).unwrap_or(0)
}

fn describe(record: &OwnedMessage, text: &mut String) -> std::fmt::Result {
    let lossy = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
    writeln!(
        text,
        "pair {}  {} [{}] @ {}  key {}  run {}  timestamp {}\n    {}",
        header(record, "seq").unwrap_or("-"),
        record.topic(),
        record.partition(),
        record.offset(),
        lossy(record.key()),
        header(record, "run").unwrap_or("-"),
        record.timestamp().to_millis().unwrap_or_default(),
        lossy(record.payload()),
    )
}
