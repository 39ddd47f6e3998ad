//! `RUN_TOPIC` on a real cluster: the topic in which runs describe themselves, and runs that are killed.

use std::fs;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::cluster::{self, Topics};
use crate::common::{Finished, Producer};
use crate::{kcat, tools};

/// The longest that a test waits for records, or for the end of a process.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Records of a shard in both topics.
const RECORDS: i64 = 120;

fn verify(topics: &Topics, run: &str, runs: &str) -> Finished {
    let arguments = ["verify", run, "--run-topic", runs, "-b", &topics.bootstrap];
    Producer::new(arguments).finish()
}

fn doctor(topics: &Topics, runs: &str) -> Finished {
    let doctor = Producer::new(["doctor", "-b", &topics.bootstrap]);
    topics.direct(doctor).set("RUN_TOPIC", runs).finish()
}

#[track_caller]
fn finds(doctor: &Finished, line: &str) {
    assert!(doctor.exits(0).stdout.lines().any(|own| own.starts_with(line)), "{}", doctor.stdout);
}

#[test]
fn the_topic_of_runs_is_created_compacted_and_doctor_checks_it() {
    let topics = Topics::create(cluster::plain(), "journal");
    let missing = "warn  RUN_TOPIC journal.runs: does not exist, or this client is not allowed to see it; \
                   a run creates it where it may";
    finds(&doctor(&topics, "journal.runs"), missing);
    let run = |id: &str| {
        topics.run().set("RUN_ID", id).set("RUN_TOPIC", "journal.runs").set("SLEEP_SEC", "0")
    };
    let says = "RUN_TOPIC journal.runs was not there: it is created, compacted, with one partition";
    run("first").finish().exits(0).says(says);
    finds(&doctor(&topics, "journal.runs"), "ok    RUN_TOPIC journal.runs: 1 partition, compacted");
    let second = run("second").finish();
    assert!(!second.exits(0).stderr.contains("RUN_TOPIC"), "{}", second.stderr);
    for id in ["first", "second"] {
        let closed = verify(&topics, id, "journal.runs");
        let headline = format!("CLOSED: run {id}: all 40 records are there");
        assert!(closed.exits(0).stdout.starts_with(&headline), "{}", closed.stdout);
    }
    verify(&topics, "third", "journal.runs")
        .exits(66)
        .says("there is no run third in topic journal.runs; the last runs there: first, second");
    verify(&topics, "first", "journal.none").exits(69).says("journal.none");

    cluster::plain().create_topics(&[("journal.kept", 1)]);
    let line =
        "warn  RUN_TOPIC journal.kept: is not compacted: what runs say there expires; remedy: ";
    finds(&doctor(&topics, "journal.kept"), line);
    let warned = topics.run().set("RUN_TOPIC", "journal.kept").set("SLEEP_SEC", "0").finish();
    warned.exits(0).says("RUN_TOPIC journal.kept is not compacted: what runs say there expires");
}

/// Moments at which four shards are killed, each at its own.
fn rounds() -> u64 {
    if std::env::var_os("VM4_SOAK").is_some() { 20 } else { 3 }
}

#[test]
fn four_shards_that_are_killed_at_any_moment_are_never_accused() {
    let (mut moments, seed) = (Pcg64::seed_from_u64(23), 23);
    let mut killed = 0;
    for round in 0..rounds() {
        let topics = Topics::create(cluster::plain(), &format!("killed-{round}"));
        let id = format!("killed-{round}");
        let start = |shard: u64| {
            let run = topics.run().set("RUN_ID", &id).set("RUN_SEED", "7").set("BATCH", "240");
            let run = run.set("SLEEP_SEC", "8ms").set("RUN_TOPIC", "killed.runs");
            run.set("SHARD", format!("{shard}/4")).start()
        };
        let mut shards: Vec<_> = (0..4).map(start).collect();
        let mut reports = Vec::new();
        while !shards.is_empty() {
            let shard = shards.remove(moments.random_range(0..shards.len()));
            // All together have four times as many.
            let moment = moments.random_range(RECORDS / 8..RECORDS) * (4 - shards.len() as i64);
            tools::comes_true(LIMIT / 30, || topics.counts().iter().sum::<i64>() >= moment);
            reports.push(shard.kill());
        }
        for report in &reports {
            killed += usize::from(report["outcome"] == "running");
            let verify = Producer::new(["verify", "--report"]);
            let file = verify.file("report.json", report.to_string());
            let mut verify = verify;
            verify.command.arg(file);
            verify.finish().accuses_nobody();
        }
        let all = verify(&topics, &id, "killed.runs");
        all.accuses_nobody();
        // On a busy machine a shard may be killed before it could say anything: then it is named.
        let silent = (0..4).find(|n| all.stderr.contains(&format!("{n} of 4 shards of run {id}")));
        let told = all.stdout.matches(&format!("run {id}: ")).count() + silent.unwrap_or(0);
        assert_eq!(told, 4, "round {round} of seed {seed}: {}\n{}", all.stdout, all.stderr);
    }
    println!("{killed} of {} shards were killed before their end", rounds() * 4);
    assert!(killed > 0);
}

#[test]
fn what_stands_in_the_topic_of_runs_and_is_no_report_of_this_version_is_named() {
    let topics = Topics::create(cluster::plain(), "other-journal");
    let runs = "other-journal.runs";
    let run = |shard: &str| {
        let run = topics.run().set("RUN_ID", "part").set("RUN_SEED", "1").set("SHARD", shard);
        run.set("RUN_TOPIC", runs).set("SLEEP_SEC", "0").finish().exits(0).report().clone()
    };
    run("0/3");
    let mut report = run("2/3");
    let silent = "1 of 3 shards of run part have said nothing in topic other-journal.runs: 1/3";
    verify(&topics, "part", runs).exits(69).says(silent);
    let put = |key: &str, value: &str| {
        let mut kcat = tools::bounded(LIMIT, "kcat");
        kcat.args(["-P", "-b", &topics.bootstrap, "-t", runs, "-k", key, "-l", "-D", "\u{1}"]);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("value");
        fs::write(&file, value).expect("a file");
        tools::success(kcat.arg(file));
    };
    report["workload_version"] = 1.into();
    put("part/1/3", &report.to_string());
    let other = verify(&topics, "part", runs);
    other
        .exits(65)
        .says("part/1/3 in topic other-journal.runs: the run was sent with version 1 of the");
    put("part/1/3", "hello");
    verify(&topics, "part", runs)
        .exits(65)
        .says("part/1/3 in topic other-journal.runs: it is no report of a run: ");
    // What has another key is nobody's.
    put("hello", "hello");
    put("part/1/1000000000000", "{}");
    verify(&topics, "part", runs).exits(65);
    assert!(!kcat::read_all(&topics.bootstrap, runs).is_empty());
}
