//! Nothing outside can hang the program or silence it: pipes that nobody reads, signals.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cluster::Cluster;
use crate::common::{Finished, Producer, nobody};
use crate::notify::NotifySocket;
use serde_json::Value;

/// As much as a pipe holds.
const PIPE: usize = 65_536;

/// A pipe that takes no byte more, and its reader.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'.'; PIPE]).unwrap();
    (reader, writer)
}

/// A FIFO that lives as long as the run.
fn fifo(producer: &Producer) -> PathBuf {
    let path = producer.directory().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[track_caller]
fn ends_with(finished: &Finished, end: &str) {
    let last = finished.stderr.lines().last().unwrap_or_default();
    assert!(last.ends_with(end), "{end:?} does not end:\n{}", finished.stderr);
}

const SUMMARY: &str = "40 of 40 planned records delivered";

#[test]
fn a_reader_that_waits_for_the_report_from_the_start_gets_it() {
    let cluster = Cluster::start();
    let producer = cluster.run();
    let fifo = fifo(&producer);
    let cat = Command::new("cat").arg(&fifo).stdout(Stdio::piped()).spawn().unwrap();
    let finished = producer.set("REPORT_FILE", &fifo).finish();
    ends_with(finished.exits(0), "exit 0 (SUCCESS)");
    let read = cat.wait_with_output().unwrap().stdout;
    let report: Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(report["outcome"], "delivered");
}

#[test]
fn a_settings_file_that_is_a_fifo_is_refused_and_not_waited_for() {
    let producer = Producer::run(&nobody());
    let fifo = fifo(&producer);
    let finished = producer.set("VM4_PRODUCER_ENV", &fifo).finish();
    finished.exits(66).says(&format!("cannot read {}", fifo.display()));
    finished.says("it is a FIFO; expected a file; exit 66 (NOINPUT)");
}

#[test]
fn settings_can_come_through_a_pipe_that_is_open() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut producer = Producer::run(&nobody()).set("VM4_PRODUCER_ENV", "/dev/stdin");
    producer.command().stdin(Stdio::from(reader));
    let running = producer.start();
    // It waits for whoever writes, as for the end of `<(command)`.
    writer.write_all(b"BATCH=0\n").unwrap();
    drop(writer);
    running.finish().exits(0).says("0 of 0 planned records delivered");
}

#[test]
fn a_report_that_nobody_opens_is_given_up_after_the_summary() {
    let cluster = Cluster::start();
    let producer = cluster.run().set("DELIVERY_TIMEOUT_SEC", "3");
    let fifo = fifo(&producer);
    let finished = producer.set("REPORT_FILE", &fifo).finish();
    finished.exits(74).says(&format!("{SUMMARY} in ")).says("exit 0 (SUCCESS)\n");
    let why = "nobody took it within 3 s; exit 74 (IOERR)";
    ends_with(&finished, &format!("ERROR REPORT_FILE: no report in {}: {why}", fifo.display()));
}

#[test]
fn a_signal_ends_the_wait_for_a_reader_of_the_report() {
    let cluster = Cluster::start();
    for name in ["TERM", "INT", "HUP"] {
        let producer = cluster.run().set("DELIVERY_TIMEOUT_SEC", "300");
        let fifo = fifo(&producer);
        let running = producer.set("REPORT_FILE", &fifo).start();
        running.until_it_says(SUMMARY);
        running.signal(name);
        ends_with(
            running.finish().exits(74),
            &format!("/fifo: SIG{name} ended the wait; exit 74 (IOERR)"),
        );
    }
}

#[test]
fn a_report_into_a_pipe_that_nobody_reads_is_given_up_after_the_summary() {
    let cluster = Cluster::start();
    let (_unread, pipe) = full_pipe();
    let mut producer = cluster.run().set("REPORT_FILE", "-").set("DELIVERY_TIMEOUT_SEC", "3");
    producer.command().stdout(pipe);
    let finished = producer.finish();
    finished.exits(74).says(SUMMARY);
    ends_with(&finished, "REPORT_FILE: no report in -: nobody took it within 3 s; exit 74 (IOERR)");
}

#[test]
fn a_signal_ends_the_wait_for_a_pipe_to_take_the_report() {
    let cluster = Cluster::start();
    let (_unread, pipe) = full_pipe();
    let mut producer = cluster.run().set("REPORT_FILE", "-").set("DELIVERY_TIMEOUT_SEC", "300");
    producer.command().stdout(pipe);
    let running = producer.start();
    running.until_it_says(SUMMARY);
    running.signal("TERM");
    ends_with(running.finish().exits(74), "-: SIGTERM ended the wait; exit 74 (IOERR)");
}

#[test]
fn a_late_reader_gets_the_whole_report() {
    let cluster = Cluster::start();
    let (mut reader, pipe) = full_pipe();
    let mut producer = cluster.run().set("REPORT_FILE", "-").set("DELIVERY_TIMEOUT_SEC", "300");
    producer.command().stdout(pipe);
    let running = producer.start();
    running.until_it_says(SUMMARY);
    let reading = std::thread::spawn(move || {
        let mut bytes = vec![0; PIPE];
        reader.read_exact(&mut bytes).unwrap();
        // The test holds no other end of the pipe once the run has started.
        let mut report = Vec::new();
        let mut byte = [0];
        while serde_json::from_slice::<Value>(&report).is_err() {
            reader.read_exact(&mut byte).unwrap();
            report.extend(byte);
        }
        report
    });
    ends_with(running.finish().exits(0), "exit 0 (SUCCESS)");
    let report: Value = serde_json::from_slice(&reading.join().unwrap()).unwrap();
    assert_eq!(report["outcome"], "delivered");
}

#[test]
fn systemd_hears_last_that_nobody_took_the_report() {
    let cluster = Cluster::start();
    let producer = cluster.run().set("DELIVERY_TIMEOUT_SEC", "3");
    let (fifo, systemd) = (fifo(&producer), NotifySocket::bind(producer.directory()));
    let producer = producer.set("REPORT_FILE", &fifo).set("NOTIFY_SOCKET", systemd.path());
    producer.finish().exits(74);
    let messages = systemd.waiting();
    let asked = "STATUS=waiting for somebody to take the report\nEXTEND_TIMEOUT_USEC=18000000\n";
    assert!(messages.iter().any(|message| message == asked), "{messages:?}");
    let last = messages.last().unwrap();
    assert!(last.starts_with("STATUS=REPORT_FILE: no report in "), "{last}");
    assert!(last.ends_with(" within 3 s; exit 74 (IOERR)\nERRNO=5\n"), "{last}");
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_summary_as_it_is() {
    let cluster = Cluster::start();
    let finished = cluster.run().set("REPORT_FILE", "/dev/full").finish();
    finished.exits(74).says("exit 0 (SUCCESS)\n");
    let why = "No space left on device (os error 28)";
    ends_with(&finished, &format!("REPORT_FILE: no report in /dev/full: {why}; exit 74 (IOERR)"));
}

#[test]
fn a_run_that_went_wrong_keeps_its_exit_code_without_a_report() {
    let producer = Producer::run(&nobody()).set("DELIVERY_TIMEOUT_SEC", "2");
    let finished = producer.set("REPORT_FILE", "/dev/full").finish();
    finished.exits(69).says("no broker answered");
    ends_with(&finished, "No space left on device (os error 28); exit 69 (UNAVAILABLE)");
}

#[test]
fn a_report_to_a_closed_stdout_is_refused_before_anything_is_sent() {
    let producer = Producer::run(&nobody()).set("REPORT_FILE", "-");
    let finished = producer.after("exec >&-;").finish();
    finished
        .exits(78)
        .says("REPORT_FILE: \"-\" from the environment is not valid: stdout is closed");
    let cluster = Cluster::start();
    let producer = cluster.run().set("REPORT_FILE", "-");
    producer.after("exec >/dev/null;").finish().exits(0).says(SUMMARY);
}

#[test]
fn a_report_goes_to_where_a_link_leads() {
    let cluster = Cluster::start();
    let producer = cluster.run();
    let (old, link) = (producer.file("report.json", "{}"), producer.directory().join("link"));
    std::os::unix::fs::symlink(&old, &link).unwrap();
    let finished = producer.set("REPORT_FILE", &link).finish();
    assert_eq!(finished.exits(0).report()["outcome"], "delivered");
    let stdout = cluster.run().set("REPORT_FILE", "/proc/self/fd/1").finish();
    let report: Value = serde_json::from_str(&stdout.exits(0).stdout).unwrap();
    assert_eq!(report["outcome"], "delivered");
}

#[test]
fn an_error_of_the_command_line_does_not_wait_for_a_reader() {
    for (args, code) in [(&["--no-such-flag"][..], 64), (&["--batch", "x"], 78), (&["rum"], 64)] {
        let (_unread, pipe) = full_pipe();
        let mut producer = Producer::new(args);
        producer.command().stderr(pipe);
        producer.finish().exits(code);
    }
}

#[test]
fn a_signal_ends_a_demo_that_nobody_reads() {
    for (name, end) in [("TERM", "exit 143 (SIGTERM)"), ("INT", "exit 130 (SIGINT)")] {
        let (_unread, pipe) = full_pipe();
        let mut producer = Producer::new(["demo", "--batch", "1000"]);
        producer.command().stdout(pipe);
        let running = producer.set("RUST_LOG", "vm4_producer=debug").start();
        running.until_it_says("2000 records came back");
        running.signal(name);
        let finished = running.finish();
        finished.exits(if name == "INT" { 130 } else { 143 }).says("2000 of 2000");
        ends_with(&finished, &format!("SIG{name} ended the printing; {end}"));
    }
}

#[test]
fn a_demo_that_cannot_print_says_so_last() {
    let mut producer = Producer::new(["demo"]);
    producer.command().stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let finished = producer.finish();
    finished.exits(74).says("10 of 10 planned records delivered");
    let why = "No space left on device (os error 28)";
    ends_with(&finished, &format!("cannot write to stdout: {why}; exit 74 (IOERR)"));
}

#[test]
fn a_hangup_stops_a_run_as_sigterm_does() {
    let cluster = Cluster::start();
    let running = cluster.run().set("SLEEP_SEC", "0.02").set("BATCH", "100000").start();
    running.until_it_says("sending 100000 pairs");
    running.signal("HUP");
    let finished = running.finish();
    finished.exits(143);
    ends_with(&finished, "; stopped by SIGHUP; exit 143 (SIGTERM)");
    assert_eq!(finished.sum("generated"), finished.sum("acknowledged"));
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let cluster = Cluster::start();
    let producer = cluster.run().set("SLEEP_SEC", "0.05");
    let running = producer.after("trap '' HUP;").start();
    running.until_it_says("sending 20 pairs");
    running.signal("HUP");
    running.finish().exits(0).says(SUMMARY);
}
