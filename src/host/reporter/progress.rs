//! Where a run is, in words that fit a line.

use std::time::{Duration, Instant};

use super::{Phase, View};
use crate::delivery::Counts;
use crate::host::terminal;

/// Columns of the bar itself.
const BAR: usize = 20;

/// The status for systemd.
pub(super) fn status(view: &View, counts: &Counts) -> String {
    let of = view.planned_records.map(|planned| format!(" of {planned}")).unwrap_or_default();
    let (acknowledged, failed) = (counts.total_acknowledged(), counts.total_failed());
    let waiting = counts.total_in_flight();
    format!("{acknowledged}{of} records acknowledged, {waiting} waiting, {failed} failed")
}

/// The line for a terminal of so many columns: a bar where there is room, and the text.
pub(super) fn line(view: &View, counts: &Counts, now: Instant, columns: usize) -> String {
    let text = text(view, counts, now, columns);
    let Phase::Sending(since) = view.schedule.phase() else { return text };
    let elapsed = now.saturating_duration_since(since);
    match share(view, counts.total_acknowledged(), elapsed) {
        Some(share) if text.chars().count() + BAR < columns => format!("{} {text}", bar(share)),
        _ => text,
    }
}

/// Where the run is, in so many columns.
pub(super) fn text(view: &View, counts: &Counts, now: Instant, columns: usize) -> String {
    let waiting = counts.total_in_flight();
    match view.schedule.phase() {
        Phase::Connecting => {
            let so_far = now.saturating_duration_since(view.started).as_secs();
            let within = view.connect_within.as_secs();
            let times = format!("({so_far} s of {within} s)");
            let text = format!("connecting to {} {times}", view.servers);
            if text.chars().count() <= columns { text } else { format!("connecting {times}") }
        }
        Phase::Stopping => {
            fitting(columns, &[&format!("stopping, {waiting} waiting"), "; Ctrl-C ends the wait"])
        }
        Phase::Sending(since) => {
            sending(view, counts, now.saturating_duration_since(since), columns)
        }
    }
}

fn sending(view: &View, counts: &Counts, elapsed: Duration, columns: usize) -> String {
    let (acknowledged, failed) = (counts.total_acknowledged(), counts.total_failed());
    let of = view.planned_records.map(|planned| format!("/{planned}")).unwrap_or_default();
    let count = format!("{acknowledged}{of} records");
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let rate = format!(", {:.0}/s", acknowledged as f64 / elapsed.as_secs_f64().max(0.1));
    let left = left(view, counts, elapsed);
    let left = left.map(|left| format!(", {} left", words(left))).unwrap_or_default();
    fitting(columns, &[&count, &failed, &left, &rate])
}

/// The parts one after another, as many as fit.
fn fitting(columns: usize, parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        if text.chars().count() + part.chars().count() > columns && !text.is_empty() {
            break;
        }
        text.push_str(part);
    }
    text
}

/// How much of the run is done, 0 to 1.
fn share(view: &View, acknowledged: u64, elapsed: Duration) -> Option<f64> {
    let of_records =
        view.planned_records.map(|planned| acknowledged as f64 / planned.max(1) as f64);
    let of_time = view.duration.map(|whole| elapsed.as_secs_f64() / whole.as_secs_f64());
    of_records.or(of_time).map(|share| share.clamp(0.0, 1.0))
}

/// How long the run still takes: by its schedule, where it waits for that; else at the rate so far.
fn left(view: &View, counts: &Counts, elapsed: Duration) -> Option<Duration> {
    let by_duration = view.duration.map(|whole| whole.saturating_sub(elapsed));
    let Some(planned) = view.planned_records else { return by_duration };
    if let Some(gap) = view.gap {
        let pairs = planned.saturating_sub(counts.total_generated()).div_ceil(2);
        let by_schedule = gap.checked_mul(u32::try_from(pairs).unwrap_or(u32::MAX))?;
        return Some(by_duration.map_or(by_schedule, |left| left.min(by_schedule)));
    }
    let acknowledged = counts.total_acknowledged();
    let per_record = elapsed.as_secs_f64() / (acknowledged > 0).then_some(acknowledged as f64)?;
    Duration::try_from_secs_f64(per_record * planned.saturating_sub(acknowledged) as f64).ok()
}

fn bar(share: f64) -> String {
    let filled = (0..BAR).filter(|at| share * BAR as f64 > *at as f64).count();
    let (full, empty) = if terminal::is_utf8() { ("█", "░") } else { ("#", ".") };
    format!("{}{}", full.repeat(filled), empty.repeat(BAR - filled))
}

/// A duration in the two largest units that it has.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
