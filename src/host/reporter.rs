//! Shows the progress of a run: a bar on a terminal, `STATUS=` and the start timeout for systemd.
//!
//! One thread does all of it, from the counts. A missing, full or bogus notify socket, or a blocked
//! terminal, never delays the run.

pub(crate) mod bar;
mod progress;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::info;

use super::{apart, terminal};
use crate::delivery::Counts;
pub(super) use bar::without as without_bar;

/// How often systemd gets the status.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// How often the log has a line of it, where there is neither terminal nor systemd.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How much longer than the delivery timeout the start timeout becomes. A run without progress ends
/// by itself within it.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(15);

/// A run that is later than this with a pair is behind schedule.
const LATE: Duration = Duration::from_secs(2);

/// How long the end of a run waits for a full notify socket.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The state of the run's schedule, which tells waiting from hanging.
#[derive(Debug, Default)]
pub struct ScheduleState {
    begun: OnceLock<Instant>,
    due: Mutex<Option<Instant>>,
    stopping: AtomicBool,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for the cluster.
    Connecting,
    /// It has been sending since then.
    Sending(Instant),
    /// It was asked to stop.
    Stopping,
}

impl ScheduleState {
    /// The run begins to send.
    pub fn begins(&self, now: Instant) {
        let _earlier = self.begun.set(now);
    }

    /// The run waits for a pair that is scheduled then; `None` while it does not wait.
    pub fn waits_until(&self, due: Option<Instant>) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    /// The run was asked to stop: it waits only for the records in flight.
    pub fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.begun.get() {
            _ if self.stopping.load(Ordering::Relaxed) => Phase::Stopping,
            Some(since) => Phase::Sending(*since),
            None => Phase::Connecting,
        }
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
    /// When the run was started.
    pub started: Instant,
    /// The servers that are asked first.
    pub servers: String,
    /// How long the cluster may take to get ready.
    pub connect_within: Duration,
    /// Mean time between pairs, if the run waits for it.
    pub gap: Option<Duration>,
    /// How long the run is to send, if that is bounded.
    pub duration: Option<Duration>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("planned_records", &self.planned_records)
            .finish_non_exhaustive()
    }
}

/// Who is shown the progress, beside systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Terminal,
    Systemd,
    Log,
}

/// Whether the log is to have a line again.
#[derive(Debug)]
struct Lines {
    next: Instant,
}

impl Lines {
    fn since(start: Instant) -> Self {
        Self { next: start + LINE_EVERY }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            // After a stop of the process, one line makes up for all.
            self.next = now + LINE_EVERY;
        }
        is_due
    }
}

/// What the reporting thread is told.
enum Message {
    /// stderr is somebody else's from now on.
    ClearBar,
    /// The last status of a run for systemd.
    Last { status: String, errno: Option<u32> },
}

/// The reporting thread, if anybody listens.
#[derive(Debug)]
pub struct Reporter {
    thread: Option<(SyncSender<Message>, Receiver<()>)>,
}

impl Reporter {
    /// Starts to report.
    #[must_use]
    pub fn start(view: View) -> Self {
        let on_terminal = terminal::can_redraw();
        let to = match (on_terminal, std::env::var_os("NOTIFY_SOCKET").is_some()) {
            (true, _) => To::Terminal,
            (_, true) => To::Systemd,
            _ => To::Log,
        };
        // Two messages, and an answer to each: nobody waits for a thread that a terminal blocks.
        let (last, inbox) = sync_channel(2);
        let (done, written) = sync_channel(2);
        let work = move || report(&view, &inbox, &done, to);
        let thread = std::thread::Builder::new().name("report".into()).spawn(work);
        Self { thread: thread.is_ok().then_some((last, written)) }
    }

    /// Removes the bar for good.
    pub fn clear_bar(&self) {
        self.tell(Message::ClearBar);
    }

    /// Removes the bar, and sends `status` to systemd as the last one.
    pub fn finish(self, status: &str, errno: Option<u32>) {
        self.tell(Message::Last { status: status.replace('\n', " "), errno });
    }

    fn tell(&self, message: Message) {
        let Some((messages, done)) = &self.thread else { return };
        if messages.try_send(message).is_ok() {
            let _late = done.recv_timeout(LAST_WORDS);
        }
    }
}

fn report(view: &View, inbox: &Receiver<Message>, done: &SyncSender<()>, mut to: To) {
    let every = if to == To::Terminal { BAR_EVERY } else { STATUS_EVERY };
    let mut has_bar = to == To::Terminal;
    let mut lines = Lines::since(view.started);
    let mut reported_at = Instant::now();
    let (mut acknowledged, mut stopping) = (0, false);
    let more_time = || NotifyState::ExtendTimeoutUsec(extension(view.delivery_timeout));
    // Once, because the cluster can be silent for longer than the unit's timeout.
    notify(&[NotifyState::Status("connecting"), more_time()]);
    loop {
        match inbox.recv_timeout(every) {
            Ok(message) => {
                has_bar = false;
                to = if to == To::Log { To::Systemd } else { to };
                bar::clear();
                let last = matches!(message, Message::Last { .. });
                if let Message::Last { status, errno } = message {
                    say_last(&status, errno);
                }
                let _nobody_waits = done.try_send(());
                if last {
                    return;
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let counts = (view.counts)();
        let now = Instant::now();
        if has_bar {
            bar::draw(|columns| progress::line(view, &counts, now, columns));
        } else if to == To::Log && lines.is_due(now) {
            info!("{}", progress::text(view, &counts, now, usize::MAX));
        }
        if now.duration_since(reported_at) >= STATUS_EVERY {
            reported_at = now;
            let moved = counts.total_acknowledged() > acknowledged;
            acknowledged = counts.total_acknowledged();
            let waiting = counts.total_in_flight() == 0 && view.schedule.is_waiting(now);
            // Once more for the wait that follows a signal.
            let stops = !stopping && view.schedule.stopping.load(Ordering::Relaxed);
            stopping |= stops;
            let status = progress::status(view, &counts);
            let mut states = vec![NotifyState::Status(&status)];
            if moved || waiting || stops {
                states.push(more_time());
            }
            notify(&states);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_line_every_thirty_seconds() {
        let start = Instant::now();
        let mut lines = Lines::since(start);
        let due: Vec<_> =
            (1..=100).filter(|s| lines.is_due(start + Duration::from_secs(*s))).collect();
        assert_eq!(due, [30, 60, 90]);
        assert!(lines.is_due(start + Duration::from_secs(1_000)), "after a stop");
        assert!(!lines.is_due(start + Duration::from_secs(1_001)));
    }
}
