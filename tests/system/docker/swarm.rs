//! A fleet: the shards of a run as the tasks of a Docker Swarm.

mod retry;

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::broker::{self, Record, bootstrap, records};
use super::engine::{HOST, Output, engine};
use super::image::image;

/// What the shards share.
const SHARED: [(&str, &str); 5] = [
    ("RUN_ID", "fleet-1"),
    ("RUN_SEED", "7351"),
    ("EVENT_START", "2026-03-01T08:00:00.250Z"),
    ("BATCH", "500"),
    ("SLEEP_SEC", "0"),
];

/// What the same run sends as one process, to topics of its own.
fn unsharded(name: &str) -> Vec<Record> {
    let topics = broker::create_topics(name);
    let mut command = vec!["docker".to_owned(), "run".into(), "--rm".into()];
    let own = [
        ("KAFKA_BOOTSTRAP", bootstrap()),
        ("TOPIC_METRIC", &topics[0]),
        ("TOPIC_TOKEN", &topics[1]),
    ];
    let settings = SHARED.iter().chain(&own);
    command.extend(settings.map(|(name, value)| format!("--env={name}={value}")));
    command.push(image().to_owned());
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    engine().run(&command).exits(0);
    let mut records = records(&topics.each_ref().map(String::as_str));
    records.sort();
    records
}

/// Makes the engine a swarm of one, the first time.
fn join_swarm() {
    static SWARM: LazyLock<()> = LazyLock::new(|| {
        // The networks of stacks are otherwise the next of 10.0.0.0/8: of the second, the engine's own.
        let pool = "--default-addr-pool=172.30.0.0/16";
        engine().run(&["docker", "swarm", "init", "--advertise-addr", HOST, pool]).exits(0);
    });
    LazyLock::force(&SWARM);
}

/// Deploys the stack as it is shipped, with these variables of its user, and what a test adds to the
/// service in a second file.
fn deploy(name: &str, variables: &[(&str, &str)], added: &str) -> Output {
    join_swarm();
    let mut line = format!("export KAFKA_BOOTSTRAP={} PRODUCER_IMAGE={}; ", bootstrap(), image());
    for (name, value) in variables {
        write!(line, "export {name}={value}; ").expect("a String takes all");
    }
    let file = format!("/tmp/{name}.yml");
    write!(
        line,
        "cat >{file} <<'END'\nversion: \"3.9\"\nservices:\n  producer:\n{added}END\n\
         docker stack deploy --resolve-image never --detach=true \
         --compose-file packaging/swarm/stack.yml --compose-file {file} {name}"
    )
    .expect("a String takes all");
    engine().shell(&line).exits(0)
}

/// Waits until so many tasks of a service or job have completed.
fn wait_for_tasks(service: &str, tasks: usize) {
    engine().wait_until("every task has completed", || {
        let list = ["docker", "service", "ps", service, "--format={{.CurrentState}}"];
        let states = engine().run(&list).text();
        states.lines().filter(|state| state.starts_with("Complete")).count() == tasks
    });
}

/// Waits until the four tasks of a service or job have completed, and returns what they logged.
fn logs_of(service: &str) -> String {
    wait_for_tasks(service, 4);
    let logs = engine().run(&["docker", "service", "logs", service]).exits(0);
    format!("{}{}", logs.stdout, logs.stderr)
}

/// Fails unless the topics hold the unsharded run, and each of four tasks sent a quarter of it.
#[track_caller]
fn assert_union(topics: &[&str], whole: &[Record], said: &str) {
    let mut union = records(topics);
    union.sort();
    assert_eq!(union.len(), whole.len());
    assert_eq!(union, whole);
    assert_eq!(said.matches("250 of 250 planned records delivered").count(), 4, "{said}");
}

#[test]
fn four_tasks_of_a_swarm_job_together_send_the_unsharded_run() {
    let whole = unsharded("whole");
    assert_eq!(whole.len(), 1000);
    let topics = ["fleet.metrics", "fleet.tokens"];
    broker::create(&topics);
    let added =
        "    environment:\n      TOPIC_METRIC: fleet.metrics\n      TOPIC_TOKEN: fleet.tokens\n";
    let deployed = deploy("fleet", &SHARED, added);
    let said = logs_of("fleet_producer");
    println!("swarm job: four tasks are over; deployed in {:.1?}", deployed.elapsed);
    assert_union(&topics, &whole, &said);
    engine().run(&["docker", "stack", "rm", "fleet"]).exits(0);
}

#[test]
fn four_tasks_of_a_swarm_service_together_send_the_unsharded_run() {
    let whole = unsharded("whole-service");
    let topics = broker::create_topics("service");
    join_swarm();
    let mut command = vec!["docker", "service", "create", "--detach", "--name=service"];
    command.extend(["--replicas=4", "--restart-condition=none", "--endpoint-mode=dnsrr"]);
    let own = [
        ("KAFKA_BOOTSTRAP", bootstrap()),
        ("TOPIC_METRIC", &topics[0]),
        ("TOPIC_TOKEN", &topics[1]),
        ("SHARD", "slot:{{.Task.Slot}}/4"),
    ];
    let settings = SHARED.iter().chain(&own);
    let settings: Vec<_> = settings.map(|(name, value)| format!("--env={name}={value}")).collect();
    command.extend(settings.iter().map(String::as_str));
    command.extend(["--no-resolve-image", image()]);
    engine().run(&command).exits(0);
    let said = logs_of("service");
    assert_union(&topics.each_ref().map(String::as_str), &whole, &said);
    engine().run(&["docker", "service", "rm", "service"]).exits(0);
}

#[test]
fn the_stack_names_what_the_shards_must_share() {
    image();
    let required = [
        ("RUN_ID", "name the run"),
        ("RUN_SEED", "seed the run"),
        ("EVENT_START", "give the time of the first event"),
    ];
    // One is missing at a time: of several, Docker names any.
    for (missing, said) in required {
        let mut stack = String::new();
        for (name, value) in SHARED.iter().filter(|(name, _)| *name != missing) {
            write!(stack, "export {name}={value}; ").expect("a String takes all");
        }
        stack.push_str("docker stack config --compose-file packaging/swarm/stack.yml");
        let refused = engine().shell(&stack);
        assert_ne!(refused.code, Some(0));
        refused.says(missing).says(said);
    }
}
