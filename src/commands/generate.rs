//! `generate`: the events of a run as NDJSON on stdout, at full speed, without Kafka.

mod envelope;

use std::cell::RefCell;
use std::future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Runtime;
use tracing::{info, warn};

use super::outputs::Outputs;
use super::{
    answer_key, complain, exit_of_output, give_up, give_up_start, prepared, refuse, runtime,
    warn_of_idle_incidents,
};
use crate::answer_key::{AnswerKey, Keyed};
use crate::delivery::Ending;
use crate::event::Kind;
use crate::exit::Exit;
use crate::host::apart::Apart;
use crate::host::files;
use crate::host::signals::Stop;
use crate::host::spool::Spool;
use crate::plan::{Buffer, Plan, Record, When};
use crate::send_loop::{self, Limits, QueueFull, Sink};
use crate::settings::Settings;
use envelope::Envelopes;

/// Prints every event of the run, or those of one pair at a time; with `values_only` just the values.
#[must_use]
pub fn generate(
    settings: &Settings,
    values_only: bool,
    only: Option<(u64, Option<Timestamp>)>,
) -> Exit {
    if settings.incidents.is_some() && settings.event_start.is_none() && only.is_none() {
        let because = "generate waits for no pair, so without EVENT_START no time would pass";
        let error = settings.refuse("INCIDENTS", because.into());
        return give_up(&error.to_string(), Exit::Config);
    }
    let (identity, seed) = match prepared(settings, None) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    if settings.is_set("REPORT_FILE") {
        warn!("REPORT_FILE is not used: generate sends nothing that could be reported");
    }
    if settings.close_windows.is_some() {
        warn!(
            "CLOSE_WINDOWS is not used: it is one record for each partition, and there are none here"
        );
    }
    info!("run {}, RUN_SEED {}: printing", identity.run_id, identity.run_seed);
    let plan = Plan::new(settings, &seed, identity);
    if only.is_none() {
        warn_of_idle_incidents(&plan);
    }
    let sink = Lines::new(io::stdout().lock(), values_only);
    if let Some((seq, at)) = only {
        return sink.pair(&plan, seq, at);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let limits = Limits {
        waits: false,
        wall_limit: settings.wall_limit(),
        delivery_timeout: settings.delivery_timeout,
    };
    let spool = match answer_key(settings, Outputs { prints: true, reports: false }, None) {
        Ok(spool) => spool,
        Err(exit) => return exit,
    };
    let Some(spool) = spool else {
        // A signal ends the process.
        let (_stopper, stop) = Stop::channel();
        let (schedule, now) = (Arc::default(), Timestamp::now);
        runtime.block_on(send_loop::send(&plan, &sink, limits, &stop, schedule, now));
        return sink.finish().map_or_else(|error| exit_of_output(&error), |()| Exit::Success);
    };
    let key = AnswerKey::begin(&plan, settings, &seed, spool);
    with_key(&plan, sink, key, limits, &runtime)
}

/// Prints the events, and writes the answer key of what was printed, also where a signal ends that.
fn with_key<W: Write>(
    plan: &Plan,
    sink: Lines<W>,
    key: io::Result<AnswerKey<'_, Spool>>,
    limits: Limits,
    runtime: &Runtime,
) -> Exit {
    let stop = match Stop::listen_briefly() {
        Ok(stop) => stop,
        Err(error) => return give_up_start(&format!("cannot listen to signals: {error}")),
    };
    let keyed = Keyed::new(&sink, key);
    let (schedule, now) = (Arc::default(), Timestamp::now);
    let ended = runtime.block_on(send_loop::send(plan, &keyed, limits, &stop, schedule, now));
    // A reader may take all of the key before the events, or after them: neither waits for the other.
    // A file is at its place only when all of the events are written.
    let publish: Box<dyn FnOnce() -> io::Result<()>> = match keyed.finish() {
        Ok(spool) if spool.is_stream() => {
            let writing = Apart::start(|| spool.publish());
            Box::new(|| writing?.join()?)
        }
        finished => Box::new(|| finished?.publish()),
    };
    if let Err(error) = sink.finish() {
        return exit_of_output(&error);
    }
    files::release_stdout();
    match (publish(), ended.ending) {
        (Err(error), _) => {
            complain(&format!("ANSWER_KEY: no answer key: {error}"));
            Exit::IoErr
        }
        (Ok(()), Ending::Signalled(signal)) => Exit::Signalled(signal),
        (Ok(()), _) => Exit::Success,
    }
}

/// Bytes that are written in one piece.
const PIECE: usize = 1 << 16;

/// Writes each record as a line.
struct Lines<W> {
    out: RefCell<W>,
    /// Whole lines that are not written yet.
    lines: RefCell<Vec<u8>>,
    values_only: bool,
    envelopes: RefCell<Envelopes>,
    error: RefCell<Option<io::Error>>,
}

impl<W: Write> Lines<W> {
    fn new(out: W, values_only: bool) -> Self {
        let lines = Vec::with_capacity(2 * PIECE).into();
        Self {
            out: out.into(),
            lines,
            values_only,
            envelopes: RefCell::default(),
            error: RefCell::default(),
        }
    }

    fn write(&self, record: &Record<'_>) -> io::Result<()> {
        let mut lines = self.lines.borrow_mut();
        if self.values_only {
            lines.extend_from_slice(record.value.unwrap_or_default());
        } else {
            self.envelopes.borrow_mut().push(record, &mut lines);
        }
        lines.push(b'\n');
        if lines.len() >= PIECE {
            self.out.borrow_mut().write_all(&lines)?;
            lines.clear();
        }
        Ok(())
    }

    /// Writes the records of one pair, each with its copy if it has one.
    fn pair(self, plan: &Plan, seq: u64, at: Option<Timestamp>) -> Exit {
        let due = plan.due_at(seq);
        let Some(at) = at.or(due) else {
            return refuse(&format!("pair {seq} is not among those of the run"), Exit::Usage);
        };
        let moment_ms = due.unwrap_or(at).as_millisecond();
        let mut buffer = Buffer::default();
        let written = Kind::BOTH
            .into_iter()
            .filter(|kind| plan.gpu_at(*kind, seq, || moment_ms).is_some())
            .flat_map(|kind| {
                plan.faults_at(seq, kind).of_copies().map(move |faults| (kind, faults))
            })
            .try_for_each(|(kind, faults)| {
                let when = When { at, moment_ms };
                self.write(&plan.expected((seq, kind), when, faults, &mut buffer))
            });
        match written.and_then(|()| self.finish()) {
            Ok(()) => Exit::Success,
            Err(error) => exit_of_output(&error),
        }
    }

    fn finish(self) -> io::Result<()> {
        self.error.into_inner().map_or(Ok(()), Err)?;
        let mut out = self.out.into_inner();
        out.write_all(&self.lines.into_inner())?;
        out.flush()
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
}
