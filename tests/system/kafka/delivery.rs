//! Amounts and codecs: a million records, and every way to compress them.

use std::time::Instant;

use super::records::{self, generated, read_back};
use super::same_bytes::reproducible;
use crate::cluster::{self, Topics};
use crate::common::Producer;
use crate::kcat;

/// Pairs of the large run.
const PAIRS: u32 = 500_000;

/// Most memory that the large run may take, KiB.
const MEMORY_KIB: u64 = 256 * 1024;

/// Reads a topic and fails unless it holds each seq of the large run exactly once.
fn assert_each_once(topics: &Topics, topic: &str) {
    let mut seen = vec![false; usize::try_from(PAIRS).expect("a length")];
    kcat::read_each(&topics.bootstrap, topic, |record| {
        let seq = records::seq(&record);
        let seen = usize::try_from(seq).ok().and_then(|seq| seen.get_mut(seq));
        let seen = seen.unwrap_or_else(|| panic!("seq {seq} in {topic}"));
        assert!(!*seen, "seq {seq} is twice in {topic}");
        *seen = true;
    });
    let missing = seen.iter().filter(|seen| !**seen).count();
    assert_eq!(missing, 0, "{missing} pairs are not in {topic}");
}

#[test]
fn a_million_records_arrive_once_each_in_little_memory() {
    let topics = Topics::create(cluster::plain(), "million");
    let run = topics.run();
    let seed = run.file("seed.json", cluster::eight_gpus());
    let run = run.set("GPU_SEED", seed).set("BATCH", PAIRS.to_string()).set("SLEEP_SEC", "0");
    let finished = run.finish();
    finished.exits(0).says("1000000 of 1000000 planned records delivered");
    println!(
        "a million: {:.3} s, {} records/s, {:.1} MiB at most",
        finished.elapsed.as_secs_f64(),
        finished.report()["rate_per_sec"],
        finished.peak_kib as f64 / 1024.0
    );
    assert!(finished.peak_kib < MEMORY_KIB, "{} KiB", finished.peak_kib);
    for books in records::books(&finished, &topics) {
        assert_eq!(books.acknowledged, i64::from(PAIRS));
        assert_eq!(books.partitions.len(), 3);
    }
    let reading = Instant::now();
    for topic in topics.both() {
        assert_each_once(&topics, topic);
    }
    println!("a million: read back in {:.1} s", reading.elapsed().as_secs_f64());
}

#[test]
fn every_codec_delivers_the_same_records_and_is_in_the_log() {
    let broker = cluster::plain();
    // The numbers of the codecs in a record batch.
    for (number, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let topics = Topics::create(broker, &format!("codec-{codec}"));
        let settings = |run| reproducible(run).set("BATCH", "200").set("SLEEP_SEC", "0");
        let run = settings(topics.run()).set("RDKAFKA_COMPRESSION_CODEC", codec);
        let finished = run.finish();
        finished.exits(0).says("400 of 400 planned records delivered");
        let expected = settings(topics.direct(Producer::new(["generate"]))).finish();
        assert_eq!(read_back(&topics), generated(&expected.stdout, &topics), "{codec}");
        let partition = *records::books(&finished, &topics)[0].partitions.keys().next().unwrap();
        let log = broker.log_file(&topics.metric, partition);
        let codecs = codecs(&log);
        assert!(codecs.contains(&number), "{codec} is {number}, the log has {codecs:?}");
        println!("codec {codec}: 400 records, {} bytes of metrics in the log", log.len());
    }
}

/// The codec of each record batch in a log segment.
fn codecs(segment: &[u8]) -> Vec<usize> {
    let mut codecs = Vec::new();
    let mut rest = segment;
    // A batch: base offset (8 bytes), length of what follows (4), leader epoch (4), magic (1),
    // checksum (4), attributes (2), whose last three bits are the codec.
    while let Some((head, _)) = rest.split_first_chunk::<23>() {
        codecs.push(usize::from(head[22] & 7));
        let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        rest = rest.get(12 + usize::try_from(length).expect("a length")..).unwrap_or_default();
    }
    codecs
}
