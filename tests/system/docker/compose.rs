//! `docker compose up`, from nothing but the repository.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::broker::{self, PARTITIONS};
use super::engine::{HOST, Output, engine};
use super::image::{image, with_stand_ins};
use crate::common::blocks;

/// How long a start with a broker may take on a busy machine.
const UP_LIMIT: Duration = Duration::from_secs(300);

/// The project and its `.env` are one for all tests. Both are gone when this is.
pub struct Project(#[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Project {
    /// The project with this `.env`, which no other test has at the same time.
    pub fn with(env: &str) -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        image();
        engine().shell(&format!("printf '{env}' >.env")).exits(0);
        Self(guard)
    }

    /// Runs a command line with the images that take the place of the published ones.
    pub fn shell(&self, line: &str) -> Output {
        with_stand_ins(UP_LIMIT, line)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let down = self.shell("make down && rm -f .env docker-compose.override.yml");
        if down.code != Some(0) {
            eprintln!("the project is not down: {down:?}");
        }
    }
}

#[test]
fn a_batch_with_a_broker_of_its_own_is_forty_records_and_exit_0() {
    let project = Project::with("");
    let up = project.shell("rm .env && make compose-demo").exits(0);
    let up = up.says("docker compose --profile kafka up --exit-code-from producer");
    println!("make compose-demo: {:.1?}", up.elapsed);
    up.says("40 of 40 planned records delivered").says("; exit 0 (SUCCESS)");

    // `up` has stopped the broker. Its log is still there.
    project.shell("docker compose --profile kafka up --detach --wait kafka").exits(0);
    let mut total = 0;
    for topic in ["gpu.metrics.v1", "token.usage.v1"] {
        let records = broker::read("vm4-producer-kafka-1", "kafka:9092", topic);
        assert_eq!(records.len(), 20, "{topic}");
        assert!(records.iter().all(|record| record.partition() < u64::from(PARTITIONS)));
        let described = project.shell(&format!(
            "docker compose exec kafka /opt/kafka/bin/kafka-topics.sh --describe \
             --bootstrap-server kafka:9092 --topic {topic}"
        ));
        described.exits(0).says(&format!("PartitionCount: {PARTITIONS}\t"));
        total += records.len();
    }
    assert_eq!(total, 40);
}

#[test]
fn compose_returns_the_exit_code_of_a_batch_that_found_no_broker() {
    let env = "KAFKA_BOOTSTRAP=127.0.0.1:1\\nDELIVERY_TIMEOUT_SEC=1\\n";
    let project = Project::with(env);
    let up = project.shell("docker compose up --exit-code-from producer");
    up.exits(69).says("nothing was sent: no broker answered").says("; exit 69 (UNAVAILABLE)");
    let up = project.shell("make run-once");
    up.exits(2).says("docker compose run --rm producer").says("Error 69");
}

#[test]
fn a_setting_in_env_that_is_not_valid_is_named() {
    let project = Project::with("BATCH=many\\n");
    let up = project.shell("docker compose up --exit-code-from producer");
    up.exits(78).says("BATCH: \"many\" from the environment is not valid: expected a whole number");
}

#[test]
fn the_container_of_the_compose_file_is_confined_and_never_restarted() {
    let project = Project::with("");
    project.shell("docker compose create producer").exits(0);
    let inspect = project.shell("docker inspect vm4-producer-producer-1").text();
    let inspected: Value = serde_json::from_str(&inspect).expect("JSON");
    let host = &inspected[0]["HostConfig"];
    for (setting, expected) in [
        ("ReadonlyRootfs", serde_json::json!(true)),
        ("CapDrop", serde_json::json!(["ALL"])),
        ("CapAdd", Value::Null),
        ("SecurityOpt", serde_json::json!(["no-new-privileges:true"])),
        ("Memory", serde_json::json!(256 << 20)),
        ("PidsLimit", serde_json::json!(128)),
        ("IpcMode", serde_json::json!("none")),
        ("Privileged", serde_json::json!(false)),
    ] {
        assert_eq!(host[setting], expected, "{setting}");
    }
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    assert_eq!(inspected[0]["Config"]["User"], "10001:10001");
}

#[test]
fn a_secret_is_a_file_that_is_named_as_its_property() {
    let project = Project::with(&format!("KAFKA_BOOTSTRAP={HOST}:1\\n"));
    // The file that the document shows.
    let page = include_str!("../../../docs/containers.md");
    let example = blocks(page, "Containers and fleets", "yaml")[0];
    let prepare = format!(
        "mkdir -p secrets && echo hunter2 >secrets/sasl.password && \
         cat >docker-compose.override.yml <<'END'\n{example}END\n"
    );
    project.shell(&prepare).exits(0);
    let doctor = project.shell("docker compose run --rm producer doctor").exits(69);
    let doctor = doctor.says("(credential sasl.password)");
    assert!(!format!("{}{}", doctor.stdout, doctor.stderr).contains("hunter2"));
    project.shell("rm -r secrets").exits(0);
}

#[test]
fn the_documented_env_file_is_taken_as_it_is() {
    let project = Project::with("");
    // Every line that sets something, without its comment sign, but to a broker that is not there.
    let uncomment = "sed -n 's/^#\\([A-Z_]*=\\)/\\1/p' .env.example";
    let nowhere = "sed 's/^KAFKA_BOOTSTRAP=.*/KAFKA_BOOTSTRAP=127.0.0.1:1/'";
    project.shell(&format!("{uncomment} | {nowhere} >.env")).exits(0);
    let doctor = project.shell("docker compose run --rm producer doctor").exits(69);
    let set = project.shell("grep -c = .env").text();
    doctor.says(&format!("ok    settings: all valid, {set} set by you"));
}
