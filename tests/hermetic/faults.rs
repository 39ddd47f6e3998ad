//! Faults: what is sent, what the report says of it, and what is refused.

use std::collections::BTreeMap;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as E};
use serde_json::Value;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{Finished, Producer, validator};

/// Every kind, with times that fit a second.
const ALL: &str = "duplicate=0.05:200ms,late=0.05:300ms,out-of-order=0.05:5,clock-skew=0.05,drop=0.05,\
    tombstone=0.05,malformed=0.05,missing-field=0.05,null-field=0.05,wrong-type=0.05,\
    extra-field=0.05,renamed-field=0.05,duplicate-key=0.05,sentinel=0.05,failed-request=0.05,\
    oversize=0.05:2000";

fn generated(settings: &[(&str, &str)]) -> Finished {
    let producer = Producer::new(["generate"])
        .set("RUN_SEED", "1")
        .set("RUN_ID", "night")
        .set("EVENT_START", "2026-01-01T00:00:00Z");
    let finished = settings.iter().fold(producer, |p, (name, value)| p.set(name, value)).finish();
    finished.exits(0);
    finished
}

/// Records of each topic and kind by the report.
fn counted(finished: &Finished) -> BTreeMap<(String, String), u64> {
    let faults = finished.report()["faults"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |f: &Value| ((text(&f["topic"]), text(&f["kind"])), f["count"].as_u64().unwrap());
    faults.iter().map(one).collect()
}

/// Records of each topic and kind by the headers of what is in the topics.
fn read(cluster: &Cluster) -> (BTreeMap<(String, String), u64>, [u64; 2]) {
    let mut counts = BTreeMap::new();
    let records = TOPICS.map(|topic| {
        let records = cluster.read(topic, usize::MAX);
        for record in &records {
            let fault = record.headers.iter().find(|(name, _)| name == "fault");
            for kind in fault.iter().flat_map(|(_, kinds)| kinds.split(',')) {
                *counts.entry((topic.to_owned(), kind.to_owned())).or_default() += 1;
            }
        }
        records.len() as u64
    });
    (counts, records)
}

#[test]
fn what_is_in_the_topics_is_what_the_report_counts() {
    let cluster = Cluster::start();
    let run = cluster.run().set("FAULTS", ALL).set("BATCH", "400").set("SLEEP_SEC", "0.002");
    let finished = run.set("RUN_SEED", "3").finish();
    finished.exits(0).says("; faults: ");
    let mut reported = counted(&finished);
    let (there, records) = read(&cluster);
    let dropped =
        TOPICS.map(|topic| reported.remove(&(topic.to_owned(), "drop".to_owned())).unwrap());
    assert_eq!(reported, there);
    for (slot, topic) in TOPICS.into_iter().enumerate() {
        let copies = there[&(topic.to_owned(), "duplicate".to_owned())];
        let report = &finished.report()["topics"][slot];
        assert_eq!(records[slot], 400 - dropped[slot] + copies);
        for count in ["planned", "generated", "acknowledged"] {
            assert_eq!(report[count], records[slot], "{count}");
        }
    }
    let schema = Producer::new(["schema", "report.v1"]).finish().stdout;
    let errors: Vec<_> =
        validator(&schema).iter_errors(finished.report()).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn a_record_without_an_acknowledgement_is_named_by_its_pair_and_its_copy_apart() {
    // As in `doubt`: a batch is refused while the next is in flight, and each record is a batch.
    let cluster = Cluster::start_with(1, 1);
    cluster.mock.broker_round_trip_time(1, std::time::Duration::from_millis(150)).unwrap();
    cluster.mock.request_errors(
        RDKafkaApiKey::Produce,
        &[E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2],
    );
    let run =
        cluster.run().set("SLEEP_SEC", "0.02").set("BATCH", "40").set("RDKAFKA_LINGER_MS", "0");
    // Pair 0 is sent at once with its copies: the first batches of both topics are among these.
    let finished = run.set("FAULTS", "duplicate=1:0").finish();
    for (slot, topic) in TOPICS.into_iter().enumerate() {
        let there: Vec<_> = cluster.read(topic, usize::MAX);
        let id = |is_copy: bool| {
            let mut seqs: Vec<u64> = Vec::new();
            for record in &there {
                let header = |name: &str| record.headers.iter().find(|(n, _)| n == name);
                if header("fault").is_some() == is_copy {
                    seqs.push(header("seq").unwrap().1.parse().unwrap());
                }
            }
            seqs.sort_unstable();
            seqs.dedup();
            seqs
        };
        let report = &finished.report()["topics"][slot];
        assert_eq!(
            (report["planned"].as_u64(), report["generated"].as_u64()),
            (Some(80), Some(80))
        );
        for (is_copy, list) in [(false, "seq"), (true, "duplicates_seq")] {
            let seqs = |what: &str| -> Vec<u64> {
                let ranges: Vec<[u64; 2]> =
                    serde_json::from_value(report[list][what]["ranges"].clone()).unwrap();
                ranges.into_iter().flat_map(|[first, last]| first..=last).collect()
            };
            let present = id(is_copy);
            assert!(seqs("not_found").iter().all(|seq| !present.contains(seq)), "{report}");
            assert!(seqs("found").iter().all(|seq| present.contains(seq)), "{report}");
            let missing: Vec<_> = (0..40).filter(|seq| !present.contains(seq)).collect();
            assert_eq!(seqs("not_found"), missing, "{report}");
        }
    }
}

#[test]
fn generate_prints_a_line_of_json_for_each_record_whatever_was_done_to_it() {
    let finished = generated(&[("FAULTS", "malformed=1"), ("BATCH", "100")]);
    let mut texts = Vec::new();
    for line in finished.stdout.lines() {
        let record: Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(record["headers"]["fault"], "malformed");
        assert!(record.get("value").is_none());
        texts.push(record["value_base64"].as_str().unwrap().to_owned());
    }
    assert_eq!(texts.len(), 200);
    assert!(texts.contains(&String::new()), "the empty value is one of them");
    let tombstones = generated(&[("FAULTS", "tombstone=1"), ("BATCH", "1")]).stdout;
    assert!(tombstones.lines().all(|line| line.ends_with(",\"value\":null}")), "{tombstones}");
    assert_eq!(generated(&[("FAULTS", "drop=1"), ("BATCH", "10")]).stdout, "");
}

#[test]
fn without_a_hit_the_bytes_are_those_of_a_run_without_faults() {
    let never = ALL.replace("=0.05", "=1/999999999999999999");
    let clean = generated(&[]).stdout;
    assert_eq!(generated(&[("FAULTS", &never), ("SLEEP_SEC", "0.5")]).stdout, clean);
    assert_eq!(generated(&[("FAULTS", "drop=0")]).stdout, clean);
}

#[test]
fn faults_that_are_not_valid_are_refused_with_the_part_and_the_nearest_kind() {
    for (faults, said) in [
        (
            "drop=0.1,duplicat=0.1",
            "part 2 (\"duplicat=0.1\"): there is no kind \"duplicat\"; the nearest is duplicate; expected kind=",
        ),
        (
            "late=0.1:soon",
            "part 1 (\"late=0.1:soon\"): the parameter \"soon\" is not a time of up to a year",
        ),
        ("drop=1.5", "part 1 (\"drop=1.5\"): \"1.5\" is more than 1"),
    ] {
        let finished = Producer::new(["generate", "--faults", faults]).finish();
        finished
            .exits(78)
            .says(&format!("FAULTS: {faults:?} from flag --faults is not valid: {said}"));
        let doctor = Producer::new(["doctor"]).set("FAULTS", faults).finish();
        assert!(doctor.exits(78).stdout.contains(said), "{}", doctor.stdout);
    }
}

#[test]
fn a_demo_shows_the_faults_and_refuses_what_its_client_would() {
    let faults = "tombstone=1/2,oversize=1";
    let demo = Producer::new(["demo", "--faults", faults]).finish();
    demo.exits(0).says("; faults: ");
    assert!(demo.stdout.contains(" [oversize]"), "{}", demo.stdout);
    assert!(demo.stdout.contains("xxx..."), "{}", demo.stdout);
    let verified = "verify: all 10 records are there, each once and as sent\n";
    assert!(demo.stdout.contains(verified), "{}", demo.stdout);
    assert!(demo.stdout.contains(" [tombstone]"), "{}", demo.stdout);
    let longest = demo.stdout.lines().map(str::len).max();
    assert!(longest < Some(2_000), "{longest:?}");
    let refused = Producer::new(["demo", "--faults", "oversize=0.1:2000000"]).finish();
    refused.exits(78).says(
        "this client refuses records of more than 1000000 bytes (message.max.bytes), and oversize makes \
         them up to 2000512; lower the bytes of oversize in FAULTS",
    );
}

#[test]
fn records_that_the_queue_of_the_client_never_has_room_for_are_refused() {
    let cluster = Cluster::start();
    let run = || {
        let run = cluster.run().set("DELIVERY_TIMEOUT_SEC", "3");
        run.set("RDKAFKA_QUEUE_BUFFERING_MAX_KBYTES", "1")
    };
    let refused = run().set("FAULTS", "oversize=0.5:5000").finish();
    refused.exits(78).says(
        "this client's queue has room for 1024 bytes (queue.buffering.max.kbytes), and oversize \
         makes records of up to 5512",
    );
    // What no setting tells beforehand ends, too: one row has a field of its own.
    let mut seed: Value = serde_json::from_str(include_str!("../../gpu_seed.json")).unwrap();
    seed[0]["note"] = "x".repeat(3000).into();
    let run = run();
    let seed = run.file("seed.json", seed.to_string());
    let failed = run.set("GPU_SEED", seed).finish();
    failed.exits(74).says("MessageSizeTooLarge");
}
