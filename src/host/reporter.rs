//! Shows the progress of a run: a bar on a terminal, `STATUS=` and the start timeout for systemd.
//!
//! One thread does all of it, from the counts. A missing, full or bogus notify socket, or a blocked
//! terminal, never delays the run.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use sd_notify::NotifyState;

use super::apart;
use crate::delivery::Counts;

/// How often systemd gets the status.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// How much longer than the delivery timeout the start timeout becomes. A run without progress ends
/// by itself within it.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(15);

/// A run that is later than this with a pair is behind schedule.
const LATE: Duration = Duration::from_secs(2);

/// How long the end of a run waits for a full notify socket.
const LAST_WORDS: Duration = Duration::from_millis(500);

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn bar() -> Option<ProgressBar> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Hides the bar while `write` writes to stderr.
pub fn without_bar(write: impl FnOnce()) {
    match bar() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The state of the run's schedule, which tells waiting from hanging.
#[derive(Debug, Default)]
pub struct ScheduleState {
    due: Mutex<Option<Instant>>,
    stopping: AtomicBool,
}

impl ScheduleState {
    /// The run waits for a pair that is scheduled then; `None` while it does not wait.
    pub fn waits_until(&self, due: Option<Instant>) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    /// The run was asked to stop: it waits only for the records in flight.
    pub fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn is_waiting(&self, now: Instant) -> bool {
        let due = *self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.is_some_and(|due| now < due + LATE)
    }
}

/// What the reporter reads.
pub struct View {
    /// Records of the whole run, if known.
    pub planned_records: Option<u64>,
    /// The setting DELIVERY_TIMEOUT_SEC.
    pub delivery_timeout: Duration,
    /// The counts as they stand.
    pub counts: Box<dyn Fn() -> Counts + Send>,
    /// Where the run is in its schedule.
    pub schedule: Arc<ScheduleState>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("planned_records", &self.planned_records)
            .finish_non_exhaustive()
    }
}

/// The last status of a run for systemd.
struct Last {
    status: String,
    errno: Option<u32>,
}

/// The reporting thread, if anybody listens.
#[derive(Debug)]
pub struct Reporter {
    thread: Option<(SyncSender<Last>, Receiver<()>)>,
}

impl Reporter {
    /// Starts to report.
    #[must_use]
    pub fn start(view: View) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        if !on_terminal && std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self { thread: None };
        }
        if on_terminal {
            let shown = new_bar(view.planned_records);
            *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        }
        let (last, inbox) = sync_channel(1);
        let (done, written) = sync_channel(1);
        let work = move || {
            report(&view, &inbox, if on_terminal { BAR_EVERY } else { STATUS_EVERY });
            let _nobody_waits = done.send(());
        };
        let thread = std::thread::Builder::new().name("report".into()).spawn(work);
        Self { thread: thread.is_ok().then_some((last, written)) }
    }

    /// Removes the bar, and sends `status` to systemd as the last one.
    pub fn finish(self, status: &str, errno: Option<u32>) {
        let Some((last, written)) = self.thread else { return };
        let status = status.replace('\n', " ");
        if last.send(Last { status, errno }).is_ok() {
            let _late = written.recv_timeout(LAST_WORDS);
        }
    }
}

fn new_bar(planned: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(planned, ProgressDrawTarget::stderr());
    let template = match planned {
        Some(_) => "{bar:30} {pos}/{len} records, {rate}, {eta} left",
        None => "{spinner} {pos} records, {rate}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        // A failed write to a terminal shows no rate.
        bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _not_shown = write!(out, "{:.0}/s", state.per_sec());
        }));
    }
    bar
}

fn report(view: &View, inbox: &Receiver<Last>, every: Duration) {
    let mut reported_at = Instant::now();
    let (mut acknowledged, mut stopping) = (0, false);
    let more_time = || NotifyState::ExtendTimeoutUsec(extension(view.delivery_timeout));
    // Once, because the cluster can be silent for longer than the unit's timeout.
    notify(&[NotifyState::Status("connecting"), more_time()]);
    loop {
        match inbox.recv_timeout(every) {
            Ok(Last { status, errno }) => {
                if let Some(bar) = bar() {
                    bar.finish_and_clear();
                }
                return say_last(&status, errno);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let counts = (view.counts)();
        if let Some(bar) = bar() {
            bar.set_position(counts.total_acknowledged());
            bar.tick();
        }
        let now = Instant::now();
        if now.duration_since(reported_at) >= STATUS_EVERY {
            reported_at = now;
            let moved = counts.total_acknowledged() > acknowledged;
            acknowledged = counts.total_acknowledged();
            let waiting = counts.total_in_flight() == 0 && view.schedule.is_waiting(now);
            // Once more for the wait that follows a signal.
            let stops = !stopping && view.schedule.stopping.load(Ordering::Relaxed);
            stopping |= stops;
            let status = progress(view, &counts);
            let mut states = vec![NotifyState::Status(&status)];
            if moved || waiting || stops {
                states.push(more_time());
            }
            notify(&states);
        }
    }
}

fn progress(view: &View, counts: &Counts) -> String {
    let of = view.planned_records.map(|planned| format!(" of {planned}")).unwrap_or_default();
    let (acknowledged, failed) = (counts.total_acknowledged(), counts.total_failed());
    let waiting = counts.total_in_flight();
    format!("{acknowledged}{of} records acknowledged, {waiting} waiting, {failed} failed")
}

fn extension(wait: Duration) -> u32 {
    let micros = (wait + TIMEOUT_MARGIN).as_micros();
    u32::try_from(micros).unwrap_or(u32::MAX)
}

fn notify(states: &[NotifyState<'_>]) {
    // If the socket is missing or bogus, the run goes on; a log line a second would help nobody.
    let _nobody_listens = sd_notify::notify(states);
}

/// Tells systemd how a run ended, within a time limit.
pub fn last_words(status: &str, errno: Option<u32>) {
    let status = status.replace('\n', " ");
    briefly(move || say_last(&status, errno));
}

/// Extends the start timeout for a wait after the run.
pub fn ask_for_time(status: &'static str, wait: Duration) {
    briefly(move || {
        notify(&[NotifyState::Status(status), NotifyState::ExtendTimeoutUsec(extension(wait))]);
    });
}

fn briefly(say: impl FnOnce() + Send + 'static) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        let _late = apart::briefly(LAST_WORDS, say);
    }
}

fn say_last(status: &str, errno: Option<u32>) {
    let errno = errno.map(NotifyState::Errno);
    notify(&[NotifyState::Status(status)].into_iter().chain(errno).collect::<Vec<_>>());
}
