//! A fleet: the shards of a run as the tasks of a Docker Swarm.

use std::fmt::Write as _;

use crate::broker::{self, Record, bootstrap, records};
use crate::engine::{HOST, engine};
use crate::image::image;

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

/// Waits until this many tasks of a service have completed.
fn wait_for(service: &str, completed: u32) {
    let expected = format!("({completed}/{completed} completed)");
    engine().eventually("every task has completed", || {
        let list = ["docker", "service", "ls", "--filter", service, "--format={{.Replicas}}"];
        engine().run(&list).text().contains(&expected).then_some(())
    });
}

#[test]
fn four_tasks_of_a_swarm_job_together_send_the_unsharded_run() {
    let whole = unsharded("whole");
    assert_eq!(whole.len(), 1000);
    let topics = ["fleet.metrics", "fleet.tokens"];
    broker::create(&topics);
    engine().run(&["docker", "swarm", "init", "--advertise-addr", HOST]).exits(0);

    // The stack as it is shipped, with the topics of this test beside its settings.
    let mut deploy = format!("export KAFKA_BOOTSTRAP={} PRODUCER_IMAGE={}; ", bootstrap(), image());
    for (name, value) in SHARED {
        write!(deploy, "export {name}={value}; ").expect("a String takes all");
    }
    deploy.push_str(
        "printf 'version: \"3.9\"\\nservices:\\n  producer:\\n    environment:\\n      TOPIC_METRIC: fleet.metrics\\n      \
         TOPIC_TOKEN: fleet.tokens\\n' >/tmp/topics.yml; \
         docker stack deploy --resolve-image never --detach=true \
         --compose-file packaging/swarm/stack.yml --compose-file /tmp/topics.yml fleet",
    );
    let deployed = engine().shell(&deploy).exits(0);
    wait_for("name=fleet_producer", 4);
    println!("swarm: four tasks are over; deployed in {:.1?}", deployed.elapsed);

    let mut union = records(&topics);
    union.sort();
    assert_eq!(union.len(), whole.len());
    assert_eq!(union, whole);
    // Each of the tasks sent its part.
    let logs = engine().run(&["docker", "service", "logs", "fleet_producer"]).exits(0);
    let said = format!("{}{}", logs.stdout, logs.stderr);
    assert_eq!(said.matches("250 of 250 planned records delivered").count(), 4, "{said}");
    engine().run(&["docker", "stack", "rm", "fleet"]).exits(0);
}

#[test]
fn the_stack_names_what_the_shards_must_share() {
    let stack = "docker stack config --compose-file packaging/swarm/stack.yml";
    image();
    let refused = engine().shell(stack);
    assert_ne!(refused.code, Some(0));
    refused.says("RUN_ID").says("name the run");
}
