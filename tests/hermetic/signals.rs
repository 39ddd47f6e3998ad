//! Every command ends on a stop signal, whatever it waits for or works on.
//!
//! A command that does not is killed by the test's own limit, and fails it.

use std::io::{PipeReader, PipeWriter, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::common::{Producer, Running};
use crate::process::{eventually, install};

/// A full pipe, as if its reader was stopped, and both of its ends.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'.'; 1 << 16]).unwrap();
    (reader, writer)
}

fn fifo(producer: &Producer) -> std::path::PathBuf {
    let path = producer.directory().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Waits until the process waits for something, as far as the kernel tells.
fn until_it_waits(running: &Running) {
    let stat = format!("/proc/{}/stat", running.pid());
    eventually("a sleeping process", || {
        let stat = std::fs::read_to_string(&stat).ok()?;
        stat.rsplit(')').next()?.trim_start().starts_with('S').then_some(())
    });
}

/// Sends the signal, and fails unless the command ends with its exit code.
#[track_caller]
fn ends_on(running: Running, signal: &str) {
    running.signal(signal);
    running.finish().exits(if signal == "INT" { 130 } else { 143 });
}

const SIGNALS: [&str; 2] = ["INT", "TERM"];

/// What a command says when it has read the seed, to whoever wants to know that much.
const HAS_SEED: &str = "seed file: ";
const DEBUG: &str = "vm4_producer=debug";

#[test]
fn verify_ends_while_it_waits_for_a_line() {
    for signal in SIGNALS {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut producer =
            Producer::new(["verify", "--run", "r", "--run-seed", "5", "--input", "-"]);
        producer.command().stdin(reader);
        let running = producer.set("RUST_LOG", DEBUG).start();
        running.until_it_says(HAS_SEED);
        until_it_waits(&running);
        ends_on(running, signal);
        drop(writer);
    }
}

#[test]
fn verify_ends_while_it_counts_what_is_missing() {
    for signal in SIGNALS {
        let args = ["verify", "--run", "r", "--run-seed", "5", "--batch", "1000000000000"];
        let mut producer = Producer::new(args);
        let empty = producer.file("empty.ndjson", "");
        producer.command().arg("--input").arg(empty);
        let running = producer.set("RUST_LOG", DEBUG).start();
        running.until_it_says(HAS_SEED);
        ends_on(running, signal);
    }
}

#[test]
fn a_command_ends_while_a_server_says_nothing() {
    // It accepts, in the queue of the kernel, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let verify = ["verify", "--run", "r", "--run-seed", "5", "--timeout", "100"];
    for (args, says) in [
        (&verify[..], HAS_SEED),
        (&["verify", "r", "--run-topic", "runs", "--timeout", "100"], ""),
        (&["run", "--delivery-timeout-sec", "100"], HAS_SEED),
        (&["egress"], ""),
        (&["doctor"], ""),
    ] {
        for signal in SIGNALS {
            let producer = Producer::new(args).set("KAFKA_BOOTSTRAP", &address);
            let running = producer.set("RUST_LOG", DEBUG).start();
            running.until_it_says(says);
            until_it_waits(&running);
            ends_on(running, signal);
        }
    }
}

#[test]
fn a_command_ends_while_nobody_takes_what_it_prints() {
    let large = ["--batch", "1000000", "--sleep-sec", "1"];
    let start = ["--event-start", "2026-01-01T00:00:00Z", "--run-seed", "1"];
    let key = tempfile::tempdir().unwrap();
    let key = key.path().join("key.ndjson");
    let with_key = ["--answer-key", key.to_str().unwrap()];
    for args in [
        [&["generate"][..], &large].concat(),
        [&["generate"][..], &large, &with_key].concat(),
        [&["expect", "--window", "1s"][..], &large, &start].concat(),
        vec!["man"],
        vec!["completions", "bash"],
        vec!["schema", "report.v1"],
    ] {
        for signal in SIGNALS {
            let (_unread, pipe) = full_pipe();
            let mut producer = Producer::new(&args);
            producer.command().stdout(pipe);
            let running = producer.start();
            until_it_waits(&running);
            ends_on(running, signal);
        }
    }
}

#[test]
fn what_was_to_be_an_answer_key_leaves_nothing_when_the_process_ends_before_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.ndjson");
    for signal in ["INT", "TERM", "KILL"] {
        // The events that nobody takes keep it from its end.
        let (_unread, pipe) = full_pipe();
        let mut producer = Producer::new(["generate", "--batch", "1000000", "--sleep-sec", "1"]);
        producer.command().stdout(pipe);
        let running = producer.set("ANSWER_KEY", &key).set("FAULTS", "late=0.5").start();
        until_it_waits(&running);
        running.signal(signal);
        let state = format!("/proc/{}/stat", running.pid());
        eventually("the end of the process", || {
            let state = std::fs::read_to_string(&state).unwrap_or_default();
            (state.is_empty() || state.contains(") Z")).then_some(())
        });
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert!(left.is_empty(), "{signal}: {left:?}");
    }
}

#[test]
fn generate_ends_while_nobody_takes_its_answer_key() {
    for signal in SIGNALS {
        let producer = Producer::new(["generate", "--batch", "3"]);
        let fifo = fifo(&producer);
        let running = producer.set("ANSWER_KEY", &fifo).set("RUST_LOG", DEBUG).start();
        running.until_it_says(HAS_SEED);
        until_it_waits(&running);
        ends_on(running, signal);
    }
}

#[test]
fn a_command_ends_while_nobody_writes_its_seed_file() {
    for command in ["run", "demo", "generate", "doctor"] {
        for signal in SIGNALS {
            let producer = Producer::new([command]).set("KAFKA_BOOTSTRAP", "127.0.0.1:1");
            let fifo = fifo(&producer);
            let running = producer.set("GPU_SEED", &fifo).start();
            until_it_waits(&running);
            ends_on(running, signal);
        }
    }
}

/// A journalctl that never answers, in this directory.
fn silent_journalctl(directory: &Path) {
    install(&directory.join("journalctl"), "#!/bin/sh\nexec sleep 1000\n");
}

#[test]
fn history_and_metrics_end_while_the_journal_says_nothing() {
    for command in ["history", "metrics"] {
        for signal in SIGNALS {
            let producer = Producer::new([command]);
            silent_journalctl(producer.directory());
            let path = std::env::join_paths(
                std::iter::once(producer.directory().to_owned())
                    .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
            );
            let running = producer.set("PATH", path.unwrap()).start();
            until_it_waits(&running);
            let child = eventually("journalctl", || {
                let pid = running.pid();
                let path = format!("/proc/{pid}/task/{pid}/children");
                let text = std::fs::read_to_string(path).ok()?;
                text.split_whitespace().next().map(str::to_owned)
            });
            ends_on(running, signal);
            let _gone = Command::new("kill").arg(child).status();
        }
    }
}

#[test]
fn both_readers_get_all_whichever_comes_first() {
    for first_the_events in [true, false] {
        let producer = Producer::new(["generate", "--batch", "3"]);
        let fifo = fifo(&producer);
        let (events, pipe) = std::io::pipe().unwrap();
        let mut producer = producer.set("ANSWER_KEY", &fifo);
        producer.command().stdout(pipe);
        let running = producer.start();
        // The test holds the other end of the pipe no longer than the command does.
        let read_events = move || std::io::read_to_string(events).unwrap();
        let read_key = || std::fs::read_to_string(&fifo).unwrap();
        let (events, key) = if first_the_events {
            let events = read_events();
            (events, read_key())
        } else {
            let key = read_key();
            (read_events(), key)
        };
        running.finish().exits(0);
        assert_eq!((events.lines().count(), key.lines().count()), (6, 8), "{key}");
    }
}
