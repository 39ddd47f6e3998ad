//! `verify` of runs that are not the usual ones: both events in one topic, stopped before the end.

use serde_json::{Value, json};

use crate::cluster::{Cluster, TOPICS};
use crate::common::Producer;
use crate::verify::{from_report, in_json, with_short};

/// A run with faults and incidents whose events are all in one topic.
fn into_one_topic(cluster: &Cluster) -> Producer {
    let run = with_short(cluster, "300").set("TOPIC_TOKEN", TOPICS[0]);
    run.set("RUN_ID", "both").set("RUN_SEED", "8")
}

#[test]
fn a_run_of_one_topic_for_both_events_is_closed_whatever_its_faults_do_to_the_values() {
    let cluster = Cluster::start();
    let run = into_one_topic(&cluster).finish();
    run.exits(0);
    let account = in_json(from_report(run.report(), &["--json"]).exits(0));
    for topic in account["topics"].as_array().unwrap() {
        let of = |name: &str| topic[name].as_u64().unwrap();
        assert_eq!(of("planned") - of("dropped") - of("left_out"), of("found"));
        assert_eq!((topic["changes"].clone(), of("repeated")), (json!([]), 0));
        assert!(of("declared_copies") > 0 && of("dropped") > 0, "{topic}");
    }
    assert_eq!(account["could_not_tell"], json!([]));
}

#[test]
fn what_is_flagged_in_one_topic_for_both_events_is_held_against_the_record_at_that_place() {
    let cluster = Cluster::start();
    let run = into_one_topic(&cluster).finish();
    run.exits(0);
    let fault = |record: &crate::cluster::Received| {
        record.headers.iter().find(|(name, _)| name == "fault").map(|(_, kinds)| kinds.clone())
    };
    let mut flags = String::new();
    for record in cluster.read(TOPICS[0], usize::MAX) {
        for kind in fault(&record).unwrap_or_default().split_terminator(',') {
            let (partition, offset) = (record.partition, record.offset);
            let flag =
                json!({"topic": TOPICS[0], "partition": partition, "offset": offset, "kind": kind});
            flags.push_str(&format!("{flag}\n"));
        }
    }
    let holder = Producer::new(["verify"]);
    let file = holder.file("flags.ndjson", flags);
    let arguments = ["--json", "--detected", file.to_str().unwrap()];
    let account = in_json(from_report(run.report(), &arguments).exits(0));
    for score in account["detected"]["faults"].as_array().unwrap() {
        let expected = if score["kind"] == "drop" { Value::Null } else { json!(1.0) };
        assert_eq!(score["precision"], expected, "{score}");
        assert_eq!(score["recall"] == json!(1.0), score["kind"] != "drop", "{score}");
    }
    assert_eq!(account["detected"]["nowhere"], json!(0));

    let mut verify =
        Producer::new(["verify", "--run", "a", "--run-seed", "1", "--input", "/dev/null"]);
    let flags = verify.file("flags.ndjson", "{\"topic\":\"both\",\"seq\":1}\n");
    verify.command().arg("--detected").arg(flags);
    verify.set("TOPIC_METRIC", "both").set("TOPIC_TOKEN", "both").finish().exits(65).says(
        "flags.ndjson line 1: topic both has both events of a pair; expected \
         \"topic\":\"gpu.metrics.v1\" or \"token.usage.v1\"",
    );
}

#[test]
fn lines_of_one_topic_for_both_events_are_told_apart_as_its_records_are() {
    let cluster = Cluster::start();
    let run = into_one_topic(&cluster).finish();
    let report = run.exits(0).report();
    let line = |record: &crate::cluster::Received| {
        let headers: serde_json::Map<_, _> =
            record.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        // A malformed value may be empty, and a tombstone is none.
        let is_tombstone = headers
            .get("fault")
            .is_some_and(|kinds| kinds.as_str().is_some_and(|kinds| kinds.contains("tombstone")));
        let value = (!is_tombstone).then_some(&record.value);
        let (key, timestamp) = (&record.key, record.timestamp_ms);
        format!(
            "{}\n",
            json!({"topic": TOPICS[0], "key": key, "headers": headers, "timestamp": timestamp,
                "value": value})
        )
    };
    let records = cluster.read(TOPICS[0], usize::MAX);
    let (text, bytes): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| !record.value.contains('\u{fffd}'));
    let lines: String = text.into_iter().map(line).collect();
    let mut verify = Producer::new(["verify", "--json"]);
    let input = verify.file("records.ndjson", lines);
    let report = verify.file("run.json", report.to_string());
    verify.command().arg("--report").arg(report).arg("--input").arg(input);
    let finished = verify.finish();
    let account = in_json(&finished);
    let sum = |pointer: &str| -> u64 {
        let topics = account["topics"].as_array().unwrap();
        topics.iter().map(|topic| topic.pointer(pointer).and_then(Value::as_u64).unwrap()).sum()
    };
    // What is no text did not come through the lines.
    assert_eq!(sum("/missing"), bytes.len() as u64);
    assert_eq!((sum("/repeated"), sum("/read/unexpected")), (0, 0));
    assert_eq!(sum("/read/first_altered"), 0);
}

/// The first record of each event and pair, as a stage leaves them.
fn first_of_each(cluster: &Cluster) -> String {
    let mut lines = String::new();
    for topic in TOPICS {
        let mut seen = std::collections::BTreeSet::new();
        let mut records = cluster.read(topic, usize::MAX);
        records.sort_by_key(|record| (record.partition, record.offset));
        for record in records {
            let header = |name: &str| {
                let found = record.headers.iter().find(|(found, _)| found == name);
                found.map(|(_, value)| value.clone())
            };
            if seen.insert(header("seq")) {
                let headers: serde_json::Map<_, _> =
                    record.headers.iter().map(|(n, v)| (n.clone(), json!(v))).collect();
                let line = json!({"topic": topic, "partition": record.partition,
                    "offset": record.offset, "key": record.key, "headers": headers,
                    "timestamp": record.timestamp_ms, "value": record.value});
                lines.push_str(&format!("{line}\n"));
            }
        }
    }
    lines
}

#[test]
fn a_deduplicated_run_is_held_against_its_report_and_its_answer_key() {
    let cluster = Cluster::start();
    let run = cluster.run().set("BATCH", "300").set("FAULTS", "duplicate=0.1:0s");
    let key = run.directory().join("key.ndjson");
    let run = run.set("ANSWER_KEY", &key).start();
    let (running, holder) = (run, Producer::new(["verify"]));
    let key_of = || std::fs::read_to_string(&key).unwrap_or_default();
    let key = crate::process::eventually("the end of the key", || {
        let text = key_of();
        text.contains("\"type\":\"end\"").then_some(text)
    });
    let run = running.finish();
    let key = holder.file("key.ndjson", key);
    let lines = holder.file("lines.ndjson", first_of_each(&cluster));
    let [key, lines] = [&key, &lines].map(|path| path.to_str().unwrap());
    let all = ["--json", "--input", lines, "--answer-key", key, "--deduplicated"];
    from_report(run.exits(0).report(), &all[..5]).exits(74);
    let account = in_json(from_report(run.report(), &all).exits(0));
    assert_eq!(account["deduplicated"], json!(true));
    assert_eq!(account["answer_key"]["agrees"], json!(true));
    for topic in account["topics"].as_array().unwrap() {
        let of = |name: &str| topic[name].as_u64().unwrap();
        assert_eq!((of("found"), of("missing")), (300, 0));
        assert!(of("removed_copies") > 10, "{topic}");
        let verdicts = json!([{"verdict": "acknowledged", "present": 300, "missing": 0}]);
        assert_eq!(topic["verdicts"], verdicts);
    }

    // The topics themselves have both.
    let open = from_report(run.report(), &["--deduplicated"]);
    let words = &open.exits(74).stdout;
    assert!(words.contains(" declared copies still there\n"), "{words}");
    assert!(words.contains(" of these are still beside their records: pairs "), "{words}");
}

#[test]
fn a_reader_that_follows_a_stage_that_deduplicates_ends_when_one_of_each_is_there() {
    let cluster = Cluster::start();
    let of = |command: Producer| {
        let run = [("RUN_SEED", "3"), ("BATCH", "200"), ("SLEEP_SEC", "1ms")];
        let run = [&run[..], &[("FAULTS", "duplicate=0.3:1h")]].concat();
        run.iter().fold(command, |run, (name, value)| run.set(name, value))
    };
    // The copies are due in an hour, so that they are not there yet.
    let running = of(cluster.run()).set("RUN_ID", "one").start();
    cluster.read(TOPICS[1], 200);
    let verify = ["verify", "--follow", "--deduplicated", "--run", "one", "--json"];
    let verify = of(Producer::new(verify)).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
    let account = in_json(verify.finish().exits(0));
    assert_eq!(account["topics"][0]["found"], json!(200));
    running.signal("TERM");
    running.finish();
}

/// Stops a run once it has sent a hundred records of each topic.
fn stopped(cluster: &Cluster, run: Producer) -> Value {
    let running = run.start();
    cluster.read(TOPICS[1], 100);
    running.signal("TERM");
    let run = running.finish();
    run.exits(143).report().clone()
}

#[test]
fn of_a_run_whose_pairs_only_its_schedule_knows_all_that_it_did_not_come_to_is_not_generated() {
    let cluster = Cluster::start();
    let of_minutes = |run: Producer| {
        let run = run.set("DURATION_SEC", "3m").set("SLEEP_SEC", "5ms").set("RUN_SEED", "7");
        run.set("ARRIVALS", "poisson")
    };
    let report = stopped(&cluster, of_minutes(cluster.run()));
    let account = in_json(from_report(&report, &["--json"]).exits(0));
    // How many that were to be is what a run of the same name prints.
    let run_id = report["run_id"].as_str().unwrap();
    let events = of_minutes(Producer::new(["generate", "--run-id", run_id, "--values"]));
    let start = report["started_at"].as_str().unwrap();
    let events = events.set("EVENT_START", start).set("PACE", "none").finish();
    let pairs = events.exits(0).stdout.lines().count() as u64 / 2;
    assert!(pairs > 30_000, "{pairs}");
    for (number, topic) in account["topics"].as_array().unwrap().iter().enumerate() {
        let generated = report["topics"][number]["generated"].as_u64().unwrap();
        assert_eq!(topic["planned"], json!(pairs));
        assert_eq!(topic["found"], json!(generated));
        assert_eq!(topic["not_generated"].as_u64(), Some(pairs - generated), "{topic}");
    }
}

#[test]
fn two_runs_with_one_seed_and_one_start_but_other_settings_have_two_names_and_one_set_of_values() {
    let base = [("RUN_SEED", "1"), ("EVENT_START", "2026-01-05T12:00:00Z"), ("BATCH", "40")];
    let run_of = |more: &[(&str, &str)]| {
        let lines = crate::process::generated(&[&base[..], more].concat());
        let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        (first["headers"]["run"].as_str().unwrap().to_owned(), first["value"].clone())
    };
    let (clean, value) = run_of(&[]);
    assert!(clean.starts_with("20260105T120000.000Z-1-"), "{clean}");
    for more in [
        ("FAULTS", "duplicate=0.2"),
        ("INCIDENTS", "throttle@+9s/2s"),
        ("BATCH", "41"),
        ("RECORD_KEY", "none"),
    ] {
        let (other, same) = run_of(&[more]);
        assert_ne!(other, clean, "{more:?}");
        assert_eq!(same, value, "{more:?}");
    }
    let (paced, _) = run_of(&[("PACE", "wall"), ("SLEEP_SEC", "500ms"), ("TOPIC_METRIC", "m")]);
    assert_eq!(paced, clean, "what changes no record changes no name");
}

#[test]
fn nearly_all_values_of_a_run_that_nothing_proves_the_settings_of_are_other_settings() {
    let run = [("RUN_ID", "r"), ("BATCH", "20"), ("SLEEP_SEC", "0.5")];
    let holder = Producer::new(["verify"]);
    let lines = crate::process::generated(&run);
    let input = holder.file("lines.ndjson", &lines);
    let all = ["--run", "r", "--batch", "20", "--event-start", "2026-01-01T00:00:00Z"];
    let verify = |arguments: &[&str], input: &std::path::Path| {
        let all =
            [&["verify"], &all[..], arguments, &["--input", input.to_str().unwrap()]].concat();
        Producer::new(all).finish()
    };
    verify(&["--run-seed", "1"], &input).exits(0);
    let says = "the settings are not those of run r, or a stage changed nearly every value: ";
    verify(&["--run-seed", "2"], &input).exits(65).says(says);
    verify(&["--run-seed", "1", "--workload", "code"], &input).exits(65).says(says);
    // One field of one topic is what a stage changes.
    let rounded = holder.file("rounded.ndjson", lines.replace("\"power_w\":", "\"power_w\":1"));
    verify(&["--run-seed", "1"], &rounded).exits(74);
}

#[test]
fn a_report_that_does_not_make_its_own_digest_or_has_a_number_of_no_run_is_refused() {
    let cluster = Cluster::start();
    let mut report = cluster.run().set("BATCH", "9").finish().exits(0).report().clone();
    let own = report["plan_sha256"].take();
    report["plan_sha256"] = json!("0".repeat(64));
    from_report(&report, &[]).exits(65).says("its report has plan_sha256 0000");
    report["plan_sha256"] = Value::Null;
    from_report(&report, &[]).exits(0);
    report["plan_sha256"] = own;
    for (pointer, number, says) in [
        ("/topics/0/partition_count", 4_294_967_295_u64, "partition_count 4294967295"),
        ("/topics/1/generated", 1 << 60, "generated 1152921504606846976"),
        ("/topics/1/partitions/0/partition", 2_000_000_000, "partition 2000000000"),
    ] {
        let mut report = report.clone();
        *report.pointer_mut(pointer).unwrap() = json!(number);
        from_report(&report, &[]).exits(65).says(says).says(", where no run has more than ");
    }
}

#[test]
fn a_flag_that_contradicts_the_report_is_a_usage_error_and_one_that_agrees_is_none() {
    let cluster = Cluster::start();
    let run = cluster.run().set("BATCH", "30").finish();
    let report = run.exits(0).report();
    for (flag, value, was) in [
        ("--batch", "10", "BATCH \"30\""),
        ("--workload", "code", "WORKLOAD \"chat\""),
        ("--run-seed", "5", &format!("RUN_SEED \"{}\"", report["run_seed"])),
        ("--faults", "drop=0.1", "FAULTS \"\""),
    ] {
        let says = format!("{flag} {value}: the run of ");
        let refused = from_report(report, &[flag, value]);
        refused.exits(64).says(&says).says(&format!(" had {was}; leave the flag out"));
    }
    from_report(report, &["--batch", "30", "--pace", "none"]).exits(0);
    // As they mean, not as they are written.
    from_report(report, &["--sleep-sec", "0s", "--hostname", "vm[4]"]).exits(0);
    from_report(report, &["--rate", "5"]).exits(64).says("leave the flag out");
    let nobody = crate::common::nobody();
    from_report(report, &["-b", &nobody, "--timeout", "1"])
        .exits(69)
        .says(&format!("no broker of {nobody} answered in time, so gpu.metrics.v1 cannot be read"));
}

#[test]
fn a_live_run_without_headers_is_told_by_its_values_though_many_of_them_are_the_same() {
    let cluster = Cluster::start();
    let run = cluster.run().set("RECORD_HEADERS", "off").set("BATCH", "200");
    let run = run.set("SLEEP_SEC", "1ms").finish();
    let account = in_json(from_report(run.exits(0).report(), &["--json"]).exits(0));
    for topic in account["topics"].as_array().unwrap() {
        assert_eq!((&topic["told_by_value"], &topic["found"]), (&json!(200), &json!(200)));
    }
}

#[test]
fn the_rate_of_a_run_is_one_of_its_settings_and_the_same_as_its_gap() {
    let cluster = Cluster::start();
    let mut rated = cluster.run().set("BATCH", "30").set("RATE", "200");
    rated.command.env_remove("SLEEP_SEC");
    let rated = rated.finish();
    let report = rated.exits(0).report();
    from_report(report, &["--rate", "200"]).exits(0);
    from_report(report, &["--sleep-sec", "5ms"]).exits(0);
    for flag in [["--rate", "100"], ["--sleep-sec", "0.5"]] {
        from_report(report, &flag).exits(64).says(&format!("{} {}: the run of ", flag[0], flag[1]));
    }

    let holder = Producer::new(["verify"]);
    let key = holder.directory().join("key.ndjson");
    let run = ["--run-id", "r", "--run-seed", "1", "--event-start", "2026-01-05T00:00:00Z"];
    let generate = [&["generate", "--rate", "100", "--faults", "late=0.2"], &run[..]].concat();
    let lines = Producer::new(generate).set("ANSWER_KEY", &key).finish();
    let input = holder.file("lines.ndjson", &lines.exits(0).stdout);
    let verify = |gap: [&str; 2]| {
        let own = ["verify", "--faults", "late=0.2", "--input", input.to_str().unwrap(), "--json"];
        let key = ["--answer-key", key.to_str().unwrap()];
        in_json(&Producer::new([&own, &run[..], &key, &gap].concat()).finish())
    };
    for same in [["--rate", "100"], ["--sleep-sec", "10ms"]] {
        assert_eq!(verify(same)["answer_key"]["lines"]["wrong"], json!(0), "{same:?}");
    }
    let first = &verify(["--rate", "50"])["answer_key"]["lines"]["first"][0]["fields"][0];
    assert_eq!(first["field"], "/settings/RATE");
    assert_eq!((&first["found"], &first["plan"]), (&json!("100"), &json!("50")));
}

#[test]
fn a_run_does_not_take_the_name_that_is_made_of_other_settings() {
    let cluster = Cluster::start();
    let of = |id: &str, seed: &str| {
        cluster.run().set("RUN_ID", id).set("RUN_SEED", seed).set("BATCH", "9")
    };
    let run = cluster.run().set("RUN_SEED", "7").set("BATCH", "9").finish();
    let id = run.exits(0).report()["run_id"].as_str().unwrap().to_owned();
    of(&id, "7").finish().exits(0);
    let digest = id.rsplit('-').next().unwrap();
    let says =
        format!("it ends with {digest}, the digest of all that makes the records of a run, and ");
    let refused = of(&id, "7").set("WORKLOAD", "code").finish();
    refused.exits(78).says(&format!("RUN_ID: {id:?} from the environment is not valid: {says}"));
    refused.says("expected a name of another form, the settings of that run, or nothing");
    assert_eq!(refused.report()["outcome"], "misconfigured");
    let unseeded = cluster.run().set("RUN_ID", &id).set("BATCH", "9").finish();
    unseeded.exits(78).says(&format!("{says}RUN_SEED is not set, and was 7 there"));
    let doctor = Producer::new(["doctor"]).set("KAFKA_BOOTSTRAP", cluster.bootstrap());
    let doctor = doctor.set("RUN_ID", &id).set("RUN_SEED", "8").finish();
    assert!(doctor.exits(78).stdout.contains(&says), "{}", doctor.stdout);
}

#[test]
fn a_report_is_named_with_or_without_its_flag() {
    let cluster = Cluster::start();
    let run = || cluster.run().set("BATCH", "9").finish();
    let (first, second) = (run(), run());
    let holder = Producer::new(["verify"]);
    let reports = [("first.json", &first), ("second", &second)]
        .map(|(name, run)| holder.file(name, run.exits(0).report().to_string()));
    let named = |command: &str, arguments: &[&str]| {
        let mut named = Producer::new([command]);
        named.command.args(arguments).current_dir(holder.directory());
        named.finish()
    };
    assert!(named("verify", &["first.json"]).exits(0).stdout.starts_with("CLOSED"));
    for several in [&["first.json", "second"][..], &["--report", "first.json", "./second"]] {
        assert_eq!(named("verify", several).exits(0).stdout.matches("CLOSED: run ").count(), 2);
    }
    let [path, _] = reports.each_ref().map(|path| path.to_str().unwrap());
    named("verify", &[path, "--json"]).exits(0);
    holder.file("notes", "a line of text");
    let says = "notes: it is no report of a run: ";
    named("verify", &["notes"])
        .exits(65)
        .says(says)
        .says("expected the JSON that REPORT_FILE names");
    named("verify", &["./none"]).exits(66).says("cannot read ./none: No such file");
    let says = "there is no file none.json, and to verify a run of this id RUN_TOPIC must be set";
    named("verify", &["none.json"]).exits(66).says(says);
    let says = "'none' is no file, and cannot be used with the report 'first.json'";
    named("verify", &["first.json", "none"]).exits(64).says(says);
    let says = "neither 'none' nor 'other' is a file; expected reports, or the id of one run";
    named("verify", &["none", "other"]).exits(64).says(says);
    named("verify", &["first.json", "--run", "x"]).exits(64).says("cannot be used with");

    let started = "--event-start=2026-01-05T00:00:00Z";
    let run = cluster.run().set("BATCH", "9").set("EVENT_START", &started[14..]).finish();
    holder.file("start.json", run.exits(0).report().to_string());
    let rows = named("expect", &["start.json", "--window", "1h"]).exits(0).stdout.clone();
    let flagged = named("expect", &["--report", "start.json", "--window", "1h"]);
    assert_eq!(rows, flagged.exits(0).stdout);
    named("expect", &["none", "--window", "1h"]).exits(66).says("cannot read none");
    named("expect", &["notes", "--window", "1h"]).exits(65).says("notes: it is no report of a run");
}

#[test]
fn of_several_runs_the_one_that_is_proved_wrong_decides() {
    let cluster = Cluster::start();
    let settings = |run: Producer, id: &str| {
        let run = run.set("BATCH", "9").set("EVENT_START", "2026-01-05T00:00:00Z");
        run.set("RUN_SEED", "1").set("RUN_ID", id)
    };
    let holder = Producer::new(["verify"]);
    let mut rows = String::new();
    for id in ["first", "second"] {
        let run = settings(cluster.run(), id).finish();
        holder.file(id, run.exits(0).report().to_string());
        rows += &settings(Producer::new(["generate"]), id).finish().exits(0).stdout;
    }
    let (all_but_one, _) = rows.trim_end().rsplit_once('\n').expect("lines");
    holder.file("rows", all_but_one);
    holder.file("notes", "a line of text");
    for reports in [["first", "notes", "second"], ["second", "notes", "first"]] {
        let mut verify = Producer::new(["verify", "--input", "rows", "--report"]);
        verify.command.args(reports).current_dir(holder.directory());
        let verified = verify.finish();
        verified.exits(74).says("notes: it is no report of a run");
        assert!(verified.stdout.contains("NOT CLOSED: run second: "), "{}", verified.stdout);
    }
}
