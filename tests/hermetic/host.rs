//! What listens to a run - systemd, journal, pipes, report file - hears the truth and cannot stop it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Producer, nobody};
use crate::notify::NotifySocket;

/// What systemd hears of a run, which exits with this code.
#[track_caller]
fn heard(producer: Producer, code: i32) -> Vec<String> {
    let systemd = NotifySocket::bind(producer.directory());
    producer.set("NOTIFY_SOCKET", systemd.path()).finish().exits(code);
    systemd.waiting()
}

#[test]
fn systemd_hears_of_progress_and_of_the_outcome_last() {
    let cluster = Cluster::start();
    let messages = heard(cluster.run().set("SLEEP_SEC", "0.1").set("BATCH", "25"), 0);
    assert_eq!(messages[0], "STATUS=connecting\nEXTEND_TIMEOUT_USEC=45000000\n");
    let progress = &messages[1];
    assert!(progress.contains(" of 50 records acknowledged, "), "{progress}");
    // The delivery timeout of 30 s, and 15 s within which the run ends by itself.
    assert!(progress.ends_with("\nEXTEND_TIMEOUT_USEC=45000000\n"), "{progress}");
    let last = messages.last().unwrap();
    assert!(last.starts_with("STATUS=50 of 50 planned records delivered in "), "{last}");
    assert!(last.ends_with("; exit 0 (SUCCESS)\n"), "{last}");
}

#[test]
fn a_run_that_makes_no_progress_asks_for_time_only_once_and_reports_an_error_number() {
    let messages = heard(Producer::run(&nobody()).set("DELIVERY_TIMEOUT_SEC", "3"), 69);
    assert!(messages.len() >= 3, "{messages:?}");
    // What its own timeout takes, and 15 s: systemd's may be shorter.
    assert_eq!(messages[0], "STATUS=connecting\nEXTEND_TIMEOUT_USEC=18000000\n");
    let asks = |message: &String| message.contains("EXTEND_TIMEOUT_USEC");
    assert!(!messages[1..].iter().any(asks), "{messages:?}");
    let last = messages.last().unwrap();
    assert!(last.contains("no broker answered") && last.ends_with("\nERRNO=113\n"), "{last}");
}

#[test]
fn a_run_that_is_stopped_asks_once_for_the_time_of_its_last_wait() {
    let cluster = Cluster::start();
    let producer = cluster.run().set("SLEEP_SEC", "0.02").set("BATCH", "100000");
    let producer = producer.set("DELIVERY_TIMEOUT_SEC", "5");
    let systemd = NotifySocket::bind(producer.directory());
    let running = producer.set("NOTIFY_SOCKET", systemd.path()).start();
    while !systemd.next().contains(" records acknowledged") {}
    // From here on no acknowledgement comes, so that nothing else asks for time.
    cluster.mock.broker_round_trip_time(1, Duration::from_secs(600)).unwrap();
    while systemd.next().contains("EXTEND_TIMEOUT_USEC") {}
    running.signal("TERM");
    running.finish().exits(74);
    let asked = systemd.waiting();
    let asked = asked.iter().filter(|m| m.ends_with("\nEXTEND_TIMEOUT_USEC=20000000\n"));
    assert_eq!(asked.count(), 1);
}

#[test]
fn systemd_hears_of_a_wrong_setting_too() {
    assert_eq!(
        heard(Producer::run(&nobody()).set("BATCH", "-1"), 78),
        ["STATUS=nothing was sent: BATCH: \"-1\" from the environment is not valid: expected a \
          whole number from 0 to 1000000000000; exit 78 (CONFIG)\nERRNO=22\n"]
    );
}

#[test]
fn a_notify_socket_that_is_absent_or_a_lie_stops_nothing() {
    let cluster = Cluster::start();
    for path in ["/no/such/socket", "/dev/null", "relative", "@abstract", ""] {
        cluster.run().set("NOTIFY_SOCKET", path).finish().exits(0);
    }
}

/// Fills a datagram socket that nobody reads.
fn fill(path: &std::path::Path) {
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(path).unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send(b"full").is_ok() {}
}

#[test]
fn a_notify_socket_that_is_full_stops_nothing() {
    let cluster = Cluster::start();
    let producer = cluster.run().set("SLEEP_SEC", "0.1");
    let systemd = NotifySocket::bind(producer.directory());
    fill(systemd.path());
    let finished = producer.set("NOTIFY_SOCKET", systemd.path()).finish();
    finished.exits(0).says("40 of 40");
    assert!(systemd.waiting().iter().all(|message| message == "full"));
}

#[test]
fn a_journal_that_is_a_lie_leaves_the_log_on_stderr() {
    let cluster = Cluster::start();
    for stream in ["1:2", "", "x"] {
        cluster.run().set("JOURNAL_STREAM", stream).finish().exits(0).says("40 of 40");
    }
}

#[test]
fn a_log_pipe_that_nobody_reads_stops_nothing() {
    let cluster = Cluster::start();
    let (_unread, mut pipe) = std::io::pipe().unwrap();
    // As much as a pipe holds: the next byte would block.
    pipe.write_all(&[b'.'; 65_536]).unwrap();
    let mut producer = cluster.run();
    producer.command().stderr(Stdio::from(pipe));
    let finished = producer.finish();
    finished.exits(0);
    assert_eq!(finished.report()["outcome"], "delivered");
}

#[test]
fn a_closed_log_stops_nothing() {
    let cluster = Cluster::start();
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    let mut producer = cluster.run();
    producer.command().stderr(Stdio::from(pipe));
    assert_eq!(producer.finish().exits(0).report()["outcome"], "delivered");
}

#[test]
fn the_report_replaces_an_older_one_as_a_whole() {
    let cluster = Cluster::start();
    let producer = cluster.run();
    let older = "{\"old\": true}";
    let mut opened = fs::File::open(producer.file("report.json", older)).unwrap();
    let finished = producer.finish();
    assert_eq!(finished.exits(0).report()["outcome"], "delivered");
    let mut read = String::new();
    opened.read_to_string(&mut read).unwrap();
    assert_eq!(read, older, "whoever has the older one open reads it to its end");
}

#[test]
fn the_report_is_written_on_failure_too() {
    let producer = Producer::run(&nobody());
    let seed = producer.file("seed.json", "[]");
    let finished = producer.set("GPU_SEED", seed).finish();
    finished.exits(65);
    let report = finished.report();
    assert_eq!((&report["outcome"], &report["exit_code"]), (&"no-seed".into(), &65.into()));
    assert!(report["reason"].as_str().unwrap().contains("the array is empty"), "{report}");
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error_and_no_death() {
    let kept = tempfile::tempdir().unwrap();
    let limited = |arguments: &str, file: &str| {
        let program = crate::common::program();
        let script = format!("ulimit -f 1; exec {} {arguments}", program.display());
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", &script]).env_clear().env("VM4_PRODUCER_ENV", "/dev/null");
        let output = shell.output().expect("bash");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(74), "{arguments}: {said}");
        assert!(said.contains("File too large (os error 27)"), "{arguments}: {said}");
        let left: Vec<_> = fs::read_dir(kept.path()).unwrap().flatten().collect();
        assert!(left.iter().all(|entry| entry.file_name() == file), "{left:?}");
    };
    let path = |name: &str| kept.path().join(name).display().to_string();
    limited(&format!("demo --report-file {}", path("report.json")), "report.json");
    let faults = "--faults drop=0.5 --batch 500";
    limited(&format!("demo {faults} --answer-key {}", path("key.ndjson")), "key.ndjson");
    limited(&format!("generate --batch 500 >{}", path("events.ndjson")), "events.ndjson");
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_is_sent() {
    let cluster = Cluster::start();
    for path in ["/no/such/directory/report.json", "/proc/report.json", "/"] {
        let finished = cluster.run().set("REPORT_FILE", path).finish();
        finished.exits(78).says(&format!("REPORT_FILE: \"{path}\" from the environment"));
        finished.says("expected a path in a directory that can be written");
        // Nobody knows the file by the name that it has while it is written.
        assert!(!finished.stderr.contains(".vm4-producer-"), "{}", finished.stderr);
    }
    let finished = cluster.run().set("REPORT_FILE", "/no/such/report.json").finish();
    finished.says("is not valid: No such file or directory (os error 2); expected a path in a");
    assert_eq!(cluster.read(TOPICS[0], usize::MAX), []);
}

#[test]
fn the_report_can_go_to_stdout_and_to_a_device() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("REPORT_FILE", "-").finish();
    let report: serde_json::Value = serde_json::from_str(&finished.exits(0).stdout).unwrap();
    assert_eq!(report["outcome"], "delivered");
    cluster.run().set("REPORT_FILE", "/dev/null").finish().exits(0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file(), "a device is written to, not replaced");
}

#[test]
fn there_is_no_progress_bar_without_a_terminal() {
    let cluster = Cluster::start();
    let finished = cluster.run().finish();
    assert!(!finished.stderr.contains('\r') && !finished.stderr.contains('\u{1b}'));
}
