//! Stages that nobody here wrote, between a run and `verify`: MirrorMaker 2, Connect's FileStreamSink and
//! rsyslog's imkafka. A run is closed behind each, and one planted loss is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::broker::{Broker, jars};
use crate::cluster;
use crate::common::{Finished, Producer};
use crate::{kcat, tools};

/// The longest that a stage may take to come to the end of the topics.
const LIMIT: Duration = Duration::from_secs(240);

/// Pairs of a run.
const PAIRS: &str = "300";

/// Faults that change what is in the log.
const FAULTS: &str = "duplicate=0.05,late=0.05:3s,out-of-order=0.05:9,clock-skew=0.05:-30s,drop=0.05,\
    tombstone=0.05,malformed=0.05,missing-field=0.05,null-field=0.05,wrong-type=0.05,extra-field=0.05,\
    renamed-field=0.05,duplicate-key=0.05,sentinel=0.05,failed-request=0.05,oversize=0.02:2000";

/// A run in topics of its own, and a stage that reads them.
struct Staged {
    directory: TempDir,
    bootstrap: String,
    topics: [String; 2],
    report: Value,
}

/// A process of a stage; it ends with the test.
struct Stage(Child);

impl Drop for Stage {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Staged {
    fn new(label: &str, faults: Option<&str>) -> Self {
        let broker: &Broker = cluster::plain();
        let topics = [format!("{label}.metrics"), format!("{label}.tokens")];
        broker.create_topics(&[(&topics[0], 3), (&topics[1], 3)]);
        let mut run = Producer::run(&broker.bootstrap())
            .set("TOPIC_METRIC", &topics[0])
            .set("TOPIC_TOKEN", &topics[1])
            .set("HOSTNAME", "gpu[01-04]")
            .set("BATCH", PAIRS)
            .set("RUN_SEED", "11")
            .set(
                "EVENT_START",
                (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string(),
            )
            .set("RUN_ID", label);
        if let Some(faults) = faults {
            run = run.set("FAULTS", faults);
        }
        let finished = run.finish();
        let report = finished.exits(0).report().clone();
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("report.json"), report.to_string()).expect("a report");
        Self { directory, bootstrap: broker.bootstrap(), topics, report }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).expect("a file");
        self.path(name)
    }

    /// Records of the run in both topics.
    fn records(&self) -> usize {
        let topics = self.report["topics"].as_array().expect("topics");
        let count = |topic: &Value| topic["acknowledged"].as_u64().expect("a count");
        usize::try_from(topics.iter().map(count).sum::<u64>()).expect("a small run")
    }

    /// Starts a class of Connect with these files.
    fn connect(&self, class: &str, files: &[&Path]) -> Stage {
        let jars = jars::of("kafka-connect-4.3.0", include_str!("stages/connect.xml"));
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-cp"]).arg(format!("{}/*", jars.display())).arg(class).args(files);
        java.current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        Stage(java.spawn().expect("java"))
    }

    /// Waits until a file has a line for each record but so many.
    fn wait_for_lines(&self, name: &str, but: usize) -> Vec<u8> {
        let path = self.path(name);
        let wanted = self.records() - but;
        let read = || fs::read(&path).unwrap_or_default();
        let lines = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
        let is_whole = tools::comes_true(LIMIT, || lines(&read()) >= wanted);
        assert!(is_whole, "{} of {wanted} lines came", lines(&read()));
        read()
    }

    fn verify(&self, arguments: &[&str]) -> Finished {
        let mut verify = Producer::new(["verify", "--json", "--report"]);
        verify.command.arg(self.path("report.json")).args(arguments);
        verify.finish()
    }

    fn verify_lines(&self, lines: &[u8]) -> (i32, Value) {
        fs::write(self.path("export"), lines).expect("a file");
        let export = self.path("export").display().to_string();
        account(&self.verify(&["--input", &export]))
    }
}

fn account(finished: &Finished) -> (i32, Value) {
    let account = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
    (finished.code, account)
}

/// The sum of a count over both topics.
fn sum(account: &Value, pointer: &str) -> u64 {
    let topics = account["topics"].as_array().expect("topics");
    topics
        .iter()
        .map(|topic| topic.pointer(pointer).and_then(Value::as_u64).expect("a count"))
        .sum()
}

/// All but the line with this number.
fn without(lines: &[u8], number: usize) -> Vec<u8> {
    let lines = lines.split_inclusive(|b| *b == b'\n').enumerate();
    lines.filter(|(n, _)| *n != number).flat_map(|(_, line)| line.to_vec()).collect()
}

/// A clean run whose lines a stage wrote is closed; without one of them one is missing.
#[track_caller]
fn lines_hold(staged: &Staged, lines: &[u8]) {
    let (code, closed) = staged.verify_lines(lines);
    assert_eq!((code, &closed["verdict"]), (0, &json!("closed")), "{closed}");
    let (code, lost) = staged.verify_lines(&without(lines, 77));
    assert_eq!((code, sum(&lost, "/missing")), (74, 1), "{lost}");
}

/// Of a run with every fault so many records are missing whose values the stage could not keep, and no other
/// is wrong; without a line that no fault touched one more is missing.
#[track_caller]
fn faults_hold(staged: &Staged, lines: &[u8], unkept: u64, code: i32) {
    assert!(unkept > 0, "the stage kept all values");
    let (found, account) = staged.verify_lines(lines);
    let wrong = ["/read/first_altered", "/repeated", "/read/unexpected"];
    let wrong: u64 = wrong.iter().map(|count| sum(&account, count)).sum();
    assert_eq!((found, sum(&account, "/missing"), wrong), (code, unkept, 0), "{account}");
    let is_whole = |line: &&[u8]| line.starts_with(b"{\"ts\"") && line.ends_with(b"}\n");
    let all: Vec<_> = lines.split_inclusive(|b| *b == b'\n').collect();
    // What is there twice has a copy that a fault made.
    let is_lone = |line: &[u8]| all.iter().filter(|other| **other == line).count() == 1;
    let plain = |line: &&[u8]| {
        let json: Option<Value> = serde_json::from_slice(line).ok();
        json.is_some_and(|json| {
            json.as_object().is_some_and(|fields| fields.len() == 6)
                && json["ts"].is_string()
                && json["prompt_tokens"].is_u64()
        })
    };
    let lost = all.iter().position(|line| is_whole(line) && plain(line) && is_lone(line));
    let (found, account) = staged.verify_lines(&without(lines, lost.expect("a plain line")));
    assert_eq!((found, sum(&account, "/missing")), (74, unkept + 1), "{account}");
}

/// Copies the topics of runs with MirrorMaker 2, as `mirror.TOPIC` on the same cluster.
fn mirror(runs: &[&Staged]) {
    let bootstrap = &runs[0].bootstrap;
    let topics: Vec<_> = runs.iter().flat_map(|run| run.topics.clone()).collect();
    let wanted: usize = runs.iter().map(|run| run.records()).sum();
    let properties = runs[0].write(
        "mirror.properties",
        &format!(
            "clusters = mirror, target\nmirror.bootstrap.servers = {bootstrap}\n\
             target.bootstrap.servers = {bootstrap}\nmirror->target.enabled = true\n\
             target->mirror.enabled = false\nmirror->target.topics = {}\n\
             replication.factor = 1\nsync.topic.acls.enabled = false\n\
             emit.checkpoints.enabled = false\nemit.heartbeats.enabled = false\n\
             offset-syncs.topic.replication.factor = 1\nconfig.storage.replication.factor = 1\n\
             offset.storage.replication.factor = 1\nstatus.storage.replication.factor = 1\n\
             consumer.auto.offset.reset = earliest\n",
            topics.join("|")
        ),
    );
    let _stage = runs[0].connect("org.apache.kafka.connect.mirror.MirrorMaker", &[&properties]);
    let is_whole = tools::comes_true(LIMIT, || {
        let ends = kcat::all_end_offsets(bootstrap).unwrap_or_default();
        let end = |topic: &String| -> i64 {
            ends.get(&format!("mirror.{topic}")).map_or(0, |ends| ends.values().sum())
        };
        usize::try_from(topics.iter().map(end).sum::<i64>()).is_ok_and(|end| end >= wanted)
    });
    assert!(is_whole, "MirrorMaker 2 did not come to the end");
}

fn of_mirror(staged: &Staged) -> (i32, Value) {
    let [metric, token] = &staged.topics;
    let metric = format!("metric=mirror.{metric}");
    let token = format!("token=mirror.{token}");
    account(&staged.verify(&["--topic", &metric, "--topic", &token]))
}

#[test]
fn runs_are_closed_behind_mirrormaker_and_a_record_that_is_not_there_is_named() {
    let clean = Staged::new("mm-clean", None);
    let broken = Staged::new("mm-faults", Some(FAULTS));
    mirror(&[&clean, &broken]);
    for staged in [&clean, &broken] {
        let (code, closed) = of_mirror(staged);
        assert_eq!((code, &closed["verdict"]), (0, &json!("closed")), "{closed}");
        // kcat writes malformed values as they are. One line of its export is lost.
        let mut lines = Vec::new();
        for topic in &staged.topics {
            let mirrored = format!("mirror.{topic}");
            let arguments = ["-C", "-J", "-e", "-q", "-b", &staged.bootstrap, "-t", &mirrored];
            let text = tools::success(tools::bounded(LIMIT, "kcat").args(arguments)).stdout;
            for line in text.split_inclusive(|b| *b == b'\n') {
                let own =
                    line.strip_prefix(b"{\"topic\":\"mirror.").expect("the name of the mirror");
                lines.extend_from_slice(b"{\"topic\":\"");
                lines.extend_from_slice(own);
            }
        }
        lines_hold(staged, &lines);
    }
}

/// Starts Connect's FileStreamSink, which writes the values to the file `lines`.
fn sunk(staged: &Staged) -> Stage {
    let Staged { bootstrap, topics, .. } = staged;
    let worker = staged.write(
        "worker.properties",
        &format!(
            "bootstrap.servers={bootstrap}\noffset.storage.file.filename={}\nlisteners=http://127.0.0.1:0\n\
             key.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.storage.StringConverter\n\
             consumer.auto.offset.reset=earliest\noffset.flush.interval.ms=1000\n",
            staged.path("offsets").display()
        ),
    );
    let sink = staged.write(
        "sink.properties",
        &format!(
            "name=sink\nconnector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\n\
             tasks.max=1\ntopics={}\nfile={}\n",
            topics.join(","),
            staged.path("lines").display()
        ),
    );
    staged.connect("org.apache.kafka.connect.cli.ConnectStandalone", &[&worker, &sink])
}

#[test]
fn a_run_is_closed_behind_a_file_stream_sink_and_a_lost_line_is_named() {
    let staged = Staged::new("sink-clean", None);
    let stage = sunk(&staged);
    let lines = staged.wait_for_lines("lines", 0);
    drop(stage);
    lines_hold(&staged, &lines);
}

// Its converter of strings puts U+FFFD for bytes that are no text, and so nobody knows what they were.
#[test]
fn of_a_run_with_every_fault_a_file_stream_sink_keeps_all_but_what_is_no_text() {
    let staged = Staged::new("sink-faults", Some(FAULTS));
    let stage = sunk(&staged);
    let lines = staged.wait_for_lines("lines", 0);
    drop(stage);
    let text = String::from_utf8(lines.clone()).expect("text");
    let replaced = text.lines().filter(|line| line.contains(char::REPLACEMENT_CHARACTER)).count();
    faults_hold(&staged, &lines, replaced as u64, 69);
}

/// Starts rsyslog's imkafka, which writes the values to the file `lines`.
fn logged(staged: &Staged) -> Stage {
    let Staged { bootstrap, topics, .. } = staged;
    let inputs: String = topics
        .iter()
        .map(|topic| {
            format!(
                "input(type=\"imkafka\" topic=\"{topic}\" broker=[\"{bootstrap}\"] consumergroup=\"{topic}\" \
                 confParam=[\"auto.offset.reset=earliest\"])\n"
            )
        })
        .collect();
    let file = staged.path("lines");
    let text = format!(
        "global(workDirectory=\"{}\" maxMessageSize=\"64k\")\nmodule(load=\"imkafka\")\n{inputs}\
         template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"raw\")\n",
        staged.directory.path().display(),
        file.display()
    );
    let conf = staged.write("rsyslog.conf", &text);
    let mut rsyslogd = Command::new("rsyslogd");
    rsyslogd
        .arg("-n")
        .arg("-f")
        .arg(conf)
        .arg("-i")
        .arg(staged.path("pid"))
        .env("PATH", tools::PATH);
    rsyslogd.stdout(Stdio::null()).stderr(Stdio::null());
    Stage(rsyslogd.spawn().expect("rsyslogd"))
}

#[test]
fn a_run_is_closed_behind_rsyslog_and_a_lost_line_is_named() {
    let staged = Staged::new("syslog-clean", None);
    let stage = logged(&staged);
    let lines = staged.wait_for_lines("lines", 0);
    drop(stage);
    lines_hold(&staged, &lines);
}

// It passes over a message without bytes: a tombstone, and an empty value.
#[test]
fn of_a_run_with_every_fault_rsyslog_keeps_all_but_what_is_empty() {
    let staged = Staged::new("syslog-faults", Some(FAULTS));
    let mut empty = 0;
    for topic in &staged.topics {
        // The bytes of each value; -1 is none.
        let arguments = ["-C", "-e", "-q", "-f", "%S\n", "-b", &staged.bootstrap, "-t", topic];
        let sizes = tools::success(tools::bounded(LIMIT, "kcat").args(arguments)).stdout;
        let sizes = String::from_utf8(sizes).expect("numbers");
        empty += sizes.lines().filter(|size| ["-1", "0"].contains(size)).count();
    }
    let stage = logged(&staged);
    let lines = staged.wait_for_lines("lines", empty);
    drop(stage);
    faults_hold(&staged, &lines, empty as u64, 74);
}
