//! `demo`: a run against a broker inside the process, read back with a consumer and shown.

mod table;

use std::time::Duration;

use tracing::{debug, info};

use super::outputs::Outputs;
use super::run::{Problem, publish, sent};
use super::{answer_key, begin, give_up_start, not_printed, of_output, prepared, verify, write};
use crate::audit::{Account, Audit, Log};
use crate::batch::{Client, Cluster};
use crate::event::Kind;
use crate::exit::Exit;
use crate::host::apart::{Apart, Waited};
use crate::host::limits::Need;
use crate::host::program;
use crate::host::signals::Stop;
use crate::kafka::embedded::EmbeddedBroker;
use crate::kafka::reader::{self, ReadRecord};
use crate::kafka::{Config, config};
use crate::plan::{CLOSING, Plan};
use crate::report::Report;
use crate::report::past::PastRun;
use crate::settings::Settings;
use table::Table;

/// Defaults of the demo that differ from the program's: small, and without waiting.
///
/// The time of the events is given, a Monday morning, and nothing waits for it.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("BATCH", "5"),
    ("HOSTNAME", "gpu[01-03]"),
    ("RUN_SEED", "3"),
    ("EVENT_START", "2026-01-05T09:00:00Z"),
];

/// How long reading back may take.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Runs the demo.
#[must_use]
pub fn demo(settings: &Settings) -> Exit {
    let stop = match begin(Need::of_demo()) {
        Ok(stop) => stop,
        Err(exit) => return exit,
    };
    let (identity, seed) = match prepared(settings, Some(&stop)) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let client = match answer_key(settings, Outputs { prints: true, reports: true }, Some(&stop)) {
        Ok(spool) => Client::with_key(spool),
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
    info!("embedded broker at {bootstrap}; KAFKA_BOOTSTRAP is not used");
    let config = config::embedded(&bootstrap, settings.delivery_timeout);
    let cluster = Cluster { config, egress: None, is_embedded: true };
    match sent(settings, &seed, identity.clone(), &cluster, &stop, client) {
        Ok((report, client)) => {
            let plan = Plan::new(settings, &seed, identity);
            let unshown = show(&broker, &cluster.config, &report, &plan, &stop).err();
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
    plan: &Plan,
    stop: &Stop,
) -> Result<(), Problem> {
    let seen = stop.received().count();
    let is_stopped = || stop.received().count() > seen;
    let (text, account) = read_back(broker, config, report, plan, is_stopped).map_err(|error| {
        // A signal that came while the batch was sent has ended that, and not this.
        let signal = stop.received().first.filter(|_| is_stopped());
        let exit = signal.map_or(Exit::IoErr, Exit::Signalled);
        (format!("cannot read the records back: {error}"), exit)
    })?;
    let printing = Apart::start(move || write(&text));
    match printing.and_then(|mut printing| printing.wait(stop, seen, None)) {
        Ok(Waited::Done(Ok(())) | Waited::Late) => match account.closed {
            false => Err((account.headline(), Exit::IoErr)),
            true => Ok(()),
        },
        Ok(Waited::Signal(signal)) => {
            Err((format!("{} ended the printing", signal.name()), Exit::Signalled(signal)))
        }
        Ok(Waited::Done(Err(error))) | Err(error) => Err((not_printed(&error), of_output(&error))),
    }
}

/// What to type next.
fn next() -> String {
    format!("next: {} doctor -b HOST:9092", program::as_typed())
}

/// The records as the broker has them, and the account of them.
fn read_back(
    broker: &EmbeddedBroker,
    config: &Config,
    report: &Report,
    plan: &Plan,
    is_stopped: impl Fn() -> bool,
) -> Result<(String, Account), String> {
    let mut table = Table::default();
    let past = PastRun::parse(report.json().as_bytes()).map_err(|error| error.to_string())?;
    let mut audit = Audit::new(verify::expectation(&past, plan, [None, None]));
    audit.compare_times(past.times(), true);
    let [metric, token] = Kind::BOTH.map(|kind| plan.topic(kind));
    let topics = match metric == token {
        true => vec![(metric, [Some(0); 2])],
        false => vec![(metric, [Some(0), None]), (token, [None, Some(0)])],
    };
    for (name, numbers) in topics {
        let (from, before) = (broker.beginning(), table.records);
        let take = |record: &ReadRecord<'_>| {
            if record.header(CLOSING).is_some() {
                return;
            }
            let kind = verify::cluster::take(&mut audit, numbers, record, false);
            table.add(name, kind, record);
        };
        reader::read(config, name, &from, READ_WITHIN, &is_stopped, take)
            .map_err(|error| error.to_string())?;
        let of_it = report.topics.iter().filter(|topic| topic.topic == name);
        let expected = of_it.map(|topic| topic.acknowledged).sum();
        let read = table.records - before;
        if read < expected {
            return Err(format!("{read} of {expected} records of {name} came back"));
        }
    }
    let pairs = report.topics.iter().map(|topic| topic.acknowledged).max();
    debug!("{} records came back", table.records);
    let logs = Kind::BOTH.map(|kind| Log { topic: plan.topic(kind).to_owned(), ..Log::default() });
    let account = audit.finish(logs);
    let (table, finding) = (table.text(pairs.unwrap_or(0)), account.finding());
    Ok((format!("{table}verify: {finding}\n{}\n", next()), account))
}
