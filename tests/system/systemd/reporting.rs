//! What a run tells the journal and systemd.

use super::{PROGRAM, machine, on_every_release, put_oneshot};
use crate::machine::{Machine, Release};

on_every_release! {
    the_summary_is_a_journal_entry_with_its_figures_as_fields,
    a_failed_run_says_why_in_the_status,
    a_run_longer_than_its_start_timeout_is_not_killed_while_it_makes_progress,
    a_journal_that_takes_nothing_stops_no_run,
}

/// The fixed id of the summary.
const SUMMARY: &str = vm4_producer::host::log::SUMMARY_MESSAGE_ID;

/// Makes the unit `producer`, which runs the program with these arguments.
fn put_producer(machine: &Machine, arguments: &str, lines: &str) {
    let lines = format!("NotifyAccess=main\nExecStart={PROGRAM} {arguments}\n{lines}");
    put_oneshot(machine, "producer", &lines);
}

fn the_summary_is_a_journal_entry_with_its_figures_as_fields(release: Release) {
    let machine = machine(release);
    // What the demo prints is no log.
    put_producer(&machine, "demo", "StandardOutput=null\nStandardError=journal\n");
    machine.run(&["systemctl", "start", "producer"]).success();
    let entries = machine.journal(&[&format!("MESSAGE_ID={SUMMARY}")]);
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    let message = entry["MESSAGE"].as_str().unwrap();
    assert!(message.starts_with("10 of 10 planned records delivered in "), "{message}");
    for (field, value) in [
        ("VM4_OUTCOME", "delivered"),
        ("VM4_PLANNED", "10"),
        ("VM4_GENERATED", "10"),
        ("VM4_ACKNOWLEDGED", "10"),
        ("VM4_FAILED", "0"),
        ("VM4_UNRESOLVED", "0"),
        ("VM4_EXIT_CODE", "0"),
        ("PRIORITY", "5"),
        ("SYSLOG_IDENTIFIER", "vm4-producer"),
        ("_SYSTEMD_UNIT", "producer.service"),
        // Native, not a line of a stream.
        ("_TRANSPORT", "journal"),
    ] {
        assert_eq!(entry[field], value, "{field} in {entry}");
    }
    assert!(!entry["VM4_RUN"].as_str().unwrap().is_empty());
    // Every entry is native, and only the summary has its id.
    let all = machine.journal(&["-u", "producer", "-t", "vm4-producer"]);
    let native = all.iter().filter(|entry| entry["_TRANSPORT"] == "journal").count();
    assert!(native == all.len() && native > 1, "{native} of {} entries are native", all.len());
}

fn a_failed_run_says_why_in_the_status(release: Release) {
    let machine = machine(release);
    let environment = "Environment=KAFKA_BOOTSTRAP=127.0.0.1:1 DELIVERY_TIMEOUT_SEC=1\n";
    put_producer(&machine, "run", environment);
    assert_eq!(machine.run(&["systemctl", "start", "producer"]).code, 1);
    assert_eq!(machine.show("producer", "Result"), "exit-code");
    assert_eq!(machine.show("producer", "ExecMainStatus"), "69");
    // EHOSTUNREACH, as systemctl status shows it in words.
    assert_eq!(machine.show("producer", "StatusErrno"), "113");
    let status = machine.show("producer", "StatusText");
    assert!(status.starts_with("nothing was sent: no broker answered within 0.9 s"), "{status}");
    let shown = machine.run(&["systemctl", "status", "producer"]);
    assert!(shown.stdout.contains("status=69/UNAVAILABLE"), "{}", shown.stdout);
    let summary = &machine.journal(&[&format!("MESSAGE_ID={SUMMARY}")])[0];
    assert_eq!((&summary["PRIORITY"], &summary["VM4_EXIT_CODE"]), (&"3".into(), &"69".into()));
}

fn a_run_longer_than_its_start_timeout_is_not_killed_while_it_makes_progress(release: Release) {
    let machine = machine(release);
    put_producer(&machine, "demo --pace wall --batch 60 --sleep-sec 0.1", "TimeoutStartSec=3\n");
    machine.run(&["systemctl", "start", "producer"]).success();
    let summary = &machine.journal(&[&format!("MESSAGE_ID={SUMMARY}")])[0];
    let elapsed = summary["VM4_ELAPSED_SEC"].as_str().and_then(|text| text.parse::<f64>().ok());
    assert!(elapsed.is_some_and(|elapsed| elapsed > 3.0), "{summary}");
    assert_eq!(machine.show("producer", "Result"), "success");
}

fn a_journal_that_takes_nothing_stops_no_run(release: Release) {
    let machine = machine(release);
    put_producer(&machine, "demo --pace wall --batch 100 --sleep-sec 0.01", "");
    machine.run(&["systemctl", "kill", "--signal=STOP", "systemd-journald"]).success();
    // Until its socket is full and the next message would block.
    machine.shell("for i in $(seq 10000); do timeout 0.2 logger full || exit 0; done; exit 1");
    let started = machine.run(&["systemctl", "start", "producer"]);
    machine.run(&["systemctl", "kill", "--signal=CONT", "systemd-journald"]).success();
    assert_eq!(started.code, 0, "{started:?}");
    eprintln!("{}: {:.2?} with a journal that takes nothing", machine.name(), started.elapsed);
}
