//! A task that fails on its way: Swarm starts it again, and `verify` tells what that did.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::super::broker::{self, Record, bootstrap};
use super::super::engine::engine;
use super::super::image::image;
use super::{SHARED, deploy, join_swarm, wait_for_tasks};

/// Pairs of a run of one task.
const PAIRS: u64 = 1000;

/// Seconds between them.
const GAP: &str = "0.005";

/// Where the engine's host keeps the reports for the containers that verify them.
const REPORTS: &str = "/tmp/reports";

/// The containers of a service, those that have ended too, the latest first.
fn containers(service: &str) -> Vec<String> {
    let of = format!("--filter=label=com.docker.swarm.service.name={service}");
    let list = engine().run(&["docker", "ps", "--all", "--quiet", "--no-trunc", &of]).text();
    list.lines().map(str::to_owned).collect()
}

/// A value of `docker inspect`.
fn inspected(container: &str, what: &str) -> String {
    engine().run(&["docker", "inspect", &format!("--format={what}"), container]).text()
}

/// Kills one task of the service once its topic has this many records, and waits until so many tasks
/// are complete. Returns the container that was killed, and the others.
fn kill_one(service: &str, topic: &str, records: u64, tasks: usize) -> (String, Vec<String>) {
    engine().wait_until("the run is on its way", || broker::count(topic) >= records);
    let killed = containers(service).pop().expect("a container");
    engine().run(&["docker", "kill", &killed]).exits(0);
    wait_for_tasks(service, tasks);
    assert_eq!(inspected(&killed, "{{.State.ExitCode}}"), "137");
    let mut others = containers(service);
    others.retain(|container| *container != killed);
    assert_eq!(others.len(), tasks, "Swarm started one again");
    (killed, others)
}

/// What `verify`, in a container, says with these options and exits with.
#[track_caller]
fn verify(code: i32, options: &[&str]) -> Value {
    let volume = format!("{REPORTS}:{REPORTS}:ro");
    let run = ["docker", "run", "--rm", "--volume", &volume, image(), "verify"];
    println!("{}", engine().run(&[&run[..], options].concat()).stdout);
    let finished = engine().run(&[&run[..], &["--json"], options].concat()).exits(code);
    serde_json::from_str(&finished.stdout).expect("an account")
}

/// Verifies the run of the report that a container left on its standard output.
#[track_caller]
fn verify_report_of(container: &str, code: i32) -> Value {
    let report = format!("{REPORTS}/{container}.json");
    let keep = format!("mkdir -p {REPORTS} && docker logs {container} >{report} 2>/dev/null");
    engine().shell(&keep).exits(0);
    // The second try began behind the first.
    verify(code, &["--report", &report, "--all"])
}

/// What an account says of each topic at a place, as a count.
fn of_topics(account: &Value, pointer: &str) -> [u64; 2] {
    let topics = account["topics"].as_array().expect("topics");
    let count = |topic: &Value| topic.pointer(pointer).and_then(Value::as_u64).expect(pointer);
    [count(&topics[0]), count(&topics[1])]
}

/// How many records of a topic the log has, and how many of them are there again.
fn counts(topic: &str) -> [u64; 2] {
    let mut copies = BTreeMap::<Record, u64>::new();
    for record in broker::records(&[topic]) {
        *copies.entry(record).or_default() += 1;
    }
    [copies.values().sum(), copies.values().map(|count| count - 1).sum()]
}

#[test]
fn what_swarm_sends_again_of_a_killed_shard_is_copies_and_not_loss() {
    let topics = ["retry.metrics", "retry.tokens"];
    broker::create(&topics);
    // With times of its own for the events a run is sent as fast as it goes: too fast to be killed.
    let added = "    environment: {TOPIC_METRIC: retry.metrics, TOPIC_TOKEN: retry.tokens, PACE: wall, \
                 REPORT_FILE: '-'}\n    deploy: {restart_policy: {delay: 500ms}}\n";
    let paced = [("BATCH", "1600"), ("SLEEP_SEC", "0.005")];
    deploy("retry", &[&SHARED[..3], &paced].concat(), added);
    let (killed, completed) = kill_one("retry_producer", topics[1], 100, 4);
    let in_log = topics.map(counts);
    let copies = in_log.map(|[_, copies]| copies);
    println!("swarm: of a killed shard {copies:?} records were sent again");
    assert_eq!(in_log.map(|[records, copies]| records - copies), [1600, 1600]);
    assert!(copies[0] > 1 && copies[1] > 1, "{copies:?}");

    let shard = "{{range .Config.Env}}{{println .}}{{end}}";
    let shard = |container: &str| {
        let variables = inspected(container, shard);
        let shard = variables.lines().find(|line| line.starts_with("SHARD="));
        shard.expect("a shard").to_owned()
    };
    let again = shard(&killed);
    for container in completed {
        let is_again = shard(&container) == again;
        let account = verify_report_of(&container, if is_again { 74 } else { 0 });
        assert_eq!(account["closed"], json!(!is_again));
        assert_eq!(of_topics(&account, "/found"), [400, 400]);
        assert_eq!(of_topics(&account, "/missing"), [0, 0]);
        assert_eq!(of_topics(&account, "/read/first_altered"), [0, 0]);
        let told = of_topics(&account, "/read/extra_copies");
        assert_eq!(told, if is_again { copies } else { [0, 0] });
        let [metric, token] = [&account["topics"][0]["copies"], &account["topics"][1]["copies"]];
        for of_topic in [metric, token].into_iter().filter(|_| is_again) {
            assert_eq!(of_topic.as_array().expect("copies").len(), 1, "{of_topic}");
            assert_eq!(of_topic[0]["origin"], "sent-again");
            assert_eq!(of_topic[0]["same_partition"], of_topic[0]["records"]);
        }
    }
    engine().run(&["docker", "stack", "rm", "retry"]).exits(0);
}

/// A service of one task that Swarm starts again when it fails, with these settings, to new topics of
/// its name.
fn start(name: &str, settings: &[(&str, &str)]) -> [String; 2] {
    let topics = broker::create_topics(name);
    join_swarm();
    let mut command = vec!["docker", "service", "create", "--detach", "--endpoint-mode=dnsrr"];
    let named = format!("--name={name}");
    command.extend([&named, "--restart-condition=on-failure", "--restart-delay=500ms"]);
    let batch = PAIRS.to_string();
    let own = [
        ("KAFKA_BOOTSTRAP", bootstrap()),
        ("TOPIC_METRIC", topics[0].as_str()),
        ("TOPIC_TOKEN", topics[1].as_str()),
        ("BATCH", batch.as_str()),
        ("SLEEP_SEC", GAP),
        ("RUN_SEED", "7351"),
        ("REPORT_FILE", "-"),
    ];
    let settings = own.iter().chain(settings);
    let settings: Vec<_> = settings.map(|(name, value)| format!("--env={name}={value}")).collect();
    command.extend(settings.iter().map(String::as_str));
    command.extend(["--no-resolve-image", image()]);
    engine().run(&command).exits(0);
    topics
}

/// The same, whose task is killed: also the containers that were killed and that completed.
fn retried(name: &str, settings: &[(&str, &str)]) -> (String, String, [String; 2]) {
    let topics = start(name, settings);
    let (killed, mut completed) = kill_one(name, &topics[1], 60, 1);
    (killed, completed.remove(0), topics)
}

#[test]
fn without_a_run_id_what_swarm_starts_again_is_a_run_of_its_own() {
    let (killed, completed, topics) = retried("anew", &[]);
    let first = topics.each_ref().map(|topic| broker::count(topic) - PAIRS);

    let account = verify_report_of(&completed, 0);
    assert_eq!(of_topics(&account, "/found"), [PAIRS, PAIRS]);
    assert_eq!(of_topics(&account, "/read/foreign/records"), first);
    assert_eq!(of_topics(&account, "/read/extra_copies"), [0, 0]);

    // The run that was killed has left no report, but its log has what tells its records.
    let logs = engine().run(&["docker", "logs", &killed]).exits(0).stderr;
    let run = logs.split_once(" run ").and_then(|(_, rest)| rest.split_once(", RUN_SEED 7351, "));
    let (run, _) = run.expect("the run and its seed");
    let topics = [("--topic-metric", &topics[0]), ("--topic-token", &topics[1])];
    let options = [("--kafka-bootstrap", bootstrap()), ("--run", run), ("--run-seed", "7351")];
    let topics = topics.map(|(flag, topic)| (flag, topic.as_str()));
    let batch = PAIRS.to_string();
    let options =
        [&options[..], &[("--batch", batch.as_str()), ("--sleep-sec", GAP)], &topics].concat();
    let options: Vec<&str> = options.iter().flat_map(|(flag, value)| [*flag, value]).collect();
    let account = verify(74, &options);
    assert_eq!(of_topics(&account, "/found"), first);
    assert_eq!(of_topics(&account, "/missing"), first.map(|found| PAIRS - found));
    assert_eq!(of_topics(&account, "/read/first_altered"), [0, 0]);
    for topic in account["topics"].as_array().expect("topics") {
        let causes = topic["missing_by_cause"].as_array().expect("causes");
        let whys: Vec<_> = causes.iter().map(|cause| &cause["why"]).collect();
        assert_eq!(whys, ["no-verdict"], "nothing is called lost that nobody vouched for");
    }
    engine().run(&["docker", "service", "rm", "anew"]).exits(0);
}

#[test]
fn with_a_run_id_and_times_of_its_own_the_second_try_is_told_by_its_times() {
    let (_, completed, topics) = retried("times", &[("RUN_ID", "times")]);
    let first = topics.each_ref().map(|topic| broker::count(topic) - PAIRS);
    let account = verify_report_of(&completed, 74);
    assert_eq!(of_topics(&account, "/missing"), [0, 0]);
    assert_eq!(of_topics(&account, "/read/extra_copies"), first);
    assert_eq!(of_topics(&account, "/outside_run"), first);
    for topic in account["topics"].as_array().expect("topics") {
        assert_eq!(topic["copies"][0]["origin"], "sent-again", "{topic}");
    }
    engine().run(&["docker", "service", "rm", "times"]).exits(0);
}

#[test]
fn what_a_run_that_was_cut_off_left_open_is_found_once_swarm_has_sent_it_again() {
    let settings = [
        ("RUN_ID", "cut"),
        ("EVENT_START", "2026-03-01T08:00:00Z"),
        ("PACE", "wall"),
        ("DELIVERY_TIMEOUT_SEC", "3"),
    ];
    let topics = start("cut", &settings);
    engine().wait_until("the run is on its way", || broker::count(&topics[1]) >= 60);
    let [first] = &containers("cut")[..] else { panic!("one task") };
    let address = inspected(first, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    assert!(address.parse::<Ipv4Addr>().is_ok(), "{address:?}");
    // The broker listens on the engine's host.
    let rule = ["INPUT", "--source", &address, "--jump", "DROP"];
    engine().run(&[&["iptables", "--wait", "--insert"], &rule[..]].concat()).exits(0);
    engine()
        .wait_until("the run has given up", || inspected(first, "{{.State.Status}}") == "exited");
    engine().run(&[&["iptables", "--wait", "--delete"], &rule[..]].concat()).exits(0);
    assert_eq!(inspected(first, "{{.State.ExitCode}}"), "74");
    wait_for_tasks("cut", 1);
    let last = containers("cut").remove(0);

    let copies = topics.each_ref().map(|topic| counts(topic)[1]);
    let account = verify_report_of(&last, 74);
    assert_eq!(of_topics(&account, "/found"), [PAIRS, PAIRS]);
    assert_eq!(of_topics(&account, "/missing"), [0, 0]);
    assert_eq!(of_topics(&account, "/read/extra_copies"), copies);
    for topic in account["topics"].as_array().expect("topics") {
        assert_eq!(topic["copies"][0]["origin"], "sent-again", "{topic}");
    }
    // The report of the first says what it left open: it is there, from the second.
    let account = verify_report_of(first, 74);
    assert_eq!(of_topics(&account, "/missing"), [0, 0]);
    for topic in account["topics"].as_array().expect("topics") {
        let rows = topic["verdicts"].as_array().expect("verdicts");
        let open = rows.iter().filter(|row| row["verdict"] != "acknowledged");
        let present = open.map(|row| row["present"].as_u64().expect("a count"));
        assert!(present.sum::<u64>() > 0, "{topic}");
    }
    engine().run(&["docker", "service", "rm", "cut"]).exits(0);
}
