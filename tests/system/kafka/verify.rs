//! `verify` against a real Kafka: what is missing is told from what is lost, and a clean run is closed.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::broker::{Broker, Options};
use crate::cluster::{self, Topics};
use crate::common::{Finished, Producer};
use crate::{kcat, tools};

/// How long the brokers have for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A producer of the tests.
fn producer(bootstrap: &str, properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (name, value) in properties {
        config.set(*name, *value);
    }
    config.create().expect("a producer")
}

/// Most memory that an audit may take, KiB.
const MEMORY_KIB: u64 = 64 * 1024;

/// Pairs of the large run: five million with `VM4_SOAK`.
fn pairs() -> u64 {
    if std::env::var_os("VM4_SOAK").is_some() { 5_000_000 } else { 100_000 }
}

/// A run whose report and seed file are kept.
struct Kept {
    directory: TempDir,
    topics: Topics,
}

impl Kept {
    fn new(topics: Topics) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("seed.json"), cluster::eight_gpus()).expect("a seed file");
        Self { directory, topics }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A run that leaves its report here.
    fn run(&self, variables: &[(&str, &str)]) -> Producer {
        let run = self.topics.direct(Producer::new(["run"]));
        let run = run.set("KAFKA_BOOTSTRAP", &self.topics.bootstrap).set("SLEEP_SEC", "0");
        let run = run.set("GPU_SEED", self.path("seed.json"));
        let run = run.set("REPORT_FILE", self.path("report.json"));
        variables.iter().fold(run, |run, (name, value)| run.set(name, value))
    }

    /// Verifies the run of the report.
    fn verify(&self) -> Finished {
        self.verify_with(&[])
    }

    /// The same with more options.
    fn verify_with(&self, options: &[&str]) -> Finished {
        let report = self.path("report.json");
        let verify = ["verify", "--json", "--report", &report];
        Producer::new(verify.iter().chain(options)).finish()
    }

    /// Verifies the run in the topics of a stage.
    fn verify_behind(&self, stage: &Topics) -> Finished {
        let [metric, token] =
            [format!("metric={}", stage.metric), format!("token={}", stage.token)];
        self.verify_with(&["-b", &stage.bootstrap, "--topic", &metric, "--topic", &token])
    }

    /// Hands the records of the run on to the topics of a stage, through a producer, in their order.
    fn forward(&self, stage: &Topics, producer: &BaseProducer) {
        self.forward_some(0..i64::MAX, stage, producer);
    }

    /// The same of the records at these offsets of each partition.
    fn forward_some(&self, offsets: Range<i64>, stage: &Topics, producer: &BaseProducer) {
        for (from, to) in self.topics.both().into_iter().zip(stage.both()) {
            let records = kcat::read_all(&self.topics.bootstrap, from).into_iter();
            for record in records.filter(|record| offsets.contains(&record.offset)) {
                let headers =
                    record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                        headers.insert(Header { key, value: Some(value) })
                    });
                let key = record.key.as_deref().expect("a key");
                let value = record.value.as_deref().expect("a value");
                let sent = BaseRecord::to(to).key(key).payload(value).headers(headers);
                let sent = sent.timestamp(record.timestamp_ms).partition(record.partition);
                producer.send(sent).map_err(|(error, _)| error).expect("room in the queue");
            }
        }
        producer.flush(PATIENCE).expect("every record is there");
    }
}

#[track_caller]
fn account(finished: &Finished, code: i32) -> Value {
    finished.exits(code);
    serde_json::from_str(&finished.stdout).expect("an account")
}

/// What is missing of a topic: cause and count.
fn missing(account: &Value, topic: usize) -> Vec<(String, u64)> {
    let causes = account["topics"][topic]["missing_by_cause"].as_array().expect("causes");
    let cause = |c: &Value| {
        (c["why"].as_str().expect("a cause").to_owned(), c["records"].as_u64().expect("a count"))
    };
    causes.iter().map(cause).collect()
}

#[test]
fn a_clean_run_is_closed_in_one_pass_and_little_memory() {
    let kept = Kept::new(Topics::create_with(cluster::plain(), "clean", 6, &[]));
    let pairs = pairs();
    kept.run(&[("BATCH", &pairs.to_string())]).finish().exits(0);
    let finished = kept.verify();
    let account = account(&finished, 0);
    assert_eq!(account["closed"], json!(true));
    for topic in account["topics"].as_array().expect("topics") {
        assert_eq!(topic["read"]["first_intact"], json!(pairs));
        assert_eq!(topic["order"]["out_of_place"], json!(0));
    }
    println!(
        "verify: {} records in {:.2} s, {:.0} records/s, {:.1} MiB at most, {} pairs not compared",
        2 * pairs,
        finished.elapsed.as_secs_f64(),
        2.0 * pairs as f64 / finished.elapsed.as_secs_f64(),
        finished.peak_kib as f64 / 1024.0,
        account["torn"]["not_compared"]
    );
    assert!(finished.peak_kib < MEMORY_KIB, "{} KiB", finished.peak_kib);
    let reading = std::time::Instant::now();
    for topic in kept.topics.both() {
        let mut kcat = tools::bounded(Duration::from_secs(300), "kcat");
        kcat.args(["-C", "-e", "-q", "-o", "beginning", "-b", &kept.topics.bootstrap, "-t", topic]);
        let read = kcat.stdout(std::process::Stdio::null()).status().expect("kcat");
        assert!(read.success());
    }
    println!("kcat: both topics in {:.2} s", reading.elapsed().as_secs_f64());
}

#[test]
fn deleted_records_are_expired_and_not_lost() {
    let broker = cluster::plain();
    let kept = Kept::new(Topics::create_with(broker, "expired", 3, &[]));
    kept.run(&[("BATCH", "300")]).finish().exits(0);
    broker.delete_records(&kept.topics.metric, 2, 40);
    let account = account(&kept.verify(), 74);
    assert_eq!(missing(&account, 0), [("expired".to_owned(), 40)]);
    assert_eq!(missing(&account, 1), []);
    assert_eq!(account["torn"]["only_token"], json!(40));
    let evidence = &account["topics"][0]["missing_by_cause"][0]["evidence"];
    assert_eq!(
        evidence,
        "partition 2 begins at offset 40 now, and the run's first record there got offset 0"
    );
}

#[test]
fn what_retention_deletes_by_its_age_is_expired_and_not_lost() {
    let often = [("log.retention.check.interval.ms", "500")];
    let broker = Broker::start_with(&Options { properties: &often, ..Options::default() });
    // The smallest segments that Kafka makes: two or three a partition, of which the first are old.
    let young = [("retention.ms", "300000"), ("segment.bytes", "1048576")];
    let kept = Kept::new(Topics::create_with(&broker, "old", 3, &young));
    let start = Timestamp::now() - SignedDuration::from_mins(20);
    let run = kept.run(&[("BATCH", "24000"), ("SLEEP_SEC", "0.05"), ("EVENT_TIME_GUARD", "off")]);
    run.set("EVENT_START", start.to_string()).finish().exits(0);
    let deleted = tools::comes_true(Duration::from_secs(60), || {
        let account: Value = serde_json::from_str(&kept.verify().stdout).expect("an account");
        !missing(&account, 0).is_empty()
    });
    assert!(deleted, "{}", kept.verify().stdout);
    let account = account(&kept.verify(), 74);
    let causes = missing(&account, 0);
    assert!(causes.iter().all(|(why, _)| why == "expired"), "{causes:?}");
    assert!(causes[0].1 < 24_000, "{causes:?}");
    assert_eq!(missing(&account, 1), []);
    println!("retention of five minutes: {} of 24,000 expired", causes[0].1);
}

#[test]
fn a_topic_that_was_made_anew_is_truncated_and_not_lost() {
    let broker = cluster::plain();
    let kept = Kept::new(Topics::create_with(broker, "anew", 3, &[]));
    kept.run(&[("BATCH", "300")]).finish().exits(0);
    broker.delete_topic(&kept.topics.token);
    tools::comes_true(Duration::from_secs(30), || {
        kcat::all_end_offsets(&kept.topics.bootstrap)
            .is_ok_and(|ends| !ends.contains_key(&kept.topics.token))
    });
    broker.create_topics(&[(&kept.topics.token, 3)]);
    let is_told = || {
        let account = account(&kept.verify(), 74);
        assert_eq!(missing(&account, 1), [("truncated".to_owned(), 300)]);
        let evidence = &account["topics"][1]["missing_by_cause"][0]["evidence"];
        let evidence = evidence.as_str().expect("a text");
        let says = "no record of the run is there, so the topic may have been made anew";
        assert!(evidence.ends_with(says), "{evidence}");
    };
    is_told();
    // Others have its offsets now.
    kept.run(&[("BATCH", "900"), ("REPORT_FILE", "/dev/null")]).finish().exits(0);
    is_told();
}

#[test]
fn a_compacted_topic_keeps_the_last_of_each_key_and_nothing_is_lost() {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "100"),
    ];
    let kept = Kept::new(Topics::create_with(cluster::plain(), "compacted", 1, &configs));
    kept.run(&[("BATCH", "300"), ("EVENT_TIME_GUARD", "off")]).finish().exits(0);
    let later = [("REPORT_FILE", "/dev/null"), ("RUN_ID", "later")];
    // A segment is rolled, and then cleaned, when the next record comes: of other runs here.
    let cleaned = tools::comes_true(Duration::from_secs(90), || {
        kept.run(&[("BATCH", "8"), ("EVENT_TIME_GUARD", "off"), later[0], later[1]]).finish();
        let account: Value = serde_json::from_str(&kept.verify().stdout).expect("an account");
        missing(&account, 0).iter().any(|(why, records)| why == "compacted" && *records >= 200)
    });
    assert!(cleaned, "{}", kept.verify().stdout);
    let account = account(&kept.verify(), 74);
    assert!(missing(&account, 0).iter().all(|(why, _)| why == "compacted"), "{account}");
}

#[test]
fn what_an_open_transaction_hides_is_neither_lost_nor_truncated_and_is_there_when_it_ends() {
    let kept = Kept::new(Topics::create_with(cluster::plain(), "open", 1, &[]));
    kept.run(&[("BATCH", "100"), ("REPORT_FILE", "/dev/null")]).finish().exits(0);
    let other = producer(&kept.topics.bootstrap, &[("transactional.id", "left-open")]);
    let patience = PATIENCE;
    other.init_transactions(patience).expect("transactions");
    other.begin_transaction().expect("a transaction");
    let record = BaseRecord::<str, str>::to(&kept.topics.metric).payload("open");
    other.send(record).expect("a record in the queue");
    other.flush(patience).expect("a record in the log");
    kept.run(&[("BATCH", "100")]).finish().exits(0);

    let hidden = account(&kept.verify(), 69);
    assert_eq!(hidden["verdict"], "undecided");
    assert_eq!(missing(&hidden, 0), [("hidden".to_owned(), 100)]);
    assert_eq!(missing(&hidden, 1), []);
    let evidence = &hidden["topics"][0]["missing_by_cause"][0]["evidence"];
    assert_eq!(
        evidence,
        "a transaction is open in partition 0 at offset 100, and nothing behind it is read before it \
         ends; the run's last record there got offset 200"
    );
    other.abort_transaction(patience).expect("an end of it");
    // The partition learns of it a moment later.
    tools::comes_true(PATIENCE, || kept.verify().code == 0);
    let closed = account(&kept.verify(), 0);
    let first = &closed["topics"][0]["partitions"][0];
    assert_eq!((&first["read_from"], &first["gaps"]), (&json!(100), &json!(1)));
}

#[test]
fn what_a_stage_has_not_committed_is_hidden_and_what_its_topic_has_deleted_may_be_expired() {
    let broker = cluster::plain();
    let kept = Kept::new(Topics::create_with(broker, "through", 3, &[]));
    kept.run(&[("BATCH", "300")]).finish().exits(0);
    let stage = Topics::create_with(broker, "stage", 3, &[]);
    let transaction = producer(&stage.bootstrap, &[("transactional.id", "stage")]);
    transaction.init_transactions(PATIENCE).expect("transactions");
    transaction.begin_transaction().expect("a transaction");
    kept.forward(&stage, &transaction);
    let open = account(&kept.verify_behind(&stage), 69);
    for topic in [0, 1] {
        assert_eq!(missing(&open, topic), [("hidden".to_owned(), 300)]);
        assert_eq!(open["topics"][topic]["origin"], "stage");
    }
    transaction.commit_transaction(PATIENCE).expect("an end of it");
    // The partitions learn of it one by one, a moment later.
    tools::comes_true(PATIENCE, || kept.verify_behind(&stage).code == 0);
    account(&kept.verify_behind(&stage), 0);

    let ends = kcat::end_offsets(&stage.bootstrap, &stage.token);
    let (partition, _) = ends.into_iter().find(|(_, end)| *end > 60).expect("a partition");
    broker.delete_records(&stage.token, partition, 50);
    let cut = account(&kept.verify_behind(&stage), 69);
    assert_eq!(missing(&cut, 1), [("expired-or-lost".to_owned(), 50)]);
    assert_eq!(cut["torn"]["only_metric"], json!(50));
}

#[test]
fn a_mirror_that_lags_has_lost_nothing() {
    let kept = Kept::new(Topics::create_with(cluster::plain(), "mirrored", 1, &[]));
    kept.run(&[("BATCH", "100"), ("REPORT_FILE", "/dev/null")]).finish().exits(0);
    kept.run(&[("BATCH", "100")]).finish().exits(0);
    let own = Some("QW5vdGhlciBjbHVzdGVyIQ");
    let other = Broker::start_with(&Options { cluster_id: own, ..Options::default() });
    let mirror = Topics { bootstrap: other.bootstrap(), ..kept.topics.clone() };
    other.create_topics(&[(&mirror.metric, 1), (&mirror.token, 1)]);
    // What was sent before is not mirrored, so the offsets are others.
    kept.forward_some(100..190, &mirror, &producer(&mirror.bootstrap, &[]));
    let verify = || kept.verify_with(&["-b", &mirror.bootstrap]);
    let lag = account(&verify(), 74);
    for topic in [0, 1] {
        assert_eq!(missing(&lag, topic), [("absent".to_owned(), 10)]);
        assert_eq!(lag["topics"][topic]["origin"], "other-cluster");
    }
    kept.forward_some(190..200, &mirror, &producer(&mirror.bootstrap, &[]));
    account(&verify(), 0);
}

#[test]
fn a_log_that_was_not_read_to_its_end_claims_no_loss() {
    let mut broker = Broker::start();
    let kept = Kept::new(Topics::create_with(&broker, "killed", 3, &[]));
    kept.run(&[("BATCH", "200000")]).finish().exits(0);
    let report = kept.path("report.json");
    let verify = Producer::new(["verify", "--json", "--timeout", "3", "--report", &report]).start();
    let is_reading = || {
        let said = verify.stderr.text.lock().expect("what it said");
        String::from_utf8_lossy(&said).contains("reading ")
    };
    assert!(tools::comes_true(PATIENCE, is_reading), "it reads");
    broker.kill();
    let account = account(&verify.finish(), 69);
    assert_eq!(account["verdict"], "undecided");
    for topic in [0, 1] {
        let causes = missing(&account, topic);
        assert!(causes.iter().all(|(why, _)| why == "not-read"), "{causes:?}");
    }
}

#[test]
fn a_run_that_is_sent_again_is_copies_and_not_loss() {
    let kept = Kept::new(Topics::create_with(cluster::plain(), "again", 3, &[]));
    let run = [
        ("BATCH", "200"),
        ("RUN_ID", "twice"),
        ("RUN_SEED", "1"),
        ("EVENT_START", "2026-01-01T00:00:00Z"),
        ("EVENT_TIME_GUARD", "off"),
        ("SLEEP_SEC", "0.5"),
    ];
    for _ in 0..2 {
        kept.run(&run).finish().exits(0);
    }
    // The second one began behind the first.
    account(&kept.verify(), 0);
    let account = account(&kept.verify_with(&["--all"]), 74);
    for topic in account["topics"].as_array().expect("topics") {
        assert_eq!(topic["missing"], json!(0));
        assert_eq!(topic["copies"].as_array().expect("copies").len(), 1);
        assert_eq!(topic["copies"][0]["origin"], "sent-again");
        assert_eq!(topic["copies"][0]["records"], json!(200));
    }
}

#[test]
fn a_killed_run_that_is_started_again_is_told_by_its_times() {
    let kept = Kept::new(Topics::create_with(cluster::plain(), "killed", 3, &[]));
    let run = [("BATCH", "200"), ("RUN_ID", "killed"), ("RUN_SEED", "1"), ("SLEEP_SEC", "0.01")];
    let running = kept.run(&run).start();
    kept.topics.wait_for_records(60);
    running.signal("KILL");
    drop(running);
    let sent = u64::try_from(kept.topics.wait_until_stable()).expect("a count");
    kept.run(&run).finish().exits(0);
    let account = account(&kept.verify_with(&["--all"]), 74);
    let sum = |pointer: &str| -> u64 {
        let topics = account["topics"].as_array().expect("topics");
        topics
            .iter()
            .map(|topic| topic.pointer(pointer).and_then(Value::as_u64).expect("a count"))
            .sum()
    };
    assert_eq!(sum("/missing"), 0);
    assert_eq!((sum("/read/extra_copies"), sum("/outside_run")), (sent, sent));
    assert_eq!(sum("/read/first_altered"), 0);
    for topic in account["topics"].as_array().expect("topics") {
        assert_eq!(topic["copies"][0]["origin"], "sent-again");
    }
}

#[test]
fn append_times_are_no_change_and_tell_the_latency() {
    let configs = [("message.timestamp.type", "LogAppendTime")];
    let kept = Kept::new(Topics::create_with(cluster::plain(), "append", 3, &configs));
    kept.run(&[("BATCH", "50")]).finish().exits(0);
    let account = account(&kept.verify(), 0);
    assert!(account["topics"][0]["latency_ms"]["max"].is_number(), "{account}");
    assert_eq!(account["topics"][1]["latency_ms"], Value::Null);
}

/// Every kind of fault, and every incident, in a run of seconds.
const ALL: [(&str, &str); 5] = [
    (
        "FAULTS",
        "duplicate=0.04:300ms,late=0.04:400ms,out-of-order=0.04:9,clock-skew=0.04,drop=0.04,\
         tombstone=0.04,malformed=0.04,missing-field=0.04,null-field=0.04,wrong-type=0.04,\
         extra-field=0.04,renamed-field=0.04,duplicate-key=0.04,sentinel=0.04,\
         failed-request=0.04,oversize=0.01:70000",
    ),
    (
        "INCIDENTS",
        "gpu-lost@+200ms/500ms:gpu01/*,ecc-restart@+900ms/600ms:gpu02/1,surge=2@+1s/500ms,\
         exporter-silent@+1600ms/200ms:gpu03,stuck-gauge@+1s/1s:*/2,throttle@+0/1s,\
         noisy-neighbour@+500ms/1s:*/0",
    ),
    ("HOSTNAME", "gpu[01-03]"),
    ("ARRIVALS", "poisson"),
    ("SLEEP_SEC", "0.002"),
];

#[test]
fn a_run_with_every_fault_and_incident_is_closed_and_its_loss_is_found() {
    let broker = cluster::plain();
    let kept = Kept::new(Topics::create_with(broker, "broken", 6, &[]));
    let batch = [("BATCH", "1500")];
    kept.run(&[&ALL[..], &batch].concat()).finish().exits(0);
    let account_of = |code| account(&kept.verify(), code);
    let whole = account_of(0);
    for topic in whole["topics"].as_array().expect("topics") {
        let of = |name: &str| topic[name].as_u64().expect("a count");
        assert!(of("dropped") > 20 && of("declared_copies") > 20, "{topic}");
        assert_eq!(of("planned") - of("dropped") - of("left_out"), of("found"));
        assert_eq!(topic["copies"][0]["origin"], "declared");
        assert_eq!(topic["changes"], json!([]));
    }
    assert!(whole["topics"][0]["left_out"].as_u64() > Some(0), "{whole}");

    // What the log's start has passed is expired: originals and copies, no more.
    let partition = (0..6)
        .find(|at| {
            let read = &whole["topics"][1]["partitions"][*at]["records"];
            read.as_u64() > Some(100)
        })
        .expect("a partition with records");
    broker.delete_records(&kept.topics.token, i32::try_from(partition).expect("small"), 50);
    let after = account_of(74);
    assert_eq!(missing(&after, 0), []);
    let gone = missing(&after, 1);
    assert_eq!(gone.iter().map(|(_, records)| records).sum::<u64>(), 50, "{gone:?}");
    assert!(gone.iter().all(|(why, _)| why == "expired"), "{gone:?}");
}

#[test]
fn a_shard_of_a_run_with_faults_is_closed_by_its_own_report() {
    let kept = Kept::new(Topics::create_with(cluster::plain(), "shards", 3, &[]));
    let run = [("RUN_ID", "parts"), ("RUN_SEED", "5"), ("EVENT_TIME_GUARD", "off")];
    let run = [&ALL[..], &run, &[("BATCH", "900"), ("EVENT_START", "2026-01-01T00:00:00Z")]];
    let mut reports = Vec::new();
    for index in 0..3 {
        let (shard, report) = (format!("{index}/3"), kept.path(&format!("report-{index}.json")));
        let own = [("SHARD", shard.as_str()), ("REPORT_FILE", report.as_str())];
        kept.run(&[&run.concat()[..], &own].concat()).finish().exits(0);
        reports.push(report);
    }
    for report in reports {
        let finished = Producer::new(["verify", "--json", "--all", "--report", &report]).finish();
        let account = account(&finished, 0);
        let foreign = &account["topics"][0]["read"]["foreign"];
        assert!(foreign["other_shards"].as_u64() > Some(500), "{foreign}");
    }
}

#[test]
fn what_the_answer_key_declares_is_found_and_a_detector_that_knows_it_is_right() {
    let kept = Kept::new(Topics::create_with(cluster::plain(), "keyed", 6, &[]));
    let key = kept.path("key.ndjson");
    let own = [("BATCH", "1500"), ("ANSWER_KEY", key.as_str())];
    kept.run(&[&ALL[..], &own].concat()).finish().exits(0);
    let lines = fs::read_to_string(&key).expect("a key");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line"));
    let mut flags = String::new();
    for line in lines.filter(|line| line["type"] == "record") {
        for kind in line["faults"].as_array().expect("faults") {
            // One that misses every malformed usage.
            if kind != "malformed" || line["event"] == "gpu.metrics.v1" {
                let flag = json!({"topic": line["topic"], "seq": line["seq"], "kind": kind});
                flags.push_str(&format!("{flag}\n"));
            }
        }
    }
    let flagged = kept.path("flags.ndjson");
    fs::write(&flagged, flags).expect("a file of flags");
    let report = kept.path("report.json");
    let options = ["--report", &report, "--answer-key", &key, "--detected", &flagged];
    let finished = Producer::new(["verify", "--json"].iter().chain(&options)).finish();
    let account = account(&finished, 0);
    assert_eq!(account["answer_key"]["agrees"], json!(true));
    let declared = account["answer_key"]["records"].as_array().expect("rows");
    assert!(declared.iter().all(|row| row["declared"] == row["found"]), "{declared:?}");
    for score in account["detected"]["faults"].as_array().expect("scores") {
        assert_eq!(score["precision"], json!(1.0), "{score}");
        let is_whole = score["recall"] == json!(1.0);
        assert_eq!(is_whole, score["kind"] != "malformed", "{score}");
    }
}

#[test]
fn reading_begins_an_hour_before_a_run_whose_report_has_no_offsets() {
    let topics = Topics::create(cluster::plain(), "by-time");
    let long_ago = (Timestamp::now() - SignedDuration::from_hours(3)).to_string();
    topics.run().set("EVENT_START", long_ago).set("BATCH", "50").finish().exits(0);
    let run = topics.run().set("SLEEP_SEC", "0").set("BATCH", "30").finish();
    let mut report = run.exits(0).report().clone();
    for topic in [0, 1] {
        report["topics"][topic]["start_offsets"] = json!([]);
    }
    for (arguments, foreign) in [(&["--json"][..], 0), (&["--json", "--all"], 50)] {
        let verify = Producer::new(["verify"]);
        let file = verify.file("report.json", report.to_string());
        let mut verify = verify;
        verify.command.arg(file).args(arguments);
        let finished = verify.finish();
        let account: Value = serde_json::from_str(&finished.exits(0).stdout).unwrap();
        for topic in account["topics"].as_array().unwrap() {
            assert_eq!(topic["found"], json!(30), "{topic}");
            assert_eq!(topic["read"]["foreign"]["records"], json!(foreign), "{topic}");
        }
    }
}
