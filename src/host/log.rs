//! The log: native journal entries when systemd started the process, text on stderr elsewhere.
//!
//! A journal that is stopped, or a pipe that nobody reads, blocks whoever writes to it. So an event
//! is rendered on the thread that says it and put into a bounded queue; one thread writes. Logging
//! never stops a run: a line for which the queue has no place is counted, and the log says how many
//! are missing. The summary always has a place.

mod entry;
mod queue;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use jiff::Timestamp;
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_getpipe_size;
use tracing::dispatcher::with_default;
use tracing::{Dispatch, Event, Subscriber, warn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, registry};

use super::{reporter, terminal};
use entry::Entry;
use queue::{Dropped, Next, Queue};

/// MESSAGE_ID of the summary: `journalctl MESSAGE_ID=...` finds every run.
pub const SUMMARY_MESSAGE_ID: &str = "481e4caeb0af4a969868e40c685be4fe";

/// Target of the summary event, by which its MESSAGE_ID is attached.
pub const SUMMARY: &str = "vm4_producer::summary";

/// Field of a summary with the unit. The journal has it in `_SYSTEMD_UNIT` too, unless the process is
/// gone before the journal looks at it, as one is that fails in its settings.
pub(super) const UNIT_FIELD: &str = "VM4_UNIT";

/// Field of a summary with systemd's name for the start, for the same reason as [`UNIT_FIELD`].
pub(super) const INVOCATION_FIELD: &str = "VM4_INVOCATION";

/// Fields of the summary event; the journal has them as `VM4_NAME`.
pub const SUMMARY_FIELDS: [&str; 11] = [
    "run",
    "seed",
    "outcome",
    "planned",
    "generated",
    "acknowledged",
    "failed",
    "unresolved",
    "elapsed_sec",
    "rate_per_sec",
    "exit_code",
];

/// How long the end of the process waits for a reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it then waits with the last lines alone.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Pause between two looks at a pipe that is full.
const RETRY: Duration = Duration::from_millis(10);

static QUEUE: Queue = Queue::new();

/// Starts the log with a `tracing` filter that the settings have checked; `as_json` is for what does not
/// go to the journal.
///
/// # Errors
/// There is no thread for it.
pub fn start(filter: &str, as_json: bool) -> io::Result<()> {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // A library user may have installed a subscriber; then that one is used.
    if registry().with(filter).with(Capture).try_init().is_ok() {
        std::thread::Builder::new().name("log".into()).spawn(move || work(as_json))?;
    }
    Ok(())
}

/// Waits until everything said so far is written, or it is clear that nobody takes it.
pub fn finish() {
    if !QUEUE.wait(PATIENCE) {
        QUEUE.shed();
        QUEUE.wait(LAST_WORDS);
    }
}

/// Puts events into the queue.
struct Capture;

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        QUEUE.push(Entry::of(event));
    }
}

fn work(as_json: bool) {
    let [plain, summary] = outputs(as_json);
    loop {
        match QUEUE.next(has_room, RETRY) {
            Next::Line(entry) if entry.metadata.target() == SUMMARY => entry.write(&summary),
            Next::Line(entry) => entry.write(&plain),
            // Not through the filter: it may be the only trace of an error.
            Next::Dropped(dropped) => with_default(&plain, || say_dropped(&dropped)),
        }
    }
}

fn say_dropped(dropped: &Dropped) {
    let count: u64 = dropped.values().sum();
    let levels: Vec<_> = dropped.iter().map(|(level, count)| format!("{count} {level}")).collect();
    let levels = levels.join(", ");
    warn!("{count} log lines dropped ({levels}): whoever reads the log was too slow");
}

/// Whether an ordinary line may be written. Half of a pipe is kept for the last lines: whoever reads
/// it may come when the process is gone.
fn has_room() -> bool {
    let stderr = io::stderr();
    // What is no pipe has no size; then the write waits.
    let Ok(size) = fcntl_getpipe_size(&stderr) else { return true };
    ioctl_fionread(&stderr).is_ok_and(|unread| unread < size as u64 / 2)
}

/// What writes ordinary lines, and what writes the summary.
///
/// Asks the journal, which may not answer.
fn outputs(as_json: bool) -> [Dispatch; 2] {
    journal().unwrap_or_else(|| {
        if as_json {
            let json = Dispatch::new(registry().with(Json));
            return [json.clone(), json];
        }
        let text = tracing_subscriber::fmt::layer()
            .without_time()
            .with_target(false)
            .with_ansi(terminal::has_colors(&io::stderr()))
            .log_internal_errors(false)
            // In words is enough for people; the figures are fields for the journal.
            .fmt_fields(debug_fn(|out, field, value| match field.name() {
                "message" => write!(out, "{value:?}"),
                _ => Ok(()),
            }))
            .with_writer(Stderr);
        let text = Dispatch::new(registry().with(text));
        [text.clone(), text]
    })
}

/// The journal, where stderr leads to it.
fn journal() -> Option<[Dispatch; 2]> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = fs::metadata("/proc/self/fd/2").ok()?;
    if stream != format!("{}:{}", stderr.dev(), stderr.ino()) {
        return None;
    }
    let layer = || {
        let layer = tracing_journald::layer().ok()?;
        let layer = layer.with_field_prefix(Some("VM4".into()));
        Some(layer.with_syslog_identifier("vm4-producer".into()))
    };
    let id = ("MESSAGE_ID", SUMMARY_MESSAGE_ID.to_owned());
    let unit = own_unit().map(|unit| (UNIT_FIELD, unit));
    let invocation = std::env::var("INVOCATION_ID").ok().map(|id| (INVOCATION_FIELD, id));
    let fields = std::iter::once(id).chain(unit).chain(invocation);
    let summary = layer()?.with_custom_fields(fields);
    Some([Dispatch::new(registry().with(layer()?)), Dispatch::new(registry().with(summary))])
}

/// The service that this process belongs to, from its control group.
fn own_unit() -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.rsplit('/').find(|name| name.ends_with(".service")).map(str::to_owned)
}

/// Writes each event as a JSON object on a line.
struct Json;

impl<S: Subscriber> Layer<S> for Json {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Entry::of(event).json(Timestamp::now());
        let _closed = Stderr.write_all(line.as_bytes());
    }
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
