//! The log: nothing is lost without a word, and the summary is its last line, whoever reads it.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::cluster::Cluster;
use crate::common::{Producer, nobody};
use crate::notify::NotifySocket;

const DELIVERED: &str = "40 of 40 planned records delivered";

/// Rows of a seed that warns of each but the first.
const ROWS: usize = 5_000;

/// A row of a seed for a GPU of this name.
fn row(name: &str) -> String {
    format!(
        r#"{{"gpu_index": 0, "name": "{name}", "utilization": 0.5, "mem_used_mb": 1000,
            "mem_total_mb": 23034, "power_w": 60, "price_per_hour_usd": 0.7}}"#
    )
}

/// A run of no pairs with these rows.
fn seeded(rows: &[String]) -> Producer {
    let producer = Producer::run(&nobody()).set("BATCH", "0");
    let seed = producer.file("seed.json", format!("[{}]", rows.join(",")));
    producer.set("GPU_SEED", seed)
}

/// A run that warns of more than the log keeps waiting.
fn talkative() -> Producer {
    seeded(&vec![row("NVIDIA L4"); ROWS])
}

/// Warnings that were dropped, as the log counts them.
fn dropped_warnings(log: &str) -> usize {
    let counts = log.lines().filter_map(|line| line.split_once(" log lines dropped ("));
    let warnings = counts.filter_map(|(_, counts)| {
        let (before, _) = counts.split_once(" WARN")?;
        before.rsplit(' ').next()?.trim_start_matches('(').parse::<usize>().ok()
    });
    warnings.sum()
}

/// Every warning is in the log or in its count of what is not, and the summary is the last line.
#[track_caller]
fn whole(log: &str) {
    let shown = log.lines().filter(|line| line.contains("share gpu_index 0")).count();
    assert_eq!(shown + dropped_warnings(log), ROWS - 1, "{shown} are shown");
    ends_with_the_summary(log, "0 of 0 planned records delivered");
}

#[track_caller]
fn ends_with_the_summary(log: &str, summary: &str) {
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains(summary), "the last line is {last:?}");
}

#[test]
fn every_log_line_is_written_or_counted() {
    let finished = talkative().finish();
    whole(&finished.exits(0).stderr);
}

#[test]
fn a_reader_that_comes_when_the_process_is_gone_finds_the_summary_and_what_was_dropped() {
    let (mut unread, pipe) = std::io::pipe().unwrap();
    let mut producer = talkative();
    producer.command().stderr(Stdio::from(pipe));
    producer.finish().exits(0);
    let mut log = String::new();
    unread.read_to_string(&mut log).unwrap();
    whole(&log);
    assert!(dropped_warnings(&log) > 0, "a pipe holds fewer lines");
}

#[test]
fn a_reader_that_comes_after_the_summary_was_due_still_gets_it() {
    let (mut unread, socket) = UnixStream::pair().unwrap();
    let mut producer = talkative();
    let report = producer.directory().join("report.fifo");
    assert!(Command::new("mkfifo").arg(&report).status().unwrap().success());
    let systemd = NotifySocket::bind(producer.directory());
    producer.command().stderr(Stdio::from(OwnedFd::from(socket)));
    let producer = producer.set("NOTIFY_SOCKET", systemd.path()).set("REPORT_FILE", &report);
    let running = producer.start();
    while !systemd.next().contains("exit 0") {}
    let reader = std::thread::spawn(move || {
        let mut log = String::new();
        unread.read_to_string(&mut log).unwrap();
        log
    });
    fs::read(&report).unwrap();
    running.finish().exits(0);
    let log = reader.join().unwrap();
    whole(&log);
    assert!(dropped_warnings(&log) > 0, "a socket holds fewer lines");
}

#[test]
fn the_line_of_a_long_seed_names_a_few_gpus_and_counts_the_rest() {
    let finished = talkative().finish();
    let line = finished.stderr.lines().find(|line| line.contains("INFO seed file: ")).unwrap();
    assert!(line.ends_with(" and 4992 more") && line.len() < 1_000, "{line}");
}

#[test]
fn a_long_line_is_cut_and_says_how_much_is_missing() {
    let finished = seeded(&[row(&"é".repeat(9_000))]).finish();
    let line = finished.exits(0).stderr.lines().next().unwrap();
    assert!(line.ends_with(" more bytes]") && line.len() < 8_300, "{} bytes: {line}", line.len());
}

/// A run whose client library says all it can.
fn debugged(cluster: &Cluster) -> Producer {
    cluster.run().set("RDKAFKA_DEBUG", "all").set("RUST_LOG", "debug")
}

#[test]
fn the_summary_is_the_last_line_also_when_the_client_library_says_all_it_can() {
    let finished = debugged(&Cluster::start()).finish();
    finished.exits(0).says("DEBUG MSGSET");
    ends_with_the_summary(&finished.stderr, DELIVERED);
}

#[test]
fn only_an_error_of_the_process_follows_the_summary() {
    let finished = debugged(&Cluster::start()).set("REPORT_FILE", "/dev/full").finish();
    let (_, behind) = finished.exits(74).stderr.split_once(DELIVERED).unwrap();
    let behind: Vec<_> = behind.lines().skip(1).collect();
    assert_eq!(behind.len(), 1, "{behind:?}");
    assert!(behind[0].starts_with("ERROR REPORT_FILE: no report in /dev/full"), "{behind:?}");
}

#[test]
fn a_run_that_fails_in_its_settings_ends_with_a_summary_too() {
    let finished = Producer::run(&nobody()).set("BATCH", "many").finish();
    assert_eq!(
        finished.exits(78).stderr,
        "ERROR nothing was sent: BATCH: \"many\" from the environment is not valid: expected a \
         whole number from 0 to 1000000000000; exit 78 (CONFIG)\n"
    );
    let finished = Producer::run(&nobody()).set("BATCH", "many").set("SLEEP_SEC", "-1").finish();
    let lines: Vec<_> = finished.exits(78).stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("ERROR BATCH: ") && lines[1].starts_with("ERROR SLEEP_SEC: "));
    assert!(lines[2].starts_with("ERROR nothing was sent: BATCH: "), "{}", lines[2]);
    assert!(lines[2].ends_with(" (and 1 more above); exit 78 (CONFIG)"), "{}", lines[2]);
}

#[test]
fn what_is_no_run_has_no_summary() {
    let finished = Producer::new(["generate"]).set("BATCH", "many").finish();
    let said = &finished.exits(78).stderr;
    assert!(said.starts_with("ERROR BATCH: ") && !said.contains("nothing was sent"), "{said}");
}
