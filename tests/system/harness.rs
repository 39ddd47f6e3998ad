//! Checks of the harness itself: that the broker is a real one, survives what
//! tests do to it, that what kcat reads is what was written, and that the cache
//! makes things once.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, panic, thread};

use crate::broker::{Broker, Options};
use crate::{cache, cluster, kcat, tools};

/// Produces `text`, lines of `key:value`, or says why kcat could not.
fn produce(bootstrap: &str, topic: &str, text: &str, arguments: &[&str]) -> Result<(), String> {
    let mut kcat = tools::bounded(Duration::from_secs(60), "kcat")
        .args(["-P", "-K:", "-b", bootstrap, "-t", topic])
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kcat starts");
    let mut input = kcat.stdin.take().expect("its input is piped");
    // kcat stops reading early when it cannot reach the broker.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = kcat.wait_with_output().expect("kcat ends");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn records_are_still_there_after_the_broker_was_killed_and_started_again() {
    let mut broker = Broker::start();
    broker.create_topics(&[("left", 3), ("right", 3)]);
    let bootstrap = broker.bootstrap();
    let text: String = (0..300).map(|n| format!("key-{n}:value-{n}\n")).collect();
    assert_eq!(produce(&bootstrap, "left", &text, &["-H", "from=kcat"]), Ok(()));

    let mut before = kcat::read_all(&bootstrap, "left");
    before.sort_by_key(|record| (record.partition, record.offset));
    assert_eq!(before.len(), 300);
    assert!(before.iter().all(|record| {
        record.headers == [("from".to_owned(), "kcat".to_owned())]
            && record.topic == "left"
            && record.timestamp_ms > 0
            && record.key.as_deref().map(|key| key.replace("key", "value")) == record.value
    }));
    let ends = kcat::end_offsets(&bootstrap, "left");
    assert_eq!(ends.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(ends.values().sum::<i64>(), 300);
    assert_eq!(kcat::read_all(&bootstrap, "right"), []);

    broker.kill();
    broker.start_again();
    assert_eq!(broker.bootstrap(), bootstrap);
    let mut after = kcat::read_all(&bootstrap, "left");
    after.sort_by_key(|record| (record.partition, record.offset));
    assert_eq!(after, before);

    broker.stop();
    broker.start_again();
    assert_eq!(kcat::end_offsets(&bootstrap, "left"), ends);
}

#[test]
fn what_kcat_reads_is_what_was_written_down_to_quotes_and_nulls() {
    let broker = cluster::plain();
    let stamped = [("message.timestamp.type", "LogAppendTime")];
    broker.create_topics_with(&[("odd", 1)], &stamped);
    let bootstrap = broker.bootstrap();
    let odd = "tab\t quote\" slash\\ \u{1}\u{7f}\0 \u{e9} \u{1f600}";
    let header = format!("name={}", odd.replace('\0', ""));
    let delimited = ["-H", &header, "-H", "name=", "-D|"];
    let record = format!("{odd}:{odd}");
    assert_eq!(produce(&bootstrap, "odd", &record, &delimited), Ok(()));
    assert_eq!(produce(&bootstrap, "odd", "k:\n:v\n", &["-Z"]), Ok(()));
    assert_eq!(produce(&bootstrap, "odd", "k:\n:v\n", &[]), Ok(()));

    let records = kcat::read_all(&bootstrap, "odd");
    let pairs: Vec<_> =
        (records.iter()).map(|record| (record.key.as_deref(), record.value.as_deref())).collect();
    let expected = [
        (Some(odd), Some(odd)),
        (Some("k"), None),
        (None, Some("v")),
        (Some("k"), Some("")),
        (Some(""), Some("v")),
    ];
    assert_eq!(pairs, expected);
    let named = |value: &str| ("name".to_owned(), value.to_owned());
    let headers = [named(&odd.replace('\0', "")), named("")];
    assert_eq!(records[0].headers, headers);
}

// PLAIN, not SCRAM: the librdkafka 2.0.2 in Debian 12's kcat repeats the nonce
// in its SCRAM answer, and Kafka 4 turns that away whatever the password. The
// SCRAM user here only shows that arguments reach the storage tool.
#[test]
fn a_sasl_listener_lets_in_only_those_who_know_the_password() {
    let broker = Broker::start_with(&Options {
        listeners: &[("SASL", "SASL_PLAINTEXT")],
        advertised: &[],
        properties: &[
            ("sasl.enabled.mechanisms", "PLAIN"),
            (
                "listener.name.sasl.plain.sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required user_ann=\"right\";",
            ),
        ],
        jvm_args: &["-Xmx384m"],
        env: &[("LC_ALL", "C.UTF-8")],
        format_args: &["--add-scram", "SCRAM-SHA-256=[name=ann,password=right]"],
        ..Options::default()
    });
    broker.create_topics(&[("guarded", 1)]);
    let login = [
        "-Xsecurity.protocol=SASL_PLAINTEXT",
        "-Xsasl.mechanism=PLAIN",
        "-Xsasl.username=ann",
        "-Xmessage.timeout.ms=5000",
    ];
    let sends_as = |password| {
        let arguments = [&login[..], &[password]].concat();
        produce(&broker.address("SASL"), "guarded", "k:v\n", &arguments)
    };
    assert_eq!(sends_as("-Xsasl.password=right"), Ok(()));
    let refusal = sends_as("-Xsasl.password=wrong").expect_err("the wrong password");
    assert!(refusal.contains("Authentication failed"), "{refusal}");
    assert_eq!(kcat::read_all(&broker.bootstrap(), "guarded").len(), 1);
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let error = panic::catch_unwind(|| {
        Broker::start_with(&Options {
            properties: &[("authorizer.class.name", "no.such.Authorizer")],
            ..Options::default()
        });
    })
    .expect_err("the broker does not start");
    let error = error.downcast::<String>().expect("a panic with a text");
    assert!(error.contains("no.such.Authorizer"), "{error}");
}

#[test]
fn what_several_tests_need_at_once_is_made_once_and_found_when_it_is_complete() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = directory.path().join("cache");
    // Of a process that died while it made this.
    let unfinished = cache.join("tree.building-1");
    fs::create_dir_all(unfinished.join("root")).expect("a directory");
    let made = AtomicU32::new(0);
    let make = |entry: &Path| {
        made.fetch_add(1, Ordering::Relaxed);
        fs::write(entry.with_file_name("scratch"), "").expect("a file");
        fs::create_dir(entry).expect("a directory");
        fs::write(entry.join("content"), "complete").expect("a file");
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let entry = cache::made_once_in(&cache, "tree", make);
                assert_eq!(fs::read_to_string(entry.join("content")).unwrap(), "complete");
            });
        }
    });
    assert_eq!(made.load(Ordering::Relaxed), 1);
    let names = fs::read_dir(&cache).expect("the cache").flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["tree", "tree.lock"]);
}

#[test]
fn what_could_not_be_made_leaves_nothing_that_is_taken_for_it() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    let failed = panic::catch_unwind(|| {
        cache::made_once_in(cache.path(), "tree", |entry| {
            fs::create_dir(entry).expect("a directory");
            panic!("the mirror is away");
        })
    });
    failed.expect_err("a failed test");
    let made = cache::made_once_in(cache.path(), "tree", |entry| {
        fs::create_dir(entry).expect("an empty place to make it");
    });
    assert_eq!(made, cache.path().join("tree"));
}
