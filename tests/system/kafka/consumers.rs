//! The consumers of `docs/consuming.md`, as they stand there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::broker::{Broker, jars};
use crate::common::Producer;
use crate::{cache, kcat, tools};

const PAGE: &str = include_str!("../../../docs/consuming.md");
const RUN_SQL: &str = include_str!("consumers/RunSql.java");
/// The release that the page names.
const KAFKA_PYTHON: &str = "3.0.12";
/// The longest that an installation on a slow line, or a consumer, may take.
const LIMIT: Duration = Duration::from_secs(600);
/// Partitions of both topics, and what is sent to them.
const PARTITIONS: u32 = 3;
const PAIRS: usize = 500;

/// The code of the page that is marked with this name.
fn code(name: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("<!-- {name}: tested -->\n```")).expect("a mark");
    let (_, code) = rest.split_once('\n').expect("a line");
    code.split_once("\n```").expect("an end").0
}

/// What was sent of a key: pairs of which nothing is broken, their tokens, and pairs of which a reader may
/// say that they are.
type Sent = BTreeMap<String, (usize, u64, usize)>;

/// A broker with the topics of the page and a run in them: tombstones, malformed values and records that
/// close windows included.
fn sent() -> (Broker, Sent) {
    let broker = Broker::start();
    broker.create_topics(&[
        ("gpu.metrics.v1", PARTITIONS),
        ("token.usage.v1", PARTITIONS),
        ("pairs", 1),
    ]);
    // Of the same day on each day, and within the topics' retention.
    let run = Producer::run(&broker.bootstrap())
        .set("HOSTNAME", "gpu[01-04]")
        .set("BATCH", PAIRS.to_string())
        .set("SLEEP_SEC", "10ms")
        .set("PACE", "none")
        .set("FAULTS", "tombstone=0.02")
        .set("CLOSE_WINDOWS", "10s");
    run.finish().exits(0);
    let header = |record: &kcat::Received, name: &str| {
        record.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    let records = |topic| {
        let records = kcat::read_all(&broker.bootstrap(), topic);
        let of_a_run = records.into_iter().filter_map(|r| Some((header(&r, "seq")?, r)));
        of_a_run.collect::<BTreeMap<_, _>>()
    };
    let (metrics, usages) = (records("gpu.metrics.v1"), records("token.usage.v1"));
    let mut sent = Sent::new();
    for (seq, usage) in &usages {
        let faults = [header(&metrics[seq], "fault"), header(usage, "fault")];
        let of_key = sent.entry(usage.key.clone().expect("a key")).or_default();
        if faults == [None, None] {
            let value = serde_json::from_str::<Value>(usage.value.as_deref().expect("a value"));
            of_key.0 += 1;
            of_key.1 += value.expect("JSON")["completion_tokens"].as_u64().expect("a count");
        }
    }
    assert_eq!(usages.len(), PAIRS);
    assert!(sent.len() > 4, "{sent:?}");
    (broker, sent)
}

/// Sends a run of malformed values alone to the topics of the page; kcat cannot show them as JSON.
fn send_malformed(broker: &Broker, sent: &mut Sent) {
    const MALFORMED: usize = 30;
    let run = Producer::run(&broker.bootstrap()).set("HOSTNAME", "gpu[01-04]");
    let run = run.set("BATCH", MALFORMED.to_string()).set("FAULTS", "malformed=1");
    run.set("SLEEP_SEC", "10ms").set("PACE", "none").finish().exits(0);
    for (_, _, open) in sent.values_mut() {
        *open += MALFORMED;
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

/// The jars of Kafka Streams.
pub fn streams_jars() -> PathBuf {
    jars::of("kafka-streams-4.3.0", include_str!("consumers/streams.xml"))
}

/// A Java program of one file, with these jars; `java` starts it.
pub fn with_jars(mut java: Command, jars: &Path, options: &[&str], file: &Path) -> Command {
    java.args(options).arg("-cp").arg(format!("{}/*", jars.display())).arg(file);
    java
}

#[test]
fn the_python_consumer_of_the_page_sees_every_pair() {
    let (broker, mut sent) = sent();
    send_malformed(&broker, &mut sent);
    let environment = cache::made_once(&format!("kafka-python-{KAFKA_PYTHON}"), |environment| {
        let mut venv = tools::bounded(LIMIT, "python3");
        tools::success(venv.args(["-m", "venv"]).arg(environment));
        let mut pip = Command::new(environment.join("bin/python"));
        let package = format!("kafka-python=={KAFKA_PYTHON}");
        tools::success(pip.args(["-m", "pip", "install", "-q", &package]));
    });
    assert!(PAGE.contains(&format!("kafka-python=={KAFKA_PYTHON}")), "the page names another");
    let directory = tempfile::tempdir().expect("a directory");
    let script = write(directory.path(), "consumer.py", code("python"));
    let mut python = Command::new(environment.join("bin/python"));
    let output = tools::success(python.arg(script).arg(broker.bootstrap()));
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(printed.lines().count(), sent.len(), "{printed}");
    for (line, (key, sent)) in printed.lines().zip(&sent) {
        let (own, rest) = line.split_once(": ").expect("a key");
        assert!(own == key && line.ends_with(" W"), "{line}");
        agrees(rest.split_once(',').expect("tokens"), sent, " pairs", " tokens");
    }
}

/// Whether pairs and tokens of a key are those that were sent; of malformed values, readers differ.
#[track_caller]
fn agrees((pairs, rest): (&str, &str), sent: &(usize, u64, usize), pair: &str, token: &str) {
    let (clean, tokens, open) = *sent;
    let pairs: usize = pairs.trim_end_matches(pair).trim().parse().expect("a count");
    assert!((clean..=clean + open).contains(&pairs), "{pairs} pairs, {clean} to {}", clean + open);
    let read = rest.trim_start().split([' ', ']']).next().expect("tokens");
    assert!(pairs > clean || read == tokens.to_string(), "{read}{token}, and not {tokens}");
}

#[test]
fn the_kafka_streams_consumer_of_the_page_joins_every_pair() {
    let (broker, sent) = sent();
    let least: usize = sent.values().map(|(clean, _, _)| clean).sum();
    let most = least + sent.values().map(|(_, _, open)| open).sum::<usize>();
    let jars = streams_jars();
    let directory = tempfile::tempdir().expect("a directory");
    let file = write(directory.path(), "Pairs.java", code("streams"));
    // Not behind `timeout`: what is killed has to be Java itself.
    let state = format!("-Djava.io.tmpdir={}", directory.path().display());
    let mut streams = with_jars(Command::new("java"), &jars, &[&state], &file)
        .arg(broker.bootstrap())
        .spawn()
        .expect("java");
    let joined = || kcat::read_all(&broker.bootstrap(), "pairs");
    let all = tools::comes_true(Duration::from_secs(120), || joined().len() >= most);
    streams.kill().expect("it runs");
    streams.wait().expect("its end");
    assert!(all, "{} of {most} pairs were joined", joined().len());
    let mut whole = 0;
    for record in joined() {
        // That of a malformed value is no JSON either.
        let pair = serde_json::from_str::<Value>(record.value.as_deref().expect("a value"));
        let Ok(pair) = pair.inspect(|_| whole += 1) else { continue };
        assert_eq!(pair["metric"]["ts"], pair["usage"]["ts"]);
        assert_eq!(pair["metric"]["gpu_index"], pair["usage"]["gpu_index"]);
    }
    assert!(whole >= least && joined().len() == most, "{whole} of {}", joined().len());
}

#[test]
fn the_flink_query_of_the_page_counts_every_pair() {
    let (broker, mut sent) = sent();
    send_malformed(&broker, &mut sent);
    let jars = jars::of("flink-2.0.0", include_str!("consumers/flink.xml"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = write(directory.path(), "RunSql.java", RUN_SQL);
    let sql = code("flink").replace("HOST:PORT", &broker.bootstrap());
    let sql = write(directory.path(), "consume.sql", &sql);
    // What Flink's own start script opens.
    let opens = [
        "java.util",
        "java.lang",
        "java.time",
        "java.nio",
        "java.net",
        "java.io",
        "java.util.concurrent",
    ]
    .map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
    let opens: Vec<_> = opens.iter().map(String::as_str).collect();
    let output =
        tools::success(with_jars(tools::bounded(LIMIT, "java"), &jars, &opens, &file).arg(sql));
    let printed = String::from_utf8(output.stdout).expect("text");
    for (key, sent) in &sent {
        let row = format!("+I[{key}, ");
        let found = printed.lines().find_map(|line| line.strip_prefix(&row));
        let found = found.unwrap_or_else(|| panic!("{row} is not in {printed}"));
        agrees(found.split_once(", ").expect("tokens"), sent, "", "");
    }
}
