//! The log: native journal entries when systemd started the process, text on stderr elsewhere.
//!
//! A journal that is stopped, or a pipe that nobody reads, blocks whoever writes to it. All log
//! calls therefore run on a thread of their own: [`say`] queues one, and drops it where the queue is
//! full, so that logging never stops a run.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt::MakeWriter};

use super::reporter;

/// MESSAGE_ID of the summary: `journalctl MESSAGE_ID=...` finds every run.
pub const SUMMARY_MESSAGE_ID: &str = "481e4caeb0af4a969868e40c685be4fe";

/// Target of the summary event, by which its MESSAGE_ID is attached.
pub const SUMMARY: &str = "vm4_producer::summary";

/// Log calls that may wait for a slow journal; a run makes far fewer.
const QUEUE: usize = 1024;

/// How long the end of the process waits for a journal that does not answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Call = Box<dyn FnOnce() + Send>;

/// Pause between two tries to hand a full queue its last calls.
const RETRY: Duration = Duration::from_millis(10);

static CALLS: OnceLock<SyncSender<Call>> = OnceLock::new();

/// The run is over: only its last words are heard.
static CONCLUDED: AtomicBool = AtomicBool::new(false);

/// Starts the log with a `tracing` filter that the settings have checked.
///
/// # Errors
/// There is no thread for it.
pub fn start(filter: &str) -> io::Result<()> {
    let filter = filter.to_owned();
    let (calls, queue) = sync_channel::<Call>(QUEUE);
    let worker = move || {
        install(&filter);
        work(&queue);
    };
    std::thread::Builder::new().name("log".into()).spawn(worker)?;
    // Only the first log of a process counts.
    let _already_started = CALLS.set(calls);
    Ok(())
}

fn work(queue: &Receiver<Call>) {
    while let Ok(call) = queue.recv() {
        call();
    }
}

/// Runs a log call (`say(move || info!(...))`) on the log's thread. Never blocks.
pub fn say(call: impl FnOnce() + Send + 'static) {
    if let Some(calls) = CALLS.get()
        && !CONCLUDED.load(Ordering::Relaxed)
    {
        // A full queue means that nobody takes log lines: the run matters more.
        let _dropped = calls.try_send(Box::new(call));
    }
}

/// Runs a log call behind which nothing is said but by another of these: the client library may
/// still have something to say of a run whose summary is out.
///
/// Waits for room in a queue that is full.
pub fn conclude(call: impl FnOnce() + Send + 'static) {
    CONCLUDED.store(true, Ordering::Relaxed);
    push(Box::new(call));
}

fn push(mut call: Call) {
    let Some(calls) = CALLS.get() else { return };
    let deadline = Instant::now() + LAST_WORDS;
    while let Err(TrySendError::Full(refused)) = calls.try_send(call) {
        if Instant::now() >= deadline {
            return;
        }
        call = refused;
        std::thread::sleep(RETRY);
    }
}

/// Waits until everything said so far is written, or it is clear that nobody takes it.
pub fn finish() {
    let (done, written) = sync_channel::<()>(1);
    push(Box::new(move || {
        let _nobody_waits = done.send(());
    }));
    let _late = written.recv_timeout(LAST_WORDS);
}

fn install(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry();
    let installed = match journal() {
        Some((plain, summary)) => {
            let is_summary = || filter_fn(|metadata| metadata.target() == SUMMARY);
            registry
                .with(filter)
                .with(plain.with_filter(is_summary().not()))
                .with(summary.with_filter(is_summary()))
                .try_init()
        }
        None => registry
            .with(filter)
            .with(
                tracing_subscriber::fmt::layer()
                    .without_time()
                    .with_target(false)
                    .with_ansi(io::stderr().is_terminal())
                    .log_internal_errors(false)
                    // In words is enough for people; the figures are fields for the journal.
                    .fmt_fields(debug_fn(|out, field, value| match field.name() {
                        "message" => write!(out, "{value:?}"),
                        _ => Ok(()),
                    }))
                    .with_writer(Stderr),
            )
            .try_init(),
    };
    // A library user may have a subscriber of its own; then that one is used.
    let _kept = installed;
}

/// The journal's layers, for all entries and for the summary, where stderr is the journal.
fn journal() -> Option<(tracing_journald::Layer, tracing_journald::Layer)> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = fs::metadata("/proc/self/fd/2").ok()?;
    if stream != format!("{}:{}", stderr.dev(), stderr.ino()) {
        return None;
    }
    let layer = || {
        let layer = tracing_journald::layer().ok()?;
        Some(
            layer
                .with_field_prefix(Some("VM4".into()))
                .with_syslog_identifier("vm4-producer".into()),
        )
    };
    let summary = layer()?.with_custom_fields([("MESSAGE_ID", SUMMARY_MESSAGE_ID)]);
    Some((layer()?, summary))
}

/// stderr, with the progress bar out of the way. A closed one is nobody's problem.
#[derive(Debug, Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        reporter::without_bar(|| {
            let _closed = io::stderr().write_all(bytes);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}
