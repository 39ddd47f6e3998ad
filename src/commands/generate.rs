//! `generate`: the events of a run as NDJSON on stdout, at full speed, without Kafka.

use std::io::{self, Write};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;

use super::{exit_of_output, prepared};
use crate::event::Kind;
use crate::exit::Exit;
use crate::plan::{Plan, Record};
use crate::settings::Settings;

/// Prints every event of the run; with `values_only` just the values.
#[must_use]
pub fn generate(settings: &Settings, values_only: bool) -> Exit {
    let (identity, seed) = match prepared(settings) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let plan = Plan::new(settings, &seed, identity);
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = write_all(settings, &plan, values_only, &mut out).and_then(|()| out.flush());
    match written {
        Ok(()) => Exit::Success,
        Err(error) => exit_of_output(&error),
    }
}

fn write_all(
    settings: &Settings,
    plan: &Plan,
    values_only: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let wall_limit = settings.wall_limit();
    let start = Instant::now();
    let mut value = Vec::with_capacity(1024);
    let mut latest = Timestamp::MIN;
    for due in plan.schedule.clone() {
        if wall_limit.is_some_and(|limit| start.elapsed() >= limit) {
            break;
        }
        latest = latest.max(Timestamp::now());
        let pair = plan.pair(due, latest);
        for kind in Kind::BOTH {
            let record = plan.record(kind, &pair, &mut value);
            if values_only {
                out.write_all(record.value)?;
            } else {
                write_envelope(&record, out)?;
            }
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// The record as one JSON object; the value stands in it byte by byte.
fn write_envelope(record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
    let key = record.key.map_or(Value::Null, Value::from);
    write!(out, "{{\"topic\":{},\"key\":{key},\"headers\":{{", Value::from(record.topic))?;
    let mut written = Ok(());
    let mut separator = "";
    record.each_header(|name, value| {
        let (name, value) = (Value::from(name), Value::from(value));
        if written.is_ok() {
            written = write!(out, "{separator}{name}:{value}");
        }
        separator = ",";
    });
    written?;
    write!(out, "}},\"timestamp\":{},\"value\":", record.timestamp_ms)?;
    out.write_all(record.value)?;
    out.write_all(b"}")
}
