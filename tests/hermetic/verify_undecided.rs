//! `verify` where evidence is missing: it neither accuses nor acquits, and says what would decide.

use serde_json::json;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Producer, nobody};
use crate::process::generated;
use crate::stage::RUN;
use crate::verify::{from_report, in_json, verified};

#[test]
fn a_run_that_sent_nothing_is_no_run_to_verify_and_its_own_outcome_is_said() {
    let run = Producer::run(&nobody());
    let run = run.set("DELIVERY_TIMEOUT_SEC", "1").set("RUN_ID", "none").finish();
    run.exits(69);
    let says = "run none sent nothing: unavailable, exit 69: ";
    from_report(run.report(), &[]).exits(66).says(says);
    from_report(run.report(), &["--input", "/dev/null"]).exits(66).says(says);
    let expect = Producer::new(["expect", "--window", "60s"]);
    let file = expect.file("run.json", run.report().to_string());
    let mut expect = expect.set("EVENT_START", "2026-01-01T00:00:00Z");
    expect.command().arg("--report").arg(file);
    expect.finish().exits(66).says(says);
}

#[test]
fn a_record_that_matches_no_pair_may_be_the_missing_one() {
    let text = generated(&RUN);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[6] = json!({"topic": TOPICS[0], "headers": {}, "value": "unreadable"}).to_string();
    let open = verified(&lines.join("\n"), &[], &RUN);
    let headline = open.exits(69).stdout.lines().next().unwrap();
    let expected =
        "UNDECIDED: run own: 799 records found, nothing wrong with them; undecided: 1 unmatched";
    assert_eq!(headline, expected);
    assert!(
        open.stdout
            .contains("the headers run and seq, or the values as they were sent, would decide")
    );
    let account = in_json(verified(&lines.join("\n"), &["--json"], &RUN).exits(69));
    assert_eq!((&account["verdict"], &account["closed"]), (&json!("undecided"), &json!(false)));
    // Two cannot be one.
    lines.remove(8);
    let wrong = verified(&lines.join("\n"), &[], &RUN);
    let headline = wrong.exits(74).stdout.lines().next().unwrap();
    let expected = "NOT CLOSED: run own: 798 records found, 1 missing; undecided: 1 unmatched";
    assert_eq!(headline, expected);
}

#[test]
fn a_reader_that_follows_reads_the_copies_that_are_there_when_it_has_all() {
    let cluster = Cluster::start();
    let run = [
        ("RUN_ID", "twice"),
        ("RUN_SEED", "3"),
        ("BATCH", "300"),
        ("SLEEP_SEC", "0.5"),
        ("EVENT_START", "2026-01-01T00:00:00Z"),
    ];
    for _ in 0..2 {
        let producer = run.iter().fold(cluster.run(), |run, (name, value)| run.set(name, value));
        producer.finish().exits(0);
    }
    for follow in [&[][..], &["--follow"]] {
        let arguments = [&["verify", "--json", "--run", "twice"], follow].concat();
        let verify = Producer::new(arguments).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
        let verify = run.iter().fold(verify, |run, (name, value)| run.set(name, value));
        let account = in_json(verify.finish().exits(74));
        for topic in account["topics"].as_array().unwrap() {
            assert_eq!(
                (&topic["found"], &topic["read"]["extra_copies"]),
                (&json!(300), &json!(300))
            );
            let partitions = topic["partitions"].as_array().unwrap();
            assert!(
                partitions.iter().all(|log| log["is_read"] == true && log["end"] == log["read_to"])
            );
        }
    }
}

#[test]
fn a_reader_that_is_stopped_claims_nothing() {
    let cluster = Cluster::start();
    let run = cluster.run().set("BATCH", "20").set("RUN_ID", "short").set("RUN_SEED", "3").finish();
    run.exits(0);
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let verify = ["verify", "--follow", "--run", "short", "--run-seed", "3", "--batch", "40"];
        let verify = Producer::new(verify).set("KAFKA_BOOTSTRAP", cluster.bootstrap()).start();
        verify.until_it_says("reading ");
        verify.signal(signal);
        let stopped = verify.finish();
        stopped.exits(code).says(&format!("stopped by SIG{signal}"));
        assert!(stopped.stdout.starts_with("UNDECIDED: run short: "), "{}", stopped.stdout);
        assert!(!stopped.stdout.contains("LOST"), "{}", stopped.stdout);
    }
}
