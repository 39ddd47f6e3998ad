//! Runs that are killed: what they left is verified from the report of their beginning, and from the
//! topic in which they describe themselves. Nothing is ever blamed on them.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::{Value, json};

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer};
use crate::process::eventually;
use crate::verify::{from_report, in_json};

/// The topic in which runs describe themselves.
const RUNS: &str = "runs";

/// Records in both topics.
fn records(cluster: &Cluster) -> usize {
    TOPICS.map(|topic| cluster.read(topic, usize::MAX).len()).iter().sum()
}

/// Those of a shard of four of this run.
fn records_of(cluster: &Cluster, run: &str, shard: u64) -> usize {
    let is_its = |record: &crate::cluster::Received| {
        let header = |name: &str| {
            let found = record.headers.iter().find(|(found, _)| found == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        header("run") == run && header("seq").parse::<u64>().unwrap() % 4 == shard
    };
    let count = |topic| cluster.read(topic, usize::MAX).iter().filter(|r| is_its(r)).count();
    TOPICS.map(count).iter().sum()
}

fn with_runs() -> Cluster {
    let cluster = Cluster::start();
    cluster.mock.create_topic(RUNS, 1, 1).expect("a topic");
    cluster
}

fn described(cluster: &Cluster, run: &str, more: &[&str]) -> Finished {
    let arguments = [&["verify", run, "--run-topic", RUNS, "--timeout", "20"], more].concat();
    Producer::new(arguments).set("KAFKA_BOOTSTRAP", cluster.bootstrap()).finish()
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_never_accused() {
    let cluster = with_runs();
    let mut moments = Pcg64::seed_from_u64(20);
    for round in 0..5 {
        let id = format!("killed-{round}");
        let start = |shard: u64| {
            let run = cluster.run().set("RUN_ID", &id).set("RUN_SEED", "7").set("BATCH", "240");
            let run = run.set("SLEEP_SEC", "4ms").set("RUN_TOPIC", RUNS);
            (shard, run.set("SHARD", format!("{shard}/4")).start())
        };
        let shards: Vec<_> = (0..4).map(start).collect();
        let mut reports = Vec::new();
        for (shard, run) in shards {
            // Each shard has 120 records.
            let moment = moments.random_range(1..118);
            let there = || (records_of(&cluster, &id, shard) >= moment).then_some(());
            eventually("records of the shard", there);
            reports.push(run.kill());
        }
        for report in &reports {
            let shape = (report["outcome"].clone(), report["exit_code"].clone());
            assert!(
                [(json!("running"), Value::Null), (json!("delivered"), json!(0))].contains(&shape),
                "{shape:?}"
            );
            from_report(report, &["--timeout", "20"]).accuses_nobody();
        }
        let all = described(&cluster, &id, &[]);
        all.accuses_nobody();
        let headlines = all.stdout.matches(&format!("run {id}: ")).count();
        assert_eq!(headlines, 4, "{}", all.stdout);
    }
}

#[test]
fn what_is_missing_of_a_killed_run_is_not_known_to_be_sent() {
    let cluster = with_runs();
    let run = cluster.run().set("BATCH", "9000").set("SLEEP_SEC", "2ms").start();
    eventually("records of the run", || (records(&cluster) >= 40).then_some(()));
    let report = run.kill();
    let account = in_json(from_report(&report, &["--json"]).exits(69));
    assert_eq!(account["verdict"], "undecided");
    for topic in account["topics"].as_array().unwrap() {
        let causes = topic["missing_by_cause"].as_array().unwrap();
        assert_eq!(causes.len(), 1, "{causes:?}");
        assert_eq!(causes[0]["why"], "not-known-sent");
        assert_eq!(topic["read"]["first_altered"], 0);
    }
    let words = from_report(&report, &[]);
    let says = "not known to be sent (the run has no report of its end)";
    assert!(words.exits(69).stdout.contains(says), "{}", words.stdout);
}

#[test]
fn a_run_that_describes_itself_is_verified_by_its_name_alone() {
    let cluster = with_runs();
    let run = |id: &str| {
        let run = cluster.run().set("RUN_ID", id).set("RUN_TOPIC", RUNS).set("BATCH", "60");
        run.set("SLEEP_SEC", "5ms").set("FAULTS", "duplicate=0.1:20ms,late=0.1:50ms")
    };
    run("first").finish().exits(0);
    run("second").finish().exits(0);
    let closed = described(&cluster, "first", &[]);
    assert!(closed.exits(0).stdout.contains("CLOSED: run first: "), "{}", closed.stdout);
    assert!(!closed.stdout.contains("not verified"), "{}", closed.stdout);
    let records = cluster.read_partitions(RUNS, 1, 4);
    let outcome = |record: &crate::cluster::Received| {
        let report: Value = serde_json::from_str(&record.value).unwrap();
        (record.key.clone().unwrap(), report["outcome"].as_str().unwrap().to_owned())
    };
    let told = records.iter().map(outcome).collect::<Vec<_>>();
    let all = [
        ("first", "running"),
        ("first", "delivered"),
        ("second", "running"),
        ("second", "delivered"),
    ];
    assert_eq!(told, all.map(|(id, outcome)| (format!("{id}/0/1"), outcome.to_owned())));
    described(&cluster, "third", &[])
        .exits(66)
        .says("there is no run third in topic runs; the last runs there: first, second");
    let says = "there is no file first, and to verify a run of this id RUN_TOPIC must be set";
    Producer::new(["verify", "first"]).finish().exits(64).says(says);
}

#[test]
fn a_run_whose_shards_are_not_all_described_is_undecided() {
    let cluster = with_runs();
    for shard in ["0/3", "2/3"] {
        let run = cluster.run().set("RUN_ID", "part").set("RUN_SEED", "1").set("BATCH", "30");
        run.set("RUN_TOPIC", RUNS).set("SHARD", shard).finish().exits(0);
    }
    described(&cluster, "part", &[])
        .exits(69)
        .says("1 of 3 shards of run part have said nothing in topic runs");
}

#[test]
fn a_run_whose_topic_does_not_take_its_description_sends_nothing() {
    let cluster = Cluster::start();
    let run = cluster.run().set("RUN_TOPIC", TOPICS[0]).finish();
    run.exits(78).says("RUN_TOPIC").says("the events of the run go to this topic");
}

#[test]
fn the_topic_of_runs_tells_the_first_setting_that_differs() {
    let cluster = with_runs();
    let run = cluster.run().set("RUN_TOPIC", RUNS).set("RUN_SEED", "7").set("BATCH", "30");
    let run = run.set("WORKLOAD", "code").finish();
    let id = run.exits(0).report()["run_id"].as_str().unwrap().to_owned();
    // More than one differs, so that no digest tells it.
    let verify = |topic: &str| {
        let verify = Producer::new(["verify", "--run", &id, "--batch", "31", "--run-topic", topic]);
        verify.set("KAFKA_BOOTSTRAP", cluster.bootstrap()).finish()
    };
    let says = format!("the settings are not those of run {id}: its name ends with ");
    verify(RUNS)
        .exits(65)
        .says(&says)
        .says("; as topic runs tells, BATCH is 31 here and was 30 there");
    let contradicted = described(&cluster, &id, &["--workload", "chat"]);
    contradicted
        .exits(64)
        .says(&format!("--workload chat: the run of {id}/0/1 in topic runs had "));
    assert!(described(&cluster, &id, &[]).exits(0).stdout.starts_with("CLOSED"));
}
