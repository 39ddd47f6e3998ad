//! The recipes of the README and of the pages, as they stand there.

use std::process::{Command, Output};
use std::time::Duration;

use crate::cluster::{Cluster, TOPICS};
use crate::common::{blocks, program};
use crate::process::install;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use tempfile::TempDir;

const README: &str = include_str!("../../README.md");

/// The broker of the documents.
const BROKER: &str = "kafka-1:9092";

/// A directory in which recipes run as they stand, but with this broker for that of the documents, and
/// with `etc` below it for `/etc/vm4-producer`.
struct Kitchen {
    directory: TempDir,
    bootstrap: String,
}

impl Kitchen {
    fn new(cluster: &Cluster) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        Self { directory, bootstrap: cluster.bootstrap() }
    }

    /// Puts a program in front of those of the machine.
    fn install(&self, name: &str, script: &str) {
        install(&self.directory.path().join(name), script);
    }

    /// Runs a recipe; each of its commands has to succeed.
    fn cook(&self, recipe: &str) -> Output {
        self.cook_in("bash", "C", recipe)
    }

    fn cook_in(&self, shell: &str, locale: &str, recipe: &str) -> Output {
        let own = self.directory.path().display();
        let recipe = recipe
            .replace(BROKER, &self.bootstrap)
            .replace("/etc/vm4-producer/", &format!("{own}/etc/"));
        let programs = program();
        let programs = programs.parent().unwrap().display();
        // dash of Debian 12 has no pipefail.
        let strict = if shell == "bash" { "-euo pipefail" } else { "-eu" };
        let output = Command::new(shell)
            .args(strict.split(' '))
            .args(["-c", &recipe])
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", format!("{own}:{programs}:/usr/bin:/bin"))
            .env("VM4_PRODUCER_ENV", "/dev/null")
            .env("LC_ALL", locale)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {recipe}{said}", output.status);
        output
    }
}

/// As the driver 550 prints two boards of one machine.
const NVIDIA_SMI: &str = "#!/bin/sh\n\
    echo 'index, name, utilization.gpu [%], memory.used [MiB], memory.total [MiB], power.draw [W]'\n\
    echo '0, NVIDIA L4, 37 %, 14520 MiB, 23034 MiB, 54.31 W'\n\
    echo '1, NVIDIA H100 80GB HBM3, 3 %, 71321 MiB, 81559 MiB, 118.20 W'\n";

#[test]
fn the_recipe_for_own_gpus_makes_a_seed_file_in_any_locale_and_shell() {
    let kitchen = Kitchen::new(&Cluster::start());
    kitchen.install("nvidia-smi", NVIDIA_SMI);
    let recipe = blocks(README, "Your own GPUs", "sh");
    assert_eq!(recipe.len(), 1);
    for locale in ["C", "de_DE.UTF-8"] {
        for shell in ["bash", "dash"] {
            let output = kitchen.cook_in(shell, locale, recipe[0]);
            let printed = String::from_utf8(output.stdout).unwrap();
            let seed = kitchen.directory.path().join("etc/gpus.json");
            let rows: Value =
                serde_json::from_str(&std::fs::read_to_string(seed).unwrap()).unwrap();
            assert_eq!(rows[0]["utilization"], 0.37, "{shell}, {locale}");
            assert_eq!(rows[0]["price_per_hour_usd"], 2.5);
            assert_eq!(rows[1]["name"], "NVIDIA H100 80GB HBM3");
            assert_eq!(rows[1]["mem_total_mb"], 81_559);
            assert_eq!(printed.lines().count(), 6, "{printed}");
            assert!(printed.contains(r#""name":"NVIDIA "#), "{printed}");
        }
    }
}

#[test]
fn every_recipe_of_the_readme_runs_in_one_topic_and_each_account_of_it_closes() {
    let cluster = Cluster::start();
    let kitchen = Kitchen::new(&cluster);
    let mut reports = Vec::new();
    for (heading, shell) in [
        ("Test an alert", "dash"),
        ("Test de-duplication", "bash"),
        ("Test how a pipeline takes bad records", "dash"),
        ("Prove that a pipeline loses nothing", "dash"),
    ] {
        for recipe in blocks(README, heading, "sh") {
            let report = kitchen.directory.path().join(format!("{}.json", reports.len()));
            // Twice, as whoever tries it out does.
            for _ in 0..2 {
                let set = format!("export REPORT_FILE={}\n", report.display());
                kitchen.cook_in(shell, "de_DE.UTF-8", &(set + recipe));
                if !recipe.contains("--report-file") {
                    reports.push(report.clone());
                }
            }
        }
    }
    for report in &reports {
        let verify = format!("vm4-producer verify -b {BROKER} --report {}", report.display());
        let account = String::from_utf8(kitchen.cook(&verify).stdout).unwrap();
        assert!(account.starts_with("CLOSED: "), "{account}");
    }
    assert!(reports.len() >= 4, "{reports:?}");
}

#[test]
fn every_recipe_of_the_readme_that_sends_something_delivers_it() {
    let mut sent = 0;
    for heading in [
        "A day of backfill",
        "Prove that a pipeline loses nothing",
        "Test an alert",
        "Test de-duplication",
        "Test how a pipeline takes bad records",
    ] {
        let cluster = Cluster::start();
        let kitchen = Kitchen::new(&cluster);
        let recipes = blocks(README, heading, "sh");
        assert!(!recipes.is_empty(), "{heading} has no recipe");
        for recipe in recipes {
            assert!(recipe.contains(BROKER), "{recipe}");
            let said = kitchen.cook(recipe).stderr;
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains(" delivered in "), "{heading}: {said}");
        }
        let records = TOPICS.map(|topic| cluster.read(topic, usize::MAX).len());
        assert!(records.iter().all(|count| *count > 900), "{heading}: {records:?}");
        sent += records[0];
    }
    // The day of backfill alone, with a pair each five seconds.
    assert!(sent > 15_000, "{sent} pairs");
}

/// The page on testing.
const TESTING: &str = include_str!("../../docs/testing-a-pipeline.md");

#[test]
fn every_recipe_of_the_pages_that_sends_something_delivers_it() {
    let pages = [
        (include_str!("../../docs/faults.md"), "Faults"),
        (include_str!("../../docs/answer-key.md"), "The answer key"),
        (TESTING, "A run with faults or incidents"),
        (TESTING, "In CI, against a real Kafka"),
        (TESTING, "What a dashboard must show"),
    ];
    for (page, heading) in pages {
        let cluster = Cluster::start();
        let kitchen = Kitchen::new(&cluster);
        let recipe = blocks(page, heading, "sh")[0];
        // As it stands, but not at the pace of the clock: a late record would be two minutes late.
        let settings = "EVENT_START=2026-01-05T12:00:00Z BATCH=600";
        kitchen.cook(&format!("export KAFKA_BOOTSTRAP={BROKER} {settings}; {recipe}"));
        let records = TOPICS.map(|topic| cluster.read(topic, usize::MAX).len());
        assert!(records.iter().all(|count| *count > 500), "{heading}: {records:?}");
    }
}

/// A stage that keeps everything and writes it to another topic.
fn copy(cluster: &Cluster, from: &str, to: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    let producer: BaseProducer = config.create().unwrap();
    for record in cluster.read(from, usize::MAX) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let sent = BaseRecord::to(to)
            .partition(record.partition)
            .key(record.key.as_deref().unwrap_or_default())
            .payload(&record.value)
            .timestamp(record.timestamp_ms)
            .headers(headers);
        producer.send(sent).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

#[test]
fn the_recipe_for_a_topic_downstream_closes_behind_a_stage_that_keeps_everything() {
    let cluster = Cluster::start();
    let kitchen = Kitchen::new(&cluster);
    kitchen.cook(blocks(TESTING, "In CI, against a real Kafka", "sh")[0]);
    copy(&cluster, TOPICS[0], "gpu.enriched");
    copy(&cluster, TOPICS[1], "usage.enriched");
    let recipe = blocks(TESTING, "A topic downstream", "sh")[0];
    let account = String::from_utf8(kitchen.cook(recipe).stdout).unwrap();
    assert!(account.starts_with("CLOSED: "), "{account}");
    assert!(account.contains("gpu.enriched"), "{account}");
}
