//! `generate`: the events of a run as NDJSON on stdout, at full speed, without Kafka.

use std::cell::RefCell;
use std::future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::Value;
use tracing::{info, warn};

use super::{complain, exit_of_output, give_up, prepared, runtime};
use crate::event::Kind;
use crate::exit::Exit;
use crate::faults::Fault;
use crate::host::signals::Stop;
use crate::plan::{Buffer, Plan, Record};
use crate::send_loop::{self, Limits, QueueFull, Sink};
use crate::settings::Settings;

/// Prints every event of the run, or those of one pair at a time; with `values_only` just the values.
#[must_use]
pub fn generate(
    settings: &Settings,
    values_only: bool,
    only: Option<(u64, Option<Timestamp>)>,
) -> Exit {
    if settings.incidents.is_some() && settings.event_start.is_none() {
        let because = "generate waits for no pair, so without EVENT_START no time would pass";
        let error = settings.refuse("INCIDENTS", because.into());
        return give_up(&error.to_string(), Exit::Config);
    }
    let (identity, seed) = match prepared(settings) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    if settings.is_set("REPORT_FILE") {
        warn!("REPORT_FILE is not used: generate sends nothing that could be reported");
    }
    info!("run {}, seed {}: printing", identity.run_id, identity.run_seed);
    let plan = Plan::new(settings, &seed, identity);
    let out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let sink = Lines { out: RefCell::new(out), values_only, error: RefCell::new(None) };
    if let Some((seq, at)) = only {
        return sink.pair(&plan, seq, at);
    }
    let limits = Limits {
        waits: false,
        wall_limit: settings.wall_limit(),
        delivery_timeout: settings.delivery_timeout,
    };
    // A signal ends the process.
    let (_stopper, stop) = Stop::channel();
    runtime.block_on(send_loop::send(&plan, &sink, limits, &stop, Arc::default(), Timestamp::now));
    match sink.finish() {
        Ok(()) => Exit::Success,
        Err(error) => exit_of_output(&error),
    }
}

/// Writes each record as a line.
struct Lines<W> {
    out: RefCell<W>,
    values_only: bool,
    error: RefCell<Option<io::Error>>,
}

impl<W: Write> Lines<W> {
    fn write(&self, record: &Record<'_>) -> io::Result<()> {
        let out = &mut *self.out.borrow_mut();
        if self.values_only {
            out.write_all(record.value.unwrap_or_default())?;
        } else {
            write_envelope(record, out)?;
        }
        out.write_all(b"\n")
    }

    /// Writes the records of one pair.
    fn pair(self, plan: &Plan, seq: u64, at: Option<Timestamp>) -> Exit {
        let Some(at) = at.or_else(|| plan.due_at(seq)) else {
            complain(&format!("pair {seq} is not among those of the run"));
            return Exit::Usage;
        };
        let mut buffer = Buffer::default();
        let written = Kind::BOTH
            .into_iter()
            .filter(|kind| plan.has_record(*kind, seq, at))
            .try_for_each(|kind| self.write(&plan.record_at(kind, seq, at, &mut buffer)));
        match written.and_then(|()| self.finish()) {
            Ok(()) => Exit::Success,
            Err(error) => exit_of_output(&error),
        }
    }

    fn finish(self) -> io::Result<()> {
        self.error.into_inner().map_or(Ok(()), Err)?;
        self.out.into_inner().flush()
    }
}

impl<W: Write> Sink for Lines<W> {
    fn try_send(&self, record: &Record<'_>, _: Duration) -> Result<(), QueueFull> {
        self.write(record).map_err(|error| {
            // Nothing follows: the sink is fatal from here on.
            *self.error.borrow_mut() = Some(error);
            QueueFull
        })
    }

    fn answered(&self) -> impl Future<Output = ()> {
        future::pending()
    }

    fn in_flight(&self) -> u64 {
        0
    }

    fn silent_for(&self) -> Duration {
        Duration::ZERO
    }

    fn is_fatal(&self) -> bool {
        self.error.borrow().is_some()
    }

    fn finish_sending(&self) {}
}

/// The record as one JSON object; the value stands in it byte by byte.
fn write_envelope(record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
    let key = record.key.map_or(Value::Null, Value::from);
    write!(out, "{{\"topic\":{},\"key\":{key},\"headers\":{{", Value::from(record.topic))?;
    let mut separator = "";
    for (name, value) in record.headers() {
        let (name, value) = (Value::from(*name), Value::from(*value));
        write!(out, "{separator}{name}:{value}")?;
        separator = ",";
    }
    write!(out, "}},\"timestamp\":{},", record.timestamp_ms)?;
    let value = record.value.unwrap_or(b"null");
    if record.faults.has(Fault::Malformed) {
        // It is not JSON, or not text at all, and the line is to stay a line of NDJSON.
        return write!(out, "\"value_base64\":\"{}\"}}", BASE64.encode(value));
    }
    out.write_all(b"\"value\":")?;
    out.write_all(value)?;
    out.write_all(b"}")
}
